"""What was judged, and what is done about it: written down before it is done.

One SQLite database in the state folder, in WAL mode. A transaction that holds an intent is on disk (fsync) before the
act; one that only tells of what happened needs no fsync, as a loss of it is made good: an act that looks unfinished is
settled by what lies on disk, and a message that looks new is judged once more.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from spamlstm import database
from spamlstm.cells import MOST_ROWS, CellError, blob, moment, text, whole, word
from spamlstm.config import Action
from spamlstm.database import Layout
from spamlstm.filtering import in_progress
from spamlstm.filtering.in_progress import InProgress
from spamlstm.filtering.inbox_index import DAY, REMEMBERED, SCHEMA, InboxIndex
from spamlstm.maildir.transfer import Identity, TransferResult
from spamlstm.verdict import Judgement, Verdict

NAME = "journal.sqlite"
# About 300 MB. The oldest go first; `undo` and the knowledge of a message that comes back reach as far as they do.
MOST_JUDGEMENTS = 1_000_000

_LAYOUT = Layout(
    version=2,
    schema=SCHEMA
    + in_progress.SCHEMA
    + """
CREATE TABLE IF NOT EXISTS judgements (id INTEGER PRIMARY KEY, maildir INTEGER NOT NULL, content BLOB NOT NULL,
    base BLOB NOT NULL, time REAL NOT NULL, stands INTEGER NOT NULL, verdict TEXT NOT NULL, probability REAL,
    score REAL, reason TEXT NOT NULL, model TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS judgements_content ON judgements (maildir, content);
CREATE TABLE IF NOT EXISTS acts (id INTEGER PRIMARY KEY,
    judgement INTEGER NOT NULL REFERENCES judgements ON DELETE CASCADE, undoes INTEGER, state TEXT NOT NULL,
    actions TEXT NOT NULL, source BLOB NOT NULL, folder BLOB NOT NULL, name BLOB NOT NULL, inode TEXT NOT NULL,
    mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL, time REAL NOT NULL);
CREATE INDEX IF NOT EXISTS acts_judgement ON acts (judgement);
CREATE INDEX IF NOT EXISTS acts_open ON acts (state) WHERE state = 'open';
""",
    pragmas=("foreign_keys = ON",),
    upgrades={1: in_progress.SCHEMA},
    loss=": mail that lies in the inboxes then counts as judged, and undo has nothing to take back",
)
_OPEN = "open"
_TAKEN_BACK = "taken back"
# The state of an act that cannot be read: nobody will know what became of it.
_UNKNOWN = "unknown"
_MOST_PATH = 4096
_ACTS = (
    "SELECT acts.id, maildirs.path, judgement, undoes, actions, source, folder, name, inode, mtime_ns, size, acts.time,"
    " judgements.content FROM acts JOIN judgements ON judgements.id = judgement"
    " JOIN maildirs ON maildirs.id = judgements.maildir WHERE "
)


@dataclass(frozen=True, slots=True)
class Intent:
    """An act on one message, as it is noted before it is made: enough to settle it, and to take it back."""

    source: str
    """The path of the message."""
    expected: Identity
    """What lies there."""
    folder: str
    """The folder that it will be in: its own, or the junk folder."""
    name: str
    """The file name that it will have there: the base is fresh, unless only a keyword is set."""
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Act:
    """An intent that is in the journal."""

    id: int
    maildir: str
    judgement: int
    undoes: int | None
    intent: Intent
    time: float
    content: str


@dataclass(frozen=True, slots=True)
class UnreadableAct:
    """An act in the journal that this program did not write so: it is never carried out, settled or taken back."""

    id: int
    maildir: str
    why: str


@dataclass(frozen=True, slots=True)
class LastAct:
    """What we did last with a message, as far as it tells whose doing its place is."""

    id: int
    folder: str
    """Where we put it, or left it."""
    flagged: bool
    """Whether it carries our headers as spam, by which a rule of its user may move it."""


class Journal:
    """The record of one state folder. For one thread: the one that opened it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # A text that is not UTF-8 is one damaged cell, not a question that fails.
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        self.index = InboxIndex(connection)
        self.in_progress = InProgress(connection, self.index)

    @classmethod
    def open(cls, state: Path) -> Self:
        """Open the journal of a state folder; raises and makes as `database.open_in` does."""
        return cls(database.open_in(state, NAME, _LAYOUT))

    @classmethod
    def copy(cls, state: Path) -> Self:
        """The journal of a state folder as it is now, in memory: for a dry run, which leaves no trace."""
        path = state / NAME
        memory = database.connect(":memory:")
        if not path.is_file():
            return cls(database.prepared(memory, "memory", _LAYOUT))
        with contextlib.closing(sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True)) as original:
            original.backup(memory)
        return cls(database.prepared(memory, str(path), _LAYOUT))

    def close(self) -> None:
        """Bring all to disk and let go of it."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    @contextlib.contextmanager
    def group(self, *, durable: bool) -> Iterator[None]:
        """All that is noted in the block, together or not at all: a `database.transaction`."""
        try:
            with database.transaction(self._connection, durable=durable):
                yield
        except BaseException:
            self.index.rolled_back()
            self.in_progress.rolled_back()
            raise

    def knows(self, maildir: str, content: str) -> bool:
        """Whether a message of this content was judged there, and all was done that had to be."""
        found = self._connection.execute(
            "SELECT 1 FROM judgements WHERE maildir = ? AND content = ? AND stands LIMIT 1",
            (self.index.number(maildir), bytes.fromhex(content)),
        )
        return found.fetchone() is not None

    def judged(self, maildir: str, content: str, *, base: str, judgement: Judgement, stands: bool, now: float) -> int:
        """Note a judgement; gives its number. It `stands` if nothing is to be done, or else once `end` says so."""
        done = self._connection.execute(
            "INSERT INTO judgements (maildir, content, base, time, stands, verdict, probability, score, reason, model)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.index.number(maildir),
                bytes.fromhex(content),
                os.fsencode(base),
                now,
                stands,
                judgement.verdict,
                judgement.probability,
                judgement.score,
                judgement.reason,
                judgement.model,
            ),
        )
        return int(done.lastrowid or 0)

    def intend(self, judgement: int, intent: Intent, *, now: float, undoes: int | None = None) -> int:
        """Note what is about to be done, or taken back (`undoes` is the act); gives its number. In a durable group."""
        known = intent.expected
        done = self._connection.execute(
            "INSERT INTO acts (judgement, undoes, state, actions, source, folder, name, inode, mtime_ns, size, time)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                judgement,
                undoes,
                _OPEN,
                " ".join(intent.actions),
                os.fsencode(intent.source),
                os.fsencode(intent.folder),
                os.fsencode(intent.name),
                str(known.inode),
                known.mtime_ns,
                known.size,
                now,
            ),
        )
        return int(done.lastrowid or 0)

    def end(self, act: int, outcome: TransferResult) -> None:
        """Note what became of an act. Done, its judgement stands, or what it undoes is taken back."""
        self._connection.execute("UPDATE acts SET state = ? WHERE id = ?", (outcome, act))
        if outcome is not TransferResult.DONE:
            return
        (judgement, undoes) = self._connection.execute(
            "SELECT judgement, undoes FROM acts WHERE id = ?", (act,)
        ).fetchone()
        self._connection.execute("UPDATE judgements SET stands = 1 WHERE id = ?", (judgement,))
        if undoes is not None:
            self._connection.execute("UPDATE acts SET state = ? WHERE id = ?", (_TAKEN_BACK, undoes))

    def set_aside(self, act: int) -> None:
        """Note of an unreadable act that it is left alone, so that it is told once."""
        self._connection.execute("UPDATE acts SET state = ? WHERE id = ?", (_UNKNOWN, act))

    def open_acts(self) -> list[Act | UnreadableAct]:
        """The acts of which nobody knows yet what became of them."""
        return self._acts("state = ?", _OPEN)

    def acts(self, *, since: float) -> list[Act | UnreadableAct]:
        """What was done since then and not taken back, the latest first."""
        wanted = "state = ? AND undoes IS NULL AND acts.time >= ? ORDER BY acts.time DESC, acts.id DESC"
        return self._acts(wanted, TransferResult.DONE, since)

    def filed(self) -> set[str]:
        """The content ids of what we filed to junk folders, and have not taken back."""
        found = self._connection.execute(
            "SELECT DISTINCT content FROM acts JOIN judgements ON judgements.id = judgement"
            " WHERE undoes IS NULL AND state IN (?, ?) AND instr(actions, ?)",
            (_OPEN, TransferResult.DONE, Action.FILE),
        )
        return {content.hex() for (content,) in found if isinstance(content, bytes)}

    def last_act(self, maildir: str, content: str) -> LastAct | None:
        """The last act on a message of this content that was made, or is being made; None if there is none.

        One that was taken back is followed by that act, so that it is never the last. Of one that cannot be read
        nothing follows: it counts as ours, and as one that left the message in the inbox.
        """
        row = self._connection.execute(
            "SELECT acts.id, folder, actions, verdict, undoes FROM acts JOIN judgements ON judgements.id = judgement"
            " WHERE maildir = ? AND content = ? AND state IN (?, ?) ORDER BY acts.id DESC LIMIT 1",
            (self.index.number(maildir), bytes.fromhex(content), _OPEN, TransferResult.DONE),
        ).fetchone()
        if row is None:
            return None
        number, folder, actions, verdict, undoes = row
        try:
            tagged = Action.TAG in _actions(actions) and verdict == Verdict.SPAM and undoes is None
            return LastAct(number, _path(folder, "folder"), tagged)
        except CellError:
            return LastAct(number, maildir, flagged=True)

    def prune(self) -> None:
        """Forget judgements, and the acts that followed, that are too old or too many.

        Old is what was judged before the last 90 days on which anything was judged. Days are counted, by the times that
        were noted, and not subtracted: a clock that is years wrong is one more day, and makes nothing old.
        """
        days = self._connection.execute(
            "SELECT max(id), count(*) FROM judgements GROUP BY CAST(time / ? AS INTEGER) ORDER BY max(id) DESC", (DAY,)
        ).fetchall()
        forget = [last for last, _ in days[int(REMEMBERED / DAY) :][:1]]
        if sum(number for _, number in days) > MOST_JUDGEMENTS:
            forget += self._connection.execute(
                "SELECT id FROM judgements ORDER BY id DESC LIMIT 1 OFFSET ?", (MOST_JUDGEMENTS,)
            ).fetchone()
        if forget:
            self._connection.execute("DELETE FROM judgements WHERE id <= ?", (max(forget),))

    def _acts(self, condition: str, *values: object) -> list[Act | UnreadableAct]:
        return [_act(row) for row in self._connection.execute(_ACTS + condition, values)]


def _act(row: tuple[Any, ...]) -> Act | UnreadableAct:
    number, path = row[:2]
    try:
        maildir = _path(path, "path")
        return Act(number, maildir, *_checked(row[2:], maildir))
    except CellError as error:
        return UnreadableAct(number, os.fsdecode(path) if isinstance(path, bytes) else "", str(error))


def _checked(row: tuple[Any, ...], maildir: str) -> tuple[int, int | None, Intent, float, str]:
    """The rest of an act; CellError unless it is one within its Maildir."""
    judgement, undoes, actions, source, folder, name, inode, mtime_ns, size, time, content = row
    intent = Intent(
        source=_path(source, "source"),
        expected=Identity(_inode(inode), whole(mtime_ns, "mtime_ns", least=-MOST_ROWS), whole(size, "size")),
        folder=_path(folder, "folder"),
        name=_path(name, "name"),
        actions=_actions(actions),
    )
    if "/" in intent.name or intent.name in (".", ".."):
        raise CellError("name", name)
    if not _is_within(maildir, intent.folder):
        raise CellError("folder (it is not in the Maildir)", folder)
    mailbox, part, base = (*intent.source.rsplit("/", 2), "", "")[:3]
    if not _is_within(maildir, mailbox) or part not in ("new", "cur") or base in (".", ".."):
        raise CellError("source (it is not in the Maildir)", source)
    return (
        whole(judgement, "judgement"),
        None if undoes is None else whole(undoes, "undoes"),
        intent,
        moment(time, "time"),
        blob(content, "content", most=16, length=16).hex(),
    )


def _is_within(maildir: str, folder: str) -> bool:
    """Whether a folder is the Maildir or below it, by its path."""
    below = folder.removeprefix(maildir)
    return folder.startswith(maildir) and (not below or below[0] == "/") and not _climbs(below)


def _climbs(below: str) -> bool:
    return any(part in ("", ".", "..") for part in below.split("/")[1:])


def _path(cell: Any, column: str) -> str:
    path = os.fsdecode(blob(cell, column, most=_MOST_PATH))
    if not path or "\0" in path:
        raise CellError(column, cell)
    return path


def _actions(cell: Any) -> tuple[Action, ...]:
    return tuple(word(one, "actions", Action) for one in text(cell, "actions").split())


def _inode(cell: Any) -> int:
    """64 bits, more than SQLite's numbers have: a text."""
    number = text(cell, "inode", most=20)
    if not (number.isascii() and number.isdecimal()):
        raise CellError("inode", cell)
    return int(number)


def _quoted(path: Path) -> str:
    from urllib.parse import quote_from_bytes

    return quote_from_bytes(os.fsencode(path.absolute()))
