"""The label store: a user's labels, from which everything that was learned can be computed again.

It is one SQLite database in the state folder, readable by its owner only. Messages are identified by content id, so
copies and moved files are the same message. Each labelled message has one row with its latest label, and ids give the
order of the labels. What is learned is a function of these rows (contract 11): the same label again changes nothing,
the opposite label replaces the first, and to forget a label is as if it had never been given.
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
from spamlstm.learning.label import Example, Label, LabelRequest, Origin, SavedLayer, StoredLabel, interleave
from spamlstm.learning.label_rows import EXAMPLE, LAYOUT, MOST_KEPT, MOST_SUBJECT, STORED_LABEL
from spamlstm.model.personal_layer import SHAPE

T = TypeVar("T")


class LabelStore:
    """The labels of one state folder, for one thread; several processes may have them open.

    All methods raise DataError if the store is damaged, and TemporaryError if it cannot be read or written now. A
    change is on disk when its method returns.
    """

    def __init__(
        self, connection: sqlite3.Connection, *, clock: Callable[[], float] = time.time, shown: str = "memory"
    ) -> None:
        """Use an open database; `shown` is its name in messages."""
        self._connection = connection
        self._clock = clock
        self.shown = shown
        self._explained = database.Explained(shown, LAYOUT.loss)

    @classmethod
    def open(cls, state: Path, *, clock: Callable[[], float] = time.time) -> Self:
        """Open the labels of a state folder; creates both, for their owner alone, if they do not exist.

        TemporaryError if another process holds a lock, DataError if the file is not a label store.
        """
        return cls(database.open_in(state, LABELS, LAYOUT), clock=clock, shown=str(state / LABELS))

    @classmethod
    def copy(cls, state: Path) -> Self:
        """Return a copy of the labels in memory, for a dry run."""
        memory = database.connect(":memory:")
        if (state / LABELS).is_file():
            with contextlib.closing(cls.open(state)) as original:
                original.backup(memory)
        return cls(database.prepared(memory, "memory", LAYOUT))

    @classmethod
    def find(cls, state: Path) -> Self | None:
        """Open the labels of a state folder; None if it has none."""
        return cls.open(state) if (state / LABELS).is_file() else None

    def backup(self, target: sqlite3.Connection) -> None:
        """Copy the store into another database."""
        with self._explained:
            self._connection.backup(target)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    # --- changes ----------------------------------------------------------------------------------------------------

    def add(self, mail: LabelRequest, label: Label) -> bool:
        """Store the label of a message; False if the message has it already."""
        return self.add_pairs([(mail, label)])[0]

    def add_pairs(self, pairs: Sequence[tuple[LabelRequest, Label]]) -> list[bool]:
        """Store several labels, all or none: a transaction costs as much as a hundred rows."""
        with self._change():
            return [self._add(mail, label) for mail, label in pairs]

    def forget(self, content: str) -> bool:
        """Remove the label of a message; False if it has none."""
        with self._change():
            return self._remove(content)

    def purge(self) -> int:
        """Remove everything, and leave nothing of the mail in the file; return the number of labels removed."""
        with self._change():
            number = self._connection.execute("DELETE FROM labels").rowcount
            self._connection.execute("DELETE FROM thresholds")
            self._invalidate(first=0)
        with self._explained:
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return number

    def prune(self) -> int:
        """Remove labels beyond the `bounds`; return how many, for the caller to report."""
        with self._change():
            rows = self._connection.execute(
                "SELECT id, length(mail) + length(tokens), time, origin = 'adopted' FROM labels ORDER BY id DESC"
            )
            removed = surplus([label_rows.sized_row(row) for row in rows])
            self._connection.executemany("DELETE FROM labels WHERE id = ?", ((number,) for number in removed))
            if removed:
                self._invalidate(first=0)
        return len(removed)

    def interleave_bulk(self) -> None:
        """Interleave bulk ham and spam labels, and put the labels of single messages after them.

        Users name folders one after the other, and learning follows the latest labels: ham that was all learned before
        any spam would count less.
        """
        with self._change():
            rows = list(self._decoded(label_rows.ordered_row, "SELECT id, label, origin FROM labels ORDER BY id"))
            pairs = zip(interleave(rows), rows, strict=True)
            moved = [row[0] for row, _ in itertools.dropwhile(lambda pair: pair[0] == pair[1], pairs)]
            if moved:
                # The ids give the order. All of them are new, because no two rows may have the same id at any time.
                numbers = zip(itertools.count(max(moved) + 1), moved, strict=False)
                self._connection.executemany("UPDATE labels SET id = ? WHERE id = ?", numbers)
                self._invalidate(first=min(moved))

    def forget_adopted(self, source: str) -> int:
        """Remove the labels that were adopted from one Maildir, and the thresholds; return the number of labels."""
        with self._change():
            removed = self._connection.execute(
                "DELETE FROM labels WHERE origin = ? AND source = ? RETURNING id", (Origin.ADOPTED, os.fsencode(source))
            ).fetchall()
            if removed:
                self._connection.execute("DELETE FROM thresholds")
                self._invalidate(first=min(number for (number,) in removed))
        return len(removed)

    def set_thresholds(self, model: str, thresholds: Thresholds) -> None:
        """Store the thresholds found for this mail with the base model of this label."""
        with self._change():
            self._connection.execute(
                "INSERT OR REPLACE INTO thresholds (model, ham, spam, time) VALUES (?, ?, ?, ?)",
                (model, thresholds.ham, thresholds.spam, self._clock()),
            )

    # --- queries ----------------------------------------------------------------------------------------------------

    def adopted(self) -> int:
        """Return the number of adopted labels, from all Maildirs."""
        return self._first(_number, "SELECT count(*) FROM labels WHERE origin = ?", Origin.ADOPTED) or 0

    def labelled_by_user(self) -> set[str]:
        """Return the content ids of all messages that the user labelled, as against adopted ones."""
        return set(
            self._decoded(
                lambda row: label_rows.stored_content_id(row[0]),
                "SELECT content FROM labels WHERE origin != ?",
                Origin.ADOPTED,
            )
        )

    def label(self, content: str) -> Label | None:
        """Return the label of a message."""
        known = self.origin(content)
        return known[0] if known else None

    def origin(self, content: str) -> tuple[Label, Origin] | None:
        """Return the label of a message and its origin."""
        return self._first(
            label_rows.origin, "SELECT label, origin FROM labels WHERE content = ?", bytes.fromhex(content)
        )

    def thresholds(self) -> dict[str, Thresholds]:
        """Return the thresholds found for this mail, by the label of the base model that they hold for."""
        return dict(self._decoded(label_rows.thresholds, "SELECT model, ham, spam FROM thresholds"))

    def counts(self) -> dict[Label, int]:
        """Return the number of messages with each label."""
        rows = dict(self._decoded(label_rows.label_count, "SELECT label, count(*) FROM labels GROUP BY label"))
        return {label: rows.get(label, 0) for label in Label}

    def last(self, most: int = -1) -> Iterator[StoredLabel]:
        """Yield the last `most` labels, or all, the latest first."""
        latest = f"SELECT {STORED_LABEL} FROM labels ORDER BY id DESC LIMIT ?"  # noqa: S608  constant columns
        return self._decoded(label_rows.stored_label, latest, most)

    def kept(self, most: int = -1) -> Iterator[tuple[StoredLabel, bytes]]:
        """Yield the last `most` labels, or all, in order, each with the first MOST_KEPT bytes of its mail."""
        return self._decoded(
            label_rows.kept,
            f"SELECT {STORED_LABEL}, mail FROM labels"  # noqa: S608  constant columns
            " WHERE id IN (SELECT id FROM labels ORDER BY id DESC LIMIT ?) ORDER BY id",
            most,
        )

    # --- learning ---------------------------------------------------------------------------------------------------

    def examples(self, *, after: int, most_bytes: int) -> Iterator[Example]:
        """Yield the rows with ids above `after` in order, each with at most `most_bytes` of its mail."""
        return self._decoded(
            functools.partial(label_rows.example, most_bytes=most_bytes),
            f"SELECT {EXAMPLE} FROM labels WHERE id > ? ORDER BY id",  # noqa: S608  constant columns
            after,
        )

    @property
    def epoch(self) -> int:
        """A number that changes whenever rows that may have been learned are removed or changed."""
        return self._first(_number, "SELECT coalesce((SELECT number FROM epoch), '')") or 0

    def learned(self) -> SavedLayer | None:
        """Return the latest saved layer; DataError if it is damaged."""
        return self._first(
            label_rows.saved_layer,
            "SELECT last, state, checksum FROM learned WHERE shape = ? ORDER BY last DESC LIMIT 1",
            SHAPE,
        )

    def drop_learned(self) -> None:
        """Delete the saved layers, which can be learned again."""
        with self._change():
            self._connection.execute("DELETE FROM learned")

    def learned_until(self) -> int:
        """Return the id of the last row that the latest saved layer learned; 0 without one."""
        return self._first(_number, "SELECT coalesce(max(last), 0) FROM learned WHERE shape = ?", SHAPE) or 0

    def keep(self, learned: SavedLayer, *, epoch: int, most: int) -> None:
        """Save a layer that was learned in `epoch`, unless that has changed, and keep the `most` latest layers."""
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
        """Return whether all base scores are by this model."""
        return self._first(_number, "SELECT 1 FROM labels WHERE model != ? LIMIT 1", model) is None

    def rescore(self, bases: Mapping[int, tuple[float | None, bytes]], *, model: str) -> None:
        """Replace the base scores and tokens of rows by those of another model, all or none."""
        with self._change():
            self._connection.executemany(
                "UPDATE labels SET prior = ?, tokens = ?, model = ? WHERE id = ?",
                [(prior, tokens, model, number) for number, (prior, tokens) in bases.items()],
            )
            self._invalidate(first=0)

    # --- inside -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _change(self) -> Iterator[None]:
        """Run a durable transaction."""
        with self._explained, database.transaction(self._connection, durable=True):
            yield

    def _decoded(self, decode: Callable[[tuple[Any, ...]], T], statement: str, *values: object) -> Iterator[T]:
        """Yield the rows that a statement returns, decoded."""
        with self._explained:
            for row in self._connection.execute(statement, values):
                yield decode(row)

    def _first(self, decode: Callable[[tuple[Any, ...]], T], statement: str, *values: object) -> T | None:
        """Return the first row of a statement, decoded; None without one."""
        with self._explained:
            row = self._connection.execute(statement, values).fetchone()
            return None if row is None else decode(row)

    def _add(self, mail: LabelRequest, label: Label) -> bool:
        if (known := self.origin(mail.content)) is not None:
            current, origin = known
            if mail.origin is Origin.ADOPTED and origin is not Origin.ADOPTED:
                return False
            if current is label:
                if origin is Origin.ADOPTED and mail.origin is not Origin.ADOPTED:
                    # The label is the user's own now; what was learned from it stays the same.
                    self._connection.execute(
                        "UPDATE labels SET origin = ?, source = x'' WHERE content = ?",
                        (mail.origin, bytes.fromhex(mail.content)),
                    )
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

    def _remove(self, content: str) -> bool:
        row = self._connection.execute(
            "DELETE FROM labels WHERE content = ? RETURNING id", (bytes.fromhex(content),)
        ).fetchone()
        if row is None:
            return False
        self._invalidate(first=row[0])
        return True

    def _invalidate(self, *, first: int) -> None:
        """Delete saved layers that learned rows from id `first` on, because these rows have changed."""
        self._connection.execute("DELETE FROM learned WHERE last >= ?", (first,))
        self._connection.execute("UPDATE epoch SET number = number + 1")


def _number(row: tuple[Any, ...]) -> int:
    """Decode a row of one column, a number."""
    return whole(row[0], "number", least=-MOST_ROWS)
