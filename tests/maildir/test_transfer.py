"""Messages under readers, users and crashes: each is there once, with its bytes."""

# The tests speak the language of the module, which is that of os:
# ruff: noqa: PTH104, PTH108, PTH110, PTH116, PTH118, PTH119, PTH208

import os
import re
import stat
from functools import partial

import on_disk
import pytest
from hypothesis import given
from hypothesis import strategies as st
from readers_and_kills import (
    DATE,
    FRESH,
    OLD,
    before_line,
    deliver,
    everything,
    identity,
    killed_before,
    make,
    read_mail,
    replace,
    settle,
    target,
)

from spamlstm.maildir import junk_folder, names, transfer
from spamlstm.maildir.names import GoneError, Name
from spamlstm.maildir.transfer import TransferResult

# Other tests may have left threads, which the copies of the process that are killed here do without.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture
def junk(root):
    folder = junk_folder.junk_folder(on_disk.opened(root).mailbox)
    junk_folder.create_folder(folder)
    return folder.path


def moved(source, folder, *, base=None, part="new"):
    name = Name.parse(os.path.basename(source)).elsewhere(base=base or names.unique())
    old = on_disk.entry(source)
    transfer.move(old, target(old, folder, name, part=part))


def read(path):
    """The bytes of a message, and its identity."""
    return transfer.read_message(on_disk.entry(path), most=1 << 20)


@pytest.mark.parametrize("part", ["new", "cur"])
def test_move(root, junk, part):
    """The same file under another name: bytes, date and mode as before."""
    source = deliver(root, "1.host,S=17")
    before = os.stat(source)

    moved(source, junk, part=part)

    (entry,) = on_disk.messages(junk)
    after = os.stat(entry.path)
    assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (before.st_ino, before.st_mtime_ns, before.st_mode)
    assert everything(root, junk) == [OLD]
    assert (entry.part, entry.name.endswith(":2,")) == (part, part == "cur")
    assert Name.parse(entry.name).size == 17


def test_move_overwrites_nothing(root, junk):
    """A base that is not fresh is refused."""
    other = deliver(junk, "taken", content=b"other")
    with pytest.raises(FileExistsError):
        moved(deliver(root), junk, base="taken")

    assert on_disk.content(other) == b"other"
    assert everything(root) == [OLD]


def test_a_message_that_left_is_no_missing_folder(root, junk, tmp_path):
    """The first is normal, the second is not."""
    source = deliver(root)
    with pytest.raises(FileNotFoundError):
        moved(source, os.path.join(root, "nowhere"))
    read_mail(root)
    with pytest.raises(GoneError):
        moved(source, junk)
    with pytest.raises(GoneError):
        read(source)
    with pytest.raises(GoneError):
        replace(source, junk, expected=transfer.Identity(1, 1, 1))


def test_move_survives_kill(root, junk):
    """Killed before any line, the message is there once, and `settle` knows where."""
    for number in range(1, 1000):
        source = deliver(root, f"{number}.host")
        base, known = names.unique(), identity(source)
        killed = killed_before(number, lambda: moved(source, junk, base=base))  # noqa: B023  it runs at once
        outcome = settle(source, junk, base=base, expected=known)
        assert len(everything(root)) + len(everything(junk)) == 1
        assert outcome is (TransferResult.DONE if everything(junk) else TransferResult.UNDONE)
        for entry in (*on_disk.messages(root), *on_disk.messages(junk)):
            os.unlink(entry.path)
        if not killed:
            break
    assert number > 10
    assert outcome is TransferResult.DONE


# Replacements


@pytest.mark.parametrize("part", ["new", "cur"])
def test_replace(root, junk, part):
    """A fresh file under a fresh name with true sizes; date and mode are the old one's; tmp is left clean."""
    source = deliver(root, "1.host,S=1,U=4" + (":2,FS" if part == "cur" else ""), part=part)

    replace(source, junk, part=part)

    (entry,) = on_disk.messages(junk)
    name, status = Name.parse(entry.name), os.stat(entry.path)
    assert everything(root, junk) == [FRESH]
    assert (name.size, name.wire_size) == (len(FRESH), len(FRESH) + 3)
    assert (name.base == "1.host", name.flags, entry.part) == (False, "FS" if part == "cur" else "", part)
    assert (status.st_mtime, stat.S_IMODE(status.st_mode), status.st_nlink) == (DATE, 0o640, 1)
    assert os.listdir(os.path.join(junk, "tmp")) == []


