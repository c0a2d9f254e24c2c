"""The label store: the user's labels, from which everything that was learned can be computed again.

The store is one SQLite database in the state folder. Only the owner of the folder can read the database. A message is
identified by its content id, so copies and moved files count as one message. Each labelled message has one row with its
latest label, and the ids of the rows give the order of the labels. The learned state depends only on these rows.
Giving the current label again changes nothing, and the opposite label replaces the current label. After a label is
forgotten, the learned state is as if the label had never been given.

The base score of a message (`prior`) is the score of the model before personal labels. The personal layer is learned
from the labels and corrects base scores. An adopted label was created from evidence in an existing mailbox.
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
from typing import Self

from spamlstm import database
from spamlstm.config.locations import LABELS
from spamlstm.learning import label_rows
from spamlstm.learning.adopted_sources import AdoptedSources
from spamlstm.learning.label import Example, Label, LabelRequest, Origin, StoredLabel, interleave
from spamlstm.learning.label_database import LabelDatabase, number_from
from spamlstm.learning.label_rows import EXAMPLE, LAYOUT, MOST_KEPT, MOST_SUBJECT, STORED_LABEL, surplus
from spamlstm.learning.saved_layers import SavedLayers
from spamlstm.learning.written_names import WrittenNames
from spamlstm.maildir.content_id import former_content_ids


class LabelStore:
    """The labels of one state folder. Use an instance in one thread only. Several processes may have the store open.

    A change is durable when its method returns. `saved_layers`, `written_names` and `adopted_sources` use the same
    database.

    All methods raise DataError if the store is damaged, and TemporaryError if it cannot be read or written now.
    """

    def __init__(self, connection: sqlite3.Connection, *, shown: str, clock: Callable[[], float] = time.time) -> None:
        """Use an open database. `shown` is the name of the database in error messages."""
        self._database = LabelDatabase(connection, shown)
        self._connection = connection
        self._clock = clock
        self.shown = shown
        self.saved_layers = SavedLayers(self._database)
        self.written_names = WrittenNames(self._database)
        self.adopted_sources = AdoptedSources(self._database)

    @classmethod
    def open(cls, state: Path, *, clock: Callable[[], float] = time.time) -> Self:
        """Open the labels of a state folder. A missing folder or database is created, and only its owner has access.

        Raises TemporaryError if another process holds a lock, and DataError if the file is not a label store.
        """
        return cls(database.open_in(state, LABELS, LAYOUT), clock=clock, shown=str(state / LABELS))

    @classmethod
    def copy(cls, state: Path) -> Self:
        """Return a temporary copy of the store, for a dry run. The copy is empty if the folder has no label store."""
        return cls(database.temporary_copy(state / LABELS, LAYOUT), shown=str(state / LABELS))

    @classmethod
    def find(cls, state: Path) -> Self | None:
        """Open the labels of a state folder. Return None if the folder has no label store."""
        return cls.open(state) if (state / LABELS).exists() else None

    @classmethod
    def read(cls, state: Path) -> Self | None:
        """Open the labels of a state folder to read them. Return None if the folder has no label store.

        Unlike `find`, this works if the folder cannot be written, with a temporary copy of the store.
        """
        if not (state / LABELS).exists():
            return None
        return cls.open(state) if os.access(state, os.W_OK, effective_ids=True) else cls.copy(state)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    # --- changes ----------------------------------------------------------------------------------------------------

    def add(self, mail: LabelRequest, label: Label) -> bool:
        """Store the label of a message. Return whether a new label was stored, see `add_pairs`."""
        return self.add_pairs([(mail, label)])[0]

    def add_pairs(self, pairs: Sequence[tuple[LabelRequest, Label]]) -> list[bool]:
        """Store several labels in one transaction. Return for each pair whether a new label was stored.

        The result is False if the message already has this label, or if an adopted label would replace a label that the
        user gave or that was adopted from another mailbox. The labels share a transaction because a transaction takes
        as long as storing a hundred rows.
        """
        with self._database.change():
            return [self._add(mail, label) for mail, label in pairs]

    def forget(self, content: str) -> bool:
        """Remove the label of the message with the content id `content`. Return whether the message had a label."""
        with self._database.change():
            return self._remove(content)

    def renew(self, raw: bytes, content: str) -> None:
        """If the label of a message is stored under a former content id, store it under `content`, its content id.

        Must be called with the whole message before `content` is used to find or replace its label.
        """
        if not self._database.first(number_from, "SELECT 1 FROM former_contents LIMIT 1"):
            return
        for former in map(bytes.fromhex, former_content_ids(raw)):
            if not self._database.first(number_from, "SELECT 1 FROM former_contents WHERE content = ?", former):
                continue
            with self._database.change():
                self._connection.execute("DELETE FROM former_contents WHERE content = ?", (former,))
                if self.origin(content) is None:
                    key = bytes.fromhex(content), former
                    self._connection.execute("UPDATE labels SET content = ? WHERE content = ?", key)
                else:
                    self._remove(former.hex())  # the label under the content id is the later one

    def purge(self) -> int:
        """Remove all labels and saved layers, and erase all mail from the file.

        Return the number of labels removed.
        """
        with self._database.change():
            number = self._connection.execute("DELETE FROM labels").rowcount
            self._connection.execute("DELETE FROM written")
            self._connection.execute("DELETE FROM former_contents")
            self._database.invalidate(first=0)
        with self._database.explained:
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return number

    def prune(self) -> int:
        """Remove the labels that exceed the bounds (see `label_rows.surplus`), and return the number removed.

        Correspondents that exceed their bound are removed too.
        """
        with self._database.change():
            self.written_names.prune()
            rows = self._connection.execute(
                "SELECT id, length(mail) + length(tokens), time, origin = 'adopted' FROM labels ORDER BY id DESC"
            )
            removed = surplus([label_rows.sized_row(row) for row in rows])
            self._connection.executemany("DELETE FROM labels WHERE id = ?", ((number,) for number in removed))
            if removed:
                self._database.invalidate(first=0)
        return len(removed)

    def interleave_bulk(self) -> None:
        """Interleave bulk ham labels with bulk spam labels. Later labels of other origins are moved to the end.

        Users label one folder after the other, and later labels have more influence on what is learned. Ham that was
        learned completely before any spam would have too little weight.
        """
        with self._database.change():
            statement = "SELECT id, label, origin FROM labels ORDER BY id"
            rows = list(self._database.decoded(label_rows.ordered_row, statement))
            pairs = zip(interleave(rows), rows, strict=True)
            moved = [row[0] for row, _ in itertools.dropwhile(lambda pair: pair[0] == pair[1], pairs)]
            if moved:
                # The ids give the order. All moved rows get unused ids, because two rows may never have the same id.
                numbers = zip(itertools.count(max(moved) + 1), moved, strict=False)
                self._connection.executemany("UPDATE labels SET id = ? WHERE id = ?", numbers)
                self._database.invalidate(first=min(moved))

    def forget_adopted(self, source: str) -> int:
        """Remove the labels and correspondents adopted from the mailbox `source`. Return the number of labels."""
        with self._database.change():
            removed = self._connection.execute(
                "DELETE FROM labels WHERE origin = ? AND source = ? RETURNING id", (Origin.ADOPTED, os.fsencode(source))
            ).fetchall()
            if removed:
                self._database.invalidate(first=min(number for (number,) in removed))
            self.written_names.remove_adopted(source)
        return len(removed)

    # --- queries ----------------------------------------------------------------------------------------------------

    def adopted(self) -> int:
        """Return the number of adopted labels, from all Maildirs."""
        return self._database.first(number_from, "SELECT count(*) FROM labels WHERE origin = ?", Origin.ADOPTED) or 0

    def labelled_by_user(self) -> dict[str, Label]:
        """Return the labels that the user gave, by content id. Adopted labels are left out."""
        rows = self._database.decoded(
            lambda row: (label_rows.stored_content_id(row[0]), label_rows.origin(row[1:])[0]),
            "SELECT content, label, origin FROM labels WHERE origin != ?",
            Origin.ADOPTED,
        )
        return dict(rows)

    def label(self, content: str) -> Label | None:
        """Return the label of the message with the content id `content`. Return None if it has no label."""
        known = self.origin(content)
        return known[0] if known else None

    def origin(self, content: str) -> tuple[Label, Origin] | None:
        """Return the label of a message and its origin. Return None if the message has no label."""
        return self._database.first(
            label_rows.origin, "SELECT label, origin FROM labels WHERE content = ?", bytes.fromhex(content)
        )

    def counts(self) -> dict[Label, int]:
        """Return the number of messages with each label."""
        rows = dict(self._database.decoded(label_rows.label_count, "SELECT label, count(*) FROM labels GROUP BY label"))
        return {label: rows.get(label, 0) for label in Label}

    def last(self, most: int = -1) -> Iterator[StoredLabel]:
        """Yield at most `most` labels, the last learned first. All labels are yielded by default."""
        latest = f"SELECT {STORED_LABEL} FROM labels ORDER BY id DESC LIMIT ?"  # noqa: S608  constant columns
        return self._database.decoded(label_rows.stored_label, latest, most)

    def newest(self, most: int = -1) -> Iterator[StoredLabel]:
        """Yield at most `most` labels, the last given first. All labels are yielded by default.

        The order of learning differs from this order, because `interleave_bulk` changes it.
        """
        newest = f"SELECT {STORED_LABEL} FROM labels ORDER BY time DESC, id DESC LIMIT ?"  # noqa: S608  constant columns
        return self._database.decoded(label_rows.stored_label, newest, most)

    def with_mail(self, most: int = -1) -> Iterator[tuple[StoredLabel, bytes]]:
        """Yield the latest labels in order, at most `most`, each with the first MOST_KEPT bytes of its mail.

        All labels are yielded by default.
        """
        return self._database.decoded(
            label_rows.label_with_mail,
            f"SELECT {STORED_LABEL}, mail FROM labels"  # noqa: S608  constant columns
            " WHERE id IN (SELECT id FROM labels ORDER BY id DESC LIMIT ?) ORDER BY id",
            most,
        )

    # --- learning ---------------------------------------------------------------------------------------------------

    def examples(self, *, after: int, most_bytes: int) -> Iterator[Example]:
        """Yield the rows with ids above `after` in order, each with at most `most_bytes` bytes of its mail."""
        return self._database.decoded(
            functools.partial(label_rows.example, most_bytes=most_bytes),
            f"SELECT {EXAMPLE} FROM labels WHERE id > ? ORDER BY id",  # noqa: S608  constant columns
            after,
        )

    @property
    def epoch(self) -> int:
        """Return a number that changes whenever rows that may have been learned are removed or changed."""
        return self._database.epoch

    def priors_from(self, model: str) -> bool:
        """Return whether all stored base scores were computed by `model`, the identifier of a model."""
        return self._database.first(number_from, "SELECT 1 FROM labels WHERE model != ? LIMIT 1", model) is None

    def rescore(self, bases: Mapping[int, tuple[float | None, bytes]], *, model: str) -> None:
        """Replace the base scores and tokens of several rows in one transaction.

        `bases` has the new base score and tokens by row id. `model` is the identifier of the model that computed them.
        """
        with self._database.change():
            self._connection.executemany(
                "UPDATE labels SET prior = ?, tokens = ?, model = ? WHERE id = ?",
                [(prior, tokens, model, number) for number, (prior, tokens) in bases.items()],
            )
            self._database.invalidate(first=0)

    # --- export and import (see `label_export`) -----------------------------------------------------------------------

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Yield the database in a read transaction. All queries in the `with` block see the same state of the store."""
        with self._database.explained:
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def rewriting(self) -> Iterator[sqlite3.Connection]:
        """Yield the database in a durable transaction that may change any rows. Saved layers are then deleted."""
        with self._database.change():
            before = self._connection.total_changes
            yield self._connection
            if self._connection.total_changes != before:
                self._database.invalidate(first=0)

    def _add(self, mail: LabelRequest, label: Label) -> bool:
        if (known := self.origin(mail.content)) is not None:
            current, origin = known
            if mail.origin is Origin.ADOPTED and not (origin is Origin.ADOPTED and self._is_from(mail)):
                return False
            if current is label:
                if origin is Origin.ADOPTED and mail.origin is not Origin.ADOPTED:
                    # The user confirms an adopted label. The saved layers stay valid.
                    self._connection.execute(
                        "UPDATE labels SET origin = ?, source = x'' WHERE content = ?",
                        (mail.origin, bytes.fromhex(mail.content)),
                    )
                return False
        self._remove(mail.content)
        self._connection.execute(
            "INSERT INTO labels (content, label, time, prior, model, subject, mail, origin, source, tokens, sender,"
            " answered) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                mail.sender.packed.encode("utf-8", "replace").decode() if mail.sender else "",
                mail.answered,
            ),
        )
        return True

    def _is_from(self, mail: LabelRequest) -> bool:
        """Return whether the label of a message was adopted from the mailbox of the request `mail`."""
        key = bytes.fromhex(mail.content), os.fsencode(mail.source)
        return self._database.first(number_from, "SELECT 1 FROM labels WHERE content = ? AND source = ?", *key) == 1

    def _remove(self, content: str) -> bool:
        row = self._connection.execute(
            "DELETE FROM labels WHERE content = ? RETURNING id", (bytes.fromhex(content),)
        ).fetchone()
        if row is None:
            return False
        self._database.invalidate(first=row[0])
        return True
