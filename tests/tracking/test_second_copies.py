"""A copy is not a move: a second file of a message gives no label while the first lies where it lay."""

import os
import shutil
import time
from collections import Counter
from pathlib import Path

import on_disk
import pytest
from changed_mail import MAILS, WAYS
from inbox import raw
from maildirs import make
from second_copies import PATTERNS, SCENARIOS, fetched, play, take_back_changed
from tracked_maildir import TrackedMaildir, delivered

from spamlstm.filtering.outcome import Status
from spamlstm.maildir.content_id import content_id


@pytest.fixture
def maildir(tmp_path):
    """An empty Maildir with an archive and a junk folder, already scanned and visited once."""
    one = TrackedMaildir(make(tmp_path / "Maildir"), tmp_path / "state").visited()
    yield one
    one.label_stores.close()
    one.mailbox_state.close()


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_second_copies(maildir, scenario, pattern):
    """Only the labels that the user gave are there, whenever the daemon filters and visits."""
    expected = play(scenario, pattern, maildir)
    assert maildir.labels() == {content_id(content): label for content, label in expected.items()}


@pytest.mark.parametrize("mail", MAILS)
@pytest.mark.parametrize("way", WAYS)
def test_a_message_that_was_changed_on_its_way(maildir, mail, way):
    """A message that is taken out of the junk folder stays and is learned, however its headers and encoding changed."""
    assert take_back_changed(maildir, mail, way)


@pytest.mark.parametrize("spam", [("file",), ("tag", "file")])
@pytest.mark.parametrize("how", ["copied", "fetched"])
def test_a_second_copy_of_spam_is_judged_as_usual(maildir, spam, how):
    """A second copy is filed. A copy waits half a minute, because its user may be moving it out of junk."""
    maildir.section["spam"] = spam
    maildir.again()
    maildir.deliver("spam")
    maildir.run()
    maildir.look()
    (entry,) = maildir.where(raw("spam", 1))
    maildir.put(on_disk.content(entry.path) if how == "copied" else fetched(raw("spam", 1)), maildir.root, part="new")
    if how == "copied":
        assert [one.status for one in maildir.run()] == [Status.WAITING]
        assert maildir.run() == []
        maildir.look()
        maildir.wait(40)
    assert [one.status for one in maildir.run()] == [Status.DONE]
    maildir.look()
    assert (len(maildir.names()), len(maildir.names(maildir.junk)), maildir.labels()) == (0, 2, {})


@pytest.mark.parametrize("spam", [("file",), ("tag", "file")])
def test_a_copy_and_a_removal_seen_half_way(maildir, spam):
    """A client copies a message out of the junk folder, we scan and visit, and it removes the original: it is ham."""
    maildir.section["spam"] = spam
    maildir.again()
    maildir.deliver("spam")
    maildir.run()
    maildir.look()
    (entry,) = maildir.where(raw("spam", 1))
    maildir.put(on_disk.content(entry.path), maildir.root)
    for _ in range(2):
        maildir.run()
        maildir.look()
    assert maildir.labels() == {}
    os.unlink(entry.path)  # noqa: PTH108
    maildir.look()
    maildir.wait(40)
    assert [one.status for one in maildir.run()] == [Status.KNOWN]
    assert maildir.label_of(raw("spam", 1)) == "ham"
    assert len(maildir.names()) == 1


@pytest.mark.parametrize(("source", "target", "label"), [(".Junk", "", "ham"), ("", ".Junk", "spam")])
@pytest.mark.parametrize("is_link", [True, False])
def test_a_copy_with_the_same_name_seen_half_way(maildir, source, target, label, is_link):
    """Dovecot copies a message by a hard link with the same name. Another file with the same name is a backup."""
    content = raw("ham", 1)
    maildir.put(content, Path(maildir.root, source))
    maildir.look()
    maildir.wait()
    (entry,) = maildir.where(content)
    (os.link if is_link else shutil.copy2)(entry.path, Path(maildir.root, target, "cur", entry.name))
    maildir.look()
    before = maildir.labels()
    os.unlink(entry.path)  # noqa: PTH108
    maildir.look()
    assert maildir.labels() == ({content_id(content): label} if is_link else before)