def test_owner_is_kept(root, junk):
    """Root writes for others, and what it writes is theirs."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    source = deliver(root)
    for path in (source, root, junk, *(os.path.join(one, part) for one in (root, junk) for part in names.PARTS)):
        os.chown(path, 12345, 23456)

    replace(source, junk)
    on_disk.create_folder(root, os.path.join(root, ".More"))

    (entry,) = on_disk.messages(junk)
    paths = (entry.path, os.path.join(root, ".More", "new"), os.path.join(root, ".More", "maildirfolder"))
    assert [(os.stat(path).st_uid, os.stat(path).st_gid) for path in paths] == [(12345, 23456)] * 3


def test_a_name_given_to_another_message(root):
    """Mail that was delivered under a name used before (procmail) is not taken for what was read."""
    source = deliver(root)
    known = identity(source)
    os.rename(source, os.path.join(root, "cur", "1.host:2,S"))
    deliver(root, content=b"another")

    with pytest.raises(GoneError):
        replace(source, root, expected=known)

    assert sorted(everything(root)) == [OLD, b"another"]


def test_the_last_moment(root, junk):
    """Even a name given away after the fresh message was published is not removed, nor taken for the old one later."""
    source = deliver(root)
    known, base = identity(source), names.unique()
    old = on_disk.entry(source)
    fresh = target(old, junk, Name(base))
    transfer.publish(transfer.prepare(FRESH, fresh, like=old), fresh, source=old, expected=known)
    os.rename(source, os.path.join(root, "cur", "1.host:2,"))
    deliver(root, content=b"another")

    with pytest.raises(GoneError):
        transfer.finish(old, fresh, expected=known)

    assert sorted(everything(root, junk)) == [OLD, b"another"]
    os.unlink(os.path.join(root, "cur", "1.host:2,"))
    assert settle(source, junk, base=base, expected=known) is TransferResult.GONE
    assert everything(root, junk) == [b"another"]


@pytest.mark.parametrize("same", [True, False])
def test_replace_survives_kill(root, junk, same):
    """Killed before any line, with or without a reader before the restart: after `settle` the message is there once."""
    folder = root if same else junk
    folders = (root,) if same else (root, junk)
    for number in range(1, 1000):
        for read in (False, True):
            source = deliver(root, f"{number}.host")
            base, known = names.unique(), identity(source)
            work = partial(replace, source, folder, base=base, expected=known)
            killed = killed_before(number, work)
            if read:
                read_mail(*folders)
            outcome = settle(source, folder, base=base, expected=known)
            assert outcome is settle(source, folder, base=base, expected=known)
            assert everything(*folders) == [FRESH if outcome is TransferResult.DONE else OLD]
            assert os.listdir(os.path.join(folder, "tmp")) == []
            for one in folders:
                for entry in on_disk.messages(one):
                    os.unlink(entry.path)
        if not killed:
            break
    assert number > 40
    assert outcome is TransferResult.DONE


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("user", ["reads", "removes"])
def test_replace_beside_a_reader(root, junk, user, same):
    """A reader that opens the folder before any line, or a user who removes the message: never two of it.

    What is removed while the fresh one is already out may stay as the fresh one: better than the other mistake.
    """
    folder = root if same else junk
    folders = (root,) if same else (root, junk)
    gone = 0
    for number in range(1, 1000):
        source = deliver(root, f"{number}.host")
        known = identity(source)

        def act(source=source):
            if user == "reads":
                read_mail(*folders)
            elif os.path.exists(source):
                os.unlink(source)

        with before_line(number, act) as left:
            try:
                replace(source, folder, expected=known)
                kept = [FRESH]
            except GoneError:
                kept = [OLD] if user == "reads" else []
                gone += 1
        if user == "removes" and not everything(*folders):
            kept = []
        assert everything(*folders) == kept
        assert os.listdir(os.path.join(folder, "tmp")) == []
        for one in folders:
            for entry in on_disk.messages(one):
                os.unlink(entry.path)
        if left[0] > 0:
            break
    assert number > 40
    assert gone > 10


def test_an_error_changes_nothing(root, junk):
    """Whatever the system refuses, before or behind whichever call: the message is as it was, or the act is done."""
    for number in range(1, 1000):
        source = deliver(root, f"{number}.host")

        def refuse():
            raise OSError(28, "No space left on device")

        with before_line(number, refuse) as left:
            try:
                replace(source, junk)
                kept = [FRESH]
            except OSError:
                kept = None
        found = everything(root, junk)
        # Where even the cleaning up is refused both may be left: that is what `settle` is for.
        assert found in ([OLD], [FRESH], [OLD, FRESH]) if kept is None else found == kept
        for folder in (root, junk):
            for entry in on_disk.messages(folder):
                os.unlink(entry.path)
        if left[0] > 0:
            break


def test_a_removal_that_says_it_failed(root, junk):
    """NFS may say 'no such file' of a removal that was done: the fresh message is the only one then, and stays."""
    source = deliver(root)
    known = identity(source)
    old = on_disk.entry(source)
    fresh = target(old, junk, Name(names.unique()))
    transfer.publish(transfer.prepare(FRESH, fresh, like=old), fresh, source=old, expected=known)
    os.unlink(source)

    transfer.finish(old, fresh, expected=known)

    assert everything(root, junk) == [FRESH]


@pytest.mark.parametrize("how", [os.rename, os.link])
def test_a_user_who_moves_it_at_that_moment(root, junk, tmp_path, how):
    """What was taken to another folder while the fresh one was already out is there once, where its user wants it."""
    archive = make(tmp_path / "Maildir" / ".Archive")
    source = deliver(root)
    known, base = identity(source), names.unique()
    old = on_disk.entry(source)
    fresh = target(old, junk, Name(base))
    transfer.publish(transfer.prepare(FRESH, fresh, like=old), fresh, source=old, expected=known)
    how(source, os.path.join(archive, "cur", "2.host:2,S"))
    if os.path.exists(source):
        os.unlink(source)

    with pytest.raises(GoneError):
        transfer.finish(old, fresh, expected=known)

    assert everything(root, junk, archive) == [OLD]
    assert settle(source, junk, base=base, expected=known) is TransferResult.GONE


def test_a_move_that_is_half_done_at_that_moment(root, junk, tmp_path):
    """A server moves by a link and then an unlink. If both of our steps come between, its link is the message."""
    archive = make(tmp_path / "Maildir" / ".Archive")
    first, second = deliver(root), deliver(root, "2.host")
    known = [read(path)[1] for path in (first, second)]
    for path in (first, second):
        os.link(path, os.path.join(archive, "cur", f"{os.path.basename(path)}:2,S"))

    with pytest.raises(GoneError):
        replace(first, junk, expected=known[0])
    moved(second, junk, base="filed")
    with pytest.raises(GoneError):
        transfer.give_way(on_disk.entry(os.path.join(junk, "new", "filed")), expected=known[1])

    assert everything(root, junk, archive) == [OLD, OLD]


@pytest.mark.parametrize("when", ["before it was read", "while it was replaced"])
def test_links_of_others_are_no_move(root, junk, tmp_path, when):
    """A backup made of links, or a copy that was there before, takes nothing from the user's folders."""
    other = make(tmp_path / "Maildir" / ".Copies") if when == "before it was read" else make(tmp_path / "backup")
    first, second = deliver(root), deliver(root, "2.host")
    known = [read(path)[1] for path in (first, second)]
    for path in (first, second):
        os.link(path, os.path.join(other, "cur", os.path.basename(path)))
    if when == "before it was read":
        known = [read(path)[1] for path in (first, second)]
    replace(first, junk, expected=known[0])
    moved(second, junk, base="filed")
    transfer.give_way(on_disk.entry(os.path.join(junk, "new", "filed")), expected=known[1])

    assert sorted(everything(root, junk)) == sorted([FRESH, OLD])
    assert everything(other) == [OLD, OLD]


