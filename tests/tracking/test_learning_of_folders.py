"""What the kind of a folder, and the creation, removal and renaming of folders say about the mail in them."""

# ruff: noqa: PTH104, PTH118  as in maildir

import os
import shutil
import time
from pathlib import Path

import on_disk
import pytest
from inbox import raw
from tracked_maildir import delivered

from spamlstm.maildir.content_id import content_id


@pytest.mark.parametrize("name", [".Trash", ".Sent", ".Drafts", ".Papierkorb", ".Junk.old"])
def test_some_folders_give_no_label(tracked, name):
    """Deleted mail is neither ham nor spam; moving it back to the inbox gives no label unless it came from junk."""
    maildir = tracked()
    target = maildir.folder(name)
    content, wrong = delivered(maildir, "ham"), delivered(maildir, "spam")
    for one in (content, wrong):
        maildir.move(one, target, flags="S")
    maildir.look()
    assert maildir.labels() == {}
    maildir.move(content, maildir.root)
    maildir.look()
    assert maildir.labels() == {}
    maildir.move(wrong, maildir.root)
    maildir.look()
    assert maildir.label_of(wrong) == "ham"


def test_folders_that_are_renamed(tracked):
    """Renaming a folder gives its messages no label, even if it becomes or ceases to be the junk folder."""
    maildir = tracked()
    kept, junked = delivered(maildir, "ham"), delivered(maildir, "spam")
    maildir.move(kept, maildir.archive)
    maildir.look()
    assert maildir.label_of(kept) == "ham"
    for old, new in [(".Archive", ".Old"), (".Old", ".Spam"), (".Junk", ".Lists"), (".Spam", ".Old")]:
        os.rename(os.path.join(maildir.root, old), os.path.join(maildir.root, new))
        maildir.look()
        assert (maildir.label_of(kept), maildir.label_of(junked)) == ("ham", None)


def test_a_folder_that_is_deleted(tracked):
    """The labels of the messages in it stay."""
    maildir = tracked()
    missed = delivered(maildir, "ham")
    maildir.move(missed, maildir.junk)
    maildir.look()
    shutil.rmtree(maildir.junk)
    maildir.look()
    assert maildir.label_of(missed) == "spam"


def test_a_junk_folder_created_with_the_first_move(tracked):
    """The message that a client moves to a folder that it has just created is spam."""
    maildir = tracked(junk=False)
    missed = delivered(maildir, "ham")
    maildir.folder(".Junk")
    maildir.move(missed, maildir.junk)
    maildir.look()
    assert maildir.label_of(missed) == "spam"


def test_another_junk_folder_by_configuration(tracked):
    """If a folder becomes the junk folder, mail in it gets no label; mail that is moved there later does."""
    maildir = tracked(junk=False)
    ads = maildir.folder(".Ads")
    first, second = delivered(maildir, "ham"), delivered(maildir, "ham")
    maildir.move(first, ads)
    maildir.look()
    assert maildir.label_of(first) == "ham"
    maildir.section["junk"] = "Ads"
    maildir.again()
    maildir.look()
    assert maildir.label_of(first) == "ham"
    maildir.move(second, ads)
    maildir.look()
    assert (maildir.label_of(first), maildir.label_of(second)) == ("ham", "spam")


def test_a_bulk_copy_gives_no_label(tracked):
    """Hundreds of messages that a backup or a first sync brings into the junk folder are left to `adopt`."""
    maildir = tracked()
    for number in range(150):
        maildir.put(raw("spam", 5000 + number), maildir.junk)
    maildir.look()
    assert maildir.labels() == {}
    content = raw("spam", 5007)
    maildir.move(content, maildir.root)
    maildir.look()
    assert maildir.label_of(content) == "ham"


@pytest.mark.parametrize("portion", [10, 150])
@pytest.mark.parametrize("how", ["rename", "copy"])
def test_old_mail_that_is_moved_to_junk_in_bulk(tracked, how, portion):
    """Hundreds of messages from before the first visit are spam if their user moves them from the inbox to junk."""
    maildir = tracked(visited=False)
    old = [maildir.put(raw("ham", number), maildir.root) for number in range(300)]
    maildir.watch()
    maildir.look()
    for number, path in enumerate(old):
        name = path.name if how == "rename" else f"{maildir.unique()}:2,S"
        (os.rename if how == "rename" else shutil.copy2)(path, os.path.join(maildir.junk, "cur", name))
        path.unlink(missing_ok=True)
        if number % portion == 0:
            maildir.look()
    maildir.look()
    assert list(maildir.labels().values()) == ["spam"] * 300


