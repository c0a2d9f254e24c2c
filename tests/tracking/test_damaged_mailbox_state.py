"""Places in which any cell holds anything: mail is filed, and learning from moves goes on or begins anew."""

import contextlib
import sqlite3
from pathlib import Path

import pytest
from damage import FEW, cells, columns
from inbox import OPENED, make, raw
from learning_house import LearningHouse

from spamlstm.tracking.mailbox_state import NAME

TABLES = {"maildirs": 3, "folders": 7, "files": 4, "messages": 8}


class Houses:
    """The same Maildir with the places of one state folder after the other."""

    def __init__(self, root, state):
        self.root, self.count, self.first = root, 0, set()
        self.now = self.open(state)

    def open(self, state):
        self.now = LearningHouse(self.root, state)
        self.now.count = self.count
        return self.now

    def close(self):
        self.count = self.now.count
        for store in self.now.label_stores._stores.values():
            store.trainer.labels.close()  # without keeping 14 MB of what was learned
        self.now.mailbox_state.close()
        OPENED.remove(self.now.journal)
        self.now.journal.close()
        # What the first one left stays, and what others brought goes: else each takes longer than the one before.
        here = {path for path in Path(self.root).rglob("*:2,*") if path.is_file()}
        self.first = self.first or here
        for path in here - self.first:
            path.unlink()


@pytest.fixture
def houses(tmp_path):
    """A Maildir that was in use: a message lies in the junk folder by hand, and a label for it is noted."""
    made = Houses(make(tmp_path / "Maildir"), tmp_path / "state")
    one = made.now
    one.folder(".Archive")
    one.folder(".Junk")
    one.watch()
    one.look()
    move(one)
    made.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / NAME)) as database:
        database.execute("UPDATE messages SET owed = 2")
        database.commit()
    return made


def move(one):
    """A message is delivered, judged and read, and its user takes it for spam; gives its bytes."""
    one.deliver("words")
    content = raw("words", one.count)
    one.run()
    one.flag(content, "S")
    one.look()
    one.move(content, one.junk)
    one.look()
    return content


def test_all_columns_are_tried(houses, tmp_path):
    found = [table for table, _ in columns(tmp_path / "state" / NAME)]
    assert {table: found.count(table) for table in found} == TABLES


@pytest.mark.parametrize("table", TABLES)
def test_any_cell(houses, tmp_path, table):
    """Whatever one cell holds: messages are judged and filed, and after a look what is moved then is learned."""
    path = tmp_path / "state" / NAME
    for _, column in (one for one in columns(path) if one[0] == table):
        for value, state in cells(path, table, column, copies=tmp_path / "copies", values=FEW):
            one = houses.open(state)
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
                raise AssertionError(f"{table}.{column} = {value}") from error
            houses.close()


def change(state, statement):
    with contextlib.closing(sqlite3.connect(state / NAME)) as database:
        database.execute(statement)
        database.commit()


def test_damage_of_one_maildir_is_told_once_and_mended(houses, tmp_path, caplog):
    """An unknown kind of folder: one line with the reason, then it is made anew; no label follows."""
    change(tmp_path / "state", "UPDATE folders SET kind = 'zz'")
    one = houses.open(tmp_path / "state")
    for _ in range(3):
        assert not one.moves.knows(one.root, "00" * 16)
        one.look()
    assert caplog.text.count("moves-failed") == 1
    assert "kind: 'zz'" in caplog.text
    assert caplog.text.count("places-lost") == 1
    assert set(one.labels().values()) <= {"spam"}
    assert one.label_of(move(one)) == "spam"
    houses.close()


def test_damage_of_one_maildir_leaves_the_others(houses, tmp_path):
    """What is noted of another Maildir stays: what was moved there meanwhile is learned."""
    one = houses.open(tmp_path / "state")
    other = make(tmp_path / "other")
    ours = one.root
    one.folder(".Junk", other)
    section = one.pipeline.config.maildirs[0]
    from dataclasses import replace

    both = replace(one.pipeline.config, maildirs=(section, replace(section, path=other)))
    one.moves.reconfigure(both)
    one.root = other
    one.look()
    content = raw("words", 77)
    one.put(content, other)
    one.look()
    one.mailbox_state._connection.execute(
        "UPDATE messages SET place = 'zz' WHERE maildir = (SELECT id FROM maildirs WHERE path = ?)", (ours.encode(),)
    )
    one.move(content, f"{other}/.Junk")
    for _ in one.moves.round([ours, other]):
        pass
    assert one.label_of(content) == "spam"
    houses.close()


def test_a_file_that_is_damaged_while_it_is_in_use(houses, tmp_path, caplog):
    """It is removed and made anew, without a restart."""
    one = houses.open(tmp_path / "state")
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
    assert "places-lost" in caplog.text
    assert one.label_of(move(one)) == "spam"
    houses.close()


def test_an_unexpected_error_in_one_maildir(houses, tmp_path, monkeypatch, caplog):
    """It is told without the words of a message, and the next Maildir is looked at."""
    one = houses.open(tmp_path / "state")
    looked = []

    def look(maildir):
        looked.append(maildir)
        if maildir == "/mail/ann":
            raise ZeroDivisionError("Dear Ann")
        yield

    monkeypatch.setattr(one.moves, "look", look)
    for _ in one.moves.round(["/mail/ann", "/mail/bob"]):
        pass
    assert looked == ["/mail/ann", "/mail/bob"]
    assert "ZeroDivisionError" in caplog.text
    assert "Dear Ann" not in [record.getMessage() for record in caplog.records]
    houses.close()
