"""A scan finds all mail that is not judged, nothing twice, and at no cost where nothing changed."""

# ruff: noqa: PTH104, PTH118  as in maildir

import os
import shutil
from pathlib import Path

import on_disk
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inbox import Inbox
from interruption import Interruption
from maildirs import make

from spamlstm.config import CatchUp
from spamlstm.filtering.inbox import is_settled, list_candidates
from spamlstm.filtering.outcome import Candidate
from spamlstm.maildir.folder_walk import folders
from spamlstm.maildir.names import Name
from spamlstm.maildir.opened import OpenMaildir


def bases(candidates):
    return sorted(candidate.base for candidate in candidates)


@pytest.mark.parametrize(
    ("catch_up", "judged"),
    [(CatchUp.NEW, []), (CatchUp.UNSEEN, ["new", "unread"]), (CatchUp.ALL, ["new", "read", "unread"])],
)
def test_what_lay_there_before(inbox, catch_up, judged):
    """Mail that was there before is judged only if the configuration asks for it; mail that comes later always is."""
    one = inbox(watched=False, catch_up=catch_up)
    one.deliver(name="new")
    one.deliver(part="cur", name="unread:2,F")
    one.deliver(part="cur", name="read:2,S")

    assert bases(one.pipeline.scan(one.root)) == judged
    one.run()
    one.deliver("ham", name="later")
    assert bases(one.pipeline.scan(one.root)) == ["later"]


def test_what_came_while_stopped(inbox):
    """Mail that came while it was stopped is judged after the restart, in cur too; older mail is not."""
    one = inbox(watched=False)
    one.deliver("ham", part="cur", name="old:2,S")
    one.watch().journal.close()
    one.deliver("ham", name="a")
    os.rename(one.deliver("ham", name="b"), os.path.join(one.root, "cur", "b:2,S"))
    one.open()

    assert bases(one.pipeline.scan(one.root)) == ["a", "b"]


def test_old_mail_that_a_user_moves_in(inbox):
    """Mail in cur from before the watch began was put there by its user and is left alone; in new it is judged."""
    one = inbox()
    for part, name in (("cur", "a:2,S"), ("new", "b")):
        os.utime(one.deliver("spam", part=part, name=name), (1e9, 1e9))
    assert sorted(outcome.status for outcome in one.run()) == ["done", "old"]
    assert one.names() == [("cur", "a:2,S")]
    assert one.run() == []


def test_a_second_look_does_nothing(inbox):
    """No message is judged again after a change of flags, a move from new to cur, or a restart."""
    one = inbox(ham=())
    path = one.deliver("ham", name="a,S=9")
    one.run()
    os.rename(path, os.path.join(one.root, "cur", "a,S=9:2,FS"))
    assert one.pipeline.scan(one.root) == []
    one.again()
    assert one.pipeline.scan(one.root) == []
    assert one.judge.asked == 1


def test_a_name_that_is_used_again(inbox):
    """Procmail reuses names: another file of the same name is another message."""
    one = inbox()
    first = one.deliver("ham", name="a")
    one.run()
    os.rename(first, os.path.join(one.root, "keeps-its-inode"))
    one.deliver("ham", name="a")

    assert [outcome.status for outcome in one.run()] == ["left"]
    assert one.run() == []


def test_a_restored_backup(inbox):
    """All files have other inodes then: judged mail is known by its content, mail from before the watch by its name."""
    one = inbox(watched=False)
    one.deliver("spam", part="cur", name="archive:2,S")
    one.watch()
    one.deliver("ham", name="a")
    one.run()
    # The old files stay, so that no new file gets the inode of an old one.
    os.rename(one.root, one.root + ".old")
    shutil.copytree(one.root + ".old", one.root)
    one.again()

    assert [outcome.status for outcome in one.run()] == ["known"]
    assert one.run() == []


def test_nothing_changed_costs_two_calls(inbox, monkeypatch):
    """Two calls of stat for an inbox that was at rest for a while, and no listing."""
    one = inbox()
    one.deliver("ham")
    one.run()
    one.clock.now = os.stat(os.path.join(one.root, "new")).st_mtime + 10  # noqa: PTH116
    one.run()
    calls = []
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **how: calls.append(path) or real(path, **how))
    monkeypatch.setattr(os, "scandir", None)

    assert one.pipeline.scan(one.root) == []
    assert calls == [os.path.join(one.root, part) for part in ("new", "cur")]