@pytest.mark.parametrize("visited", [True, False])
@pytest.mark.parametrize("how", ["rename", "link"])
def test_a_backup_from_before_spam_was_filed(maildir, tmp_path, visited, how):
    """The Maildir is replaced by a backup that has filed spam in the inbox, which gives no label.

    Later moves of the restored file are learned as usual. A mail rule may have made the first move into junk.
    """
    maildir.section["spam"] = ("tag", "file")
    maildir.again()
    for _ in range(2):
        maildir.deliver("spam")
    shutil.copytree(maildir.root, tmp_path / "backup")
    maildir.run()
    if visited:
        maildir.look()
    shutil.rmtree(maildir.root)
    shutil.copytree(tmp_path / "backup", maildir.root)
    for _ in range(2):
        maildir.look()
        maildir.wait()
        maildir.run()
    assert maildir.labels() == {}
    for target, label in ((maildir.junk, None), (maildir.root, "ham"), (maildir.junk, "spam")):
        maildir.look()
        maildir.move(raw("spam", 1), target, how=how)
        maildir.look()
        assert maildir.label_of(raw("spam", 1)) == label


@pytest.mark.parametrize("visited", [True, False])
@pytest.mark.parametrize("how", ["rename", "link", "copy"])
def test_a_backup_from_before_its_user_moved_mail(maildir, tmp_path, visited, how):
    """The Maildir is replaced by a backup of an hour ago: what its user said since then stays, and later moves count.

    A mail program gives a moved message a new name, or keeps its inode.
    """
    maildir.section["spam"] = ("file",)
    maildir.again()
    for body in ("ham", "spam"):
        content = raw(body, maildir.count + 1)
        maildir.deliver(content=content, name=f"{maildir.unique()}")
        maildir.run()
    maildir.look()
    ham, spam = raw("ham", 1), raw("spam", 2)
    shutil.copytree(maildir.root, tmp_path / "backup")
    maildir.wait(3600)
    maildir.move(ham, maildir.junk, how=how)
    maildir.move(spam, maildir.root, how=how)
    maildir.look()
    labels = {content_id(ham): "spam", content_id(spam): "ham"}
    assert maildir.labels() == labels
    maildir.wait(120)
    os.rename(maildir.root, tmp_path / "former")  # noqa: PTH104
    if visited:
        make(maildir.root)
        maildir.look()
        shutil.rmtree(maildir.root)
    shutil.copytree(tmp_path / "backup", maildir.root)
    for _ in range(2):
        maildir.look()
        maildir.wait()
    assert maildir.labels() == labels
    maildir.move(spam, maildir.root, how=how)
    maildir.look()
    maildir.move(spam, maildir.junk, how=how)
    maildir.look()
    assert maildir.label_of(spam) == "spam"


@pytest.mark.parametrize("known", [True, False])
def test_junk_that_is_restored_after_days(maildir, known):
    """Mail that comes back to the junk folder from a backup gets no label, and keeps the one that its user gave it."""
    content = raw("ham", 1)
    path = maildir.put(content, maildir.junk if known else maildir.archive)
    backup = shutil.copy2(path, f"{maildir.state}.backup")
    if known:
        maildir.look()
        maildir.move(content, maildir.root)
        maildir.look()
        assert maildir.label_of(content) == "ham"
    (entry,) = maildir.where(content)
    os.unlink(entry.path)  # noqa: PTH108
    for _ in range(3):
        maildir.look()
        maildir.wait(100_000)
    shutil.copy2(backup, Path(maildir.junk, "cur", path.name))
    for _ in range(2):
        maildir.look()
        maildir.wait()
    assert maildir.labels() == ({content_id(content): "ham"} if known else {})


