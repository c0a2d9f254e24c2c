"""The parser of raw mail. No input raises an exception, and time and memory are bounded for any input.

The parser of the standard library raises RecursionError on deep nesting, takes quadratic time on some hostile input,
and decodes attachments that are not needed (docs/decisions/0002-own-parser.md has the figures).
"""

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from spamlstm.message.beginning import BYTE_ORDER_MARKS, is_wide, start_of_head
from spamlstm.message.charset import decode_words, guess
from spamlstm.message.headers import BLOCK, MAX_VALUE, Headers
from spamlstm.message.mime import MimeReader, Part
from spamlstm.message.page import MAX_LINKS, Page
from spamlstm.message.part_text import shown_text

_MAX_SUBJECT = 20_000
# If the parts show fewer words, the text behind the last part is read too.
_FEW, _FEW_WORDS = 200, 10
# The most bytes that are read of a message in UTF-16 or UTF-32.
_MAX_UTF_16 = 4 << 20
# The lookbehind lets an address begin only at the beginning of a word. Otherwise long words would take quadratic time.
_ADDRESS = re.compile(r"(?<![^\s<>\"(),:;@])[^\s<>\"(),:;@]++@[^\s<>\"(),:;@]+")
_COMMENT = re.compile(r"\(([^()]*)\)")
# An address of a list of addresses. A word with several @ is one address, whose domain is after the last @.
_LISTED = re.compile(r"(?<![^\s<>,:;])[^\s<>,:;\\]+@(?:\[[0-9.]*+\]|[^\s<>,:;@\\]++)")
_PIECE = re.compile(r'\\.?|["()]|[^\\"()]++', re.DOTALL)
_NOT_LOCAL = re.compile(r"[\s<>\"(),:;@\\]")
# The first line ends in a carriage return alone, and another header line follows.
_CARRIAGE_RETURNS = re.compile(rb"[^\r\n]++\r(?:[ \t]|[!-9;-~]{1,256}[ \t]*+:)")
# Spaces and tabs that are allowed around the @ in angle brackets.
_SPACED_AT = re.compile(r"(?<=[^\s<>\",])[ \t]{0,8}@[ \t]{0,8}(?=[^\s<>\",])")
_LINE_ENDS = bytes.maketrans(b"\r", b"\n")


