"""The tables of the label store, and functions that decode and check their rows.

The functions raise CellError if a cell has a value that the store never writes.
"""

import itertools
import os
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from spamlstm.database import MOST_ROWS, CellError, Layout, blob, moment, real, text, whole, word
from spamlstm.features.sender_identity import KEY_BYTES, SenderIdentity, sender_identity
from spamlstm.learning.label import Example, Label, OrderedRow, Origin, SavedLayer, StoredLabel
from spamlstm.maildir.content_id import content_id, lasting
from spamlstm.message.message import parse_message
from spamlstm.model.personal_features import PACKED_SKETCH
from spamlstm.model.personal_layer import SHAPE

# The number of bytes stored of each message. Retraining reads only text, which comes before attachments.
MOST_KEPT = 64 << 10
MOST_SUBJECT = 200
_MOST_SENDER = 2000
_MOST_SOURCE = 1 << 16
# Scores are log-odds. The models give scores of at most a few hundred.
_MOST_PRIOR = 10_000.0
# The most bytes of tokens. After the text sketch, tokens are two-byte numbers, and each is stored at most once.
_MOST_TOKENS = PACKED_SKETCH + (2 << 16)
# The most bytes of compressed mail. The 4 KiB are more than zlib adds to data that cannot be compressed.
_MOST_PACKED = MOST_KEPT + (4 << 10)
_CONTENT_BYTES = 16
_BLOCK = 1024  # the block size of `checksum`, in words of eight bytes

# The bounds of a store: the number of labels, the bytes of mail and tokens, and the number of months in which labels
# were given. Learning 20,000 labels again takes about six seconds. The mail of 20,000 labels usually takes 90 MB.
MOST_LABELS = 20_000
MOST_BYTES = 256 << 20
MOST_MONTHS = 36
MONTH = 30.5 * 86_400
# A store that exceeds a bound is reduced to this share of the bound. All labels are learned again after each reduction.
_ROOM = 0.9

SizedRow = tuple[int, int, float, bool]
"""The id of a row, its size in bytes, its time in seconds since 1970, and whether its label was adopted."""

_THRESHOLDS = " (model TEXT PRIMARY KEY, ham REAL NOT NULL, spam REAL NOT NULL, time REAL NOT NULL);"
_LEARNED = (
    "CREATE TABLE learned (last INTEGER PRIMARY KEY, shape TEXT NOT NULL, state BLOB NOT NULL,"
    " checksum INTEGER NOT NULL);"
)
# The correspondents to whom the user wrote. `name` is the hash of the name in a SenderIdentity, `source` the Maildir
# with the sent mail, and `time` the time of the latest message.
_WRITTEN = (
    "CREATE TABLE written (name BLOB NOT NULL, source BLOB NOT NULL, origin TEXT NOT NULL, time REAL NOT NULL,"
    " PRIMARY KEY (name, source, origin)) WITHOUT ROWID;"
)
MOST_WRITTEN = 5000
"""The most correspondents. Those to whom the user did not write for the longest time are removed."""
_FORMER = "CREATE TABLE IF NOT EXISTS former_contents (content BLOB PRIMARY KEY) WITHOUT ROWID;"


def renewed_content(content: Any, mail: Any) -> Any:
    """Return the content id of a stored message, for an upgrade. Return `content` if the stored message is cut."""
    raw = _whole(mail)
    return content if raw is None else bytes.fromhex(content_id(raw))


def _is_cut(_content: Any, mail: Any) -> bool:
    """Return whether the content id of a stored message cannot be computed, for an upgrade."""
    return _whole(mail) is None


def _whole(mail: Any) -> bytes | None:
    """Return a stored message, or None if it is cut or damaged."""
    try:
        raw = unpacked(mail, MOST_KEPT)
    except CellError:
        return None
    return raw if len(raw) < MOST_KEPT else None


