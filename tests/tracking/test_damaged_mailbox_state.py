"""With any value in any cell of the mailbox state, mail is filed, and learning from moves goes on or begins anew."""

import contextlib
import os
import sqlite3
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from damage import cells_of, column_counts
from inbox import OPENED, raw
from maildirs import make
from tracked_maildir import TrackedMaildir

from spamlstm.filtering.journal import NAME as JOURNAL
from spamlstm.tracking.state_database import NAME

TABLES = {"maildirs": 5, "folders": 7, "files": 7, "messages": 7, "departures": 7, "former_contents": 1}


@pytest.fixture
def tmp_path():
    """A folder on a RAM disk if there is one: a busy disk takes a second for each of hundreds of durable changes."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory) as path:
        yield Path(path)


class Restarts:
    """One Maildir, opened with one state folder after the other."""

    def __init__(self, root, state):
        self.root, self.count, self.first = root, 0, set()
        self.now = self.open(state)

    def open(self, state):
        self.now = TrackedMaildir(self.root, state)
        self.now.count = self.count
        return self.now

    def close(self):
        self.count = self.now.count
        for store in self.now.label_stores._stores.values():
            store.trainer.labels.close()  # without saving a layer of 14 MB
        self.now.mailbox_state.close()
        OPENED.remove(self.now.journal)
        self.now.journal.close()
        # The messages of the first run stay and later ones go: otherwise each run takes longer than the one before.
        present = {path for path in Path(self.root).rglob("*:2,*") if path.is_file()}
        self.first = self.first or present
        for path in present - self.first:
            path.unlink()


@pytest.fixture
def restarts(tmp_path):
    """A Maildir with a message that its user moved to the junk folder, whose label is pending."""
    made = Restarts(make(tmp_path / "Maildir"), tmp_path / "state")
    one = made.now
    one.folder(".Archive")
    one.folder(".Junk")
    one.watch()
    one.look()
    move(one)
    made.close()
    change(tmp_path / "state", "UPDATE messages SET pending = 2")
    change(
        tmp_path / "state",
        "INSERT INTO departures SELECT 1, messages.content, 'inbox', 0.0, 4e9, 1, evidence FROM messages"
        " JOIN files ON files.content = messages.content WHERE evidence IS NOT NULL LIMIT 1",
    )
    change(tmp_path / "state", "INSERT INTO former_contents SELECT content FROM messages")
    return made


def move(one):
    """Deliver, judge and read a message, and move it to the junk folder; return its bytes."""
    one.deliver("words")
    content = raw("words", one.count)
    one.run()
    one.flag(content, "S")
    one.look()
    one.move(content, one.junk)
    one.look()
    return content


def change(state, statement):
    with contextlib.closing(sqlite3.connect(state / NAME)) as database:
        database.execute(statement)
        database.commit()


def test_all_columns_are_tried(restarts, tmp_path):
    """The tables and columns below are all there are."""
    assert column_counts(tmp_path / "state" / NAME) == TABLES


@pytest.mark.parametrize("table", TABLES)
def test_any_cell(restarts, tmp_path, table):
    """Whatever one cell holds, messages are judged and filed, and a later move is learned."""
    for damage, state in cells_of(tmp_path / "state" / NAME, table, copies=tmp_path / "copies"):
        one = restarts.open(state)
        try:
            one.watch()
            spam = one.deliver("spam")
            one.run()
            assert one.where(raw("spam", one.count))[0].path != spam
            one.look()
            one.look()
            assert one.label_of(move(one)) == "spam"
            assert one.counters.failed == {}
        except Exception as error:
            raise AssertionError(damage) from error
        restarts.close()


def test_a_damaged_maildir_is_reported_once_and_reset(restarts, tmp_path, caplog):
    """An unknown role of a folder gives one line with the reason; then the state is made anew, without a label."""
    change(tmp_path / "state", "UPDATE folders SET role = 'zz'")
    one = restarts.open(tmp_path / "state")
    one.put(raw("words", 1), one.root, part="new")
    for _ in range(3):
        one.run()
        one.look()
    assert caplog.text.count("visit-failed") == 1
    assert "role: 'zz'" in caplog.text
    assert caplog.text.count("mailbox-state-lost") == 1
    assert "the state of this Maildir is replaced by an empty one; learning from moves then starts" in caplog.text
    assert "move it away" not in caplog.text
    assert set(one.labels().values()) <= {"spam"}
    assert one.label_of(move(one)) == "spam"
    restarts.close()


def test_damage_of_one_maildir_leaves_the_others(restarts, tmp_path):
    """The state of another Maildir stays: a move there is learned."""
    one = restarts.open(tmp_path / "state")
    other = make(tmp_path / "other")
    ours = one.root
    one.folder(".Junk", other)
    section = one.pipeline.config.maildirs[0]
    both = replace(one.pipeline.config, maildirs=(section, replace(section, path=other)))
    one.tracker.reconfigure(both)
    one.root = other
    one.look()
    content = raw("words", 77)
    one.put(content, other)
    one.look()
    one.mailbox_state._connection.execute(
        "UPDATE messages SET role = 'zz' WHERE maildir = (SELECT id FROM maildirs WHERE path = ?)", (ours.encode(),)
    )
    one.move(content, f"{other}/.Junk")
    for _ in one.tracker.round([ours, other]):
        pass
    assert one.label_of(content) == "spam"
    restarts.close()


def test_a_file_that_is_damaged_while_it_is_in_use(restarts, tmp_path, caplog):
    """The file is removed and made anew, without a restart."""
    one = restarts.open(tmp_path / "state")
    one.mailbox_state._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = tmp_path / "state" / NAME
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    one.mailbox_state._connection.execute("PRAGMA shrink_memory")
    one.deliver("words")
    one.run()
    one.look()
    one.look()
    assert "mailbox-state-lost" in caplog.text
    assert one.label_of(move(one)) == "spam"
    restarts.close()


def test_a_state_that_cannot_be_written_now_names_its_file(restarts, tmp_path, caplog):
    """A visit that fails because of a full disk or a missing permission says of which file, and loses nothing."""
    one = restarts.open(tmp_path / "state")
    one.mailbox_state._connection.execute("PRAGMA query_only = 1")
    content = move(one)
    cause = "cannot be used now: attempt to write a readonly database"
    assert f'kind=journal error="{tmp_path / "state" / NAME} {cause}"' in caplog.text
    one.mailbox_state._connection.execute("PRAGMA query_only = 0")
    one.look()
    assert one.label_of(content) == "spam"
    restarts.close()


def test_a_damaged_journal_is_not_taken_for_a_damaged_state(restarts, tmp_path, caplog):
    """If a visit finds the journal damaged, the log names the journal, and the mailbox state is kept."""
    one = restarts.open(tmp_path / "state")
    tracked = one.mailbox_state.is_tracked(one.root)
    one.journal._connection.execute("PRAGMA foreign_keys = OFF")
    one.journal._connection.execute("DROP TABLE judgements")
    one.put(raw("words", 78), one.junk)
    one.look()
    one.look()
    assert f"{tmp_path / 'state' / JOURNAL} is damaged (no such table: " in caplog.text
    assert "mailbox-state-lost" not in caplog.text
    assert tracked
    assert one.mailbox_state.is_tracked(one.root)
    restarts.close()


def test_an_unexpected_error_in_one_maildir(restarts, tmp_path, monkeypatch, caplog):
    """The error is logged without text of a message, and the next Maildir is visited."""
    one = restarts.open(tmp_path / "state")
    visited = []

    def visit(maildir):
        visited.append(maildir)
        if maildir == "/mail/ann":
            raise ZeroDivisionError("Dear Ann")
        yield

    monkeypatch.setattr(one.tracker, "visit", visit)
    for _ in one.tracker.round(["/mail/ann", "/mail/bob"]):
        pass
    assert visited == ["/mail/ann", "/mail/bob"]
    assert "ZeroDivisionError" in caplog.text
    assert "Dear Ann" not in [record.getMessage() for record in caplog.records]
    restarts.close()