@pytest.mark.parametrize("how", ["rename", "link", "copy"])
@pytest.mark.parametrize("name", [".Trash", ".Important"])
def test_mail_is_moved_from_an_ignored_folder_to_junk_after_days(maildir, name, how):
    """A message that its user deletes or marks, and moves from that folder to junk days later, is spam."""
    ignored = maildir.folder(name)
    content = raw("ham", 1)
    maildir.put(content, ignored)
    for _ in range(3):
        maildir.look()
        maildir.wait(100_000)
    maildir.move(content, maildir.junk, how=how)
    os.utime(f"{ignored}/cur", (time.time() + maildir.later,) * 2)  # the tracker's clock
    maildir.look()
    assert maildir.label_of(content) == "spam"


@pytest.mark.parametrize("how", ["rename", "link", "copy"])
def test_mail_from_before_the_first_visit_is_moved_to_junk_after_days(tmp_path, how):
    """It is spam, although its name is old if the mail program keeps it."""
    maildir = TrackedMaildir(make(tmp_path / "Old"), tmp_path / "state")
    content = raw("ham", 1)
    maildir.put(content, maildir.root)
    maildir.visited()
    for _ in range(3):
        maildir.wait(100_000)
        maildir.look()
    maildir.move(content, maildir.junk, how=how)
    maildir.look()
    assert maildir.label_of(content) == "spam"
    maildir.label_stores.close()
    maildir.mailbox_state.close()


def test_a_message_that_we_filed_moved_back_and_its_user_moved_too(maildir):
    """After `undo`, a message has its former name. Its moves into junk and back are learned nevertheless."""
    maildir.section["spam"] = ("tag", "file")
    maildir.again()
    maildir.deliver("spam")
    maildir.run()
    maildir.look()
    maildir.undo()
    maildir.look()
    for target, label in ((maildir.junk, "spam"), (maildir.root, "ham")):
        maildir.move(raw("spam", 1), target)
        maildir.look()
        assert maildir.label_of(raw("spam", 1)) == label


def test_back_from_the_trash(maildir):
    """A message that we filed, its user threw away, and took back hours later stays: it has the date of that file."""
    maildir.deliver("spam")
    maildir.run()
    maildir.look()
    (entry,) = maildir.where(raw("spam", 1))
    trash = f"{maildir.folder('.Trash')}/cur/1:2,S"
    os.rename(entry.path, trash)  # noqa: PTH104
    maildir.look()
    maildir.wait(7200)
    maildir.look()
    os.rename(trash, f"{maildir.root}/cur/1:2,S")  # noqa: PTH104
    assert [one.status for one in maildir.run()] == [Status.KNOWN]


@pytest.mark.parametrize("seconds", [5, 100, 1000, 174_000])
@pytest.mark.parametrize("visited", [True, False])
def test_spam_that_is_sent_again_after_it_was_deleted(maildir, seconds, visited):
    """A sender who delivers a message again after its user has deleted the first file does not get past the filter."""
    maildir.deliver("spam")
    maildir.run()
    maildir.look()
    (entry,) = maildir.where(raw("spam", 1))
    os.unlink(entry.path)  # noqa: PTH108
    if visited:
        maildir.look()
    maildir.wait(seconds)
    again = maildir.put(fetched(raw("spam", 1)), maildir.root, part="new")
    os.utime(again, (maildir.clock.now + 500,) * 2)
    assert [one.status for one in maildir.run()] == [Status.DONE]
    maildir.look()
    assert maildir.labels() == {}


@pytest.mark.parametrize("visited", [True, False])
@pytest.mark.parametrize("body", ["spam", "ham"])
def test_an_archive_copy_before_the_inbox_copy(maildir, body, visited):
    """A copy that a rule stored in an archive does not keep the inbox copy from being judged, at once."""
    maildir.put(raw(body, 1), maildir.archive, part="new")
    if visited:
        maildir.look()
    maildir.deliver(body)
    assert [one.status for one in maildir.run()] == [Status.DONE if body == "spam" else Status.LEFT]


@pytest.mark.parametrize("name", ["1.host:2,S", "1,2:2,S", "1.host!2,S", "1.host,S=9;2,S"])
def test_an_archive_copy_with_any_name(maildir, name):
    """The inbox copy is judged beside an archive copy whose name has a comma or another separator."""
    Path(maildir.archive, "cur", name).write_bytes(raw("spam", 1))
    maildir.look()
    maildir.deliver("spam")
    assert [one.status for one in maildir.run()] == [Status.DONE]