# The content ids of messages that are stored completely are computed anew. The others are kept as former ids. If two
# rows are of one message, the later row stays, and the labels are learned again.
_RENEW = """
CREATE TABLE counted AS SELECT count(*) AS number FROM labels;
UPDATE OR REPLACE labels SET content = renewed_content(content, mail);
INSERT OR IGNORE INTO former_contents SELECT content FROM labels WHERE is_cut(content, mail);
DELETE FROM former_contents WHERE content NOT IN (SELECT content FROM labels);
DELETE FROM learned WHERE (SELECT number FROM counted) > (SELECT count(*) FROM labels);
UPDATE epoch SET number = number + 1 WHERE (SELECT number FROM counted) > (SELECT count(*) FROM labels);
DROP TABLE counted;
"""
LAYOUT = Layout(
    version=10,
    schema="""
CREATE TABLE labels (id INTEGER PRIMARY KEY AUTOINCREMENT, content BLOB NOT NULL UNIQUE, label TEXT NOT NULL,
    time REAL NOT NULL, prior REAL, model TEXT NOT NULL, subject TEXT NOT NULL, mail BLOB NOT NULL,
    origin TEXT NOT NULL, source BLOB NOT NULL DEFAULT x'', tokens BLOB NOT NULL DEFAULT x'',
    sender TEXT, answered INTEGER NOT NULL DEFAULT 0);
CREATE TABLE epoch (number INTEGER NOT NULL, written INTEGER NOT NULL DEFAULT 0);
INSERT INTO epoch VALUES (0, 0);
"""
    + _LEARNED
    + _WRITTEN
    + _FORMER,
    # FULL makes a label durable before its command ends. secure_delete erases a forgotten label from the file.
    pragmas=("synchronous = FULL", "secure_delete = ON"),
    loss=", without your labels",
    upgrades={
        1: "ALTER TABLE labels ADD COLUMN origin TEXT NOT NULL DEFAULT 'said';"
        "ALTER TABLE labels ADD COLUMN source BLOB NOT NULL DEFAULT x''; CREATE TABLE bars" + _THRESHOLDS,
        # An empty model identifier causes all labels to be scored again, which also stores their tokens.
        2: "ALTER TABLE labels ADD COLUMN tokens BLOB NOT NULL DEFAULT x''; UPDATE labels SET model = '';",
        # Saved layers without a checksum are dropped and learned again from the labels.
        3: "DROP TABLE learned;" + _LEARNED,
        4: "ALTER TABLE bars RENAME TO thresholds; UPDATE labels SET origin = 'command' WHERE origin = 'said';",
        # A missing sender is read from the mail.
        5: "ALTER TABLE labels ADD COLUMN sender TEXT;"
        "ALTER TABLE labels ADD COLUMN answered INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE epoch ADD COLUMN written INTEGER NOT NULL DEFAULT 0;" + _WRITTEN,
        # Tokens begin with a text sketch. It is empty until all labels are scored again.
        6: "UPDATE labels SET model = '', tokens = CAST(x'NO_SKETCH' || tokens AS BLOB)"
        " WHERE length(tokens) > 0;".replace("NO_SKETCH", "ff" * PACKED_SKETCH),
        7: _FORMER + _RENEW,
        # The personal layer finds thresholds from the labels.
        8: "DROP TABLE IF EXISTS thresholds;",
        9: _RENEW,
    },
    functions={"renewed_content": renewed_content, "is_cut": _is_cut},
)

STORED_LABEL = "id, content, label, time, prior, model, subject, origin, answered"
"""The columns that `stored_label` decodes."""
EXAMPLE = "id, label, prior, mail, origin, tokens, sender, answered"
"""The columns that `example` decodes."""


def stored_label(row: tuple[Any, ...]) -> StoredLabel:
    """Decode a row of the columns STORED_LABEL."""
    number, content, label, time, prior, model, subject, origin, answered = row
    return StoredLabel(
        whole(number, "id", least=-MOST_ROWS),
        stored_content_id(content),
        word(label, "label", Label),
        moment(time, "time"),
        _prior(prior),
        text(model, "model"),
        text(subject, "subject", most=MOST_SUBJECT),
        word(origin, "origin", Origin),
        _flag(answered, "answered"),
    )


def label_with_mail(row: tuple[Any, ...]) -> tuple[StoredLabel, bytes]:
    """Decode a row of the columns STORED_LABEL followed by the mail."""
    *columns, mail = row
    return stored_label(tuple(columns)), unpacked(mail, MOST_KEPT)


def example(row: tuple[Any, ...], *, most_bytes: int) -> Example:
    """Decode a row of the columns EXAMPLE, with at most `most_bytes` bytes of its mail."""
    number, label, prior, mail, origin, tokens, sender, answered = row
    size = len(blob(tokens, "tokens", most=_MOST_TOKENS))
    if size % 2 or 0 < size < PACKED_SKETCH:
        raise CellError("tokens", tokens)
    return Example(
        whole(number, "id", least=-MOST_ROWS),
        word(label, "label", Label) is Label.SPAM,
        _prior(prior),
        unpacked(mail, most_bytes),
        word(origin, "origin", Origin),
        tokens,
        sender_of(unpacked(mail, MOST_KEPT)) if sender is None else stored_sender(sender),
        _flag(answered, "answered"),
    )


def sender_of(raw: bytes) -> SenderIdentity | None:
    """Return the proven sender of a message, or None. Only the headers are read."""
    return sender_identity(parse_message(lasting(raw)[0]))


def stored_sender(cell: Any) -> SenderIdentity | None:
    """Decode a sender, which is an empty text if the message has no proven sender."""
    try:
        return SenderIdentity.unpacked(cell) if text(cell, "sender", most=_MOST_SENDER) else None
    except CellError:
        raise
    except ValueError as error:
        raise CellError("sender", cell) from error


def written_version(row: tuple[Any, ...]) -> tuple[int, int]:
    """Decode a row of the columns number and written of the table `epoch`."""
    return whole(row[0], "epoch", least=-MOST_ROWS), whole(row[1], "epoch: written", least=-MOST_ROWS)


