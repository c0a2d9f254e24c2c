"""The bytes of one mail to a Message. No input raises an exception; time and memory are bounded for any input.

The parser of the standard library raises RecursionError on deep nesting, takes the square of the length on some hostile
input, and decodes attachments that nobody reads (docs/decisions/0002-own-parser.md has the figures).
"""

import io
import re
from dataclasses import dataclass, field

from spamlstm.message.charset import decode_words
from spamlstm.message.head import BLOCK
from spamlstm.message.mime import MimeReader, Part
from spamlstm.message.mime_headers import MAX_VALUE, Headers
from spamlstm.message.page import Page, join_pages

_MAX_SUBJECT = 20_000
# The lookbehind lets an address begin only where a word does. Without it long words cost the square of their length.
_ADDRESS = re.compile(r"(?<![^\s<>\"(),:;@])[^\s<>\"(),:;@]++@[^\s<>\"(),:;@]+")
_COMMENT = re.compile(r"\(([^()]*)\)")
_LINE_ENDS = bytes.maketrans(b"\r", b"\n")


@dataclass(frozen=True, slots=True)
class Message:
    """One parsed mail. Its text is decoded, but not normalised. What the headers do not say is ''.

    `defects` names what is wrong with the mail. `structure` lists the subtypes of its parts. `first` maps the name of
    each header, in lower case, to the value of the topmost.
    """

    headers: Headers
    parts: tuple[Part, ...]
    structure: str
    plain: str
    page: Page
    size: int
    defects: tuple[str, ...]
    first: dict[str, str] = field(repr=False, compare=False)
    text: str
    """What a reader sees: the visible text of the page, or the plain part if that is empty."""
    subject: str
    """With encoded words decoded."""
    sender: str
    """The address in From, in lower case."""
    sender_name: str
    """The display name in From, with encoded words decoded."""
    list_id: str
    """What stands between the angle brackets of List-Id, in lower case."""

    def all(self, name: str) -> list[str]:
        """Return the raw values of every header called `name` (in lower case), topmost first."""
        return [value for key, value in self.headers if key == name]

    @property
    def attachments(self) -> tuple[Part, ...]:
        """The parts that are files rather than text."""
        return tuple(part for part in self.parts if part.attached)


def address(value: str) -> str:
    """Return the address of a header value in lower case, or ''. One in angle brackets wins over one in a name."""
    value = value[:MAX_VALUE]
    bracketed = value.rfind("<")
    match = (bracketed >= 0 and _ADDRESS.search(value, bracketed)) or _ADDRESS.search(value)
    return match[0].lower().strip(".'") if match else ""


def display_name(value: str) -> str:
    """Return the name beside the address of a header value, with encoded words decoded, or ''."""
    value = value[:MAX_VALUE]
    if "<" in value:
        name = value[: value.rfind("<")]
    else:
        comment = _COMMENT.search(value)
        name = comment[1] if comment else ""
    return decode_words(name).strip().strip("\"'").strip()


def parse_message(raw: bytes) -> Message:
    """Return any bytes as a Message."""
    size = len(raw)
    if b"\n" not in raw[:65536] and b"\r" in raw[:65536]:
        raw = _with_newlines(raw)
    reader = MimeReader(raw)
    headers, start = reader.headers.read(_start_of_head(raw), top=True)
    reader.walk(headers, start)
    first = dict(reversed(headers))
    plain, page = "\n".join(reader.plain), join_pages(reader.pages)
    sender = first.get("from", "")
    return Message(
        headers=headers,
        parts=tuple(reader.parts),
        structure=" ".join(reader.structure),
        plain=plain,
        page=page,
        size=size,
        defects=tuple(reader.defects),
        first=first,
        text=page.visible or plain,
        subject=decode_words(first.get("subject", "")[:_MAX_SUBJECT]).strip(),
        sender=address(sender),
        sender_name=display_name(sender),
        list_id=_in_brackets(first.get("list-id", "")),
    )


def _with_newlines(raw: bytes) -> bytes:
    """Return mail whose lines end in carriage returns with newlines instead; in blocks, as it may have 64 MB."""
    result, carriage = io.BytesIO(), b""
    for at in range(0, len(raw), BLOCK):
        block = carriage + raw[at : at + BLOCK]
        # A newline may follow in the next block.
        carriage = b"\r" if block.endswith(b"\r") else b""
        result.write((block[:-1] if carriage else block).replace(b"\r\n", b"\n").translate(_LINE_ENDS))
    result.write(carriage.translate(_LINE_ENDS))
    return result.getvalue()


def _in_brackets(value: str) -> str:
    return (value.rpartition("<")[2].partition(">")[0] or value).strip().lower()


def _start_of_head(raw: bytes) -> int:
    """Return where the headers begin: behind blank lines and an mbox `From ` line at the top."""
    start = len(raw[:1024]) - len(raw[:1024].lstrip())
    if raw.startswith((b"From ", b">From "), start):
        return raw.find(b"\n", start) + 1 or len(raw)
    return start
