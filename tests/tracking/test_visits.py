"""Visits of Maildirs: pending labels, damage, records that are pruned, and the cost of a visit."""

# ruff: noqa: PTH108  file names are kept unchanged, as in spamlstm.maildir

import errno
import os
import sqlite3
import time
from pathlib import Path

import pytest
from inbox import raw
from maildirs import give
from tracked_maildir import TrackedMaildir, delivered

from spamlstm.config import LabelScope
from spamlstm.config.locations import personal_dir
from spamlstm.learning.label_store import LabelStore
from spamlstm.maildir import opened
from spamlstm.tracking import folder_reader, listing
from spamlstm.tracking.state_database import NAME

NOBODY = 65534


def test_a_label_store_that_fails_is_tried_again(tracked, caplog):
    """The failure is logged, and the pending label is added when the store works again, also after a restart."""
    maildir = tracked()
    missed = delivered(maildir, "ham")
    labels = LabelStore.open(maildir.state)
    labels._connection.execute("ALTER TABLE labels RENAME TO hidden")
    maildir.move(missed, maildir.junk)
    maildir.look()
    assert maildir.label_stores.status.failed == 1
    assert "not-learned" in caplog.text
    maildir.again()
    labels._connection.execute("ALTER TABLE hidden RENAME TO labels")
    labels.close()
    maildir.look()
    assert maildir.label_of(missed) == "spam"
    assert maildir.label_stores.status.moved == {"spam": 1}


def test_a_pending_label_of_a_deleted_message(tracked):
    """If the message is deleted before its label could be added, the label is dropped."""
    maildir = tracked()
    missed = delivered(maildir, "ham")
    labels = LabelStore.open(maildir.state)
    labels._connection.execute("ALTER TABLE labels RENAME TO hidden")
    target = maildir.move(missed, maildir.junk)
    maildir.look()
    labels._connection.execute("ALTER TABLE hidden RENAME TO labels")
    labels.close()
    os.unlink(target)
    maildir.clock.now += 1000
    maildir.look()
    assert maildir.labels() == {}
    assert maildir.mailbox_state.pending(maildir.root) == []


def test_a_damaged_mailbox_state_is_replaced(tracked):
    """Tracking begins anew with what lies in the folders, and later moves are learned."""
    maildir = tracked()
    maildir.mailbox_state.close()
    (maildir.state / NAME).write_bytes(b"no database at all" * 1000)
    maildir.again()
    maildir.look()
    missed = delivered(maildir, "ham")
    maildir.move(missed, maildir.junk)
    maildir.look()
    assert maildir.label_of(missed) == "spam"


def test_a_visit_of_an_unchanged_maildir_is_cheap(tracked):
    """If nothing changed, no folder is listed and the database is not queried."""
    maildir = tracked()
    delivered(maildir, "ham")
    maildir.later = 10.0
    maildir.look()
    maildir.look()
    maildir.mailbox_state.close()
    maildir.look()
    assert maildir.label_stores.status.failed == 0
    maildir.mailbox_state._connection = sqlite3.connect(":memory:")


@pytest.mark.parametrize("is_settled", [True, False])
def test_a_junk_folder_is_listed_again_if_it_may_have_changed(tracked, monkeypatch, is_settled):
    """A second listing doubles the cost of a visit, and finds nothing if the last change was before the first one."""
    maildir = tracked()
    listings = []
    monkeypatch.setattr(folder_reader, "list_files", lambda folder: listings.append(folder) or ())
    maildir.put(raw("spam", 66), maildir.junk)
    if is_settled:
        for part in ("new", "cur"):
            os.utime(Path(maildir.junk, part), (time.time() - 100,) * 2)
    maildir.look()
    assert len(listings) == (0 if is_settled else 1)


def test_the_maildirs_of_two_people(tracked, tmp_path):
    """With labels per Maildir, each has a store of its own in a private folder, and no effect on the others."""
    TrackedMaildir.scope, before = LabelScope.PER_MAILDIR, TrackedMaildir.scope
    try:
        maildir = tracked()
        missed = delivered(maildir, "ham")
        maildir.move(missed, maildir.junk)
        maildir.look()
    finally:
        TrackedMaildir.scope = before
    folder = personal_dir(maildir.state, maildir.root)
    assert not (maildir.state / "labels.sqlite").exists()
    assert [(path.stat().st_mode & 0o777) for path in (folder, folder.parent)] == [0o700, 0o700]
    assert folder.joinpath("labels.sqlite").stat().st_mode & 0o777 == 0o600
    assert maildir.label_stores.layer(maildir.root).labels == 1
    assert maildir.label_stores.layer(str(tmp_path / "other")) is None