def test_a_change_within_one_tick(inbox):
    """A folder that changed just now is read again: two deliveries may share one mtime."""
    one = inbox()
    new = os.path.join(one.root, "new")
    one.deliver("ham")
    one.clock.now = os.stat(new).st_mtime + 0.001  # noqa: PTH116
    before = os.stat(new)  # noqa: PTH116
    one.run()
    one.deliver("ham", name="second")
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert bases(one.pipeline.scan(one.root)) == ["second"]


@pytest.mark.parametrize("years", [1, 20])
def test_a_folder_from_the_future(inbox, monkeypatch, years):
    """Under a clock that was set back, not every scan reads the inbox, and new mail is found."""
    one = inbox()
    one.clock.now = os.stat(one.root).st_mtime - years * 365 * 86_400  # noqa: PTH116
    one.deliver("ham")
    one.run()
    one.run()
    listed = []
    monkeypatch.setattr("spamlstm.filtering.inbox._files", lambda *what: listed.append(what) or {})
    one.run()
    assert listed == []
    monkeypatch.undo()
    one.deliver("spam")
    assert [outcome.judgement.verdict for outcome in one.run()] == ["spam"]


def test_a_folder_of_a_server_whose_clock_is_a_little_ahead(inbox):
    """A folder counts as settled only if no later change can have the same modification time."""
    now = 1_700_000_000.0
    for ahead, settled in ((-3, True), (-1, False), (0, False), (60, False), (3600, False), (90_000, True)):
        assert is_settled(int((now + ahead) * 1e9), now=now) is settled


def test_what_failed_comes_back(inbox):
    """A message that failed comes back later, though nothing changed in the folder."""
    one = inbox()
    one.deliver("broken")
    one.clock.now = os.stat(os.path.join(one.root, "new")).st_mtime + 10  # noqa: PTH116
    assert [outcome.status for outcome in one.run()] == ["failed"]
    assert one.run() == []
    one.clock.now += 60
    assert [outcome.status for outcome in one.run()] == ["failed"]
    one.clock.now += 15
    assert one.run() == []


def test_a_message_in_both(inbox):
    """A message that a reader takes to cur between the two listings is found once, under its later name."""
    one = inbox()
    path = one.deliver("ham", name="a")
    one.deliver("ham", part="cur", name="z:2,")

    def read():
        os.rename(path, os.path.join(one.root, "cur", "a:2,"))

    with Interruption(1, read):
        found = one.pipeline.scan(one.root)

    assert [(candidate.part, candidate.name) for candidate in found] == [("cur", "a:2,"), ("cur", "z:2,")]


def test_only_new(inbox):
    """An event in new does not make the scan read a large cur."""
    one = inbox()
    one.deliver("ham", name="a")
    one.deliver("ham", part="cur", name="b:2,")

    assert bases(one.pipeline.scan(one.root, parts=("new",))) == ["a"]


def test_a_vanished_maildir(inbox):
    """A Maildir that is missing is reported and counted; when it is back, work goes on."""
    one = inbox()
    os.rename(one.root, one.root + ".away")
    assert one.run() == []
    assert one.counters.failed == {"vanished": 1}
    os.rename(one.root + ".away", one.root)
    one.deliver("ham")
    assert [outcome.status for outcome in one.run()] == ["left"]


def test_names_that_left_are_forgotten(inbox):
    """The index forgets names a day after they left the inbox, and keeps those that are there."""
    one = inbox()
    gone = one.deliver("ham", name="gone")
    one.deliver("ham", name="stays")
    one.run()
    Path(gone).unlink()
    one.clock.now += 100_000
    one.run()

    assert one.journal.index.missing(one.root, {"gone": 0, "stays": 0}, now=one.clock.now) == {"gone"}


def test_links_and_hidden_names(inbox):
    """Links and names that begin with a dot, as those of files that NFS keeps, are not messages and are left alone."""
    one = inbox()
    for name in (".hidden", ".nfs000000000000a1b200000003", ".DS_Store"):
        one.deliver("spam", name=name)
    Path(one.root, "new", "link").symlink_to("/etc/passwd")
    assert one.run() == []
    assert len(os.listdir(os.path.join(one.root, "new"))) == 4  # noqa: PTH208


