"""What the user said of which message: the store that everything learned can be made from again.

One SQLite database in the state folder, for its owner alone. A message is known by its content id, so that its copies
and its moves are the same message, and it has one row: the last thing that was said of it, in the order in which it
was said. What is learned is a function of these rows and of nothing else (contract 9): to say the same twice changes
nothing, to say the opposite is to take the first word back and to say the second, and to forget is never to have said.
"""

import contextlib
import itertools
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from spamlstm import database
from spamlstm.config import Thresholds
from spamlstm.config.places import LABELS
from spamlstm.database import Layout
from spamlstm.errors import TemporaryError
from spamlstm.learning.label import Label, Learned, Lesson, Mail, Origin, Said
from spamlstm.model.personal import SHAPE

# The oldest go first. 20,000 are learned anew in about six seconds, and what is kept of their mail is 90 MB as a rule.
MOST_LABELS = 20_000
MOST_BYTES = 256 << 20
MOST_SECONDS = 3 * 366 * 86_400
# Of one message: retraining reads windows of text, which lies before what is attached.
MOST_KEPT = 64 << 10
MOST_SUBJECT = 200
# Past its bounds the store is cut to this share of them, as everything is learned anew after a cut.
_ROOM = 0.9

_SAID = "id, content, label, time, prior, model, subject, origin"
_BARS = "CREATE TABLE bars (model TEXT PRIMARY KEY, ham REAL NOT NULL, spam REAL NOT NULL, time REAL NOT NULL);"
_LAYOUT = Layout(
    version=3,
    schema="""
CREATE TABLE labels (id INTEGER PRIMARY KEY AUTOINCREMENT, content BLOB NOT NULL UNIQUE, label TEXT NOT NULL,
    time REAL NOT NULL, prior REAL, model TEXT NOT NULL, subject TEXT NOT NULL, mail BLOB NOT NULL,
    origin TEXT NOT NULL DEFAULT 'said', source BLOB NOT NULL DEFAULT x'', tokens BLOB NOT NULL DEFAULT x'');
CREATE TABLE learned (last INTEGER PRIMARY KEY, shape TEXT NOT NULL, state BLOB NOT NULL);
CREATE TABLE epoch (number INTEGER NOT NULL);
INSERT INTO epoch VALUES (0);
"""
    + _BARS,
    # On disk when said, and erased when taken back.
    pragmas=("synchronous = FULL", "secure_delete = ON"),
    loss=", without what you labelled",
    upgrades={
        1: "ALTER TABLE labels ADD COLUMN origin TEXT NOT NULL DEFAULT 'said';"
        "ALTER TABLE labels ADD COLUMN source BLOB NOT NULL DEFAULT x'';" + _BARS,
        # A base that is asked for its scores anew tells what it read, too.
        2: "ALTER TABLE labels ADD COLUMN tokens BLOB NOT NULL DEFAULT x''; UPDATE labels SET model = '';",
    },
)


