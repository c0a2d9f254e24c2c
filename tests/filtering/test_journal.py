"""The journal: private, bounded, written whole or not at all, and refused when another program wrote it."""

import contextlib
import os
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from inbox import judgement

from spamlstm.config import Action
from spamlstm.errors import ConfigError, DataError, TemporaryError
from spamlstm.filtering import journal as journals
from spamlstm.filtering.inbox_index import DAY, name_hash
from spamlstm.filtering.journal import NAME, Journal
from spamlstm.filtering.journal_rows import Intent, LastAct
from spamlstm.maildir.message_file import Identity
from spamlstm.maildir.transfer import TransferResult
from spamlstm.verdict import Verdict

CONTENT = "0123456789abcdef" * 2
SPAM = judgement(Verdict.SPAM)


@pytest.fixture
def journal(tmp_path):
    one = Journal.open(tmp_path / "state")
    with one.transaction(durable=True):
        one.index.begin("/m", [], since=0.0, now=1.0)
    yield one
    one.close()


def intent(name="b", inode=1):
    return Intent("/m/new/\udcff", Identity(inode, 2, 3), "/m/.Junk", name, (Action.TAG, Action.FILE))


def journaled(journal, *, content=CONTENT, now=10.0, **how):
    with journal.transaction(durable=True):
        number = journal.add_judgement("/m", content, base="a", judgement=SPAM, complete=False, now=now)
        return journal.add_intent(number, intent(**how), now=now)


def end(journal, act, result):
    with journal.transaction(durable=False):
        journal.end(act, "/m", intent(), result, now=10.0)


def test_many_copies_after_a_dry_run_are_found_quickly(journal):
    """The work for a message that came many times grows with the number of copies, not with its square."""
    steps = []
    for begin in (0, 2000):
        with journal.transaction(durable=False):
            for number in range(begin, begin + 2000):
                journal.add_judgement("/m", CONTENT, base=str(number), judgement=SPAM, complete=False, now=10.0)
        steps.append(0)
        journal._connection.set_progress_handler(lambda: steps.append(steps.pop() + 1), 100)
        assert journal.bases_of_dry_run("/m") == set(map(str, range(begin + 2000)))
        journal._connection.set_progress_handler(None, 0)
    assert steps[1] < 3 * steps[0]


def test_the_last_judgement_says_whether_a_dry_run_reported_a_message(journal):
    """A message that was judged again, or for which an act was begun, is not one that a dry run only reported."""
    with journal.transaction(durable=False):
        for base, completes in (("dry", [True, False]), ("done", [False, True]), ("twice", [False, False])):
            for complete in completes:
                journal.add_judgement("/m", CONTENT, base=base, judgement=SPAM, complete=complete, now=10.0)
    journaled(journal)
    assert journal.bases_of_dry_run("/m") == {"dry", "twice"}


def test_it_is_private(tmp_path, journal):
    """Nobody else can read who got mail when, whatever the umask."""
    with journal.transaction(durable=True):
        journal.index.add("/m", [("x", 1)], now=1.0)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()} == {0o600}


@pytest.mark.parametrize("outcome", TransferResult)
def test_the_life_of_an_act(journal, outcome):
    """An act is open until its result is recorded; only an act that was done makes the content known."""
    act = journaled(journal)
    (found,) = journal.open_acts()
    assert (found.id, found.maildir, found.content, found.intent) == (act, "/m", CONTENT, intent())
    assert not journal.knows("/m", CONTENT)

    end(journal, act, outcome)

    assert journal.open_acts() == []
    assert journal.knows("/m", CONTENT) is (outcome is TransferResult.DONE)
    assert [one.id for one in journal.acts(since=10.0)] == ([act] if outcome is TransferResult.DONE else [])
    assert journal.acts(since=10.1) == []


def test_taken_back(journal):
    """An act that was taken back is not taken back again; one for which that failed can be."""
    act = journaled(journal)
    end(journal, act, TransferResult.DONE)
    for outcome, left in ((TransferResult.UNDONE, [act]), (TransferResult.DONE, [])):
        with journal.transaction(durable=True):
            back = journal.add_intent(journal.acts(since=0)[0].judgement, intent(), now=11.0, undoes=act)
        end(journal, back, outcome)
        assert [one.id for one in journal.acts(since=0)] == left
    assert journal.knows("/m", CONTENT)


