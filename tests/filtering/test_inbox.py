"""A scan finds all mail that is not judged, nothing twice, and at no cost where nothing changed."""

# ruff: noqa: PTH104, PTH118  as in maildir

import os
import shutil
import time
from pathlib import Path

import on_disk
import pytest
from interruption import Interruption

from spamlstm.config import CatchUp
from spamlstm.filtering.inbox import is_settled
from spamlstm.maildir.folder_walk import folders
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


def test_flags_in_new_count_as_read(inbox):
    """With catch_up = "unseen", a message in new that a program marked as seen is not judged."""
    one = inbox(watched=False, catch_up=CatchUp.UNSEEN)
    one.deliver(name="a:2,S")
    one.deliver(name="b:2,F")
    assert bases(one.pipeline.scan(one.root)) == ["b"]


def test_listed_is_in_order(inbox):
    """Mail is judged in the order of its names, mostly that of its delivery."""
    one = inbox()
    for name in ("3", "1", "2"):
        one.deliver("ham", name=name)
    assert bases(one.pipeline.scan(one.root)) == ["1", "2", "3"]


def test_a_copy_in_another_folder_is_left_to_its_user(inbox):
    """A message that its user has just linked to another folder is not judged."""
    one = inbox()
    one.clock.now = time.time()
    on_disk.create_folder(one.root, os.path.join(one.root, ".Archive"))
    os.link(one.deliver("spam"), os.path.join(one.root, ".Archive", "cur", "1:2,S"))
    assert [outcome.status for outcome in one.run()] == ["moving"]


@pytest.mark.parametrize("body", ["spam", "unsure", "ham"])
def test_mail_that_is_delivered_to_two_folders_by_a_link(inbox, body):
    """A message that procmail delivers to the inbox and by a hard link to an archive is judged after half a minute.

    It is filed by a rename and not tagged, and the file in the archive stays as it is.
    """
    one = inbox()
    archive = os.path.join(one.root, ".Archive")
    on_disk.create_folder(one.root, archive)
    one.clock.now = time.time()
    path = one.deliver(body)
    content = Path(path).read_bytes()
    os.link(path, os.path.join(archive, "new", "1.host"))
    assert [outcome.status for outcome in one.run()] == ["moving"]
    one.clock.now += 29
    assert [outcome.status for outcome in one.run()] == ["moving"]
    one.clock.now += 30
    assert [outcome.status for outcome in one.run()] == ["done" if body == "spam" else "left"]
    assert one.contents(one.junk if body == "spam" else one.root) == one.contents(archive) == [content]
    one.again()
    assert one.run() == []


def test_dates_that_no_database_holds(inbox):
    """A message and a folder may have any date that the file system takes: they are judged, and nothing fails."""
    one = inbox()
    far = 20_000_000_000 * 10**9
    os.utime(one.deliver("spam"), ns=(far, far))
    os.utime(os.path.join(one.root, "new"), ns=(far, far))
    assert [outcome.status for outcome in one.run()] == ["done"]
    with OpenMaildir.open(one.root) as mailbox:
        assert all(0 <= folder.new_ns < 1 << 63 for folder in folders(mailbox))
