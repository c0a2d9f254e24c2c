"""Sent folders: the recipients of new sent mail become known, and nothing else is learned from sent mail."""

import errno
import os
import sqlite3

import pytest
from interruption import Interruption
from maildirs import make
from tracked_maildir import TrackedMaildir

from spamlstm.features.sender_identity import name_key
from spamlstm.learning.label_store import LabelStore
from spamlstm.maildir import message_file


def sent_to(name: str) -> bytes:
    return f"From: me@example.org\nTo: friend@{name}.example\nSubject: hello\n\nSome words.\n".encode()


def known(maildir) -> set[bytes]:
    layer = maildir.label_stores.layer(maildir.root)
    return set(layer.correspondents.written)


@pytest.fixture
def maildir(tmp_path):
    """A tracked Maildir with a label store, a Sent folder with one message, and a first visit."""
    maildir = TrackedMaildir(make(tmp_path / "Maildir"), tmp_path / "state", {})
    maildir.sent = maildir.folder(".Sent")
    put(maildir, "before", now=0)
    maildir.watch()
    maildir.label_stores.add_label(maildir.root, b"Subject: a label\n\nSome words.\n", "ham")
    maildir.look()
    yield maildir
    maildir.label_stores.close()
    maildir.mailbox_state.close()


def put(maildir, name, *, now=None):
    path = maildir.put(sent_to(name), maildir.sent)
    if now is not None:
        os.utime(path, (now, now))
    else:
        maildir.later += 10
        moment = path.stat().st_ctime + maildir.later
        os.utime(path, (moment, moment))
    return path


def test_new_sent_mail_is_learned(maildir):
    """Messages sent after the first visit are read once. Messages sent before are for `adopt`."""
    assert known(maildir) == set()
    put(maildir, "one")
    maildir.look()
    put(maildir, "two")
    maildir.look()
    maildir.look()
    assert known(maildir) == {name_key("one.example"), name_key("two.example")}
    assert len(maildir.labels()) == 1


def test_mail_sent_while_the_daemon_was_down(maildir):
    """After a restart, messages later than the latest known one are read."""
    put(maildir, "one")
    maildir.look()
    maildir.open_quietly()
    put(maildir, "two")
    maildir.look()
    assert known(maildir) == {name_key("one.example"), name_key("two.example")}


def test_without_a_label_store_nothing_is_stored(maildir):
    """Sent mail alone creates no label store."""
    maildir.label_stores.close()
    (maildir.state / "labels.sqlite").unlink()
    put(maildir, "one")
    maildir.look()
    assert LabelStore.find(maildir.state) is None


def test_descriptors_are_short(maildir):
    """Whichever call fails, the messages are read at the next visit."""

    def fail():
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    expected = set()
    for number in range(30):
        put(maildir, f"name{number}")
        expected.add(name_key(f"name{number}.example"))
        with Interruption(number, fail, calls=("open", "scandir", "stat", "dup")):
            maildir.look()
        maildir.look()
        assert known(maildir) == expected, number


def test_sent_mail_that_cannot_be_decompressed(maildir, monkeypatch):
    """A compressed message without the package for it is skipped, and does not stop the learning of its Maildir."""
    put(maildir, "one").write_bytes(b"\x28\xb5\x2f\xfd compressed")
    put(maildir, "two")
    monkeypatch.setattr(message_file, "missing_package", lambda raw: "zstd" if raw.startswith(b"\x28") else "")
    maildir.look()
    assert known(maildir) == {name_key("two.example")}
    assert maildir.label_stores.status.failed == 0


def test_a_store_that_cannot_be_used_now(maildir):
    """The messages are read again when the store can be used."""
    put(maildir, "one")
    other = sqlite3.connect(maildir.state / "labels.sqlite", timeout=0)
    maildir.label_stores._stores[maildir.state].trainer.labels._connection.execute("PRAGMA busy_timeout = 0")
    other.execute("BEGIN IMMEDIATE")
    maildir.look()
    other.rollback()
    other.close()
    maildir.clock.now += 3600
    maildir.look()
    assert known(maildir) == {name_key("one.example")}


def test_an_answer_is_stored_with_the_label(maildir):
    """A message that the user answered is ham, and its label says that it was answered."""
    raw = b"From: a@x.org\nSubject: a question\n\nSome other words.\n"
    maildir.put(raw, maildir.root)
    maildir.look()
    maildir.flag(raw, "RS")
    maildir.look()
    store = LabelStore.find(maildir.state)
    assert [example.answered for example in store.examples(after=0, most_bytes=99)] == [False, True]
    store.close()
