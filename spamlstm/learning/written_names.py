"""The correspondents to whom the user wrote, as hashes of their names, in the database of a label store.

The names are read from sent mail. Mail from a correspondent to whom the user wrote is less likely to be spam.
"""

import os
from collections.abc import Mapping

from spamlstm.learning import label_rows
from spamlstm.learning.label import Origin
from spamlstm.learning.label_database import LabelDatabase
from spamlstm.learning.label_rows import MOST_WRITTEN


class WrittenNames:
    """The names in one label store. Errors are those of `LabelDatabase`."""

    def __init__(self, database: LabelDatabase) -> None:
        self._database = database

    def add(self, names: Mapping[bytes, float], *, source: str, origin: Origin) -> None:
        """Store the hashes of names with the times of the messages.

        `source` is the Maildir of the sent mail. The oldest are removed if there are more than MOST_WRITTEN.
        """
        rows = [(name, os.fsencode(source), origin, time) for name, time in names.items()]
        with self._database.change() as connection:
            connection.executemany(
                "INSERT INTO written (name, source, origin, time) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET time = max(time, excluded.time)",
                rows,
            )
            self.prune()
            self._changed()

    def all(self) -> frozenset[bytes]:
        """Return the hashes of all names."""
        return frozenset(self._database.decoded(label_rows.written_name, "SELECT name FROM written"))

    @property
    def version(self) -> tuple[int, int]:
        """Return a value that changes whenever names are added or removed."""
        return self._database.first(label_rows.written_version, "SELECT number, written FROM epoch") or (0, 0)

    def latest_time(self, source: str) -> float:
        """Return the time of the latest known message in the sent mail of a Maildir, or 0."""
        statement = "SELECT coalesce(max(time), 0) FROM written WHERE source = ?"
        return self._database.first(label_rows.written_time, statement, os.fsencode(source)) or 0.0

    def prune(self) -> None:
        """Remove the oldest names above MOST_WRITTEN. Must be called in a transaction."""
        removed = self._database.connection.execute(
            "DELETE FROM written WHERE (name, source, origin) IN"
            " (SELECT name, source, origin FROM written ORDER BY time DESC, name LIMIT -1 OFFSET ?)",
            (MOST_WRITTEN,),
        ).rowcount
        if removed:
            self._changed()

    def remove_adopted(self, source: str) -> None:
        """Remove the names that were adopted from the Maildir `source`. Must be called in a transaction."""
        statement = "DELETE FROM written WHERE origin = ? AND source = ?"
        self._database.connection.execute(statement, (Origin.ADOPTED, os.fsencode(source)))
        self._changed()

    def _changed(self) -> None:
        self._database.connection.execute("UPDATE epoch SET written = written + 1")
