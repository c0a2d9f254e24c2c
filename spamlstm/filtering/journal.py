"""The journal: a database of judgements and of acts, each recorded before the act is carried out.

A judgement is the result of classifying a message. An act is a journaled change of one message. An intent is an act
before it is carried out. The journal is one SQLite database in the state folder, in WAL mode. A transaction with an
intent is durable (fsynced) before the act. A transaction with results only does not need an fsync, because results that
a power failure loses are recovered. An act without a result is settled according to the files on disk, and a message
without a judgement is classified again.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from spamlstm import database
from spamlstm.config import Action
from spamlstm.database import CellError, Explained, Layout
from spamlstm.filtering.in_progress import IN_PROGRESS_SCHEMA, InProgress
from spamlstm.filtering.inbox_index import DAY, INBOX_SCHEMA, REMEMBERED, InboxIndex
from spamlstm.filtering.journal_changes import JournalChanges, read_path
from spamlstm.filtering.journal_database import JournalDatabase
from spamlstm.filtering.journal_rows import Act, Intent, LastAct, UnreadableAct, read_act, read_actions
from spamlstm.maildir.transfer import TransferResult
from spamlstm.verdict import Judgement, Verdict

NAME = "journal.sqlite"
MOST_COPIES = 100
"""The number of files of one message that are compared, see `tracking.rule`."""
# About 300 MB. The oldest judgements are deleted first. `undo` cannot undo deleted acts, and the messages seem new
# again.
MOST_JUDGEMENTS = 1_000_000

# `last` is the number of the last judgement with a content id of an earlier version of this program.
_FORMER = "CREATE TABLE IF NOT EXISTS former (last INTEGER NOT NULL);"
_ALL_FORMER = "INSERT INTO former SELECT coalesce(max(id), 0) FROM judgements;"
_LAYOUT = Layout(
    version=5,
    schema=INBOX_SCHEMA
    + IN_PROGRESS_SCHEMA
    + """
