"""Messages that are transferred beside readers, users and crashes: each is there once, with its bytes."""

# The tests use os, as the module does:
# ruff: noqa: PTH108, PTH110, PTH116, PTH118, PTH119, PTH208

import os
import resource
import stat
import threading
from functools import partial

import on_disk
import pytest
from interruption import CALLS, Interruption
from maildirs import size_in
from readers_and_kills import (
    DATE,
    FRESH,
    OLD,
    before_line,
    carry_out,
    deliver,
    everything,
    identity,
    killed_before,
    read_mail,
    remove_all,
    settle,
    transfer_to,
)

from spamlstm.maildir import names, transfer
from spamlstm.maildir.message_file import file_identity, read_message
from spamlstm.maildir.names import GoneError, Name
from spamlstm.maildir.transfer import Transfer, TransferResult

DONE, UNDONE, GONE = TransferResult.DONE, TransferResult.UNDONE, TransferResult.GONE
# A rename, and a replacement by a fresh file.
BOTH = pytest.mark.parametrize("content", [None, FRESH], ids=["rename", "replace"])

# Other tests may have left threads, which the copies of the process that are killed here do without.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.mark.parametrize("part", ["new", "cur"])
def test_rename(root, junk, part):
    """A renamed message is the same file: bytes, date and mode are as before."""
    source = deliver(root, "1.host,S=17")
    before = os.stat(source)

    assert carry_out(junk, source, part=part).result is DONE

    (entry,) = on_disk.messages(junk)
    after = os.stat(entry.path)
    assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (before.st_ino, before.st_mtime_ns, before.st_mode)
    assert everything(root, junk) == [OLD]
    assert (entry.part, entry.name.endswith(":2,")) == (part, part == "cur")
    assert size_in(Name.parse(entry.name)) == 17


@pytest.mark.parametrize("part", ["new", "cur"])
def test_replace(root, junk, part):
    """A fresh file under a fresh name with true sizes; date and mode are those of the old one, and tmp is clean."""
    source = deliver(root, "1.host,S=1,U=4" + (":2,FS" if part == "cur" else ""), part=part)

    assert carry_out(junk, source, FRESH, part=part).result is DONE

    (entry,) = on_disk.messages(junk)
    name, status = Name.parse(entry.name), os.stat(entry.path)
    assert everything(root, junk) == [FRESH]
    assert (size_in(name), size_in(name, "W")) == (len(FRESH), len(FRESH) + 3)
    assert (name.base == "1.host", name.flags, entry.part) == (False, "FS" if part == "cur" else "", part)
    assert (status.st_mtime, stat.S_IMODE(status.st_mode), status.st_nlink) == (DATE, 0o640, 1)
    assert os.listdir(os.path.join(junk, "tmp")) == []


def test_a_fresh_file_is_no_program(root, junk):
    """The bits that make a file a program, or run it with the rights of its owner, are not copied to the fresh file."""
    source = deliver(root)
    os.chmod(source, 0o6755)  # noqa: PTH101, S103

    assert carry_out(junk, source, FRESH).result is DONE

    (entry,) = on_disk.messages(junk)
    assert stat.S_IMODE(os.stat(entry.path).st_mode) == 0o644


def test_a_batch(root, junk):
    """Each message of a batch has its own result: one fails, one is gone, and the others are done."""
    paths = [deliver(root, f"{number}.host") for number in range(6)]
    transfers = [transfer_to(junk, path, content) for path, content in zip(paths, [FRESH, None] * 3, strict=True)]
    deliver(junk, transfers[2].target.name, content=b"other")
    os.unlink(paths[3])

    attempts = transfer.carry_out(transfers)

    assert [one.result for one in attempts] == [DONE, DONE, UNDONE, GONE, DONE, DONE]
    assert [type(one.error) for one in attempts if one.error] == [FileExistsError]
    assert (everything(root), sorted(everything(junk))) == ([OLD], sorted([b"other", OLD, OLD, FRESH, FRESH]))


@pytest.mark.parametrize("most", [0, 1, 3])
def test_a_batch_without_further_threads(root, junk, monkeypatch, most):
    """If the limit of processes is reached, a batch is written with the threads that there are, and tmp is clean."""
    left, start = [None] * most, threading.Thread.start

    def limited(thread):
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    for number in range(6):
        deliver(root, f"{number}.host")
    inbox = on_disk.opened(root)
    target = inbox.mailbox.folder(os.path.basename(junk))
    transfers = [
        Transfer(one, file_identity(one), target.entry("new", names.unique()), FRESH) for one in inbox.messages()
    ]
    monkeypatch.setattr(threading.Thread, "start", limited)

    assert [one.result for one in transfer.carry_out(transfers)] == [DONE] * 6

    assert (everything(root), everything(junk)) == ([], [FRESH] * 6)
    assert os.listdir(os.path.join(junk, "tmp")) == []


@BOTH
def test_nothing_is_overwritten(root, junk, content):
    """A name that is taken is refused, and the message that has it stays."""
    wanted = transfer_to(junk, deliver(root), content)
    other = deliver(junk, wanted.target.name, content=b"other")

    (attempt,) = transfer.carry_out([wanted])

    assert (attempt.result, type(attempt.error)) == (UNDONE, FileExistsError)
    assert on_disk.content(other) == b"other"
    assert everything(root) == [OLD]


@BOTH
def test_a_folder_that_is_not_there(root, content):
    """A missing target folder is an error. A missing message gives the result GONE."""
    attempt = carry_out(os.path.join(root, "nowhere"), deliver(root), content)
    assert (attempt.result, type(attempt.error), everything(root)) == (UNDONE, FileNotFoundError, [OLD])