def test_the_last_act_of_a_message(journal):
    """The last act is open or done. An act that failed is not the last act, and undoing is an act that tags nothing."""
    assert journal.last_act("/m", CONTENT) is None
    failed = journaled(journal)
    assert journal.last_act("/m", CONTENT) == LastAct(failed, "/m/.Junk", flagged=True)
    end(journal, failed, TransferResult.UNDONE)
    assert journal.last_act("/m", CONTENT) is None
    done = journaled(journal)
    end(journal, done, TransferResult.DONE)
    assert journal.last_act("/m", CONTENT) == LastAct(done, "/m/.Junk", flagged=True)
    with journal.transaction(durable=True):
        back = journal.add_intent(journal.acts(since=0)[0].judgement, intent(), now=11.0, undoes=done)
    assert journal.last_act("/m", CONTENT) == LastAct(back, "/m/.Junk", flagged=False)
    end(journal, back, TransferResult.DONE)
    assert journal.last_act("/m", CONTENT) == LastAct(back, "/m/.Junk", flagged=False)
    assert journal.last_act("/m", "f" * 32) is None


def test_inodes_of_64_bits(journal):
    """Inodes that use all 64 bits are kept, though SQLite's integers are signed."""
    inode = (1 << 64) - 5
    journaled(journal, inode=inode)
    with journal.transaction(durable=True):
        journal.index.add("/m", [("x", inode)], now=1.0)
    assert journal.open_acts()[0].intent.expected.inode == inode
    assert journal.index.missing("/m", {"x": inode}, now=1.0) == set()


def test_a_transaction_is_whole_or_nothing(journal):
    """An error in a transaction leaves the journal and what is cached of it as before."""

    class StopError(Exception):
        pass

    def fails():
        with journal.transaction(durable=True):
            journal.index.add("/m", [("x", 1)], now=1.0)
            journal.index.begin("/other", ["y"], since=0.0, now=1.0)
            raise StopError

    with pytest.raises(StopError):
        fails()
    assert journal.index.missing("/m", {"x": 1}, now=1.0) == {"x"}
    assert journal.index.number("/other") is None


def test_many_names(journal):
    """More names than fit into one query."""
    names = dict.fromkeys(map(str, range(2000)), 0)
    with journal.transaction(durable=True):
        journal.index.add("/m", list(names.items())[:1500], now=1.0)
    assert journal.index.missing("/m", names, now=1.0) == set(map(str, range(1500, 2000)))


def test_what_is_old_goes(journal, monkeypatch):
    """Judgements are forgotten after 90 days with mail, or beyond a number, and their acts with them."""
    old = journaled(journal)
    end(journal, old, TransferResult.DONE)
    for day in range(90):
        end(journal, journaled(journal, content=f"{day:032}", now=(day + 1) * DAY), TransferResult.DONE)
    pruned(journal)
    assert not journal.knows("/m", CONTENT)
    assert len(journal.acts(since=0)) == 90
    monkeypatch.setattr(journals, "MOST_JUDGEMENTS", 2)
    pruned(journal)
    assert len(journal.acts(since=0)) == 2


@pytest.mark.parametrize("wrong", [4 * 365 * DAY, -4 * 365 * DAY])
def test_a_wrong_clock_makes_nothing_old(journal, wrong):
    """No judgement is forgotten because the clock was four years ahead or behind for a time."""
    today = 20_000 * DAY
    times = [today, today + wrong, today + wrong + 1, today + 2]
    for number, now in enumerate(times):
        end(journal, journaled(journal, content=f"{number:032}", now=now), TransferResult.DONE)
        pruned(journal)
    assert all(journal.knows("/m", f"{number:032}") for number in range(len(times)))


def pruned(journal):
    with journal.transaction(durable=False):
        journal.prune()


def test_no_journal_of_ours(tmp_path):
    """A damaged file, or one of an unknown version, gives a sentence and is left as it is."""
    state = tmp_path / "state"
    state.mkdir()
    (state / NAME).write_bytes(b"This is no database, and is long enough to show that. " * 40)
    with pytest.raises(DataError, match="damaged"):
        Journal.open(state)
    (state / NAME).unlink()
    other = sqlite3.connect(state / NAME)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(DataError, match="a newer version"):
        Journal.open(state)


