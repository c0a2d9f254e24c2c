"""A journal in which a cell is damaged: the daemon starts, mail is filed, and no act leaves its Maildir."""

import contextlib
import os
import sqlite3

import pytest
from damage import cells_of, column_counts
from inbox import OPENED, Inbox
from maildirs import make

from spamlstm.errors import DataError, UserError
from spamlstm.filtering.inbox_index import name_hash
from spamlstm.filtering.journal import NAME, Journal
from spamlstm.filtering.journal_rows import Act, UnreadableAct
from spamlstm.filtering.undo import UndoStatus
from spamlstm.maildir.content_id import content_id

TABLES = {"maildirs": 4, "inbox_index": 4, "judgements": 11, "acts": 12, "in_progress": 10, "former": 1}


@pytest.fixture
def used(inbox, tmp_path):
    """An inbox with spam that was filed, ham that was left, and an act that is open; its journal is closed."""
    one = inbox()
    one.deliver("spam")
    one.deliver("words")
    one.run()
    one.deliver("spam")
    one.run()
    one.journal.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / NAME)) as database:
        database.execute("UPDATE acts SET state = 'open' WHERE id = 2")
        # The next message has this name, and was in progress at a crash.
        suspect = (1, name_hash("4.host"), 1, 1, 1, "0 words 1", 0, 0.0, 1, one.clock.now)
        database.execute("INSERT INTO in_progress VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", suspect)
        database.commit()
    return one


def restarted(one, state):
    """The same Maildir with the journal of another state folder."""
    again = Inbox(one.root, state, clock=one.clock)
    again.count = one.count
    return again


def undone(one, *, dry=True):
    return one.undo(dry=dry)


def test_all_columns_are_tried(used, tmp_path):
    """The damage is tried in every column of every table of the journal."""
    assert column_counts(tmp_path / "state" / NAME) == TABLES


@pytest.mark.parametrize("table", TABLES)
def test_any_cell(used, tmp_path, table):
    """Whatever one cell holds, open acts are settled or set aside, and new mail is judged and filed."""
    for damage, state in cells_of(tmp_path / "state" / NAME, table, copies=tmp_path / "copies"):
        one = restarted(used, state)
        try:
            one.run()
            spam = one.deliver("spam")
            with open(spam, "rb") as file:  # noqa: PTH123
                content = content_id(file.read())
            one.run()
            assert not os.path.exists(spam)  # noqa: PTH110
            assert one.counters.failed == {}
            assert one.journal.last_act(one.root, content).flagged
            one.journal.filed()
            for known in ("00" * 16, content):
                one.journal.knows(one.root, known)
            assert all(isinstance(act, UnreadableAct) or act.status is not UndoStatus.FAILED for act in undone(one))
            one.clock.now += 2 * 86_400
            one.run()
        except Exception as error:
            raise AssertionError(damage) from error
        used.count = one.count
        OPENED.remove(one.journal)
        one.journal.close()


def change(state, statement, *values):
    with contextlib.closing(sqlite3.connect(state / NAME)) as database:
        database.execute(statement, values)
        database.commit()


def test_an_unknown_act_is_reported_once_and_never_carried_out(used, tmp_path, caplog):
    """A damaged open act is logged with its number, counted, and closed; other acts and mail go on."""
    state = tmp_path / "state"
    change(state, "UPDATE acts SET actions = 'evil' WHERE id = 2")
    before = used.names(), used.names(used.junk)
    one = restarted(used, state)
    assert caplog.text.count("act-unreadable") == 1
    assert "act=2" in caplog.text
    assert one.counters.settled == {"unknown": 1}
    assert one.journal.open_acts() == []
    assert (one.names(), one.names(one.junk)) == before
    one.again()
    assert caplog.text.count("act-unreadable") == 1


OUTSIDE = [
    ("folder", "{victim}"),
    ("folder", "{root}/../victim"),
    ("folder", "{root}x"),
    ("folder", "{root}/./.Junk"),
    ("folder", "{root}//.Junk"),
    ("folder", ".Junk"),
    ("source", "{victim}/cur/name"),
    ("source", "{root}/../victim/cur/name"),
    ("source", "{root}/cur/../../victim/cur/name"),
    ("source", "{root}/name"),
    ("source", "{root}/tmp/name"),
    ("source", "{root}/cur/.."),
    ("name", "../../victim/cur/name"),
    ("name", "..x/y"),
    ("name", ".."),
]


