"""Moves and answers of users become labels, and nothing else does."""

# ruff: noqa: PTH104, PTH108, PTH118  as in maildir

import gzip
import os
import shutil
import sqlite3
from pathlib import Path

import on_disk
import pytest
from inbox import raw
from maildirs import make
from tracked_maildir import TrackedMaildir

from spamlstm.config import LabelScope
from spamlstm.config.locations import personal_dir
from spamlstm.filtering.outcome import Status
from spamlstm.learning.label_store import LabelStore
from spamlstm.maildir import names, opened
from spamlstm.maildir.content_id import content_id
from spamlstm.tracking import folder_reader, listing
from spamlstm.tracking.state_database import NAME

HOW = pytest.mark.parametrize("how", ["rename", "link", "copy"])


@pytest.fixture
def maildir(tmp_path):
    """Build an empty Maildir with an archive, already scanned and visited once."""
    opened = []

    def build(*, visited=True, junk=True, **section):
        one = TrackedMaildir(make(tmp_path / "Maildir"), tmp_path / "state", section)
        opened.append(one)
        one.archive = one.folder(".Archive")
        if junk:
            one.folder(".Junk")
        if visited:
            one.watch()
            one.look()
        return one

    yield build
    for one in opened:
        one.label_stores.close()
        one.mailbox_state.close()


def delivered(maildir, body, *, read=True):
    """Deliver a message, judge it and mark it as read; return its bytes as delivered."""
    maildir.deliver(body)
    content = raw(body, maildir.count)
    maildir.run()
    if read and body != "spam":
        maildir.flag(content, "S")
    maildir.look()
    return content


@HOW
def test_into_the_junk_folder_is_spam(maildir, how):
    """Whichever way the client moves the message."""
    maildir = maildir()
    missed = delivered(maildir, "ham")
    maildir.move(missed, maildir.junk, how=how)
    maildir.look()
    assert maildir.label_of(missed) == "spam"


@pytest.mark.parametrize("stored", [gzip.compress, bytes])
def test_compressed_mail_is_learned(maildir, stored):
    """A move of a compressed message gives the label of its plain message, also if the server stores it otherwise."""
    maildir = maildir()
    maildir.deliver("spam", content=gzip.compress(raw("spam", 7)))
    maildir.run()
    maildir.look()
    ((part, name),) = maildir.names(maildir.junk)
    Path(maildir.junk, part, name).unlink()
    maildir.put(stored(raw("spam", 7)), maildir.root)
    maildir.look()
    assert maildir.label_of(raw("spam", 7)) == "ham"
    maildir.run()
    assert maildir.names(maildir.junk) == []


@HOW
@pytest.mark.parametrize("mailbox", ["", ".Archive"])
def test_out_of_the_junk_folder_is_ham(maildir, how, mailbox):
    """A message that we filed and its user moves back, to the inbox or elsewhere, is ham and stays there."""
    maildir = maildir()
    wrong = delivered(maildir, "spam")
    assert [entry.folder for entry in maildir.where(wrong)] == [maildir.junk]
    assert maildir.labels() == {}
    target = os.path.join(maildir.root, mailbox)
    maildir.move(wrong, target, how=how, flags="")
    maildir.look()
    assert maildir.label_of(wrong) == "ham"
    assert [outcome.status for outcome in maildir.run()] == ([] if mailbox else [Status.KNOWN])
    assert [entry.folder.rstrip("/") for entry in maildir.where(wrong)] == [target.rstrip("/")]


def test_our_own_moves_say_nothing(maildir):
    """Filing and undo give no label, even without a visit between them; a later move by the user does."""
    maildir = maildir()
    for _ in range(3):
        maildir.deliver("spam")
    maildir.run()
    maildir.look()
    maildir.undo()
    maildir.look()
    assert len(maildir.names(maildir.root)) == 3
    assert maildir.labels() == {}
    again = raw("spam", 1)
    maildir.move(again, maildir.junk)
    maildir.look()
    assert maildir.labels() == {content_id(again): "spam"}


