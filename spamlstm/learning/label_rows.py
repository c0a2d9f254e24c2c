"""The tables of the label store, and their rows decoded and checked.

The functions raise CellError where a cell holds what the store never writes.
"""

import zlib
from typing import Any

import numpy as np

from spamlstm.cells import MOST_ROWS, CellError, blob, moment, real, text, whole, word
from spamlstm.config import Thresholds
from spamlstm.database import Layout
from spamlstm.learning.label import Example, Label, Origin, SavedLayer, StoredLabel
from spamlstm.model.personal_layer import SHAPE

# Of one message: retraining reads windows of text, which lies before what is attached.
MOST_KEPT = 64 << 10
MOST_SUBJECT = 200
# There are no more tokens than two bytes can tell, and the store keeps each once.
_MOST_TOKENS = 2 << 16
# What zlib adds to bytes that it cannot compress, and more.
_MOST_PACKED = MOST_KEPT + (4 << 10)
_CONTENT_BYTES = 16
_BLOCK = 1024  # words of eight bytes

_THRESHOLDS = "CREATE TABLE bars (model TEXT PRIMARY KEY, ham REAL NOT NULL, spam REAL NOT NULL, time REAL NOT NULL);"
_LEARNED = (
    "CREATE TABLE learned (last INTEGER PRIMARY KEY, shape TEXT NOT NULL, state BLOB NOT NULL,"
    " checksum INTEGER NOT NULL);"
)
LAYOUT = Layout(
    version=4,
    schema="""
CREATE TABLE labels (id INTEGER PRIMARY KEY AUTOINCREMENT, content BLOB NOT NULL UNIQUE, label TEXT NOT NULL,
    time REAL NOT NULL, prior REAL, model TEXT NOT NULL, subject TEXT NOT NULL, mail BLOB NOT NULL,
    origin TEXT NOT NULL DEFAULT 'said', source BLOB NOT NULL DEFAULT x'', tokens BLOB NOT NULL DEFAULT x'');
CREATE TABLE epoch (number INTEGER NOT NULL);
INSERT INTO epoch VALUES (0);
"""
    + _LEARNED
    + _THRESHOLDS,
    # On disk when said, and erased when taken back.
    pragmas=("synchronous = FULL", "secure_delete = ON"),
    loss=", without what you labelled",
    upgrades={
        1: "ALTER TABLE labels ADD COLUMN origin TEXT NOT NULL DEFAULT 'said';"
        "ALTER TABLE labels ADD COLUMN source BLOB NOT NULL DEFAULT x'';" + _THRESHOLDS,
        # A base that is asked for its scores anew tells what it read, too.
        2: "ALTER TABLE labels ADD COLUMN tokens BLOB NOT NULL DEFAULT x''; UPDATE labels SET model = '';",
        # States without a checksum are made anew from the labels.
        3: "DROP TABLE learned;" + _LEARNED,
    },
)

STORED_LABEL = "id, content, label, time, prior, model, subject, origin"
"""The columns of `said`."""
EXAMPLE = "id, label, prior, mail, origin, tokens"
"""The columns of `lesson`."""


def stored_label(row: tuple[Any, ...]) -> StoredLabel:
    """One row of the columns SAID."""
    number, content, label, time, prior, model, subject, origin = row
    return StoredLabel(
        whole(number, "id", least=-MOST_ROWS),
        stored_content_id(content),
        word(label, "label", Label),
        moment(time, "time"),
        _prior(prior),
        text(model, "model"),
        text(subject, "subject", most=MOST_SUBJECT),
        word(origin, "origin", Origin),
    )


def kept(row: tuple[Any, ...]) -> tuple[StoredLabel, bytes]:
    """One row of the columns SAID and the mail."""
    *columns, mail = row
    return stored_label(tuple(columns)), unpacked(mail, MOST_KEPT)


def example(row: tuple[Any, ...], *, most_bytes: int) -> Example:
    """One row of the columns LESSON, with at most so many bytes of its mail."""
    number, label, prior, mail, origin, tokens = row
    if len(blob(tokens, "tokens", most=_MOST_TOKENS)) % 2:
        raise CellError("tokens", tokens)
    return Example(
        whole(number, "id", least=-MOST_ROWS),
        word(label, "label", Label) is Label.SPAM,
        _prior(prior),
        unpacked(mail, most_bytes),
        word(origin, "origin", Origin),
        tokens,
    )


def origin(row: tuple[Any, ...]) -> tuple[Label, Origin]:
    """One row of the columns label and origin."""
    return word(row[0], "label", Label), word(row[1], "origin", Origin)


def weight(row: tuple[Any, ...]) -> tuple[int, int, float, bool]:
    """One row of the columns id, bytes and time, and whether it was adopted."""
    number, size, time, adopted = row
    return whole(number, "id", least=-MOST_ROWS), whole(size, "mail"), moment(time, "time"), bool(adopted)


def turn(row: tuple[Any, ...]) -> tuple[int, Label, Origin]:
    """One row of the columns id, label and origin."""
    return whole(row[0], "id", least=-MOST_ROWS), *origin(row[1:])


def label_count(row: tuple[Any, ...]) -> tuple[Label, int]:
    """One label and how many there are of it."""
    return word(row[0], "label", Label), whole(row[1], "count")


def thresholds(row: tuple[Any, ...]) -> tuple[str, Thresholds]:
    """One row of the columns model, ham and spam of the bars."""
    model, ham, spam = row
    try:
        return text(model, "bars: model"), Thresholds(real(ham, "bars: ham"), real(spam, "bars: spam"))
    except CellError:
        raise
    except ValueError as error:
        raise CellError(f"bars ({error})", model) from error


def saved_layer(row: tuple[Any, ...]) -> SavedLayer:
    """One row of the columns last, state and checksum of the states; CellError if that is not the sum of the state."""
    last, state, sum_ = row
    found = SavedLayer(whole(last, "learned: last"), blob(state, "learned: state", most=1 << 30))
    if sum_ != checksum(found):
        raise CellError("learned: checksum", sum_)
    return found


def checksum(learned: SavedLayer) -> int:
    """32 bits that tell a kept state from a damaged one, and from one of another row or shape.

    The CRC of the sums of its blocks of 8 KiB: a CRC of all 14 MB takes 8 ms, a tenth of a start, and this 0.8 ms. Any
    change of one word shows, as does a block in another place.
    """
    words = len(learned.state) // 8 // _BLOCK * _BLOCK
    sums = np.frombuffer(learned.state, np.uint64, words).reshape(-1, _BLOCK).sum(axis=1)
    head = zlib.crc32(f"{learned.last} {SHAPE} {len(learned.state)}".encode())
    return zlib.crc32(memoryview(learned.state)[8 * words :], zlib.crc32(sums, head))


def stored_content_id(cell: Any) -> str:
    """A content id."""
    return blob(cell, "content", most=_CONTENT_BYTES, length=_CONTENT_BYTES).hex()


def unpacked(cell: Any, most: int) -> bytes:
    """The first `most` bytes of a kept mail."""
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(blob(cell, "mail", most=_MOST_PACKED), most)
    except zlib.error as error:
        raise CellError(f"mail ({error})", cell) from error
    if len(raw) < most and not unpacker.eof:
        raise CellError("mail (it is cut)", cell)
    return raw


def _prior(cell: Any) -> float | None:
    return None if cell is None else real(cell, "prior")
