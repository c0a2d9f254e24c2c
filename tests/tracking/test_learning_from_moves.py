"""Moves and answers of users become labels, and nothing else does."""

# ruff: noqa: PTH104, PTH108, PTH118  as in maildir

import gzip
import os
import shutil
from pathlib import Path

import on_disk
import pytest
from inbox import raw
from tracked_maildir import delivered

from spamlstm.filtering.outcome import Status
from spamlstm.learning.label_store import LabelStore
from spamlstm.maildir.content_id import content_id

HOW = pytest.mark.parametrize("how", ["rename", "link", "copy"])


@HOW
def test_into_the_junk_folder_is_spam(tracked, how):
    """Whichever way the client moves the message."""
    maildir = tracked()
    missed = delivered(maildir, "ham")
    maildir.move(missed, maildir.junk, how=how)
    maildir.look()
    assert maildir.label_of(missed) == "spam"


@pytest.mark.parametrize("stored", [gzip.compress, bytes])
def test_compressed_mail_is_learned(tracked, stored):
    """A move of a compressed message gives the label of its plain message, also if the server stores it otherwise."""
    maildir = tracked()
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
@pytest.mark.parametrize(("body", "labels"), [("spam", ["ham", "spam"]), ("ham", ["spam", "ham"])])
def test_mail_that_is_compressed_in_its_place(tracked, how, body, labels):
    """A job compresses old mail in its place, under its name: later moves are learned, also of mail moved before."""
    maildir = tracked()
    content = delivered(maildir, body)
    targets = {"ham": maildir.root, "spam": maildir.junk}
    maildir.move(content, targets[labels[0]], how=how, flags="S")
    maildir.look()
    assert maildir.label_of(content) == labels[0]
    (entry,) = maildir.where(content)
    compressed, path = Path(entry.folder, "tmp", "1"), Path(entry.path)
    compressed.write_bytes(gzip.compress(path.read_bytes()))
    shutil.copystat(path, compressed)
    path.unlink()
    path = compressed.rename(f"{path}Z")
    maildir.look()
    maildir.wait(1000)
    name = path.name if how == "rename" else f"{maildir.unique()}:2,SZ"
    target = os.path.join(targets[labels[1]], "cur", name)
    if how == "copy":
        shutil.copy2(path, target)
        path.unlink()
    else:
        path.rename(target)
    maildir.look()
    assert maildir.label_of(content) == labels[1]


@HOW
@pytest.mark.parametrize("mailbox", ["", ".Archive"])
def test_out_of_the_junk_folder_is_ham(tracked, how, mailbox):
    """A message that we filed and its user moves back, to the inbox or elsewhere, is ham and stays there."""
    maildir = tracked()
    wrong = delivered(maildir, "spam")
    assert [entry.folder for entry in maildir.where(wrong)] == [maildir.junk]
    assert maildir.labels() == {}
    target = os.path.join(maildir.root, mailbox)
    maildir.move(wrong, target, how=how, flags="")
    maildir.look()
    assert maildir.label_of(wrong) == "ham"
    assert [outcome.status for outcome in maildir.run()] == ([] if mailbox else [Status.KNOWN])
    assert [entry.folder.rstrip("/") for entry in maildir.where(wrong)] == [target.rstrip("/")]


def test_our_own_moves_say_nothing(tracked):
    """Filing and undo give no label, even without a visit between them; a later move by the user does."""
    maildir = tracked()
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
def test_what_others_put_into_junk_and_its_user_takes_out(tracked, how):
    """A message that sieve filed and its user moves out is ham, and is not judged and filed again."""
    maildir = tracked()
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


def test_moved_out_before_the_first_visit(tracked):
    """We file a message and its user moves it back between two visits: it is ham all the same."""
    maildir = tracked()
    maildir.deliver("spam")
    content = raw("spam", 1)
    maildir.run()
    maildir.move(content, maildir.root, how="link")
    maildir.look()
    assert maildir.label_of(content) == "ham"


def test_back_and_forth(tracked):
    """The last move counts, however many there were; a further visit changes nothing."""
    maildir = tracked()
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


def test_there_and_back_between_two_visits(tracked):
    """A move that is undone before the next visit gives no label."""
    maildir = tracked()
    content = delivered(maildir, "ham")
    maildir.move(content, maildir.junk, how="link")
    maildir.move(content, maildir.root, how="link")
    maildir.look()
    assert maildir.labels() == {}