@HOW
def test_what_others_put_into_junk_and_its_user_takes_out(maildir, how):
    """A message that sieve filed and its user moves out is ham, and is not judged and filed again."""
    maildir = maildir()
    content = raw("spam", 77)
    maildir.put(content, maildir.junk, part="new")
    maildir.look()
    assert maildir.label_of(content) == "spam"
    maildir.move(content, maildir.root, how=how)
    assert [outcome.status for outcome in maildir.run()] == [Status.KNOWN]
    maildir.look()
    assert maildir.label_of(content) == "ham"
    maildir.again()
    assert maildir.run() == []
    assert [entry.folder for entry in maildir.where(content)] == [maildir.root]


def test_moved_out_before_the_first_visit(maildir):
    """We file a message and its user moves it back between two visits: it is ham all the same."""
    maildir = maildir()
    maildir.deliver("spam")
    content = raw("spam", 1)
    maildir.run()
    maildir.move(content, maildir.root, how="link")
    maildir.look()
    assert maildir.label_of(content) == "ham"


def test_back_and_forth(maildir):
    """The last move counts, however many there were; a further visit changes nothing."""
    maildir = maildir()
    content = delivered(maildir, "ham")
    for target, label in [
        (maildir.junk, "spam"),
        (maildir.root, "ham"),
        (maildir.junk, "spam"),
        (maildir.archive, "ham"),
    ]:
        maildir.move(content, target, how="link")
        maildir.look()
        assert maildir.label_of(content) == label
        maildir.look()
        maildir.again()
        maildir.look()
        assert maildir.label_of(content) == label
    assert len(maildir.labels()) == 1


def test_there_and_back_between_two_visits(maildir):
    """A move that is undone before the next visit gives no label."""
    maildir = maildir()
    content = delivered(maildir, "ham")
    maildir.move(content, maildir.junk, how="link")
    maildir.move(content, maildir.root, how="link")
    maildir.look()
    assert maildir.labels() == {}


def test_filed_by_hand_is_ham_once_it_is_read(maildir):
    """Mail that is filed unread, as rules of mail programs do, gives no label until it is read."""
    maildir = maildir()
    first, second = delivered(maildir, "ham"), delivered(maildir, "unsure", read=False)
    maildir.move(first, maildir.archive)
    maildir.move(second, maildir.archive, flags="")
    maildir.look()
    assert (maildir.label_of(first), maildir.label_of(second)) == ("ham", None)
    maildir.flag(second, "S")
    maildir.look()
    assert maildir.label_of(second) == "ham"


def test_answered_unread_is_ham(maildir):
    """Unread mail that was answered is ham, also if it was filed before it was judged or seen in the inbox."""
    maildir = maildir()
    content = raw("spam", 89)
    maildir.put(content, maildir.root, part="new")
    maildir.move(content, maildir.archive, flags="")
    maildir.look()
    maildir.flag(content, "R")
    maildir.look()
    assert maildir.label_of(content) == "ham"


def test_answered_is_ham(maildir):
    """In the inbox or in the folder that it was delivered to; in the junk folder an answer gives no label."""
    maildir = maildir()
    content, junked = delivered(maildir, "ham"), delivered(maildir, "spam")
    listed = raw("ham", 88)
    maildir.put(listed, maildir.archive, part="new")
    maildir.look()
    assert maildir.labels() == {}
    for one in (content, junked):
        maildir.flag(one, "RS")
    maildir.flag(listed, "RS")
    maildir.look()
    assert (maildir.label_of(content), maildir.label_of(listed), maildir.label_of(junked)) == ("ham", "ham", None)


def test_a_label_outranks_filing_and_answering(maildir):
    """Only a move into or out of the junk folder changes a label."""
    maildir = maildir()
    content = delivered(maildir, "ham")
    maildir.label_stores.add_label(maildir.root, content, "spam")
    maildir.flag(content, "RS")
    maildir.look()
    maildir.move(content, maildir.archive)
    maildir.look()
    assert maildir.label_of(content) == "spam"


@pytest.mark.parametrize("name", [".Trash", ".Sent", ".Drafts", ".Papierkorb", ".Junk.old"])
def test_some_folders_give_no_label(maildir, name):
    """Deleted mail is neither ham nor spam; moving it back to the inbox gives no label unless it came from junk."""
    maildir = maildir()
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


def test_unread_mail_and_mail_that_is_only_read(maildir):
    """Mail that stays in the inbox gets no label, read or unread."""
    maildir = maildir()
    delivered(maildir, "ham", read=False)
    content = delivered(maildir, "ham")
    maildir.flag(content, "FS")
    maildir.look()
    assert maildir.labels() == {}