READS = {
    "knows": lambda one: one.knows("/m", CONTENT),
    "has_judged": lambda one: one.has_judged("/m", CONTENT),
    "bases_of_dry_run": lambda one: one.bases_of_dry_run("/m"),
    "position": lambda one: one.position(),
    "changes": lambda one: one.changes("/m", CONTENT),
    "open_acts": lambda one: one.open_acts(),
    "acts": lambda one: one.acts(since=0.0),
    "filed": lambda one: one.filed(),
    "last_act": lambda one: one.last_act("/m", CONTENT),
    "last_verdict": lambda one: one.last_verdict("/m", CONTENT),
    "renew": lambda one: one.renew("/m", [CONTENT], CONTENT[::-1]),
    "missing": lambda one: one.index.missing("/m", {"a": 1}, now=1.0),
    "missing in the whole index": lambda one: one.index.missing("/m", {str(base): 1 for base in range(600)}, now=1.0),
    "number": lambda one: one.index.number("/other"),
    "since": lambda one: one.index.since("/m", now=1.0),
    "needs_pruning": lambda one: one.index.needs_pruning("/m", now=1.0),
    "has_crashed": lambda one: one.in_progress.has_crashed(),
    "is_suspect": lambda one: one.in_progress.is_suspect("/m", 1),
}


@pytest.mark.parametrize("read", READS)
def test_damage_is_explained_by_each_read(journal, tmp_path, read):
    """If tables are gone, each read of the journal names the file, what to do, and what is lost then."""
    assert journal.index.number("/m") == 1
    journal._connection.execute("PRAGMA foreign_keys = OFF")
    for table in ("acts", "judgements", "inbox_index", "in_progress", "maildirs"):
        journal._connection.execute(f"DROP TABLE {table}")
    with pytest.raises(DataError, match=r"no such table.*; move it away to begin anew: mail in the inboxes") as caught:
        READS[read](journal)
    assert str(caught.value).startswith(f"{tmp_path / 'state' / NAME} is damaged (")


@pytest.mark.parametrize(
    ("pragma", "why"),
    [
        ("max_page_count = 1", "database or disk is full"),
        ("query_only = 1", "attempt to write a readonly database"),
    ],
)
def test_a_journal_that_cannot_be_written_explains_itself(journal, tmp_path, pragma, why):
    """A full disk and a missing permission give one sentence that names the file, and may pass."""
    journal._connection.execute(f"PRAGMA {pragma}")
    with pytest.raises(TemporaryError) as caught, journal.transaction(durable=True):
        journal.index.add("/m", [(str(number), 0) for number in range(2000)], now=1.0)
    assert str(caught.value) == f"{tmp_path / 'state' / NAME} cannot be used now: {why}"
    journal._connection.execute("PRAGMA query_only = 0")
    assert len(journal.index.missing("/m", {str(number): 0 for number in range(2000)}, now=1.0)) == 2000


def test_a_locked_journal_explains_itself(journal, tmp_path):
    """If another process writes for too long, the error names the file."""
    journal._connection.execute("PRAGMA busy_timeout = 0")
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TemporaryError, match=f"{NAME} cannot be used now: database is locked"):
            journaled(journal)


def test_an_error_of_other_code_in_a_transaction_is_kept(journal):
    """The journal explains only errors of its database, so that a bug or a full Maildir is not blamed on it."""
    for error in (OSError(28, "full"), ValueError("bug"), DataError("labels.sqlite is damaged")):
        with pytest.raises(type(error)) as caught, journal.transaction(durable=True):
            raise error
        assert caught.value is error


# The tables of version 2. Version 1 had no table in_progress.
VERSION_2 = """
CREATE TABLE maildirs (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, since REAL NOT NULL, tidied REAL NOT NULL);
CREATE TABLE seen (maildir INTEGER NOT NULL, name INTEGER NOT NULL, inode INTEGER NOT NULL, time INTEGER NOT NULL,
    PRIMARY KEY (maildir, name)) WITHOUT ROWID;
CREATE TABLE in_progress (maildir INTEGER NOT NULL, name INTEGER NOT NULL, inode INTEGER NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, version TEXT NOT NULL, running INTEGER NOT NULL,
    since REAL NOT NULL, crashes INTEGER, time REAL NOT NULL, PRIMARY KEY (maildir, name)) WITHOUT ROWID;
CREATE TABLE judgements (id INTEGER PRIMARY KEY, maildir INTEGER NOT NULL, content BLOB NOT NULL,
    base BLOB NOT NULL, time REAL NOT NULL, stands INTEGER NOT NULL, verdict TEXT NOT NULL, probability REAL,
    score REAL, reason TEXT NOT NULL, model TEXT NOT NULL);
CREATE INDEX judgements_content ON judgements (maildir, content);
CREATE TABLE acts (id INTEGER PRIMARY KEY,
    judgement INTEGER NOT NULL REFERENCES judgements ON DELETE CASCADE, undoes INTEGER, state TEXT NOT NULL,
    actions TEXT NOT NULL, source BLOB NOT NULL, folder BLOB NOT NULL, name BLOB NOT NULL, inode TEXT NOT NULL,
    mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL, time REAL NOT NULL);
CREATE INDEX acts_judgement ON acts (judgement);
CREATE INDEX acts_open ON acts (state) WHERE state = 'open';
INSERT INTO maildirs VALUES (1, CAST('/m' AS BLOB), 5.0, 6.0);
INSERT INTO judgements VALUES (1, 1, x'0123456789abcdef0123456789abcdef', x'61', 10.0, 1, 'spam', 0.9, 1.0,
    'score', 'm');
INSERT INTO acts VALUES (1, 1, NULL, 'done', 'tag file', CAST('/m/new/a' AS BLOB), CAST('/m/.Junk' AS BLOB),
    CAST('b' AS BLOB), '1', 2, 3, 10.0);
PRAGMA user_version = 2;
"""