class Labels:
    """The labels of one state folder. For one thread; any number of processes may have them open."""

    def __init__(self, connection: sqlite3.Connection, *, clock: Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._clock = clock

    @classmethod
    def open(cls, state: Path, *, clock: Callable[[], float] = time.time) -> Self:
        """Open the labels of a state folder; both are made, for their owner alone, if they are not there.

        TemporaryError if another process keeps them from being opened, DataError if they are none of ours.
        """
        return cls(database.open_in(state, LABELS, _LAYOUT), clock=clock)

    @classmethod
    def copy(cls, state: Path) -> Self:
        """The labels of a state folder as they are now, in memory: for a dry run, which leaves no trace."""
        memory = database.connect(":memory:")
        if (state / LABELS).is_file():
            with contextlib.closing(cls.open(state)) as original:
                original.backup(memory)
        return cls(database.prepared(memory, "memory", _LAYOUT))

    @classmethod
    def find(cls, state: Path) -> Self | None:
        """The labels of a state folder, if anything was ever said there."""
        return cls.open(state) if (state / LABELS).is_file() else None

    def backup(self, target: sqlite3.Connection) -> None:
        """Copy all of it into another database."""
        self._connection.backup(target)

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    # --- what is said -----------------------------------------------------------------------------------------------

    def said(self, mail: Mail, label: Label) -> bool:
        """Note what the user says now; False if that was known. It is on disk when this returns."""
        return self.said_all([mail], label)[0]

    def said_all(self, mails: Sequence[Mail], label: Label) -> list[bool]:
        """Note it of several at once, all or none: a transaction costs as much as a hundred rows."""
        return self.note([(mail, label) for mail in mails])

    def note(self, pairs: Sequence[tuple[Mail, Label]]) -> list[bool]:
        """The same where not all have one label."""
        with self._change():
            return [self._say(mail, label) for mail, label in pairs]

    def forget(self, content: str) -> bool:
        """Take back what was said of a message; False if that was nothing. It is on disk when this returns."""
        with self._change():
            return self._remove(content)

    def purge(self) -> int:
        """Forget everything, and leave nothing of the mail in the file; gives how many labels there were."""
        with self._change():
            number = self._connection.execute("DELETE FROM labels").rowcount
            self._connection.execute("DELETE FROM bars")
            self._begin_anew(first=0)
        self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return number

    def prune(self) -> int:
        """Forget what is too old, and the oldest of what is too much; gives how many labels that were.

        What was adopted goes before what the user said.
        """
        with self._change():
            surplus = self._surplus()
            self._connection.executemany("DELETE FROM labels WHERE id = ?", ((number,) for number in surplus))
            if surplus:
                self._begin_anew(first=0)
        return len(surplus)

    def put_in_turns(self) -> None:
        """Let what was said in bulk be learned in turns, ham and spam, with what was said of single messages after it.

        Folders are named one after the other, and who learns believes the latest: of ham that was all learned before
        any spam, it would say less than of ham that came between.
        """
        with self._change():
            rows = self._connection.execute("SELECT id, label, origin FROM labels ORDER BY id").fetchall()
            pairs = zip(_in_turns(rows), rows, strict=True)
            moved = [row[0] for row, _ in itertools.dropwhile(lambda pair: pair[0] == pair[1], pairs)]
            if moved:
                # The numbers are the order. New ones, as no two rows may have the same at any time.
                numbers = zip(itertools.count(max(moved) + 1), moved, strict=False)
                self._connection.executemany("UPDATE labels SET id = ? WHERE id = ?", numbers)
                self._begin_anew(first=min(moved))

    def forget_adopted(self, source: str) -> int:
        """Take back what was adopted from one Maildir, and the bars; gives how many labels that were."""
        with self._change():
            gone = self._connection.execute(
                "DELETE FROM labels WHERE origin = ? AND source = ? RETURNING id",
                (Origin.ADOPTED, os.fsencode(source)),
            ).fetchall()
            if gone:
                self._connection.execute("DELETE FROM bars")
                self._begin_anew(first=min(number for (number,) in gone))
        return len(gone)

    def adopted(self) -> int:
        """How many labels were adopted, from any Maildir."""
        return int(
            self._connection.execute("SELECT count(*) FROM labels WHERE origin = ?", (Origin.ADOPTED,)).fetchone()[0]
        )

    def own(self) -> set[str]:
        """The content ids of all that the user himself said something of."""
        rows = self._connection.execute("SELECT content FROM labels WHERE origin != ?", (Origin.ADOPTED,))
        return {content.hex() for (content,) in rows}

    def set_bars(self, model: str, thresholds: Thresholds) -> None:
        """Note the thresholds that were found for this mail, for the personal layer upon the base of this name."""
        with self._change():
            self._connection.execute(
                "INSERT OR REPLACE INTO bars (model, ham, spam, time) VALUES (?, ?, ?, ?)",
                (model, thresholds.ham, thresholds.spam, self._clock()),
            )

    # --- what is known ----------------------------------------------------------------------------------------------

    def label(self, content: str) -> Label | None:
        """What the user says of a message."""
        found = self.origin(content)
        return found[0] if found else None

    def origin(self, content: str) -> tuple[Label, Origin] | None:
        """The label of a message, and how it came to be."""
        row = self._connection.execute(
            "SELECT label, origin FROM labels WHERE content = ?", (bytes.fromhex(content),)
        ).fetchone()
        return (Label(row[0]), Origin(row[1])) if row else None

    def bars(self) -> dict[str, Thresholds]:
        """The thresholds that were found for this mail, by the name of the base that they hold for."""
        return {
            model: Thresholds(ham, spam)
            for model, ham, spam in self._connection.execute("SELECT model, ham, spam FROM bars")
        }

    def counts(self) -> dict[Label, int]:
        """How many messages there are of each label."""
        rows = dict(self._connection.execute("SELECT label, count(*) FROM labels GROUP BY label"))
        return {label: rows.get(label, 0) for label in Label}

    def last(self, most: int = -1) -> Iterator[Said]:
        """What was said, the last first."""
        rows = self._connection.execute(f"SELECT {_SAID} FROM labels ORDER BY id DESC LIMIT ?", (most,))  # noqa: S608  ours
        yield from map(_said, rows)

    def kept(self, most: int = -1) -> Iterator[tuple[Said, bytes]]:
        """The last so many labels, or all, in order, each with the first MOST_KEPT bytes of its mail."""
        rows = self._connection.execute(
            f"SELECT {_SAID}, mail FROM labels"  # noqa: S608  ours
            " WHERE id IN (SELECT id FROM labels ORDER BY id DESC LIMIT ?) ORDER BY id",
            (most,),
        )
        for *said, mail in rows:
            yield _said(said), zlib.decompress(mail)

    # --- what is learned --------------------------------------------------------------------------------------------

    def lessons(self, *, after: int, most_bytes: int) -> Iterator[Lesson]:
        """The rows after the one of number `after`, in the order in which they were said."""
        rows = self._connection.execute(
            "SELECT id, label, prior, mail, origin, tokens FROM labels WHERE id > ? ORDER BY id", (after,)
        )
        for number, label, prior, mail, origin, tokens in rows:
            raw = zlib.decompressobj().decompress(mail, most_bytes)
            yield Lesson(number, Label(label) is Label.SPAM, prior, raw, Origin(origin), tokens)

    @property
    def epoch(self) -> int:
        """A number that changes whenever a row is gone that may have been learned."""
        return int(self._connection.execute("SELECT number FROM epoch").fetchone()[0])

    def learned(self) -> Learned | None:
        """The latest that was kept of what was made of the rows."""
        row = self._connection.execute(
            "SELECT last, state FROM learned WHERE shape = ? ORDER BY last DESC LIMIT 1", (SHAPE,)
        ).fetchone()
        return Learned(*row) if row else None

    def learned_until(self) -> int:
        """The number of the last row in what was kept; 0 if nothing was."""
        row = self._connection.execute("SELECT max(last) FROM learned WHERE shape = ?", (SHAPE,)).fetchone()
        return int(row[0] or 0)

    def keep(self, learned: Learned, *, epoch: int, most: int) -> None:
        """Keep what was made of the rows in that epoch, unless that has ended, and no more than the `most` latest."""
        with self._change():
            if self.epoch != epoch:
                return
            self._connection.execute("DELETE FROM learned WHERE shape != ? OR last = ?", (SHAPE, learned.last))
            self._connection.execute(
                "INSERT INTO learned (last, shape, state) VALUES (?, ?, ?)", (learned.last, SHAPE, learned.state)
            )
            self._connection.execute(
                "DELETE FROM learned WHERE last NOT IN (SELECT last FROM learned ORDER BY last DESC LIMIT ?)", (most,)
            )

    def priors_from(self, model: str) -> bool:
        """Whether each base's score is one that this model gave."""
        return self._connection.execute("SELECT 1 FROM labels WHERE model != ? LIMIT 1", (model,)).fetchone() is None

    def rescore(self, views: Mapping[int, tuple[float | None, bytes]], *, model: str) -> None:
        """Put what another base says and reads, by row, in the place of the old: all or none. The learned is void."""
        with self._change():
            self._connection.executemany(
                "UPDATE labels SET prior = ?, tokens = ?, model = ? WHERE id = ?",
                [(prior, tokens, model, number) for number, (prior, tokens) in views.items()],
            )
            self._begin_anew(first=0)

    # --- inside -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _change(self) -> Iterator[None]:
        """All of it or nothing, on disk at the end; a TemporaryError says why it is impossible now."""
        try:
            with database.transaction(self._connection, durable=True):
                yield
        except sqlite3.OperationalError as error:
            raise TemporaryError(f"the labels cannot be written now: {error}") from error

    def _say(self, mail: Mail, label: Label) -> bool:
        if (known := self.origin(mail.content)) is not None:
            said, origin = known
            if mail.origin is Origin.ADOPTED and origin is not Origin.ADOPTED:
                return False
            if said is label:
                if origin is Origin.ADOPTED and mail.origin is not Origin.ADOPTED:
                    self._own(mail)
                return False
        self._remove(mail.content)
        self._connection.execute(
            "INSERT INTO labels (content, label, time, prior, model, subject, mail, origin, source, tokens)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                bytes.fromhex(mail.content),
                label,
                self._clock(),
                mail.prior,
                mail.model,
                mail.subject[:MOST_SUBJECT].encode("utf-8", "replace").decode(),
                zlib.compress(mail.raw[:MOST_KEPT], 1),
                mail.origin,
                os.fsencode(mail.source),
                mail.tokens,
            ),
        )
        return True

    def _own(self, mail: Mail) -> None:
        """What was adopted is now the user's word; what was learned of it is the same."""
        self._connection.execute(
            "UPDATE labels SET origin = ?, source = x'' WHERE content = ?", (mail.origin, bytes.fromhex(mail.content))
        )

    def _remove(self, content: str) -> bool:
        row = self._connection.execute(
            "DELETE FROM labels WHERE content = ? RETURNING id", (bytes.fromhex(content),)
        ).fetchone()
        if row is None:
            return False
        self._begin_anew(first=row[0])
        return True

    def _begin_anew(self, *, first: int) -> None:
        """What was made of rows from `first` on is void: they are not what they were."""
        self._connection.execute("DELETE FROM learned WHERE last >= ?", (first,))
        self._connection.execute("UPDATE epoch SET number = number + 1")

    def _surplus(self) -> list[int]:
        """The numbers of the rows that the bounds leave no room for."""
        rows = self._connection.execute(
            "SELECT id, length(mail) + length(tokens), time FROM labels ORDER BY origin = 'adopted', id DESC"
        ).fetchall()
        oldest = self._clock() - MOST_SECONDS
        kept = [(number, size) for number, size, time in rows if time >= oldest]
        if len(kept) > MOST_LABELS:
            kept = kept[: int(MOST_LABELS * _ROOM)]
        if sum(size for _, size in kept) > MOST_BYTES:
            room = MOST_BYTES * _ROOM
            sums = itertools.accumulate(size for _, size in kept)
            kept = [row for row, total in zip(kept, sums, strict=True) if total <= room]
        stay = {number for number, _ in kept}
        return [number for number, _, _ in rows if number not in stay]


def _in_turns(rows: Sequence[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """The same rows (id, label, origin): what was said in bulk at the place of its first, evenly mixed."""
    bulk = [row for row in rows if row[2] == Origin.BULK]
    if not bulk:
        return list(rows)
    kinds = [[row for row in bulk if row[1] == label] for label in Label]
    spread = [((place + 0.5) / len(kind), row[1], row) for kind in kinds for place, row in enumerate(kind)]
    before = [row for row in rows if row[0] < bulk[0][0]]
    after = [row for row in rows if row[0] > bulk[0][0] and row[2] != Origin.BULK]
    return [*before, *(row for *_, row in sorted(spread)), *after]


def _said(row: Sequence[Any]) -> Said:
    """One row of the columns _SAID."""
    number, content, label, moment, prior, model, subject, origin = row
    return Said(number, content.hex(), Label(label), moment, prior, model, subject, Origin(origin))