def test_mail_from_before_the_first_visit(maildir):
    """Mail from before the first visit gets no label at that visit. When it is moved later, it gets one."""
    maildir = maildir(visited=False)
    old, kept, junked = raw("ham", 901), raw("ham", 902), raw("spam", 903)
    maildir.put(old, maildir.root, flags="RS")
    maildir.put(kept, maildir.archive, flags="RS")
    maildir.put(junked, maildir.junk)
    maildir.watch()
    maildir.look()
    assert maildir.labels() == {}
    maildir.move(old, maildir.junk, how="link")
    maildir.move(kept, maildir.junk, how="copy")
    maildir.move(junked, maildir.root, how="link")
    maildir.run()
    maildir.look()
    assert [maildir.label_of(one) for one in (old, kept, junked)] == ["spam", "spam", "ham"]


@pytest.mark.parametrize("kept", ["original", "copy"])
def test_copies(maildir, kept):
    """A copy in the junk folder gives no label while the original is there; when that is deleted, it was a move."""
    maildir = maildir()
    content = delivered(maildir, "ham")
    (entry,) = maildir.where(content)
    copy = os.path.join(maildir.junk, "cur", f"{names.unique()}:2,S")
    shutil.copy2(entry.path, copy)
    maildir.look()
    assert maildir.labels() == {}
    os.unlink(copy if kept == "original" else entry.path)
    maildir.look()
    assert maildir.label_of(content) == (None if kept == "original" else "spam")


def test_a_copy_and_a_mark_is_a_move(maildir):
    """Clients without MOVE copy a message and flag the first one as deleted; they undo that by removing the flag."""
    maildir = maildir()
    content = delivered(maildir, "ham")
    (entry,) = maildir.where(content)
    os.link(entry.path, os.path.join(maildir.junk, "cur", f"{names.unique()}:2,S"))
    base = entry.name.partition(":")[0]
    os.rename(entry.path, os.path.join(maildir.root, "cur", f"{base}:2,ST"))
    maildir.look()
    assert maildir.label_of(content) == "spam"
    (junked,) = [one for one in maildir.where(content) if one.folder == maildir.junk]
    os.unlink(junked.path)
    maildir.look()
    assert maildir.label_of(content) == "spam"
    os.rename(os.path.join(maildir.root, "cur", f"{base}:2,ST"), os.path.join(maildir.root, "cur", f"{base}:2,S"))
    maildir.look()
    assert maildir.label_of(content) == "ham"


def test_folders_that_are_renamed(maildir):
    """Renaming a folder gives its messages no label, even if it becomes or ceases to be the junk folder."""
    maildir = maildir()
    kept, junked = delivered(maildir, "ham"), delivered(maildir, "spam")
    maildir.move(kept, maildir.archive)
    maildir.look()
    assert maildir.label_of(kept) == "ham"
    for old, new in [(".Archive", ".Old"), (".Old", ".Spam"), (".Junk", ".Lists"), (".Spam", ".Old")]:
        os.rename(os.path.join(maildir.root, old), os.path.join(maildir.root, new))
        maildir.look()
        assert (maildir.label_of(kept), maildir.label_of(junked)) == ("ham", None)


def test_a_folder_that_is_deleted(maildir):
    """The labels of the messages in it stay."""
    maildir = maildir()
    missed = delivered(maildir, "ham")
    maildir.move(missed, maildir.junk)
    maildir.look()
    shutil.rmtree(maildir.junk)
    maildir.look()
    assert maildir.label_of(missed) == "spam"


def test_a_junk_folder_created_with_the_first_move(maildir):
    """The message that a client moves to a folder that it has just created is spam."""
    maildir = maildir(junk=False)
    missed = delivered(maildir, "ham")
    maildir.folder(".Junk")
    maildir.move(missed, maildir.junk)
    maildir.look()
    assert maildir.label_of(missed) == "spam"


def test_another_junk_folder_by_configuration(maildir):
    """If a folder becomes the junk folder, mail in it gets no label; mail that is moved there later does."""
    maildir = maildir(junk=False)
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


