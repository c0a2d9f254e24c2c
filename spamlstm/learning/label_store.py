"""What the user said of which message: the store that everything learned can be made from again.

One SQLite database in the state folder, for its owner alone. A message is known by its content id, so that its copies
and its moves are the same message, and it has one row: the last thing that was said of it, in the order in which it
was said. What is learned is a function of these rows and of nothing else (contract 9): to say the same twice changes
nothing, to say the opposite is to take the first word back and to say the second, and to forget is never to have said.
"""

import contextlib
import functools
import itertools
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from spamlstm import database
from spamlstm.cells import MOST_ROWS, whole
from spamlstm.config import Thresholds
from spamlstm.config.locations import LABELS
from spamlstm.learning import label_rows
from spamlstm.learning.bounds import surplus
from spamlstm.learning.label import Example, Label, LabelRequest, Origin, SavedLayer, StoredLabel
from spamlstm.learning.label_rows import EXAMPLE, LAYOUT, MOST_KEPT, MOST_SUBJECT, STORED_LABEL
from spamlstm.learning.turns import interleave
from spamlstm.model.personal_layer import SHAPE

T = TypeVar("T")


class LabelStore:
    """The labels of one state folder. For one thread; any number of processes may have them open.

    Each method raises DataError where the store is damaged, and TemporaryError where it cannot be read or written now.
    """

    def __init__(
        self, connection: sqlite3.Connection, *, clock: Callable[[], float] = time.time, shown: str = "memory"
    ) -> None:
        """`shown` names the store in what is said of it."""
        self._connection = connection
        self._clock = clock
        self.shown = shown
        self._explained = database.Explained(shown, LAYOUT.loss)

    @classmethod
    def open(cls, state: Path, *, clock: Callable[[], float] = time.time) -> Self:
        """Open the labels of a state folder; both are made, for their owner alone, if they are not there.

        TemporaryError if another process keeps them from being opened, DataError if they are none of ours.
        """
        return cls(database.open_in(state, LABELS, LAYOUT), clock=clock, shown=str(state / LABELS))

    @classmethod
    def copy(cls, state: Path) -> Self:
        """The labels of a state folder as they are now, in memory: for a dry run, which leaves no trace."""
        memory = database.connect(":memory:")
        if (state / LABELS).is_file():
            with contextlib.closing(cls.open(state)) as original:
                original.backup(memory)
        return cls(database.prepared(memory, "memory", LAYOUT))

    @classmethod
    def find(cls, state: Path) -> Self | None:
        """The labels of a state folder, if anything was ever said there."""
        return cls.open(state) if (state / LABELS).is_file() else None

    def backup(self, target: sqlite3.Connection) -> None:
        """Copy all of it into another database."""
        with self._explained:
            self._connection.backup(target)

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    # --- what is said -----------------------------------------------------------------------------------------------

    def add(self, mail: LabelRequest, label: Label) -> bool:
        """Note what the user says now; False if that was known. It is on disk when this returns."""
        return self.add_all([mail], label)[0]

    def add_all(self, mails: Sequence[LabelRequest], label: Label) -> list[bool]:
        """Note it of several at once, all or none: a transaction costs as much as a hundred rows."""
        return self.add_pairs([(mail, label) for mail in mails])

    def add_pairs(self, pairs: Sequence[tuple[LabelRequest, Label]]) -> list[bool]:
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
        with self._explained:
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return number

    def prune(self) -> int:
        """Forget what the `bounds` leave no room for; gives how many labels that were, for the caller to tell."""
        with self._change():
            rows = self._connection.execute(
                "SELECT id, length(mail) + length(tokens), time, origin = 'adopted' FROM labels ORDER BY id DESC"
            )
            gone = surplus([label_rows.weight(row) for row in rows])
            self._connection.executemany("DELETE FROM labels WHERE id = ?", ((number,) for number in gone))
            if gone:
                self._begin_anew(first=0)
        return len(gone)

    def put_in_turns(self) -> None:
        """Let what was said in bulk be learned in turns, ham and spam, with what was said of single messages after it.

        Folders are named one after the other, and who learns believes the latest: of ham that was all learned before
        any spam, it would say less than of ham that came between.
        """
        with self._change():
            rows = list(self._decoded(label_rows.turn, "SELECT id, label, origin FROM labels ORDER BY id"))
            pairs = zip(interleave(rows), rows, strict=True)
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
        return self._first(_number, "SELECT count(*) FROM labels WHERE origin = ?", Origin.ADOPTED) or 0

    def own(self) -> set[str]:
        """The content ids of all that the user himself said something of."""
        return set(
            self._decoded(
                lambda row: label_rows.stored_content_id(row[0]),
                "SELECT content FROM labels WHERE origin != ?",
                Origin.ADOPTED,
            )
        )

    def set_thresholds(self, model: str, thresholds: Thresholds) -> None:
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
        return self._first(
            label_rows.origin, "SELECT label, origin FROM labels WHERE content = ?", bytes.fromhex(content)
        )

    def thresholds(self) -> dict[str, Thresholds]:
        """The thresholds that were found for this mail, by the name of the base that they hold for."""
        return dict(self._decoded(label_rows.thresholds, "SELECT model, ham, spam FROM bars"))

    def counts(self) -> dict[Label, int]:
        """How many messages there are of each label."""
        rows = dict(self._decoded(label_rows.label_count, "SELECT label, count(*) FROM labels GROUP BY label"))
        return {label: rows.get(label, 0) for label in Label}

    def last(self, most: int = -1) -> Iterator[StoredLabel]:
        """What was said, the last first."""
        latest = f"SELECT {STORED_LABEL} FROM labels ORDER BY id DESC LIMIT ?"  # noqa: S608  constant columns
        return self._decoded(label_rows.stored_label, latest, most)

    def kept(self, most: int = -1) -> Iterator[tuple[StoredLabel, bytes]]:
        """The last so many labels, or all, in order, each with the first MOST_KEPT bytes of its mail."""
        return self._decoded(
            label_rows.kept,
            f"SELECT {STORED_LABEL}, mail FROM labels"  # noqa: S608  ours
            " WHERE id IN (SELECT id FROM labels ORDER BY id DESC LIMIT ?) ORDER BY id",
            most,
        )

    # --- what is learned --------------------------------------------------------------------------------------------

    def examples(self, *, after: int, most_bytes: int) -> Iterator[Example]:
        """The rows after the one of number `after`, in the order in which they were said."""
        return self._decoded(
            functools.partial(label_rows.example, most_bytes=most_bytes),
            f"SELECT {EXAMPLE} FROM labels WHERE id > ? ORDER BY id",  # noqa: S608  ours
            after,
        )

    @property
    def epoch(self) -> int:
        """A number that changes whenever a row is gone that may have been learned."""
        return self._first(_number, "SELECT coalesce((SELECT number FROM epoch), '')") or 0

    def learned(self) -> SavedLayer | None:
        """The latest that was kept of what was made of the rows; DataError if that is not as it was kept."""
        return self._first(
            label_rows.saved_layer,
            "SELECT last, state, checksum FROM learned WHERE shape = ? ORDER BY last DESC LIMIT 1",
            SHAPE,
        )

    def drop_learned(self) -> None:
        """Keep nothing of what was made of the rows: it can be made again."""
        with self._change():
            self._connection.execute("DELETE FROM learned")

    def learned_until(self) -> int:
        """The number of the last row in what was kept; 0 if nothing was."""
        return self._first(_number, "SELECT coalesce(max(last), 0) FROM learned WHERE shape = ?", SHAPE) or 0

    def keep(self, learned: SavedLayer, *, epoch: int, most: int) -> None:
        """Keep what was made of the rows in that epoch, unless that has ended, and no more than the `most` latest."""
        with self._change():
            if self.epoch != epoch:
                return
            self._connection.execute("DELETE FROM learned WHERE shape != ? OR last = ?", (SHAPE, learned.last))
            self._connection.execute(
                "INSERT INTO learned (last, shape, state, checksum) VALUES (?, ?, ?, ?)",
                (learned.last, SHAPE, learned.state, label_rows.checksum(learned)),
            )
            self._connection.execute(
                "DELETE FROM learned WHERE last NOT IN (SELECT last FROM learned ORDER BY last DESC LIMIT ?)", (most,)
            )

    def priors_from(self, model: str) -> bool:
        """Whether each base's score is one that this model gave."""
        return self._first(_number, "SELECT 1 FROM labels WHERE model != ? LIMIT 1", model) is None

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
        """All of it or nothing, on disk at the end."""
        with self._explained, database.transaction(self._connection, durable=True):
            yield

    def _decoded(self, decode: Callable[[tuple[Any, ...]], T], statement: str, *values: object) -> Iterator[T]:
        """The rows that a statement gives, each decoded."""
        with self._explained:
            for row in self._connection.execute(statement, values):
                yield decode(row)

    def _first(self, decode: Callable[[tuple[Any, ...]], T], statement: str, *values: object) -> T | None:
        """The first of these rows, decoded; None if there is none."""
        with self._explained:
            row = self._connection.execute(statement, values).fetchone()
            return None if row is None else decode(row)

    def _say(self, mail: LabelRequest, label: Label) -> bool:
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

    def _own(self, mail: LabelRequest) -> None:
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


def _number(row: tuple[Any, ...]) -> int:
    """One row of one column, a number."""
    return whole(row[0], "number", least=-MOST_ROWS)