def test_a_message_that_is_delivered_thousands_of_times(maildir):
    """Each delivery is judged, and the work for one delivery does not grow with their number."""
    content = raw("spam", 1)
    steps = []
    for number in range(1, 7):
        for copy in range(100):
            maildir.deliver(content=content, name=f"{number}-{copy}.host")
        counted = Counter()
        for one in (maildir.journal, maildir.mailbox_state):
            one._connection.set_progress_handler(lambda counted=counted: counted.update(["steps"]), 100)
        assert {one.status for one in maildir.run()} == {Status.DONE}
        maildir.look()
        steps.append(counted["steps"])
        maildir.wait()
    assert len(maildir.names(maildir.junk)) == 600
    assert maildir.labels() == {}
    assert steps[-1] < 1.5 * steps[-2]


@pytest.mark.parametrize("target", ["", ".Junk", ".Archive"])
@pytest.mark.parametrize("copy_first", [True, False])
def test_a_move_that_a_program_synchronizes(maildir, target, copy_first):
    """Mbsync removes the file in one folder and writes a new one to another, a minute apart and in any order."""
    body = "ham" if target == ".Junk" else "spam"
    maildir.deliver(body)
    maildir.run()
    maildir.look()
    (entry,) = maildir.where(raw(body, 1))
    name = f"{maildir.unique()},U=7:2,S"  # as mbsync gives it
    content = on_disk.content(entry.path)
    acts = [lambda: Path(maildir.root, target, "cur", name).write_bytes(content), lambda: os.unlink(entry.path)]  # noqa: PTH108
    for act in acts if copy_first else acts[::-1]:
        act()
        maildir.look()
        maildir.wait(20 if copy_first else 60)
    assert maildir.label_of(raw(body, 1)) == ("spam" if target == ".Junk" else "ham")
    maildir.run()
    maildir.look()
    assert [Path(one.path).name for one in maildir.where(raw(body, 1))] == [name]


@pytest.mark.parametrize("target", ["", ".Archive"])
def test_a_program_that_copies_and_removes_a_minute_later(maildir, target):
    """Mutt copies a message with its date when its user saves it, and removes the original when the folder is left."""
    maildir.deliver("spam")
    maildir.run()
    maildir.look()
    (entry,) = maildir.where(raw("spam", 1))
    shutil.copy2(entry.path, Path(maildir.root, target, "cur", f"{maildir.unique()}:2,S"))
    maildir.look()
    maildir.wait(60)
    os.unlink(entry.path)  # noqa: PTH108
    maildir.look()
    assert maildir.label_of(raw("spam", 1)) == "ham"


@pytest.mark.parametrize("how", ["rename", "link"])
def test_by_way_of_the_trash(maildir, how):
    """A message that is thrown away, and taken back out of Trash some minutes later, is ham and stays."""
    maildir.deliver("spam")
    maildir.run()
    maildir.look()
    trash = maildir.folder(".Trash")
    maildir.move(raw("spam", 1), trash, how=how)
    maildir.look()
    maildir.wait(300)
    maildir.move(raw("spam", 1), maildir.root, how=how)
    maildir.look()
    assert maildir.label_of(raw("spam", 1)) == "ham"
    assert [one.status for one in maildir.run()] == [Status.KNOWN]


@pytest.mark.parametrize("how", ["rename", "link", "copy"])
@pytest.mark.parametrize("seconds", [0, 300, 1000])
def test_to_junk_by_way_of_the_trash(maildir, how, seconds):
    """A message that its user throws away, and moves from Trash to junk at any time later, is spam."""
    content = delivered(maildir, "ham")
    trash = maildir.folder(".Trash")
    maildir.move(content, trash, how=how)
    maildir.look()
    maildir.wait(seconds)
    maildir.move(content, maildir.junk, how=how)
    os.utime(f"{trash}/cur", (time.time() + maildir.later,) * 2)  # the tracker's clock
    maildir.look()
    assert maildir.labels() == {content_id(content): "spam"}