ODD_NAMES = (
    "1764331234.4321_0.host",  # procmail
    "msg.Xab12",  # procmail to a plain folder
    "1764331234.4321_2.host,U=7:2,FS",  # mbsync and OfflineIMAP, with flags in new
    "1764331234.4321_3.host,U=8!2,S",
    "1764331234.4321_4.host;2,",
    "1764331234.4321_5.host_2,RS",
    "2026-11-28_12:01:05",  # a script
    "2026-11-28_12:02:07",
    "a,1",
    "a,2",
    "a,S=1",
    "a,S=2",
    "a",
    "h\udcffst",  # not UTF-8
    "ü.é",
    "with space\nand line",
    "a,b,S=12,W=13",
)


def test_odd_names_of_messages(inbox):
    """Each message is judged once and filed with its flags and sizes, whatever names delivery agents give."""
    one = inbox(spam=("file",))
    for name in ODD_NAMES:
        one.deliver("spam", name=name)
    outcomes = one.run()

    assert [outcome.status for outcome in outcomes] == ["done"] * len(ODD_NAMES)
    assert one.names() == []
    filed = [Name.parse(name) for part, name in one.names(one.junk) if part == "new"]
    assert sorted(filter(None, (f"{name.separator}{name.info}" for name in filed if name.info))) == sorted(
        [":2,FS", "!2,S", ";2,", "_2,RS", ":01:05", ":02:07"]
    )
    assert {name.base for name in filed}.isdisjoint(Name.parse(name).base for name in ODD_NAMES)
    assert sorted(name.fields for name in filed if name.fields) == [("S=1",), ("S=12", "W=13"), ("S=2",)]
    one.again()
    assert one.run() == []
    assert one.judge.asked == len(ODD_NAMES)


@pytest.mark.parametrize(("there", "filed"), [([], "2,"), (["x!2,S"], "2,"), (["x;2,F"], "2,")])
def test_the_separator_is_kept(inbox, there, filed):
    """A name without flags in cur is filed with the separator of the junk folder, which may have no colons."""
    one = inbox(spam=("file",))
    on_disk.create_folder(one.root, one.junk)
    for name in there:
        Path(one.junk, "cur", name).write_bytes(b"Subject: other\n\nother\n")
    one.deliver("spam", part="cur", name="a")
    one.deliver("spam", part="cur", name="b!2,FS")
    assert [outcome.status for outcome in one.run()] == ["done", "done"]
    new = {name for part, name in one.names(one.junk) if name not in there}
    separator = there[0][1] if there else ":"
    assert {Name.parse(name).separator + Name.parse(name).info for name in new} == {separator + filed, "!2,FS"}


def test_a_colon_in_the_path(tmp_path):
    """Flags are read from the name of the file, not from the path of its folder."""
    one = Inbox(make(tmp_path / "mail:2,S" / "a;2,F"), tmp_path / "state", {"spam": ("file",)}).watch()
    one.deliver("spam", name="a")
    one.deliver("spam", name="b:2,R", part="cur")
    assert [outcome.status for outcome in one.run()] == ["done", "done"]
    assert sorted(Name.parse(name).flags for _, name in one.names(one.junk)) == ["", "R"]
    one.again()
    assert one.run() == []


def test_flags_in_new_count_as_read(inbox):
    """With catch_up = "unseen", a message in new that a program marked as seen is not judged."""
    one = inbox(watched=False, catch_up=CatchUp.UNSEEN)
    one.deliver(name="a:2,S")
    one.deliver(name="b:2,F")
    assert bases(one.pipeline.scan(one.root)) == ["b"]


@pytest.mark.parametrize("actions", [("file",), ("tag", "file"), ("tag",)])
@pytest.mark.parametrize("second", ["new/b", "cur/b:2,"])
def test_two_links_of_one_file(inbox, actions, second):
    """A file with two names in the inbox is judged, no name is lost, and a further scan does nothing."""
    one = inbox(spam=actions)
    path = one.deliver("spam", name="a")
    os.link(path, os.path.join(one.root, second))
    outcomes = [outcome.status for outcome in one.run()]
    one.clock.now += 10
    outcomes += [outcome.status for outcome in one.run()]

    assert "done" in outcomes
    assert set(outcomes) <= {"done", "known", "left"}
    assert len(one.names()) + len(one.names(one.junk)) == 2
    assert bool(one.names(one.junk)) == ("file" in actions)
    one.again()
    assert one.run() == []


