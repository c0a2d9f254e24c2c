"""The mailboxes from which labels and correspondents were adopted, in the database of a label store.

A source is the path of a Maildir, or the key of an IMAP account. One Maildir may have several paths, such as a symbolic
link.
"""

import os
from collections.abc import Collection

from spamlstm.learning import label_rows
from spamlstm.learning.label import Label, Origin
from spamlstm.learning.label_database import LabelDatabase


class AdoptedSources:
    """The sources of one label store. Errors are those of `LabelDatabase`."""

    def __init__(self, database: LabelDatabase) -> None:
        self._database = database

    def names(self) -> list[str]:
        """Return all sources, sorted."""
        rows = self._database.decoded(
            label_rows.source_path,
            "SELECT source FROM labels WHERE origin = ? UNION SELECT source FROM written WHERE origin = ?",
            Origin.ADOPTED,
            Origin.ADOPTED,
        )
        return sorted(rows)

    def labels_of_others(self, sources: Collection[str]) -> dict[str, Label]:
        """Return the labels that were adopted from other mailboxes than `sources`, by content id."""
        rows = self._database.decoded(
            lambda row: (label_rows.stored_content_id(row[0]), label_rows.origin(row[1:3])[0], row[3:]),
            "SELECT content, label, origin, source FROM labels WHERE origin = ?",
            Origin.ADOPTED,
        )
        return {content: label for content, label, source in rows if label_rows.source_path(source) not in sources}

    def rename(self, sources: Collection[str], name: str) -> None:
        """Give the labels and correspondents of `sources` the source `name`. What was learned does not change."""
        renamed = [(os.fsencode(name), Origin.ADOPTED, os.fsencode(one)) for one in sources if one != name]
        if not renamed:
            return
        with self._database.change() as connection:
            connection.executemany("UPDATE labels SET source = ? WHERE origin = ? AND source = ?", renamed)
            connection.executemany(
                "INSERT INTO written (name, source, origin, time) SELECT name, ?, origin, time FROM written"
                " WHERE origin = ? AND source = ? ON CONFLICT DO UPDATE SET time = max(time, excluded.time)",
                renamed,
            )
            statement = "DELETE FROM written WHERE origin = ? AND source = ?"
            connection.executemany(statement, [row[1:] for row in renamed])