@dataclass(frozen=True, slots=True)
class Message:
    """A parsed mail. Its text is decoded, but not normalised. Values that the headers do not contain are ''.

    `defects` lists the faults of the mail. `structure` lists the subtypes of its parts. `first` maps the name of each
    header, in lower case, to the value of the topmost header with that name.
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
    """The text that a reader sees: all displayed parts, and the plain part beside a page if its text differs."""
    secondary: str
    """The end of `text`, which a reader does not take for the letter (see `MessageText`)."""
    subject: str
    """The subject, with encoded words decoded."""
    sender: str
    """The address in the From header, in lower case."""
    sender_name: str
    """The display name in the From header, with encoded words decoded."""
    list_id: str
    """The text between the angle brackets of List-Id, in lower case."""

    def all(self, name: str) -> list[str]:
        """Return the raw values of every header called `name` (in lower case), topmost first."""
        return [value for key, value in self.headers if key == name]

    @property
    def attachments(self) -> tuple[Part, ...]:
        """The parts that are files rather than text."""
        return tuple(part for part in self.parts if part.attached)


def join_pages(pages: Iterable[Page]) -> Page:
    """Return the HTML parts of one message as one page."""
    pages = list(pages)
    if len(pages) < 2:
        return pages[0] if pages else Page()
    return Page(
        visible="\n".join(page.visible for page in pages),
        hidden="\n".join(page.hidden for page in pages if page.hidden),
        links=tuple(link for page in pages for link in page.links)[:MAX_LINKS],
        images=tuple(image for page in pages for image in page.images)[:MAX_LINKS],
        forms=sum(page.forms for page in pages),
        scripts=sum(page.scripts for page in pages),
        size=sum(page.size for page in pages),
        cut=any(page.cut for page in pages),
        complex=any(page.complex for page in pages),
        preheader=next((page.preheader for page in pages if page.preheader), ""),
        pictured=any(page.pictured for page in pages),
        elsewhere=any(page.elsewhere for page in pages),
    )


def address(value: str) -> str:
    """Return the address in a header value in lower case, or '' if there is no address.

    An address in angle brackets has priority over an address in the display name.
    """
    # An address in angle brackets follows the display name, so a long name does not hide it.
    end = value[-MAX_VALUE:]
    value = value[:MAX_VALUE]
    value = end if "<" in end and "<" not in value else value
    if '"@' in value or ")@" in value or "@(" in value:
        return next(iter(addresses(value)), "")
    return _address_in(value, _ADDRESS)


def addresses(value: str) -> tuple[str, ...]:
    """Return the addresses in a header value that lists mailboxes, such as From, in lower case.

    Quoted names and comments contain no addresses. In each mailbox, an address in angle brackets has priority.
    """
    mailboxes = _unquoted(value[:MAX_VALUE]).replace(";", ",").split(",")
    return tuple(filter(None, (_address_in(mailbox, _LISTED) for mailbox in mailboxes)))


def _address_in(mailbox: str, pattern: re.Pattern[str]) -> str:
    """Return the first address in a mailbox that `pattern` finds, in lower case, or ''.

    An address in angle brackets has priority. In the brackets, there may be spaces and tabs around the @.
    """
    bracketed = mailbox.rfind("<")
    if bracketed >= 0:
        mailbox = mailbox[:bracketed] + _SPACED_AT.sub("@", mailbox[bracketed:])
    match = (bracketed >= 0 and pattern.search(mailbox, bracketed)) or pattern.search(mailbox)
    return match[0].lower().strip(".'") if match else ""


def _unquoted(value: str) -> str:
    """Return a header value without comments, which may be nested, and without quoted text.

    A quoted local part stays one word, so that an address within the quotes is not found.
    """
    if '"' not in value and "(" not in value:
        return value
    kept: list[str] = []
    quoted: list[str] | None = None
    depth = 0
    for piece in _PIECE.finditer(value):
        text = piece[0]
        if depth:
            depth += (text == "(") - (text == ")")
        elif text == '"':
            if quoted is not None:
                kept.append(_NOT_LOCAL.sub("_", "".join(quoted)) if value.startswith("@", piece.end()) else " ")
            quoted = [] if quoted is None else None
        elif quoted is not None:
            quoted.append(text)
        elif text == "(":
            depth = 1
        else:
            kept.append(text)
    if depth:  # the comment has no end, so its parenthesis is ordinary text
        return value.replace("(", " ").replace('"', " ")
    return "".join([*kept, *(quoted or ())])


def display_name(value: str) -> str:
    """Return the display name in a header value, with encoded words decoded, or '' if there is no display name."""
    value = value[:MAX_VALUE]
    if "<" in value:
        name = value[: value.rfind("<")]
    else:
        comment = _COMMENT.search(value)
        name = comment[1] if comment else ""
    return decode_words(name).strip().strip("\"'").strip()


def parse_message(raw: bytes) -> Message:
    """Return the Message parsed from arbitrary bytes."""
    size = len(raw)
    raw, repairs = _repaired(raw)
    reader = MimeReader(raw)
    reader.defects.update(repairs)
    headers, start = reader.headers.read(start_of_head(raw), top=True)
    reader.walk(headers, start)
    first = dict(reversed(headers))
    shown = shown_text(reader.shown)
    text = shown.all
    if len(text) < _FEW and len(text.split()) < _FEW_WORDS:
        reader.read_behind_parts()
        shown = shown_text(reader.shown)
        text = shown.all
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
        text=text,
        secondary=shown.secondary,
        subject=decode_words(first.get("subject", "")[:_MAX_SUBJECT]).strip(),
        sender=address(sender),
        sender_name=display_name(sender),
        list_id=_in_brackets(first.get("list-id", "")),
    )


def _repaired(raw: bytes) -> tuple[bytes, dict[str, None]]:
    """Return `raw` with ordinary line ends and in a charset that contains ASCII, and the defects that this repairs."""
    defects: dict[str, None] = {}
    if is_wide(raw):
        raw = guess(raw[:_MAX_UTF_16]).encode("utf-8", "replace")
        defects["UTF-16"] = None
    start = raw[:65536]
    if b"\r" in start:
        if b"\n" not in start or _CARRIAGE_RETURNS.match(start):
            return _with_newlines(raw), defects
        if b"\r\r\n" in start:
            defects["wrong line ends"] = None
            raw = raw.replace(b"\r\r\r\n", b"\n").replace(b"\r\r\n", b"\n")
    if raw.startswith(BYTE_ORDER_MARKS):
        defects["byte order mark"] = None
    return raw, defects


def _with_newlines(raw: bytes) -> bytes:
    """Return mail with newlines in place of carriage returns. Works in blocks because `raw` may have 64 MB."""
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