def test_filed_by_hand_is_ham_once_it_is_read(tracked):
    """Mail that is filed unread, as rules of mail programs do, gives no label until it is read."""
    maildir = tracked()
    first, second = delivered(maildir, "ham"), delivered(maildir, "unsure", read=False)
    maildir.move(first, maildir.archive)
    maildir.move(second, maildir.archive, flags="")
    maildir.look()
    assert (maildir.label_of(first), maildir.label_of(second)) == ("ham", None)
    maildir.flag(second, "S")
    maildir.look()
    assert maildir.label_of(second) == "ham"


def test_answered_unread_is_ham(tracked):
    """Unread mail that was answered is ham, also if it was filed before it was judged or seen in the inbox."""
    maildir = tracked()
    content = raw("spam", 89)
    maildir.put(content, maildir.root, part="new")
    maildir.move(content, maildir.archive, flags="")
    maildir.look()
    maildir.flag(content, "R")
    maildir.look()
    assert maildir.label_of(content) == "ham"


def test_answered_is_ham(tracked):
    """In the inbox or in the folder that it was delivered to; in the junk folder an answer gives no label."""
    maildir = tracked()
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


def test_a_label_outranks_filing_and_answering(tracked):
    """Only a move into or out of the junk folder changes a label."""
    maildir = tracked()
    content = delivered(maildir, "ham")
    maildir.label_stores.add_label(maildir.root, content, "spam")
    maildir.flag(content, "RS")
    maildir.look()
    maildir.move(content, maildir.archive)
    maildir.look()
    assert maildir.label_of(content) == "spam"


def test_unread_mail_and_mail_that_is_only_read(tracked):
    """Mail that stays in the inbox gets no label, read or unread."""
    maildir = tracked()
    delivered(maildir, "ham", read=False)
    content = delivered(maildir, "ham")
    maildir.flag(content, "FS")
    maildir.look()
    assert maildir.labels() == {}


def test_mail_from_before_the_first_visit(tracked):
    """Mail from before the first visit gets no label at that visit. When it is moved later, it gets one."""
    maildir = tracked(visited=False)
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
def test_copies(tracked, kept):
    """A copy in the junk folder gives no label while the original is there; when that is deleted, it was a move."""
    maildir = tracked()
    content = delivered(maildir, "ham")
    (entry,) = maildir.where(content)
    copy = os.path.join(maildir.junk, "cur", f"{maildir.unique()}:2,S")
    shutil.copy2(entry.path, copy)
    maildir.look()
    assert maildir.labels() == {}
    os.unlink(copy if kept == "original" else entry.path)
    maildir.look()
    assert maildir.label_of(content) == (None if kept == "original" else "spam")


def test_a_copy_and_a_mark_is_a_move(tracked):
    """Clients without MOVE copy a message and flag the first one as deleted; they undo that by removing the flag."""
    maildir = tracked()
    content = delivered(maildir, "ham")
    (entry,) = maildir.where(content)
    os.link(entry.path, os.path.join(maildir.junk, "cur", f"{maildir.unique()}:2,S"))
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


def test_a_mail_rule_that_uses_our_headers_is_no_user(tracked):
    """Where spam is only tagged, a mail rule may move it to junk by our headers: only later moves give labels."""
    maildir = tracked(spam=("tag",))
    content = delivered(maildir, "spam")
    maildir.move(content, maildir.junk)
    maildir.look()
    assert maildir.labels() == {}
    for target, label in [(maildir.root, "ham"), (maildir.junk, "spam")]:
        maildir.move(content, target)
        maildir.look()
        assert maildir.label_of(content) == label


def test_the_message_is_learned_as_delivered(tracked):
    """Without the headers that we wrote."""
    maildir = tracked()
    content = delivered(maildir, "spam")
    assert b"X-Spam-Flag: YES" in on_disk.content(maildir.where(content)[0].path)
    maildir.move(content, maildir.root)
    maildir.look()
    labels = LabelStore.open(maildir.state)
    (example,) = labels.examples(after=0, most_bytes=10_000)
    labels.close()
    assert example.raw == content
    assert example.prior == 0.5


@pytest.mark.parametrize("jump", [-3700, -1e8, 1e8])
@pytest.mark.parametrize("how", ["rename", "link", "copy"])
def test_moves_after_the_clock_was_set(tracked, how, jump):
    """Messages that came while the clock was wrong stay where their user moves them, and the moves are learned."""
    maildir = tracked()
    spam, ham = delivered(maildir, "spam"), delivered(maildir, "ham")
    maildir.wait(jump)
    maildir.move(spam, maildir.root, how=how)
    maildir.move(ham, maildir.junk, how=how)
    for _ in range(2):
        maildir.run()
        maildir.look()
        maildir.wait()
    assert (maildir.label_of(spam), maildir.label_of(ham)) == ("ham", "spam")
    assert len(maildir.names()) == 1
