"""The walk through the bytes of one mail: its headers, the tree of its parts, and what they say. Bounded in every way.

Each bound that is met leaves its name in `defects`; what lies behind it is still read, as plain text.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from spamlstm.message import html
from spamlstm.message.charset import codec_name, decode, decode_base64, decode_words, guess

MAX_HEADER_BYTES = 256 * 1024
MAX_HEADERS = 1_000
# The header of a part inside; real ones have a few hundred bytes, forwarded messages a few thousand.
MAX_INNER_HEADER_BYTES = 64 * 1024
# All of these together, and what is read of their Content-Type and Content-Disposition; 500 parts have a fifth of it.
MAX_INNER_HEADERS, MAX_CONTENT_VALUES = 1024 * 1024, 256 * 1024
# Header lines with bytes above 127 whose charset is told one by one; the lines behind them share one.
MAX_EIGHT_BIT_LINES = 2_000
# Entities, which are leaves, multiparts and forwarded messages together; so this bounds depth as well.
MAX_PARTS = 500
# Lines that begin with `--`: what could be a boundary is looked at this often.
MAX_DASHES = 100_000
MAX_BOUNDARY = 990
MAX_PREAMBLE = 256 * 1024
MAX_VALUE = 4_000
# A text part is read to this size, its head and its tail; no window of the model looks further.
TEXT_HEAD, TEXT_TAIL = 384 * 1024, 128 * 1024
# All text parts together; the rest only counts.
MAX_TEXT = 1024 * 1024

# The first is ten times as fast as the second, which is only for mail with carriage returns.
_FOLD, _FOLD_CR = re.compile(r"\n[ \t]+"), re.compile(r"\r?\n[ \t]+")
_HEADER_NAME = re.compile(rb"[!-9;-~]+[ \t]*:")
_CHARSET = re.compile(rb"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
_DASHES = re.compile(rb"\n--([^\r\n][^\n]{0,997}+)(?=\n|\Z)")
# A value in quotes; or one without, and then the second group is ''.
_PARAMETER = re.compile(r';\s*+([^\s=;"]++)\s*+=\s*+(?:("(?:[^"\\]++|\\.)*+")|([^;]*+))')
_UNQUOTED_PARAMETER = re.compile(r';\s*+([^\s=;"]++)\s*+=\s*+()([^;]*+)')
_ESCAPED = re.compile(r"\\(.)")
_SOFT_BREAK = re.compile(r"(?<!\n--) \r?\n(?!>)")
_USED_BOUNDARY = re.compile(rb"\s*--([^\s]{4,200})\r?\ncontent-", re.IGNORECASE)
_LOOKS_LIKE_PAGE = re.compile(r"\s*<(?:!doctype|html|head|body|table|div|meta|style|center|p>)", re.IGNORECASE)
_BASE64_END = re.compile(rb"={1,2}[ \t\r]*+\n\s*+(?=\S)")
_BASE64_LINES = re.compile(rb"(?:[A-Za-z0-9+/]{60,}+={0,2}+\s*+)++(?:[A-Za-z0-9+/]++={0,2}+\s*+)?\Z")
_PRIVATE = re.compile("[\ue000-\uf8ff\x80-\x9f]")
_ASCII = bytes(range(0x80))
_PAGE_NAMES = (".html", ".htm", ".shtml")

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf of the MIME tree: its type in lower case, its file name if it has one, its size as sent in bytes."""

    type: str
    name: str
    size: int
    attached: bool