def test_a_copy_of_what_was_moved(root, junk, tmp_path):
    """A user may copy what we filed, by link, before we are back from a crash: both are his, and both stay."""
    archive = make(tmp_path / "Maildir" / ".Archive")
    source = deliver(root)
    known, base = identity(source), names.unique()
    moved(source, junk, base=base)
    os.link(os.path.join(junk, "new", base), os.path.join(archive, "cur", "2.host:2,S"))

    assert settle(source, junk, base=base, expected=known) is TransferResult.DONE
    assert everything(junk, archive) == [OLD, OLD]


@pytest.mark.parametrize("limit", [0, 10])
def test_a_write_that_fails_leaves_nothing(root, junk, limit):
    """A message that does not fit (here: a limit on the size of files) stays as it is, and tmp is left clean."""
    import resource

    source = deliver(root)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(OSError):
            replace(source, junk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert everything(root, junk) == [OLD]
    assert os.listdir(os.path.join(junk, "tmp")) == []


def test_a_message_both_here_and_gone(root, junk):
    """A message that its user removed while we were down is gone, and is not brought back."""
    source = deliver(root)
    known = identity(source)
    os.unlink(source)

    assert settle(source, junk, base="x", expected=known) is TransferResult.GONE


@given(st.binary(max_size=200))
def test_wire_size_is_that_of_crlf(content):
    """W is the size of the message as IMAP sends it."""
    size = Name.parse(str(transfer.sized(Name("a"), content, base="b"))).wire_size

    assert size == len(re.sub(rb"(?<!\r)\n", b"\r\n", content))


def test_a_file_that_is_being_written_is_told_from_a_delivered_one(tmp_path):
    """Those who write into new itself must not lose the rest of their message; a reader is nobody to wait for."""
    path = tmp_path / "new" / "x"
    path.parent.mkdir()
    with path.open("w") as writer:
        assert transfer.is_being_written(on_disk.entry(path))
        writer.write("half")
        writer.flush()
        assert transfer.is_being_written(on_disk.entry(path))
    with path.open() as reader:
        assert reader.read() == "half"
        assert not transfer.is_being_written(on_disk.entry(path))
    with path.open("a"):
        assert transfer.is_being_written(on_disk.entry(path))
    assert not transfer.is_being_written(on_disk.entry(path.with_name("gone")))