def test_a_program_that_moves_by_a_link(inbox):
    """A message that a mail program is moving from new to cur by a link is judged when its move is done."""
    one = inbox()
    path = one.deliver("spam", name="a,S=3")
    os.link(path, os.path.join(one.root, "cur", "a,S=3:2,S"))
    assert not {"done", "left"} & {outcome.status for outcome in one.run()}
    assert len(one.names()) == 2
    Path(path).unlink()
    assert [outcome.status for outcome in one.run()] == ["done"]


def test_listed_is_in_order(inbox):
    """Mail is judged in the order of its names, mostly that of its delivery."""
    one = inbox()
    for name in ("3", "1", "2"):
        one.deliver("ham", name=name)
    listed = list_candidates(on_disk.opened(one.root).mailbox, "new")
    assert [Name.parse(candidate.name).base for candidate in listed] == ["1", "2", "3"]


def test_two_files_of_one_base(inbox):
    """Files whose names differ in their comma fields only are judged, each once."""
    one = inbox(spam=())
    for name in ("a,1", "a,2"):
        one.deliver("spam", name=name)
    assert [outcome.status for outcome in one.run()] == ["left", "left"]
    one.clock.now += 10
    assert one.run() == []
    one.again()
    assert one.run() == []


def test_one_base_in_new_and_in_cur(inbox):
    """Two files with one base name, in new and in cur, are two messages."""
    one = inbox(spam=())
    one.deliver("spam", name="a,S=10")
    one.deliver("spam", name="a,S=11:2,S", part="cur")
    assert [outcome.status for outcome in one.run()] == ["left", "left"]
    one.again()
    assert {outcome.status for outcome in one.run()} <= {"known"}


def test_a_name_that_is_full(inbox):
    """A message whose name fields fill 255 bytes is tagged and filed, without the fields."""
    one = inbox()
    one.deliver("spam", name="8," + "A" * 253)
    one.deliver("unsure", name="9," + "B" * 253)
    assert [outcome.status for outcome in one.run()] == ["done", "done"]
    assert len(one.names(one.junk)) == len(one.names()) == 1


def test_a_link_that_a_server_left(inbox, monkeypatch):
    """If a server left a link in the tmp of another folder for good, one visit waits half a second in all."""
    one = inbox()
    slept = []
    monkeypatch.setattr("spamlstm.maildir.message_file.time.sleep", slept.append)
    on_disk.create_folder(one.root, os.path.join(one.root, ".Archive"))
    for number in range(5):
        path = one.deliver("spam")
        os.link(path, os.path.join(one.root, ".Archive", "tmp", f"{number}.left"))
    assert {outcome.status for outcome in one.run()} == {"done"}
    assert 0.4 < sum(slept) < 0.6


def test_a_copy_in_another_folder_is_left_to_its_user(inbox):
    """A message that its user has linked to another folder meanwhile is not judged."""
    one = inbox()
    on_disk.create_folder(one.root, os.path.join(one.root, ".Archive"))
    os.link(one.deliver("spam"), os.path.join(one.root, ".Archive", "cur", "1:2,S"))
    assert [outcome.status for outcome in one.run()] == ["moving"]


@given(st.text("ab,:2S!=_", max_size=9))
def test_the_base_of_a_candidate(name):
    """The base of a candidate is that of `Name.parse`, for any name."""
    assert Candidate("/m", "cur", name).base == Name.parse(name).base


def test_dates_that_no_database_holds(inbox):
    """A message and a folder may have any date that the file system takes: they are judged, and nothing fails."""
    one = inbox()
    far = 20_000_000_000 * 10**9
    os.utime(one.deliver("spam"), ns=(far, far))
    os.utime(os.path.join(one.root, "new"), ns=(far, far))
    assert [outcome.status for outcome in one.run()] == ["done"]
    with OpenMaildir.open(one.root) as mailbox:
        assert all(0 <= folder.new_ns < 1 << 63 for folder in folders(mailbox))
