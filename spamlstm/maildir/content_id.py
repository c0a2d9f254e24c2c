"""Properties of a message that do not change after its delivery: its content id and its arrival time."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC

from spamlstm.maildir.normal_form import body_form, former_header_form, header_form, header_values
from spamlstm.message.headers import BLOCK, HeaderNames, end_of_head

# Headers that other programs add to a message after its delivery:
_LEFT_OUT = HeaderNames(
    # spam filters: our own headers, SpamAssassin, rspamd, bogofilter, SpamBayes, DSPAM, CRM114, SpamProbe
    *(name + rest for name in ("x-spam", "x-spamd", "x-spambayes", "x-spamprobe") for rest in ("", "-*")),
    "x-rspamd-*",
    "x-bogosity",
    *("x-dspam-*", "x-crm114-*"),
    # programs that store mail in mboxes: flags and sizes
    *("status", "x-status"),
    *("x-keywords", "x-uid", "x-imap", "x-imapbase"),
    "content-length",
    "lines",
    # Thunderbird, mutt, and programs that copy mail between servers (mbsync, OfflineIMAP, Gmail's export)
    *("x-mozilla-status", "x-mozilla-status2", "x-mozilla-keys"),
    "x-label",
    "x-tuid",
    "x-offlineimap",
    "x-gmail-labels",
)
_SEPARATOR = re.compile(rb">?From [^\n]*+\n")

_CONTENT_ID = re.compile("[0-9a-f]{32}")
_MOST_RECEIVED_BYTES = 16 << 10
RECEIVED = re.compile(rb"^received[ \t]*+:([^\n]*+(?>\n[ \t][^\n]*+)*+)", re.IGNORECASE | re.MULTILINE)
"""The value of a Received header, with its folded lines."""
# The number of seconds by which the clock of a server may be ahead of our clock.
_TOLERANCE = 86_400.0


def content_id(raw: bytes) -> str:
    """Return the content id of a message, as 32 hexadecimal digits.

    The content id is a hash of the text, the attachments, From, Date, Subject and Message-ID in a normal form, see
    `spamlstm.maildir.normal_form`. It does not depend on what servers and mail programs change when they deliver, store
    or move the message, or on what this program adds. A message that is delivered twice has one content id. The message
    is hashed in blocks to use little memory.
    """
    return _normal_id(raw, header_form)


def content_ids(raw: bytes) -> tuple[str, ...]:
    """Return the content id of a message, and the one that the last version of this program computed if it differs."""
    return content_id(raw), *_last_content_ids(raw)


def is_content_id(text: str) -> bool:
    """Return whether `text` has the form of a content id."""
    return _CONTENT_ID.fullmatch(text) is not None


def former_content_ids(raw: bytes) -> tuple[str, ...]:
    """Return the content ids that earlier versions computed for a message, for rows of their databases.

    The content id itself is not among them.
    """
    return *_last_content_ids(raw), _id_of_all_bytes(raw)


def _last_content_ids(raw: bytes) -> tuple[str, ...]:
    """Return the content id that the last version of this program computed, or nothing if it is the content id.

    The ids differ if the subject begins with a mark, the domain in the Message-ID has capitals, or the Date names an
    American time zone, and in a few other cases. Other messages are not hashed here.
    """
    values = header_values(raw, *_head(raw))
    is_same = header_form(values) == former_header_form(values)
    return () if is_same else (_normal_id(raw, former_header_form),)


def _normal_id(raw: bytes, form: Callable[[dict[str, str]], bytes]) -> str:
    """Return the hash of the normal form of a message, with the normal form `form` of its headers."""
    start, end = _head(raw)
    values = header_values(raw, start, end)
    head = form(values)
    digest = hashlib.blake2b(head, digest_size=16, person=b"normal form")
    if not head:
        # Without these headers, the bytes may not be mail. All headers are then used.
        for piece in _unix(_LEFT_OUT.left_out(raw, start, end)):
            digest.update(piece.translate(None, b" \t\r\n"))
    for piece in body_form(raw, raw.find(b"\n", end) + 1 or len(raw), values):
        digest.update(piece)
    return digest.hexdigest()


def _id_of_all_bytes(raw: bytes) -> str:
    """Return the content id of the first versions of this program.

    All bytes are hashed except headers that filters and mail programs add after delivery, an mbox separator, the kind
    of line ends, and blank lines at the end.
    """
    start, end = _head(raw)
    digest = hashlib.blake2b(digest_size=16)
    for piece in _unix(_LEFT_OUT.left_out(raw, start, end)):
        digest.update(piece)
    for piece in _without_last_ends(_unix([memoryview(raw)[end:]])):
        digest.update(piece)
    return digest.hexdigest()


def lasting(raw: bytes) -> tuple[bytes, bytes]:
    """Return the head and the body of a message, without headers that are added after delivery.

    The line ends are LF. The body begins with the blank line after the head.
    """
    start, end = _head(raw)
    return b"".join(_unix(_LEFT_OUT.left_out(raw, start, end))), b"".join(_unix([memoryview(raw)[end:]]))


def _head(raw: bytes) -> tuple[int, int]:
    """Return the offsets of the first header and of the blank line after the headers."""
    if not (_LEFT_OUT.begins(raw) or raw.startswith((b"From ", b">From "))):
        return 0, end_of_head(raw)
    # A sender may put headers of spam filters above the separator. When `untag` removes the headers, the separator
    # becomes the first line.
    separator = _SEPARATOR.match(raw, _LEFT_OUT.skip(raw, 0, end_of_head(raw)))
    start = separator.end() if separator else 0
    return start, end_of_head(raw, start)


def _unix(pieces: Iterable[memoryview]) -> Iterator[bytes]:
    """Yield `pieces` of raw mail in blocks, with LF line ends."""
    carriage = b""
    for piece in pieces:
        for at in range(0, len(piece), BLOCK):
            block = carriage + piece[at : at + BLOCK]
            # CRLF may be split between two blocks.
            carriage = b"\r" if block.endswith(b"\r") else b""
            yield (block[:-1] if carriage else block).replace(b"\r\n", b"\n")
    yield carriage


def _without_last_ends(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield `blocks` without the line ends after the last line that is not empty."""
    ends = 0
    for block in blocks:
        kept = block.rstrip(b"\n")
        if kept:
            yield from (b"\n" * min(BLOCK, ends - at) for at in range(0, ends, BLOCK))
            yield kept
            ends = 0
        ends += len(block) - len(kept)


def arrived(raw: bytes, *, stored: float) -> float:
    """Return the arrival time in seconds since 1970. It is the date in the first Received header, else `stored`.

    `stored` is the date of the file. It is the date of the delivery, or later if a copying program lost that date. A
    date in the header that is more than a day later than `stored` is ignored.
    """
    head = raw[:_MOST_RECEIVED_BYTES]
    # The server that delivered the message wrote its first Received header, so a sender cannot forge it.
    match = RECEIVED.search(head, 0, end_of_head(head))
    if match is None:
        return stored
    from email.utils import parsedate_to_datetime  # 9 ms and 1 MB, which the daemon does not need

    try:
        date = parsedate_to_datetime(match[1].rpartition(b";")[2].decode("ascii", "replace").strip())
        moment = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return stored
    return moment if 0 < moment <= stored + _TOLERANCE else stored