CREATE TABLE IF NOT EXISTS judgements (id INTEGER PRIMARY KEY, maildir INTEGER NOT NULL, content BLOB NOT NULL,
    base BLOB NOT NULL, time REAL NOT NULL, complete INTEGER NOT NULL, verdict TEXT NOT NULL, probability REAL,
    score REAL, reason TEXT NOT NULL, model TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS judgements_content ON judgements (maildir, content);
CREATE TABLE IF NOT EXISTS acts (id INTEGER PRIMARY KEY,
    judgement INTEGER NOT NULL REFERENCES judgements ON DELETE CASCADE, undoes INTEGER, state TEXT NOT NULL,
    actions TEXT NOT NULL, source BLOB NOT NULL, folder BLOB NOT NULL, name BLOB NOT NULL, inode TEXT NOT NULL,
    mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL, time REAL NOT NULL);
CREATE INDEX IF NOT EXISTS acts_judgement ON acts (judgement);
CREATE INDEX IF NOT EXISTS acts_open ON acts (state) WHERE state = 'open';
"""
    + _FORMER,
    pragmas=("foreign_keys = ON",),
    upgrades={
        1: IN_PROGRESS_SCHEMA,
        2: """ALTER TABLE seen RENAME TO inbox_index;
ALTER TABLE maildirs RENAME COLUMN since TO watched_since;
ALTER TABLE maildirs RENAME COLUMN tidied TO pruned;
ALTER TABLE judgements RENAME COLUMN stands TO complete;
""",
        3: _FORMER + _ALL_FORMER,
        4: _ALL_FORMER,
    },
    loss=": mail in the inboxes then counts as classified, and no earlier act can be undone",
)
# A sender may deliver one message thousands of times. Only its latest judgements are read, so that each delivery takes
# the same time.
_LATEST = f"""(SELECT id, base, time, complete, verdict FROM judgements WHERE maildir = ? AND content = ?
    ORDER BY id DESC LIMIT {MOST_COPIES})"""  # noqa: S608  a constant
_OPEN = "open"
_TAKEN_BACK = "taken back"
# The state of an act that cannot be read. The result of the act stays unknown.
_UNKNOWN = "unknown"
_ACTS = (
    "SELECT acts.id, maildirs.path, judgement, undoes, actions, source, folder, name, inode, mtime_ns, size, acts.time,"
    " judgements.content FROM acts JOIN judgements ON judgements.id = judgement"
    " JOIN maildirs ON maildirs.id = judgements.maildir WHERE "
)


class Journal:
    """The journal of one state folder. Used only in the thread that opened it.

    All methods, also those of `index` and `in_progress`, raise DataError if the database is damaged, and TemporaryError
    if it cannot be read or written now.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._database = JournalDatabase(connection, Explained(str(path), _LAYOUT.loss))
        # Text that is not UTF-8 damages only one cell and must not make a whole query fail.
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        self.index = InboxIndex(self._database)
        self.in_progress = InProgress(self._database, self.index)
        rows = "SELECT 1 FROM judgements WHERE id <= (SELECT max(last) FROM former) LIMIT 1"
        self.has_former = self._database.first(rows) is not None
        """Whether there may be judgements with content ids of an earlier version of this program."""

    @classmethod
    def open(cls, state: Path) -> Self:
        """Open or create the journal of a state folder. Raises the errors of `database.open_in`."""
        return cls(database.open_in(state, NAME, _LAYOUT), state / NAME)

    @classmethod
    def copy(cls, state: Path) -> Self:
        """Return a temporary copy of the journal of a state folder, for a dry run."""
        return cls(database.temporary_copy(state / NAME, _LAYOUT), state / NAME)

    def close(self) -> None:
        """Write all data to disk and close the journal."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    def transaction(self, *, durable: bool) -> contextlib.AbstractContextManager[None]:
        """Return a `database.transaction`. All changes in its block are recorded together or not at all."""
        return self._database.transaction(durable=durable, rolled_back=self._rolled_back)

    def _rolled_back(self) -> None:
        self.index.rolled_back()
        self.in_progress.rolled_back()

    def knows(self, maildir: str, content: str, *, base: str | None = None) -> bool:
        """Return whether a message with this content id was classified in a Maildir and its actions are complete.

        With `base`, only a file with this base name counts.
        """
        name = None if base is None else os.fsencode(base)
        statement = f"SELECT 1 FROM {_LATEST} WHERE complete AND base = coalesce(?, base) LIMIT 1"  # noqa: S608  a constant
        return self._database.first(statement, self.index.number(maildir), bytes.fromhex(content), name) is not None

    def has_judged(self, maildir: str, content: str, *, since: float = 0.0) -> bool:
        """Return whether the journal has a judgement of a message with this content id in a Maildir since a time."""
        statement = "SELECT 1 FROM judgements WHERE maildir = ? AND content = ? AND time >= ? LIMIT 1"
        return self._database.first(statement, self.index.number(maildir), bytes.fromhex(content), since) is not None

    def bases_of_dry_run(self, maildir: str) -> set[str]:
        """Return the base names of the messages whose last judgement was in a dry run, which reported actions only."""
        found = self._database.rows(
            # SQLite takes the other columns of a group from the row with the maximum.
            "SELECT base FROM (SELECT max(id) AS last, base, complete FROM judgements WHERE maildir = ?"
            " GROUP BY content, base)"
            " WHERE NOT complete AND NOT EXISTS (SELECT 1 FROM acts WHERE judgement = last)",
            self.index.number(maildir),
        )
        return {os.fsdecode(base) for (base,) in found if isinstance(base, bytes)}

    def position(self) -> tuple[int, int]:
        """Return the numbers of the last judgement and of the last act, or 0."""
        statement = "SELECT (SELECT coalesce(max(id), 0) FROM judgements), (SELECT coalesce(max(id), 0) FROM acts)"
        ((judgement, act),) = self._database.rows(statement)
        return int(judgement), int(act)

    def changes(self, maildir: str, content: str, *, judgement: int = 0, act: int = 0) -> JournalChanges:
        """Return the changes of a message that the journal has after the judgement and the act with these numbers.

        Only the last MOST_COPIES judgements are used. A judgement is omitted if it has an act that is omitted. Damaged
        rows are omitted, see `last_act`.
        """
        states = _OPEN, TransferResult.DONE, _TAKEN_BACK
        key = self.index.number(maildir), bytes.fromhex(content)
        judged = self._database.rows(
            f"SELECT base, time FROM {_LATEST} AS latest WHERE id > ? AND NOT EXISTS"  # noqa: S608  a constant
            " (SELECT 1 FROM acts WHERE judgement = latest.id AND acts.id <= ?) ORDER BY id",
            *key,
            judgement,
            act,
        )
        moved = self._database.rows(
            "SELECT acts.id, source, folder, name, acts.time, state = 'open', mtime_ns,"  # noqa: S608  a constant
            " undoes IS NULL AND instr(actions, ?)"
            f" FROM {_LATEST} AS latest CROSS JOIN acts ON judgement = latest.id"
            " WHERE acts.id > ? AND state IN (?, ?, ?) ORDER BY acts.id",
            Action.TAG,
            *key,
            act,
            *states,
        )
        return JournalChanges.read(judged, moved, maildir)

    def add_judgement(
        self, maildir: str, content: str, *, base: str, judgement: Judgement, complete: bool, now: float
    ) -> int:
        """Record a judgement and return its number.

        `complete` is true if nothing is to be done. Otherwise `end` completes the judgement, except after a dry run.
        """
        message = self.index.number(maildir), bytes.fromhex(content), os.fsencode(base)
        result = judgement.verdict, judgement.probability, judgement.score, judgement.reason, judgement.model
        return self._database.run(
            "INSERT INTO judgements"
            " (maildir, content, base, time, complete, verdict, probability, score, reason, model)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(*message, now, complete, *result),
        )

    def add_intent(self, judgement: int, intent: Intent, *, now: float, undoes: int | None = None) -> int:
        """Record an act that is about to be carried out, and return its number.

        Must be called in a durable transaction, and the act must be carried out only after the transaction. `undoes` is
        the number of the act that this act undoes.
        """
        paths = map(os.fsencode, (intent.source, intent.folder, intent.name))
        file = str(intent.expected.inode), intent.expected.mtime_ns, intent.expected.size
        return self._database.run(
            "INSERT INTO acts (judgement, undoes, state, actions, source, folder, name, inode, mtime_ns, size, time)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(judgement, undoes, _OPEN, " ".join(intent.actions), *paths, *file, now),
        )

    def end(self, act: int, maildir: str, intent: Intent, result: TransferResult, *, now: float) -> None:
        """Record the result of an act.

        If the result is DONE, the judgement becomes complete. An act that this act undoes is marked as taken back. If
        the message is now in the inbox, its name is added to the inbox index.
        """
        self._database.run("UPDATE acts SET state = ? WHERE id = ?", result, act)
        if result is not TransferResult.DONE:
            return
        ((judgement, undoes),) = self._database.rows("SELECT judgement, undoes FROM acts WHERE id = ?", act)
        self._database.run("UPDATE judgements SET complete = 1 WHERE id = ?", judgement)
        if undoes is not None:
            self._database.run("UPDATE acts SET state = ? WHERE id = ?", _TAKEN_BACK, undoes)
        if intent.folder == maildir:
            self.index.add(maildir, [(intent.bases[1], 0)], now=now)

    def set_aside(self, act: int) -> None:
        """Record that an unreadable act is ignored from now on, so that it is reported only once."""
        self._database.run("UPDATE acts SET state = ? WHERE id = ?", _UNKNOWN, act)

    def open_acts(self) -> list[Act | UnreadableAct]:
        """Return the unsettled acts, whose result is unknown."""
        return self._acts("state = ?", _OPEN)

    def acts(self, *, since: float) -> list[Act | UnreadableAct]:
        """Return the acts that were done since `since` (seconds since 1970) and not undone, the latest first."""
        wanted = "state = ? AND undoes IS NULL AND acts.time >= ? ORDER BY acts.time DESC, acts.id DESC"
        return self._acts(wanted, TransferResult.DONE, since)

    def filed(self) -> set[str]:
        """Return the content ids of the messages that are filed to junk folders by acts that were not undone."""
        found = self._database.rows(
            "SELECT DISTINCT content FROM acts JOIN judgements ON judgements.id = judgement"
            " WHERE undoes IS NULL AND state IN (?, ?) AND instr(actions, ?)",
            *(_OPEN, TransferResult.DONE, Action.FILE),
        )
        return {content.hex() for (content,) in found if isinstance(content, bytes)}

    def last_act(self, maildir: str, content: str) -> LastAct | None:
        """Return the last act that was done or is unsettled on a message with this content id, or None.

        An act that was undone is never the last act, because the act that undid it follows. A damaged act is returned
        as an act that left the message in the inbox, tagged as spam.
        """
        row = self._database.first(
            "SELECT acts.id, folder, actions, verdict, undoes"  # noqa: S608  a constant
            f" FROM {_LATEST} AS latest CROSS JOIN acts ON judgement = latest.id"
            " WHERE state IN (?, ?) ORDER BY acts.id DESC LIMIT 1",
            *(self.index.number(maildir), bytes.fromhex(content), _OPEN, TransferResult.DONE),
        )
        if row is None:
            return None
        number, folder, actions, verdict, undoes = row
        try:
            tagged = Action.TAG in read_actions(actions) and verdict == Verdict.SPAM and undoes is None
            return LastAct(number, read_path(folder, "folder"), tagged)
        except CellError:
            return LastAct(number, maildir, flagged=True)

    def last_verdict(self, maildir: str, content: str) -> str | None:
        """Return the verdict of the last judgement of a message with this content id, or None if there is none."""
        key = self.index.number(maildir), bytes.fromhex(content)
        row = self._database.first(f"SELECT verdict FROM {_LATEST} LIMIT 1", *key)  # noqa: S608  a constant
        return None if row is None else str(row[0])

    def renew(self, maildir: str, former: Iterable[str], content: str) -> None:
        """Replace the former content ids of a message. Does nothing if no judgement has one."""
        where = "maildir = ? AND content = ?"
        for one in former:
            key = self.index.number(maildir), bytes.fromhex(one)
            if self._database.first(f"SELECT 1 FROM judgements WHERE {where} LIMIT 1", *key) is not None:  # noqa: S608  constant
                with self.transaction(durable=False):
                    statement = f"UPDATE judgements SET content = ? WHERE {where}"  # noqa: S608  constant
                    self._database.run(statement, bytes.fromhex(content), *key)

    def prune(self) -> None:
        """Delete judgements that are too old or too many, with their acts.

        A judgement is too old if it was made before the last 90 days on which any message was classified. Only days
        with a judgement are counted, and times are not subtracted. Thus a clock that is years wrong adds only one day
        and does not make other judgements old.
        """
        statement = "SELECT max(id), count(*) FROM judgements GROUP BY CAST(time / ? AS INTEGER) ORDER BY max(id) DESC"
        days = list(self._database.rows(statement, DAY))
        forget = [last for last, _ in days[int(REMEMBERED / DAY) :][:1]]
        if sum(number for _, number in days) > MOST_JUDGEMENTS:
            statement = "SELECT id FROM judgements ORDER BY id DESC LIMIT 1 OFFSET ?"
            forget += self._database.first(statement, MOST_JUDGEMENTS) or ()
        if forget:
            self._database.run("DELETE FROM judgements WHERE id <= ?", max(forget))

    def _acts(self, condition: str, *values: object) -> list[Act | UnreadableAct]:
        return [read_act(row) for row in self._database.rows(_ACTS + condition, *values)]