@pytest.mark.parametrize("portion", [1, 30, 101])
def test_a_synchronization_that_takes_some_time(tracked, portion):
    """About a hundred messages get labels at most, whatever visits there are meanwhile; later moves are learned."""
    maildir = tracked()
    for number in range(330):
        maildir.put(raw("spam", 5000 + number), maildir.junk)
        if number % portion == 0:
            maildir.wait(0.1 * portion)
            maildir.look()
    maildir.look()
    assert len(maildir.labels()) <= (110 if portion < 100 else 1)
    learned = delivered(maildir, "ham")
    maildir.move(learned, maildir.junk)
    maildir.wait(1000)
    maildir.look()
    assert maildir.label_of(learned) == "spam"
    unknown = raw("ham", 1)
    maildir.put(unknown, maildir.junk)
    maildir.look()
    assert maildir.label_of(unknown) == "spam"


def test_a_backup_of_filed_spam_gives_no_label(tracked):
    """Hundreds of messages that this program filed long ago, and that a backup brings back, are an import."""
    maildir = tracked(spam=("file",))
    maildir.clock.now = time.time()
    for _ in range(250):
        maildir.deliver("spam")
    maildir.run()
    maildir.look()
    backup = []
    for entry in on_disk.messages(maildir.junk):
        backup.append(on_disk.content(entry.path))
        Path(entry.path).unlink()
    maildir.look()
    maildir.wait(40 * 86400)
    maildir.deliver("ham")
    maildir.look()
    for content in backup:
        maildir.put(content, maildir.junk)
    maildir.look()
    assert (len(backup), maildir.labels()) == (250, {})


def test_an_import_after_a_move_in_bulk(tracked):
    """Messages that a user has moved to junk do not hide an import that follows within minutes."""
    maildir = tracked()
    for number in range(500):
        maildir.put(raw("ham", number), maildir.root)
    maildir.look()
    for entry in on_disk.messages(maildir.root):
        os.rename(entry.path, os.path.join(maildir.junk, "cur", entry.name))
    maildir.look()
    learned = maildir.labels()
    assert list(learned.values()) == ["spam"] * 500
    for number in range(300):
        maildir.put(raw("spam", 5000 + number), maildir.junk)
    maildir.look()
    assert maildir.labels() == learned


def test_new_mail_that_is_moved_to_junk_in_bulk(tracked):
    """Hundreds of messages that came since the last visit are spam if their user moves them to junk."""
    maildir = tracked()
    for _ in range(150):
        maildir.deliver("ham")
    maildir.run()
    for entry in on_disk.messages(maildir.root):
        os.rename(entry.path, os.path.join(maildir.junk, "cur", entry.name))
    maildir.look()
    assert list(maildir.labels().values()) == ["spam"] * 150


@pytest.mark.parametrize("name", [".Old spam", ".LearnSpam", ".Not junk"])
def test_folders_with_the_word_spam_in_their_names(tracked, name):
    """Junk that its user archives, or missed spam that a script learns from its own folder, does not become ham."""
    maildir = tracked()
    target = maildir.folder(name)
    for body in ("spam", "ham"):
        maildir.move(delivered(maildir, body), target, how="link", flags="S")
    maildir.look()
    assert maildir.labels() == {}


@pytest.mark.parametrize("name", [".EXPUNGED", ".[Gmail].All Mail"])
def test_folders_with_copies_of_all_mail(tracked, name):
    """Mail that a server copies when it leaves its folder gives no label if it was deleted, and one if it was moved."""
    maildir = tracked()
    kept = maildir.folder(name)
    deleted, moved = delivered(maildir, "spam"), delivered(maildir, "spam")
    for number, content in enumerate((deleted, moved)):
        (entry,) = maildir.where(content)
        if content is moved:
            maildir.move(content, maildir.root, how="link")
            os.link(maildir.where(content)[0].path, f"{kept}/cur/{number}.host:2,S")
        else:
            os.rename(entry.path, f"{kept}/cur/{number}.host:2,S")
        maildir.look()
    assert maildir.labels() == {content_id(moved): "ham"}