def written_time(row: tuple[Any, ...]) -> float:
    """Decode a row of the column time of the table `written`."""
    return moment(row[0], "written: time")


def written_name(row: tuple[Any, ...]) -> bytes:
    """Decode a row of the column name of the table `written`."""
    return blob(row[0], "written: name", most=KEY_BYTES, length=KEY_BYTES)


def origin(row: tuple[Any, ...]) -> tuple[Label, Origin]:
    """Decode a row of the columns label and origin."""
    return word(row[0], "label", Label), word(row[1], "origin", Origin)


def source_path(row: tuple[Any, ...]) -> str:
    """Decode a row with the column source: the path of a Maildir, the key of an IMAP account, or an empty text."""
    return os.fsdecode(blob(row[0], "source", most=_MOST_SOURCE))


def sized_row(row: tuple[Any, ...]) -> SizedRow:
    """Decode a row of four columns: id, size in bytes, time, and whether the label was adopted (0 or 1)."""
    number, size, time, adopted = row
    return whole(number, "id", least=-MOST_ROWS), whole(size, "mail"), moment(time, "time"), bool(adopted)


def ordered_row(row: tuple[Any, ...]) -> OrderedRow:
    """Decode a row of the columns id, label and origin."""
    return whole(row[0], "id", least=-MOST_ROWS), *origin(row[1:])


def label_count(row: tuple[Any, ...]) -> tuple[Label, int]:
    """Decode a row of two columns: a label, and the number of messages with this label."""
    return word(row[0], "label", Label), whole(row[1], "count")


def saved_layer(row: tuple[Any, ...]) -> SavedLayer:
    """Decode a row of the columns last, state and checksum. Raises CellError if the checksum is wrong."""
    last, state, sum_ = row
    saved = SavedLayer(whole(last, "learned: last"), blob(state, "learned: state", most=1 << 30))
    if sum_ != checksum(saved):
        raise CellError("learned: checksum", sum_)
    return saved


def checksum(learned: SavedLayer) -> int:
    """Return a 32-bit checksum of a saved layer. It covers the state, the id `last` and the version SHAPE.

    The checksum is the CRC of the sums of 8 KiB blocks and takes 0.8 ms. A CRC of all 14 MB would take 8 ms, a tenth of
    the start time. The checksum detects any change of a single word, and any change in the order of the blocks.
    """
    words = len(learned.state) // 8 // _BLOCK * _BLOCK
    sums = np.frombuffer(learned.state, np.uint64, words).reshape(-1, _BLOCK).sum(axis=1)
    head = zlib.crc32(f"{learned.last} {SHAPE} {len(learned.state)}".encode())
    return zlib.crc32(memoryview(learned.state)[8 * words :], zlib.crc32(sums, head))


def stored_content_id(cell: Any) -> str:
    """Return the content id in a database cell. Raises CellError if the cell is damaged."""
    return blob(cell, "content", most=_CONTENT_BYTES, length=_CONTENT_BYTES).hex()


def unpacked(cell: Any, most: int) -> bytes:
    """Return the first `most` bytes of a stored message. Raises CellError if the stored message is damaged."""
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(blob(cell, "mail", most=_MOST_PACKED), most)
    except zlib.error as error:
        raise CellError(f"mail ({error})", cell) from error
    if len(raw) < most and not unpacker.eof:
        raise CellError("mail (it is cut)", cell)
    return raw


def _flag(cell: Any, column: str) -> bool:
    return bool(whole(cell, column, most=1))


def _prior(cell: Any) -> float | None:
    """Return a score before labels. Raises CellError for a score that no model gives, which would outweigh all mail."""
    if cell is not None and abs(real(cell, "prior")) > _MOST_PRIOR:
        raise CellError("prior", cell)
    return None if cell is None else float(cell)


def surplus(rows: Sequence[SizedRow]) -> list[int]:
    """Return the ids of the rows that exceed the bounds. `rows` are all rows of the store, the latest first.

    Rows that are too old are removed first, then adopted labels, then labels that the user gave. Within each kind the
    oldest rows are removed first.
    """
    kept = sorted(_recent(rows), key=lambda row: row[3])
    if len(kept) > MOST_LABELS:
        kept = kept[: int(MOST_LABELS * _ROOM)]
    if sum(size for _, size, *_ in kept) > MOST_BYTES:
        room = MOST_BYTES * _ROOM
        sums = itertools.accumulate(size for _, size, *_ in kept)
        kept = [row for row, total in zip(kept, sums, strict=True) if total <= room]
    kept_ids = {number for number, *_ in kept}
    return [number for number, *_ in rows if number not in kept_ids]


def _recent(rows: Sequence[SizedRow]) -> Sequence[SizedRow]:
    """Return the rows of the last MOST_MONTHS months in which labels were given. Other months are not counted."""
    months: set[int] = set()
    for index, (_, _, time, _) in enumerate(rows):
        months.add(int(time // MONTH))
        if len(months) > MOST_MONTHS:
            return rows[:index]
    return rows