@pytest.mark.parametrize(("column", "path"), OUTSIDE)
def test_no_act_leaves_its_maildir(used, tmp_path, column, path):
    """Recovery and undo refuse an act whose message, target or name is outside the Maildir: nothing there changes."""
    victim, state = tmp_path / "victim", tmp_path / "state"
    make(victim)
    for part in ("cur", "tmp"):
        (victim / part / "name").write_bytes(b"From: x@y\n\nvictim")
    written = path.format(victim=victim, root=used.root)
    change(state, f"UPDATE acts SET {column} = ?", os.fsencode(written))  # noqa: S608  ours
    before = used.names(), used.names(used.junk)

    one = restarted(used, state)
    assert one.counters.settled == {"unknown": 1}
    found = undone(one, dry=False)
    assert found
    assert all(isinstance(act, UnreadableAct) for act in found)
    assert (one.names(), one.names(one.junk)) == before
    assert sorted(path.name for path in victim.glob("*/*")) == ["name", "name"]


def test_what_is_whole_is_still_taken_back(used, tmp_path):
    """The acts beside a damaged one are undone."""
    change(tmp_path / "state", "UPDATE acts SET size = 'x' WHERE id = 2")
    change(tmp_path / "state", "UPDATE acts SET state = 'done'")
    one = restarted(used, tmp_path / "state")
    kinds = [type(act) for act in one.journal.acts(since=0)]
    assert sorted(kinds, key=str) == sorted([Act, UnreadableAct], key=str)
    assert [act.status for act in undone(one, dry=False) if not isinstance(act, UnreadableAct)] == [UndoStatus.UNDONE]


def test_a_watch_that_began_under_a_wrong_clock(inbox):
    """If the watch began under a clock that was ahead, mail in cur is judged once the clock is right."""
    one = inbox(watched=False)
    right = one.clock.now
    one.clock.now += 4 * 365 * 86_400
    one.watch()
    one.clock.now = right
    one.deliver("words", part="cur")
    one.run()
    spam = one.deliver("spam", part="cur")
    os.utime(spam, (right + 10, right + 10))
    one.run()
    assert not os.path.exists(spam)  # noqa: PTH110


def test_damage_of_a_journal_in_use_says_what_to_do(used, tmp_path, caplog):
    """If damage is found only while mail is filed, log and report say which file is damaged and what to do."""
    state = tmp_path / "state"
    one = restarted(used, state)
    change(state, "ALTER TABLE acts RENAME COLUMN mtime_ns TO other")
    spam = one.deliver("spam")
    (outcome,) = one.run()
    assert os.path.exists(spam)  # noqa: PTH110
    assert f"{state / NAME} is damaged (" in outcome.failure
    assert "move it away to begin anew: mail in the inboxes then counts as classified" in outcome.failure
    assert f"{state / NAME} is damaged (" in caplog.text


def test_the_journal_of_another_program(tmp_path):
    """A table that lacks a column is reported as damage, in one sentence."""
    from spamlstm.errors import DataError

    (tmp_path / "state").mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / NAME)) as database:
        database.execute("CREATE TABLE acts (x)")
    with pytest.raises(DataError, match=NAME):
        Journal.open(tmp_path / "state")


def test_a_fifo_in_its_place_is_a_sentence(tmp_path):
    """An error of SQLite at the opening of the file is a UserError too."""
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(UserError):
        Journal.open(tmp_path)


def test_a_schema_that_is_not_utf8(used, tmp_path):
    """If SQLite's message quotes bytes that Python cannot decode, the file is reported as damaged all the same."""
    path = tmp_path / "state" / NAME
    before = path.read_bytes()
    path.write_bytes(before.replace(b"CREATE TABLE judgements (", b"CREATE TABLE judge \xff\xff\xff\xff ("))
    assert path.read_bytes() != before
    with pytest.raises(DataError):
        Journal.open(tmp_path / "state")


def test_an_index_that_knows_what_its_table_does_not(used, tmp_path):
    """A scan of that Maildir raises nothing: it counts as a failure of the journal, and the mail stays."""
    state = tmp_path / "state"
    change(state, "CREATE TABLE empty (id INTEGER PRIMARY KEY, path BLOB, since REAL, tidied REAL)")
    with contextlib.closing(sqlite3.connect(state / NAME)) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute(
            "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'empty')"
            " WHERE name = 'maildirs'"
        )
        database.commit()
    one = restarted(used, state)
    spam = one.deliver("spam")
    one.run()
    assert os.path.exists(spam)  # noqa: PTH110
    assert set(one.counters.failed) == {"journal"}
