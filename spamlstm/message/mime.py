"""The MIME parser: reads the tree of the parts of a mail and their text, with limits on every quantity.

If a limit is reached, a description such as "too many parts" is added to `defects`.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spamlstm.message.charset import decode, decode_base64, decode_words
from spamlstm.message.headers import MAX_VALUE, HeaderReader, Headers
from spamlstm.message.page import Page

if TYPE_CHECKING:
    from spamlstm.message.html_cost import Budget

# The maximum number of leaves, multiparts and forwarded messages together. It also bounds the depth of nesting. The
# rest of the mail is then read as plain text.
MAX_PARTS = 500
# The maximum number of lines that begin with `--` and are compared with the boundaries.
MAX_DASHES = 100_000
MAX_BOUNDARY = 990
MAX_PREAMBLE = 256 * 1024
# The lengths in bytes of the head and the tail of a text part. The text between them is not read, because the windows
# of the model would not cover it.
TEXT_HEAD, TEXT_TAIL = 384 * 1024, 128 * 1024
# The maximum size of all text parts together, in bytes. The text of further parts is not read.
MAX_TEXT = 1024 * 1024

_DASHES = re.compile(rb"\n--([^\r\n][^\n]{0,997}+)(?=\n|\Z)")
_SOFT_BREAK = re.compile(r"(?<!\n--) \r?\n(?!>)")
_USED_BOUNDARY = re.compile(rb"\s*--([^\s]{4,200})\r?\ncontent-", re.IGNORECASE)
_LOOKS_LIKE_PAGE = re.compile(r"\s*<(?:!doctype|html|head|body|table|div|meta|style|center|p>)", re.IGNORECASE)
_BASE64_END = re.compile(rb"={1,2}[ \t\r]*+\n\s*+(?=\S)")
_BASE64_LINES = re.compile(rb"(?:[A-Za-z0-9+/]{60,}+={0,2}+\s*+)++(?:[A-Za-z0-9+/]++={0,2}+\s*+)?\Z")
_PAGE_NAMES = (".html", ".htm", ".shtml")
# The content headers of a part without such headers.
_PLAIN = {"type": "text/plain", "disposition": ""}


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf of the MIME tree.

    `type` is in lower case. `name` is the file name, or ''. `size` is the encoded size in bytes.
    """

    type: str
    name: str
    size: int
    attached: bool