@lru_cache(maxsize=256)
def content_value(value: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A Content-Type or Content-Disposition: its word, lower case, and its parameters, RFC 2231 pieces joined."""
    found: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, str]]] = {}
    for raw_key, raw_text in _parameters(value):
        key, star, number = raw_key.lower().partition("*")
        text = _unquoted(raw_text.strip())
        if star:
            digits = number.rstrip("*")
            order = int(digits) if digits.isdecimal() and len(digits) < 5 else 0
            pieces.setdefault(key, []).append((order, text))
        else:
            found.setdefault(key, decode_words(text))
    for key, texts in pieces.items():
        found.setdefault(key, _extended("".join(text for _, text in sorted(texts, key=lambda piece: piece[0]))))
    return value.partition(";")[0].strip().lower(), tuple(found.items())


def _parameters(value: str) -> Iterator[tuple[str, str]]:
    """Each parameter of a header value and what it is set to, with its quotes."""
    pattern, at = _PARAMETER, 0
    while match := pattern.search(value, at):
        at = match.end()
        name, quoted, plain = match.groups()
        yield name, quoted or plain
        if plain and plain[0] == '"':
            # A quote that does not end. Neither does any behind it, and to look for each end anew would cost the
            # square of the length.
            pattern = _UNQUOTED_PARAMETER


def _unquoted(text: str) -> str:
    if text[:1] != '"':
        return text
    return _ESCAPED.sub(r"\1", text[1:-1] if text.endswith('"') else text[1:])


def _extended(text: str) -> str:
    """An RFC 2231 value: `charset'language'percent-encoded`."""
    charset, quote, rest = text.partition("'")
    if not quote:
        return decode(unquote_to_bytes(text))[0]
    return decode(unquote_to_bytes(rest.partition("'")[2]), charset)[0]


def _content(headers: Headers, room: int = MAX_CONTENT_VALUES) -> dict[str, str]:
    """What the Content-* headers say of an entity: type, disposition, transfer, and the parameters they carry.

    Of all values together `room` characters are read.
    """
    found: dict[str, str] = {}
    types: dict[str, str] = {}
    # Of two of a kind the upper one counts, as for most readers.
    for name, value in headers:
        if name in ("content-type", "content-disposition"):
            read = value[: min(MAX_VALUE, room)]
            room -= len(read)
            kind, parameters = content_value(read)
            # `type` is also a parameter, of multipart/related.
            for key, text in parameters:
                found.setdefault(key, text)
            types.setdefault(name, kind)
        elif name == "content-transfer-encoding":
            found.setdefault("transfer", value[:MAX_VALUE].partition(";")[0].strip().lower())
    found["type"], found["disposition"] = (
        types.get("content-type") or "text/plain",
        types.get("content-disposition", ""),
    )
    if "/" not in found["type"]:
        found["type"] = "text/html" if "html" in found["type"] else "text/plain"
    return found


class MimeReader:
    """One pass over the bytes of a message. Open boundaries lie in a dict, so depth costs nothing."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.defects: dict[str, None] = {}
        self.parts: list[Part] = []
        self.shape: list[str] = []
        self.plain: list[str] = []
        self.pages: list[html.Page] = []
        self.entities = 0
        self.room = MAX_TEXT
        self.page_room = MAX_TEXT // 2
        self.header_room = MAX_INNER_HEADERS
        self.content_room = MAX_CONTENT_VALUES
        self.eight_bit_room = MAX_EIGHT_BIT_LINES
        self.page_budget = html.Budget()

    def headers(self, start: int, *, top: bool = False) -> tuple[Headers, int]:
        """The headers that begin at `start`, and where the body begins."""
        most = MAX_HEADER_BYTES if top else min(MAX_INNER_HEADER_BYTES, self.header_room)
        end, body = self._header_end(start, most, top=top)
        block = self.raw[start:end]
        if not top:
            self.header_room -= len(block)
        if block.isascii():
            text = block.decode("ascii")
        else:
            if top:
                self.defects["8-bit header"] = None
            text = self._eight_bit(block)
        found: list[tuple[str, str]] = []
        fold = _FOLD_CR if "\r" in text else _FOLD
        for line in fold.sub(" ", text.replace("\0", "")).split("\n"):
            name, colon, value = line.partition(":")
            name = name.rstrip()
            if not colon or not name or " " in name:
                continue
            if len(found) == MAX_HEADERS:
                self.defects["too many headers"] = None
                break
            found.append((name.lower(), value.strip()))
        return tuple(found), body

    def _eight_bit(self, block: bytes) -> str:
        """A header block with bytes that it should not have, each line for itself."""
        labelled = _CHARSET.search(block)
        claimed = codec_name(labelled[1].decode("ascii", "replace")) if labelled else None
        lines = block.split(b"\n")
        text: list[str] = []
        for number, line in enumerate(lines):
            if line.isascii():
                text.append(line.decode("ascii"))
                continue
            if not self.eight_bit_room:
                text.append(guess(b"\n".join(lines[number:])))
                break
            self.eight_bit_room -= 1
            text.append(_eight_bit_line(line, claimed))
        return "\n".join(text)

    def _content(self, headers: Headers) -> dict[str, str]:
        """What the Content-* headers say of an entity, as long as there is room for all that such headers say."""
        values = sum([len(value) for name, value in headers if name in ("content-type", "content-disposition")])
        if values > self.content_room:
            self.defects["content headers too long"] = None
        named = _content(headers, self.content_room)
        self.content_room = max(self.content_room - values, 0)
        return named

    def _header_end(self, start: int, most: int, *, top: bool) -> tuple[int, int]:
        raw = self.raw
        if raw.startswith((b"\n", b"\r\n"), start):
            return start, raw.find(b"\n", start) + 1
        unix = raw.find(b"\n\n", start, start + most)
        dos = raw.find(b"\n\r\n", start, unix if unix >= 0 else start + most)
        if dos >= 0:
            end, body = dos, dos + 3
        elif unix >= 0:
            end, body = unix, unix + 2
        elif len(raw) - start > most:
            self.defects["headers too long"] = None
            end = body = start + most
        else:
            end = body = len(raw)
        if not _HEADER_NAME.match(raw, start, start + 200):
            self.defects["no headers" if top else "part without header"] = None
            return start, start
        # No field begins with two dashes: this is the first boundary, without the blank line above it.
        dashes = raw.find(b"\n--", start, end)
        return (dashes, dashes + 1) if dashes >= 0 else (end, body)

    def walk(self, headers: Headers, start: int) -> None:
        """Read every leaf below an entity, in the order of the mail."""
        stack: dict[bytes, None] = {}
        leaf = self._open(headers, start, stack)
        for position, line_end, token in self._delimiters(start) if stack else ():
            closing = token not in stack and token.endswith(b"--")
            boundary = token[:-2] if closing else token
            if boundary not in stack:
                continue
            if leaf:
                self._leaf(leaf[0], leaf[1], position)
            while next(reversed(stack)) != boundary:
                stack.popitem()
            if closing:
                leaf = None
                stack.popitem()
                continue
            inner, begin = self.headers(line_end)
            leaf = self._open(inner, begin, stack)
            if self.entities > MAX_PARTS:
                break
        if stack:
            self.defects["unclosed multipart"] = None
        if leaf:
            self._leaf(leaf[0], leaf[1], len(self.raw))
        elif not self.parts:
            self._leaf(_content(()), start, len(self.raw))

    def _open(self, headers: Headers, start: int, stack: dict[bytes, None]) -> tuple[dict[str, str], int] | None:
        """Enter an entity: push its boundary if it is a multipart, else return it as a leaf to be ended later."""
        while True:
            self.entities += 1
            if self.entities > MAX_PARTS:
                self.defects["too many parts"] = None
                return _content(()), start
            named = self._content(headers)
            kind = named["type"]
            if kind.startswith("multipart/"):
                if boundary := self._boundary(named, start):
                    self.shape.append(kind[10:40])
                    stack[boundary] = None
                    return None
                named["type"] = "text/plain"
                return named, start
            if kind != "message/rfc822" or named.get("transfer") == "base64":
                return named, start
            self.shape.append("message")
            headers, start = self.headers(start)
            subject = next((value for name, value in headers if name == "subject"), "")
            self.plain.append(decode_words(subject[:MAX_VALUE])[:1000])

    def _boundary(self, named: dict[str, str], start: int) -> bytes:
        """The boundary that an entity declares if its parts use it, else the one they plainly use, else b''."""
        declared = named.get("boundary", "").encode("utf-8", "replace").rstrip()
        begin, end = max(start - 1, 0), start + MAX_PREAMBLE
        if declared and len(declared) < MAX_BOUNDARY and self.raw.find(b"\n--" + declared, begin, end) >= 0:
            return declared
        self.defects["wrong boundary"] = None
        used = _USED_BOUNDARY.match(self.raw, start, start + 2 * MAX_BOUNDARY)
        return used[1] if used else b""

    def _delimiters(self, start: int) -> Iterator[tuple[int, int, bytes]]:
        """Of each line that could end a part: where it begins, where the next begins, what stands behind `--`."""
        size = len(self.raw)
        for count, match in enumerate(_DASHES.finditer(self.raw, max(start - 1, 0))):
            if count == MAX_DASHES:
                self.defects["too many boundaries"] = None
                return
            yield match.start(), min(match.end() + 1, size), match[1].rstrip()

    def _leaf(self, named: dict[str, str], start: int, end: int) -> None:
        start = min(start, end)
        kind, name = named["type"], named.get("filename") or named.get("name") or ""
        attached = named["disposition"] == "attachment" or (bool(name) and not kind.startswith("text/"))
        self.parts.append(Part(kind[:100], name[:200], end - start, attached))
        main, _, sub = kind.partition("/")
        self.shape.append("attached" if attached else sub[:40] if main == "text" else main[:40])
        # A page sent as a file is read too: it is how credential forms travel.
        page = kind == "text/html" or (attached and name.lower().endswith(_PAGE_NAMES))
        if page or (kind == "text/plain" and not attached):
            self._text(named, start, end, page=page)

    def _text(self, named: dict[str, str], start: int, end: int, *, page: bool) -> None:
        if self.room <= 0:
            self.defects["too much text"] = None
            return
        pieces = self._decoded(named.get("transfer", ""), start, end)
        self.room -= sum(map(len, pieces))
        charset = named.get("charset", "")
        read = [decode(piece, charset, cut=len(pieces) > 1) for piece in pieces]
        text = "\n".join(text for text, _ in read)
        if charset and not all(right for _, right in read):
            self.defects["wrong charset"] = None
        if "\0" in text:
            self.defects["NUL in text"] = None
            text = text.replace("\0", "")
        if page or _LOOKS_LIKE_PAGE.match(text):
            self._page(text)
        else:
            flowed = named.get("format", "").lower() == "flowed"
            self.plain.append(_unflow(text, glue=named.get("delsp", "").lower() == "yes") if flowed else text)

    def _page(self, source: str) -> None:
        if self.page_room <= 0:
            self.defects["too much text"] = None
            return
        self.page_room -= len(source)
        page = html.read_page(source, self.page_budget)
        if page.cut:
            self.defects["page cut"] = None
        if page.complex:
            self.defects["page too complex"] = None
        self.pages.append(page)

    def _decoded(self, transfer: str, start: int, end: int) -> list[bytes]:
        """The bytes of a text part, head and tail only if it is huge."""
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
        """Where to begin the tail of a cut part: with a line, and else where four base64 characters belong together."""
        line = self.raw.find(b"\n", cut, cut + 2000)
        return line + 1 if line >= 0 else cut - (cut - start) % 4

    def _base64(self, piece: bytes) -> bytes:
        """Base64 behind its padding is more base64, or a footer that a list server added in the clear."""
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


def _eight_bit_line(line: bytes, claimed: str | None) -> str:
    """UTF-8, or as the body is labelled if that reads well and the line is not a few accents only, or a guess."""
    if claimed and len(line.translate(None, _ASCII)) * 4 > len(line):
        text = guess(line, claimed)
        if "\ufffd" not in text and not _PRIVATE.search(text):
            return text
    return guess(line)


def _unflow(text: str, *, glue: bool) -> str:
    """format=flowed (RFC 3676): a line that ends in a space goes on in the next, but for the signature mark.

    `glue` is DelSp: the space itself was added by the sender and goes too, as in text without spaces.
    """
    return _SOFT_BREAK.sub("" if glue else " ", text)