def test_old_records_are_pruned(tracked):
    """A message without a file is forgotten after as many days as in the journal."""
    maildir = tracked()
    missed = delivered(maildir, "ham")
    os.unlink(maildir.move(missed, maildir.junk))
    content = raw("spam", 66)
    target = maildir.put(content, maildir.junk)
    maildir.look()
    os.unlink(target)
    maildir.look()
    count = "SELECT count(*) FROM messages"
    assert maildir.mailbox_state._connection.execute(count).fetchone()[0] == 1
    maildir.later = 100 * 86_400
    maildir.put(raw("ham", 67), maildir.root)
    maildir.look()
    assert maildir.mailbox_state._connection.execute(count).fetchone()[0] == 0


@pytest.mark.parametrize("visited", [True, False])
def test_a_step_reads_few_bytes(tracked, monkeypatch, visited):
    """New mail waits for one step, so a step ends soon after STEP_BYTES however large the moved messages are."""
    maildir = tracked(visited=visited)
    steps = []

    def counting(folder, one):
        stored = listing.read_listed(folder, one)
        steps[-1] += len(stored.content)
        return stored

    monkeypatch.setattr(folder_reader, "STEP_BYTES", 30_000)
    monkeypatch.setattr(folder_reader, "read_listed", counting)
    for number in range(40):
        maildir.put(raw("x" * 10_000, number), maildir.junk)
    steps_left = maildir.tracker.round([maildir.root])
    while True:
        steps.append(0)
        if next(steps_left, steps_left) is steps_left:
            break
    assert 400_000 < sum(steps) < 420_000
    assert max(steps) < 45_000


def test_a_folder_with_too_many_names(tracked, monkeypatch):
    """The folder is skipped, and moves between the other folders are learned."""
    maildir = tracked()
    missed = delivered(maildir, "ham")
    monkeypatch.setattr(opened, "MOST_LISTED", 5)
    for number in range(6):
        maildir.put(raw("ham", 100 + number), maildir.archive)
    maildir.move(missed, maildir.junk)
    maildir.look()
    assert maildir.label_of(missed) == "spam"


def test_a_folder_that_must_not_be_read(tracked, caplog):
    """The folder is named and skipped, and moves between the other folders are learned."""
    maildir = tracked()
    missed = delivered(maildir, "ham")
    maildir.put(raw("ham", 100), maildir.archive)
    maildir.move(missed, maildir.junk)
    if os.geteuid() == 0:
        give(maildir.root, NOBODY)  # root itself may read everything
    Path(maildir.archive, "cur").chmod(0)
    maildir.again()
    maildir.look()
    assert maildir.label_of(missed) == "spam"
    assert "folder=.Archive" in caplog.text


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("age", [0.0, 60.0])
def test_a_folder_that_the_disk_cannot_read(tracked, monkeypatch, caplog, number, age):
    """The folder is named and skipped, moves between the other folders are learned, and it is read again later.

    It is read again even if its last change is `age` seconds old, so that nothing changes any more.
    """
    maildir = tracked()
    missed, kept = delivered(maildir, "ham"), delivered(maildir, "ham")
    maildir.move(missed, maildir.junk)
    maildir.move(kept, maildir.archive)
    real = opened.OpenFolder.messages

    def fail(folder, parts):
        if folder.path == str(maildir.archive):
            raise OSError(number, os.strerror(number), folder.path)
        return real(folder, parts)

    with monkeypatch.context() as patched:
        patched.setattr(opened.OpenFolder, "messages", fail)
        maildir.wait(age)
        maildir.look()
        assert maildir.label_of(missed) == "spam"
        assert "folder=.Archive" in caplog.text
    maildir.look()
    assert maildir.label_of(kept) == "ham"


@pytest.mark.parametrize("obstacle", ["permission", "too many names"])
def test_a_junk_folder_that_cannot_be_read_for_a_while(tracked, monkeypatch, caplog, obstacle):
    """Spam that this program filed before gets no label when the junk folder is readable again. Its moves do."""
    maildir = tracked(spam=("file",))
    maildir.deliver("spam")
    maildir.run()
    with monkeypatch.context() as patched:
        if os.geteuid() == 0:
            give(maildir.root, NOBODY)
        if obstacle == "permission":
            Path(maildir.junk, "cur").chmod(0)
        else:
            patched.setattr(opened, "MOST_LISTED", 0)
        for _ in range(3):
            maildir.again()
            maildir.look()
            maildir.wait(700)
    assert "folder=.Junk" in caplog.text
    Path(maildir.junk, "cur").chmod(0o700)
    for _ in range(2):
        maildir.again()
        maildir.look()
        maildir.wait()
    assert maildir.labels() == {}
    maildir.move(raw("spam", 1), maildir.archive)
    maildir.look()
    assert maildir.label_of(raw("spam", 1)) == "ham"


def test_both_parts_of_a_junk_folder_are_watched(tracked):
    """A move of unread mail out of `new` of the junk folder is noticed as soon as one out of `cur`."""
    maildir, watched = tracked(), []
    maildir.tracker._watch = lambda *one: watched.append(one)
    maildir.look()
    parts = [f"{maildir.junk}/{part}" for part in ("cur", "new")]
    assert watched == [(maildir.root, part, Path(part).stat().st_ino) for part in parts]