@BOTH
def test_a_message_that_is_not_there(root, junk, content):
    """A reader took it to cur: normal, and no error."""
    source = deliver(root)
    known = identity(source)
    read_mail(root)
    attempt = carry_out(junk, source, content, expected=known)
    assert (attempt.result, attempt.error, everything(root, junk)) == (GONE, None, [OLD])
    with pytest.raises(GoneError):
        read_message(on_disk.entry(source), most=1 << 20)


@pytest.mark.parametrize(("content", "same"), [(None, False), (FRESH, False), (FRESH, True)])
@pytest.mark.parametrize("reader", [False, True])
def test_a_kill_at_any_point(root, junk, content, same, reader):
    """With or without a reader before the restart: the message is there once, and `settle` tells which one it is.

    Up to some point it is the old message, and from there on the new one.
    """
    folder = root if same else junk
    folders = (root,) if same else (root, junk)
    results = []
    for number in range(1, 2000):
        source = deliver(root, f"{number}.host")
        base, known = names.unique(), identity(source)
        work = partial(transfer.carry_out, [transfer_to(folder, source, content, base=base)])
        killed = killed_before(number, work)
        if reader:
            read_mail(*folders)
        result = settle(source, folder, base=base, expected=known)
        assert result is settle(source, folder, base=base, expected=known)
        old, new = (Name.parse(os.path.basename(source)).base, base)
        (entry,) = (entry for one in folders for entry in on_disk.messages(one))
        there = {UNDONE: (old, OLD), DONE: (new, content or OLD)}
        assert (Name.parse(entry.name).base, on_disk.content(entry.path)) == there[result]
        assert os.listdir(os.path.join(folder, "tmp")) == []
        remove_all(*folders)
        results.append(result)
        if not killed:
            break
    undone = results.count(UNDONE)
    assert results == [UNDONE] * undone + [DONE] * (len(results) - undone)
    assert undone > 5
    assert len(results) - undone > 1


@pytest.mark.parametrize(("content", "same"), [(None, False), (FRESH, False), (FRESH, True)])
@pytest.mark.parametrize("user", ["reads", "removes"])
def test_a_user_before_any_line(root, junk, content, same, user):
    """A reader that opens the folder, or a user who removes the message: never two of it, and none is lost.

    A message that is removed while the fresh one is out already stays as the fresh one: better than the other mistake.
    """
    folder = root if same else junk
    folders = (root,) if same else (root, junk)
    gone = 0
    for number in range(1, 2000):
        source = deliver(root, f"{number}.host")
        known = identity(source)

        def act(source=source):
            if user == "reads":
                read_mail(*folders)
            elif os.path.exists(source):
                os.unlink(source)

        with before_line(number, act) as left:
            (attempt,) = transfer.carry_out([transfer_to(folder, source, content, expected=known)])
        kept = {DONE: [content or OLD], GONE: [OLD] if user == "reads" else []}
        assert everything(*folders) == kept[attempt.result]
        assert os.listdir(os.path.join(folder, "tmp")) == []
        gone += attempt.result is GONE
        remove_all(*folders)
        if left[0] > 0:
            break
    assert number > 40
    assert gone > 10


@BOTH
@pytest.mark.parametrize("always", [False, True], ids=["once", "from then on"])
def test_an_error_in_any_call(root, junk, content, always):
    """The disk refuses one call, or that and all later ones: the message is as it was, or the transfer is done.

    After one error that is so at once. Where all later calls fail too the result may be unknown (None), and `settle`
    finds it out when the disk works again.
    """
    results = []
    for number in range(1000):
        source = deliver(root, f"{number}.host")
        base, known = names.unique(), identity(source)

        def refuse():
            raise OSError(28, "No space left on device")

        wanted = transfer_to(junk, source, content, base=base)
        with Interruption(number, refuse, calls=(*CALLS, "stat", "fstat"), always=always) as interruption:
            (attempt,) = transfer.carry_out([wanted])
        result = attempt.result
        if result is None:
            assert always
            result = settle(source, junk, base=base, expected=known)
        assert result is DONE or attempt.error is not None
        assert everything(root, junk) == {DONE: [content or OLD], UNDONE: [OLD]}[result]
        assert os.listdir(os.path.join(junk, "tmp")) == []
        remove_all(root, junk)
        results.append(result)
        if not interruption.happened:
            break
    assert results.count(UNDONE) > 2
    assert results[-1] is DONE


def test_owner_is_kept(root, junk):
    """Root writes for others, and what it writes is theirs."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    source = deliver(root)
    for path in (source, root, junk, *(os.path.join(one, part) for one in (root, junk) for part in names.PARTS)):
        os.chown(path, 12345, 23456)

    carry_out(junk, source, FRESH)
    on_disk.create_folder(root, os.path.join(root, ".More"))

    (entry,) = on_disk.messages(junk)
    paths = (entry.path, os.path.join(root, ".More", "new"), os.path.join(root, ".More", "maildirfolder"))
    assert [(os.stat(path).st_uid, os.stat(path).st_gid) for path in paths] == [(12345, 23456)] * 3


@pytest.mark.parametrize("limit", [0, 10])
def test_a_write_that_fails_leaves_nothing(root, junk, limit):
    """A message that does not fit (here: a limit on the size of files) stays as it is, and tmp is left clean."""
    source = deliver(root)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        attempt = carry_out(junk, source, FRESH)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert (attempt.result, attempt.error.strerror) == (UNDONE, "File too large")
    assert everything(root, junk) == [OLD]
    assert os.listdir(os.path.join(junk, "tmp")) == []


def test_a_message_that_is_gone_at_the_restart(root, junk):
    """A message that its user removed while we were down is gone, and is not brought back."""
    source = deliver(root)
    known = identity(source)
    os.unlink(source)

    assert settle(source, junk, base="x", expected=known) is GONE
