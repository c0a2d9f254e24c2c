"""The personal layers that are saved in a label store, so that a start need not learn all labels again."""

from spamlstm.learning import label_rows
from spamlstm.learning.label import SavedLayer
from spamlstm.learning.label_database import LabelDatabase, number_from
from spamlstm.model.personal_layer import SHAPE


class SavedLayers:
    """The saved layers of one label store. Errors are those of `LabelDatabase`."""

    def __init__(self, database: LabelDatabase) -> None:
        self._database = database

    def latest(self) -> SavedLayer | None:
        """Return the latest saved layer. Return None if no layer of the current version is saved.

        Raises DataError if the saved layer is damaged.
        """
        return self._database.first(
            label_rows.saved_layer,
            "SELECT last, state, checksum FROM learned WHERE shape = ? ORDER BY last DESC LIMIT 1",
            SHAPE,
        )

    def last_row(self) -> int:
        """Return the id of the last row that the latest saved layer learned. Return 0 without a saved layer."""
        statement = "SELECT coalesce(max(last), 0) FROM learned WHERE shape = ?"
        return self._database.first(number_from, statement, SHAPE) or 0

    def save(self, learned: SavedLayer, *, epoch: int, most: int) -> None:
        """Save a layer, and delete all but the `most` latest saved layers.

        `epoch` is the epoch of the store when the layer was learned. If the epoch has changed, nothing is saved or
        deleted, because the layer may have learned rows that were removed.
        """
        with self._database.change() as connection:
            if self._database.epoch != epoch:
                return
            connection.execute("DELETE FROM learned WHERE shape != ? OR last = ?", (SHAPE, learned.last))
            connection.execute(
                "INSERT INTO learned (last, shape, state, checksum) VALUES (?, ?, ?, ?)",
                (learned.last, SHAPE, learned.state, label_rows.checksum(learned)),
            )
            connection.execute(
                "DELETE FROM learned WHERE last NOT IN (SELECT last FROM learned ORDER BY last DESC LIMIT ?)", (most,)
            )

    def drop(self) -> None:
        """Delete the saved layers. They can be learned again from the labels."""
        with self._database.change() as connection:
            connection.execute("DELETE FROM learned")