class MimeReader:
    """A reader that collects the parts, texts and pages of a message in one pass over its bytes.

    Open boundaries are kept in a dict, so that deep nesting does not slow the reader down.
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.defects: dict[str, None] = {}
        self.parts: list[Part] = []
        self.structure: list[str] = []
        self.plain: list[str] = []
        self.pages: list[Page] = []
        self.headers = HeaderReader(raw, self.defects)
        self._entities = 0
        self._text_left, self._page_left = MAX_TEXT, MAX_TEXT // 2
        self._page_budget: Budget | None = None

    def walk(self, headers: Headers, start: int) -> None:
        """Read all leaves of the entity whose body begins at `start`, in their order in the mail."""
        boundaries: dict[bytes, None] = {}
        leaf = self._open(headers, start, boundaries)
        for position, line_end, token in self._delimiters(start) if boundaries else ():
            closing = token not in boundaries and token.endswith(b"--")
            boundary = token[:-2] if closing else token
            if boundary not in boundaries:
                continue
            if leaf:
                self._leaf(leaf[0], leaf[1], position)
            while next(reversed(boundaries)) != boundary:
                boundaries.popitem()
            if closing:
                leaf = None
                boundaries.popitem()
                continue
            inner, begin = self.headers.read(line_end)
            leaf = self._open(inner, begin, boundaries)
            if self._entities > MAX_PARTS:
                break
        if boundaries:
            self.defects["unclosed multipart"] = None
        if leaf:
            self._leaf(leaf[0], leaf[1], len(self.raw))
        elif not self.parts:
            self._leaf(_PLAIN, start, len(self.raw))

    def _open(self, headers: Headers, start: int, boundaries: dict[bytes, None]) -> tuple[dict[str, str], int] | None:
        """Open the entity (message or part) with these headers, whose body begins at `start`.

        For a multipart, add its boundary to `boundaries` and return None. For a leaf, return its content headers and
        the start of its body. For a forwarded message, continue with its headers.
        """
        while True:
            self._entities += 1
            if self._entities > MAX_PARTS:
                self.defects["too many parts"] = None
                return _PLAIN, start
            content = self.headers.content(headers)
            mime_type = content["type"]
            if mime_type.startswith("multipart/"):
                if boundary := self._boundary(content, start):
                    self.structure.append(mime_type[10:40])
                    boundaries[boundary] = None
                    return None
                content["type"] = "text/plain"
                return content, start
            if mime_type != "message/rfc822" or content.get("transfer") == "base64":
                return content, start
            self.structure.append("message")
            headers, start = self.headers.read(start)
            subject = next((value for name, value in headers if name == "subject"), "")
            self.plain.append(decode_words(subject[:MAX_VALUE])[:1000])

    def _boundary(self, content: dict[str, str], start: int) -> bytes:
        """Return the declared boundary if the parts use it, otherwise the boundary that the parts use, or b''."""
        declared = content.get("boundary", "").encode("utf-8", "replace").rstrip()
        begin, end = max(start - 1, 0), start + MAX_PREAMBLE
        if declared and len(declared) < MAX_BOUNDARY and self.raw.find(b"\n--" + declared, begin, end) >= 0:
            return declared
        self.defects["wrong boundary"] = None
        used = _USED_BOUNDARY.match(self.raw, start, start + 2 * MAX_BOUNDARY)
        return used[1] if used else b""

    def _delimiters(self, start: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield each line that could end a part: its start, the start of the next line, and the text after `--`."""
        size = len(self.raw)
        for count, match in enumerate(_DASHES.finditer(self.raw, max(start - 1, 0))):
            if count == MAX_DASHES:
                self.defects["too many boundaries"] = None
                return
            yield match.start(), min(match.end() + 1, size), match[1].rstrip()

    def _leaf(self, content: dict[str, str], start: int, end: int) -> None:
        start = min(start, end)
        mime_type, name = content["type"], content.get("filename") or content.get("name") or ""
        attached = content["disposition"] == "attachment" or (bool(name) and not mime_type.startswith("text/"))
        self.parts.append(Part(mime_type[:100], name[:200], end - start, attached))
        main, _, sub = mime_type.partition("/")
        self.structure.append("attached" if attached else sub[:40] if main == "text" else main[:40])
        # An attached page is read too, because phishing mail sends forms as attachments.
        page = mime_type == "text/html" or (attached and name.lower().endswith(_PAGE_NAMES))
        if page or (mime_type == "text/plain" and not attached):
            self._text(content, start, end, page=page)

    def _text(self, content: dict[str, str], start: int, end: int, *, page: bool) -> None:
        if self._text_left <= 0:
            self.defects["too much text"] = None
            return
        pieces = self._decoded(content.get("transfer", ""), start, end)
        self._text_left -= sum(map(len, pieces))
        charset = content.get("charset", "")
        read = [decode(piece, charset, cut=len(pieces) > 1) for piece in pieces]
        text = "\n".join(text for text, _ in read)
        if charset and not all(right for _, right in read):
            self.defects["wrong charset"] = None
        if "\0" in text:
            self.defects["NUL in text"] = None
            text = text.replace("\0", "")
        if page or _LOOKS_LIKE_PAGE.match(text):
            self._page(text)
        elif content.get("format", "").lower() == "flowed":
            # RFC 3676: a line that ends in a space continues in the next line, except for the signature mark. With
            # DelSp, the space was added by the sender.
            self.plain.append(_SOFT_BREAK.sub("" if content.get("delsp", "").lower() == "yes" else " ", text))
        else:
            self.plain.append(text)

    def _page(self, source: str) -> None:
        if self._page_left <= 0:
            self.defects["too much text"] = None
            return
        self._page_left -= len(source)
        from spamlstm.message.html import read_page
        from spamlstm.message.html_cost import Budget

        self._page_budget = self._page_budget or Budget()
        page = read_page(source, self._page_budget)
        if page.cut:
            self.defects["page cut"] = None
        if page.complex:
            self.defects["page too complex"] = None
        self.pages.append(page)

    def _decoded(self, transfer: str, start: int, end: int) -> list[bytes]:
        """Return the bytes of a text part, or the bytes of its head and tail if the part is too long."""
        grown = 2 if transfer in ("base64", "quoted-printable") else 1
        head, tail = TEXT_HEAD * grown, TEXT_TAIL * grown
        if end - start > head + tail:
            self.defects["text cut"] = None
            pieces = [self.raw[start : start + head], self.raw[self._tail(start, end - tail) : end]]
        else:
            pieces = [self.raw[start:end]]
        if transfer == "base64":
            return [self._base64(piece) for piece in pieces]
        if transfer == "quoted-printable":
            return [binascii.a2b_qp(piece) for piece in pieces]
        return pieces

    def _tail(self, start: int, cut: int) -> int:
        """Return the start of the tail: the start of a line, or the first of a group of four base64 characters."""
        line = self.raw.find(b"\n", cut, cut + 2000)
        return line + 1 if line >= 0 else cut - (cut - start) % 4

    def _base64(self, piece: bytes) -> bytes:
        """Decode a base64 text, and add the data after its padding.

        This data is more base64, which is decoded, or a plain footer from a list server, which is added unchanged.
        """
        match = _BASE64_END.search(piece) if b"=" in piece[:-4] else None
        if match:
            rest = piece[match.end() :]
            self.defects["text behind base64"] = None
            if _BASE64_LINES.match(rest):
                rest = b"".join(map(decode_base64, rest.split(b"=")))
            return decode_base64(piece[: match.end()]) + b"\n" + rest
        decoded = decode_base64(piece)
        if len(piece) > 200 and len(decoded) < len(piece) // 2:
            self.defects["broken base64"] = None
        return decoded