def test_a_bulk_copy_gives_no_label(maildir):
    """Hundreds of messages that a backup or a first sync brings into the junk folder are left to `adopt`."""
    maildir = maildir()
    for number in range(150):
        maildir.put(raw("spam", 5000 + number), maildir.junk)
    maildir.look()
    assert maildir.labels() == {}
    content = raw("spam", 5007)
    maildir.move(content, maildir.root)
    maildir.look()
    assert maildir.label_of(content) == "ham"


def test_a_mail_rule_that_uses_our_headers_is_no_user(maildir):
    """Where spam is only tagged, a mail rule may move it to junk by our headers: only later moves give labels."""
    maildir = maildir(spam=("tag",))
    content = delivered(maildir, "spam")
    maildir.move(content, maildir.junk)
    maildir.look()
    assert maildir.labels() == {}
    for target, label in [(maildir.root, "ham"), (maildir.junk, "spam")]:
        maildir.move(content, target)
        maildir.look()
        assert maildir.label_of(content) == label


def test_the_message_is_learned_as_delivered(maildir):
    """Without the headers that we wrote."""
    maildir = maildir()
    content = delivered(maildir, "spam")
    assert b"X-Spam-Flag: YES" in on_disk.content(maildir.where(content)[0].path)
    maildir.move(content, maildir.root)
    maildir.look()
    labels = LabelStore.open(maildir.state)
    (example,) = labels.examples(after=0, most_bytes=10_000)
    labels.close()
    assert example.raw == content
    assert example.prior == 0.5


def test_a_label_store_that_fails_is_tried_again(maildir, caplog):
    """The failure is logged, and the pending label is added when the store works again, also after a restart."""
    maildir = maildir()
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


def test_a_pending_label_of_a_deleted_message(maildir):
    """If the message is deleted before its label could be added, the label is dropped."""
    maildir = maildir()
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


def test_a_damaged_mailbox_state_is_replaced(maildir):
    """Tracking begins anew with what lies in the folders, and later moves are learned."""
    maildir = maildir()
    maildir.mailbox_state.close()
    (maildir.state / NAME).write_bytes(b"no database at all" * 1000)
    maildir.again()
    maildir.look()
    missed = delivered(maildir, "ham")
    maildir.move(missed, maildir.junk)
    maildir.look()
    assert maildir.label_of(missed) == "spam"


def test_a_visit_of_an_unchanged_maildir_is_cheap(maildir):
    """If nothing changed, no folder is listed and the database is not queried."""
    maildir = maildir()
    delivered(maildir, "ham")
    maildir.later = 10.0
    maildir.look()
    maildir.look()
    maildir.mailbox_state.close()
    maildir.look()
    assert maildir.label_stores.status.failed == 0
    maildir.mailbox_state._connection = sqlite3.connect(":memory:")


def test_the_maildirs_of_two_people(maildir, tmp_path):
    """With labels per Maildir, each has a store of its own in a private folder, and no effect on the others."""
    TrackedMaildir.scope, before = LabelScope.PER_MAILDIR, TrackedMaildir.scope
    try:
        maildir = maildir()
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


def test_old_records_are_pruned(maildir):
    """A message without a file is forgotten after as many days as in the journal."""
    maildir = maildir()
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
def test_a_step_reads_few_bytes(maildir, monkeypatch, visited):
    """New mail waits for one step, so a step ends soon after STEP_BYTES however large the moved messages are."""
    maildir = maildir(visited=visited)
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


def test_a_folder_with_too_many_names(maildir, monkeypatch):
    """The folder is skipped, and moves between the other folders are learned."""
    maildir = maildir()
    missed = delivered(maildir, "ham")
    monkeypatch.setattr(opened, "MOST_LISTED", 5)
    for number in range(6):
        maildir.put(raw("ham", 100 + number), maildir.archive)
    maildir.move(missed, maildir.junk)
    maildir.look()
    assert maildir.label_of(missed) == "spam"


def test_both_parts_of_a_junk_folder_are_watched(maildir):
    """A move of unread mail out of `new` of the junk folder is noticed as soon as one out of `cur`."""
    maildir, watched = maildir(), []
    maildir.tracker._watch = lambda *one: watched.append(one)
    maildir.look()
    parts = [f"{maildir.junk}/{part}" for part in ("cur", "new")]
    assert watched == [(maildir.root, part, Path(part).stat().st_ino) for part in parts]