@pytest.mark.parametrize("version", [1, 2])
def test_a_journal_of_an_earlier_version(tmp_path, version):
    """A journal of an earlier version opens with its Maildirs, names, judgements and acts."""
    state = tmp_path / "old"
    state.mkdir(mode=0o700)
    with contextlib.closing(sqlite3.connect(state / NAME)) as database:
        database.executescript(VERSION_2)
        database.execute("INSERT INTO seen VALUES (1, ?, 7, 10)", (name_hash("a"),))
        if version == 1:
            database.executescript("DROP TABLE in_progress; PRAGMA user_version = 1;")
        database.commit()

    for _ in range(2):
        with contextlib.closing(Journal.open(state)) as journal:
            assert journal.index.since("/m", now=20.0) == 5.0
            assert not journal.index.needs_pruning("/m", now=20.0)
            assert journal.index.missing("/m", {"a": 7, "b": 7}, now=20.0) == {"b"}
            assert journal.knows("/m", CONTENT)
            assert [(one.id, one.intent.folder) for one in journal.acts(since=0)] == [(1, "/m/.Junk")]
            assert not journal.in_progress.has_crashed()
            journaled(journal)


def test_a_copy_changes_nothing(journal, tmp_path):
    """A dry run knows what the journal knows, and what it records is discarded; it makes no state folder."""
    act = journaled(journal)
    copy = Journal.copy(tmp_path / "state")
    assert [one.id for one in copy.open_acts()] == [act]
    end(copy, act, TransferResult.DONE)
    copy.close()
    assert [one.id for one in journal.open_acts()] == [act]
    Journal.copy(tmp_path / "none").close()
    assert not (tmp_path / "none").exists()


def test_what_we_filed_is_known(journal):
    """A message counts as filed once filing has begun, until it is taken back; one that was only tagged does not."""
    other, third = "f" * 32, "e" * 32
    act = journaled(journal)
    end(journal, act, TransferResult.DONE)
    journaled(journal, content=other)
    end(journal, journaled(journal, content=third), TransferResult.UNDONE)
    with journal.transaction(durable=True):
        number = journal.add_judgement("/m", "d" * 32, base="a", judgement=SPAM, complete=False, now=1.0)
        journal.add_intent(number, replace(intent(), actions=(Action.TAG,)), now=1.0)
    assert journal.filed() == {CONTENT, other}
    with journal.transaction(durable=True):
        (done,) = journal.acts(since=0.0)
        back = journal.add_intent(done.judgement, intent("c"), now=11.0, undoes=act)
    end(journal, back, TransferResult.DONE)
    assert journal.filed() == {other}


def test_a_copy_takes_little_memory(tmp_path):
    """A dry run works on a copy of the journal, which may have hundreds of megabytes, without keeping it in memory."""

    def size():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") >> 20

    Journal.open(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / NAME)) as large:
        large.executescript("PRAGMA journal_mode = DELETE; CREATE TABLE other (x); BEGIN")
        large.executemany("INSERT INTO other VALUES (zeroblob(?))", [(1 << 20,)] * 64)
        large.commit()
    before = size()
    with contextlib.closing(Journal.copy(tmp_path)):
        assert size() - before < 32


def test_a_copy_follows_no_link(tmp_path):
    """A dry run refuses what the command itself refuses: a link in the place of the journal."""
    Journal.open(tmp_path).close()
    (tmp_path / NAME).rename(tmp_path / "elsewhere")
    (tmp_path / NAME).symlink_to("elsewhere")
    for opened in (Journal.open, Journal.copy):
        with pytest.raises(ConfigError, match="is a symbolic link, which spamlstm never creates; remove the link"):
            opened(tmp_path)
