"""Raw bytes of one mail to a Message. Never raises on mail; time and memory are bounded for any input.

The parser is our own: the standard library's raises RecursionError on deep nesting, is quadratic on some hostile
input, and decodes attachments that nobody reads (docs/decisions/0002-own-parser.md has the figures).
"""

import io
import re
from dataclasses import dataclass, field

from spamlstm.message import html
from spamlstm.message.charset import decode_words
from spamlstm.message.mime import MAX_VALUE, Headers, MimeReader, Part

__all__ = ["Headers", "Message", "Part", "address", "display_name", "parse_message"]

# Header values are read to this length.
MAX_HEADER = 20_000
# The lookbehind lets an address begin only where a word does, or long words would cost the square of their length.
_ADDRESS = re.compile(r"(?<![^\s<>\"(),:;@])[^\s<>\"(),:;@]++@[^\s<>\"(),:;@]+")
_COMMENT = re.compile(r"\(([^()]*)\)")
_BLOCK = 256 << 10
_LINE_ENDS = bytes.maketrans(b"\r", b"\n")


@dataclass(frozen=True, slots=True)
class Message:
    """One mail, read. `defects` names what was wrong with it; all text is decoded, none is normalised.

    `first` has of the headers of each name (lower case) the topmost. What the headers do not say is ''.
    """

    headers: Headers
    parts: tuple[Part, ...]
    structure: str
    plain: str
    page: html.Page
    size: int
    defects: tuple[str, ...]
    first: dict[str, str] = field(repr=False, compare=False)
    text: str
    """What a reader sees: the page if there is one that says anything, else the plain part."""
    subject: str
    """Encoded words read."""
    sender: str
    """The address in From, lower case."""
    sender_name: str
    """The display name in From, encoded words read."""
    list_id: str
    """What stands between the angle brackets of List-Id, lower case."""

    def all(self, name: str) -> list[str]:
        """The raw values of every header called `name` (lower case), topmost first."""
        return [value for key, value in self.headers if key == name]

    @property
    def attachments(self) -> tuple[Part, ...]:
        """The leaves that are files rather than text to read."""
        return tuple(part for part in self.parts if part.attached)


def address(value: str) -> str:
    """The first address of a header value, lower case, or ''. The one in angle brackets wins over one in a name."""
    value = value[:MAX_VALUE]
    bracketed = value.rfind("<")
    match = (bracketed >= 0 and _ADDRESS.search(value, bracketed)) or _ADDRESS.search(value)
    return match[0].lower().strip(".'") if match else ""


def display_name(value: str) -> str:
    """The name beside the address of a header value, encoded words read, or ''."""
    value = value[:MAX_VALUE]
    if "<" in value:
        name = value[: value.rfind("<")]
    else:
        comment = _COMMENT.search(value)
        name = comment[1] if comment else ""
    return decode_words(name).strip().strip("\"'").strip()


def parse_message(raw: bytes) -> Message:
    """Any bytes as a Message."""
    size = len(raw)
    if b"\n" not in raw[:65536] and b"\r" in raw[:65536]:
        raw = _with_line_ends(raw)
    reader = MimeReader(raw)
    headers, start = reader.headers(_skip_mbox_line(raw), top=True)
    reader.walk(headers, start)
    first = dict(reversed(headers))
    plain, page = "\n".join(reader.plain), html.join(reader.pages)
    sender = first.get("from", "")
    return Message(
        headers=headers,
        parts=tuple(reader.parts),
        structure=" ".join(reader.shape),
        plain=plain,
        page=page,
        size=size,
        defects=tuple(reader.defects),
        first=first,
        text=page.visible or plain,
        subject=decode_words(first.get("subject", "")[:MAX_HEADER]).strip(),
        sender=address(sender),
        sender_name=display_name(sender),
        list_id=_in_brackets(first.get("list-id", "")),
    )


def _with_line_ends(raw: bytes) -> bytes:
    """Mail whose lines end in carriage returns, with the line ends of others; in blocks, as it may have 64 MB."""
    result, carriage = io.BytesIO(), b""
    for at in range(0, len(raw), _BLOCK):
        block = carriage + raw[at : at + _BLOCK]
        # The line end may go on in the next block.
        carriage = b"\r" if block.endswith(b"\r") else b""
        result.write((block[:-1] if carriage else block).replace(b"\r\n", b"\n").translate(_LINE_ENDS))
    result.write(carriage.translate(_LINE_ENDS))
    return result.getvalue()


def _in_brackets(value: str) -> str:
    return (value.rpartition("<")[2].partition(">")[0] or value).strip().lower()


def _skip_mbox_line(raw: bytes) -> int:
    """Where the headers begin: behind an mbox `From ` line and blank lines at the top, if they are there."""
    start = len(raw[:1024]) - len(raw[:1024].lstrip())
    if raw.startswith((b"From ", b">From "), start):
        return raw.find(b"\n", start) + 1 or len(raw)
    return start
