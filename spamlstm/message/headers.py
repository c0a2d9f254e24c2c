"""The parser for the headers of a mail and of its parts, and functions that find headers in raw mail.

If a limit is reached, a description such as "headers too long" is added to `defects`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from spamlstm.message.beginning import BYTE_ORDER_MARKS
from spamlstm.message.charset import ASCII, codec_name, decode, guess
from spamlstm.message.content_value import ENCODED, content_value, transfer_encoding
from spamlstm.message.stray_lines import begins_below, text_in_block

MAX_HEADER_BYTES = 256 * 1024
MAX_HEADERS = 1_000
# The most bytes of the header block of a part. An ordinary part has a few hundred, a forwarded message a few thousand.
MAX_INNER_HEADER_BYTES = 64 * 1024
# The most bytes of all header blocks of parts together, and of all values of Content-Type and Content-Disposition.
# Ordinary mail with 500 parts has a fifth of this.
MAX_INNER_HEADERS, MAX_CONTENT_VALUES = 1024 * 1024, 256 * 1024
# Up to this many header lines with bytes above 127 are decoded one by one; the rest are decoded together.
MAX_EIGHT_BIT_LINES = 2_000
MAX_VALUE = 4_000
"""At most this many characters of the value of a header are read."""

_FOLD = re.compile(r"\n[ \t]+")
_HEADER_NAME = re.compile(rb"[!-9;-~]+[ \t]*:")
_CHARSET = re.compile(rb"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
# Characters that appear if the charset is wrong: private-use and control characters.
_PRIVATE = re.compile("[\ue000-\uf8ff\x80-\x9f]")
# A line of white space in a header block, below which a text may begin.
_WHITE_LINE = re.compile(r"\n[ \t]++\r?\n")
_CONTENT_NAMES = ("content-type", "content-disposition")
_GAP = " " * 200
_LONG_GAP = re.compile(rf"(?<![ \t])[ \t]{{{len(_GAP)},}}+")

Headers = tuple[tuple[str, str], ...]
# The maximum size of a piece of headers, in bytes. A larger header is a piece of its own.
BLOCK = 256 << 10
# The size of the first piece that is searched for a blank line. Most header blocks are shorter.
_FIRST_PIECE = 4 << 10
_HEADER_START = re.compile(rb"\n[^ \t]")
_LAST_HEADER_START = re.compile(rb".*\n(?=[^ \t])", re.DOTALL)


class HeaderReader:
    """A reader of the header blocks of one message. Most limits apply to all blocks together."""

    def __init__(self, raw: bytes, defects: dict[str, None]) -> None:
        self._raw = raw
        self._defects = defects
        self._inner_left = MAX_INNER_HEADERS
        self._content_left = MAX_CONTENT_VALUES
        self._eight_bit_left = MAX_EIGHT_BIT_LINES

    def read(self, start: int, *, top: bool = False) -> tuple[Headers, int]:
        """Return the headers that begin at `start`, and the position of the body.

        `top` is set for the headers of the message itself, as opposed to those of a part.
        """
        if not top and self._raw.startswith(BYTE_ORDER_MARKS, start):
            start += len(BYTE_ORDER_MARKS[0])
        most = MAX_HEADER_BYTES if top else min(MAX_INNER_HEADER_BYTES, self._inner_left)
        end, body = self._end(start, most, top=top)
        if not top:
            self._inner_left -= end - start
        fields, is_broken = self._fields(start, end, top=top)
        if is_broken and (text := text_in_block(self._raw, start, end)) < end:
            self._defects["no blank line after the header"] = None
            (fields, _), body = self._fields(start, text, top=top), text
        return fields, body

    def _fields(self, start: int, end: int, *, top: bool) -> tuple[Headers, bool]:
        """Return the fields of the header block raw[start:end], and whether some of its lines are not fields."""
        block = self._raw[start:end]
        if block.isascii() and b"\x1b$" not in block:
            text = block.decode("ascii")
        else:
            if top:
                self._defects["8-bit header"] = None
            text = self._eight_bit(block)
        found: list[tuple[str, str]] = []
        is_broken = _WHITE_LINE.search(text) is not None
        text = text.replace("\0", "")
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        for line in _FOLD.sub(" ", text).split("\n"):
            name, colon, value = line.partition(":")
            name = name.rstrip()
            if not colon or not name or " " in name:
                is_broken = is_broken or line.strip() != ""
                continue
            if len(found) == MAX_HEADERS:
                self._defects["too many headers"] = None
                break
            found.append((name.lower(), value.strip()))
        return tuple(found), is_broken

    def _end(self, start: int, most: int, *, top: bool) -> tuple[int, int]:
        """Return the end of the header block at `start` and the position of the body.

        At most `most` bytes of the block are read.
        """
        raw = self._raw
        blank = _blank_line(raw, start, min(start + most, len(raw)))
        if blank == start:
            return start, raw.find(b"\n", start) + 1
        if blank >= 0:
            end, body = blank - 1, raw.find(b"\n", blank) + 1
        elif len(raw) - start > most:
            self._defects["headers too long"] = None
            end = body = start + most
        else:
            end = body = len(raw)
        if not _HEADER_NAME.match(raw, start, start + 200):
            if not (top and begins_below(raw, start, end)):
                self._defects["no headers" if top else "part without header"] = None
                return start, start
            self._defects["lines above the header"] = None
        # No header begins with two dashes, so this is the first boundary, and the blank line above it is missing.
        dashes = raw.find(b"\n--", start, end)
        return (dashes, dashes + 1) if dashes >= 0 else (end, body)

    def _eight_bit(self, block: bytes) -> str:
        """Decode a header block that is not ASCII, or has escapes of Japanese text, each line separately."""
        labelled = _CHARSET.search(block)
        claimed = codec_name(labelled[1].decode("ascii", "replace")) if labelled else None
        lines = block.split(b"\n")
        text: list[str] = []
        for number, line in enumerate(lines):
            if line.isascii() and b"\x1b$" not in line:
                text.append(line.decode("ascii"))
                continue
            if not self._eight_bit_left:
                text.append(guess(b"\n".join(lines[number:])))
                break
            self._eight_bit_left -= 1
            text.append(_eight_bit_line(line, claimed))
        return "\n".join(text)

    def content(self, headers: Headers) -> dict[str, str]:
        """Return the values of the Content-* headers of a part.

        The keys are 'type' (text/plain by default), 'multipart' (the type that is a multipart, or ''), 'disposition',
        'transfer' (or ''), and the names of the parameters.
        """
        found: dict[str, str] = {}
        values: dict[str, str] = {}
        multipart = ""
        # If several headers have the same name, the topmost is used, as in most mail programs. A multipart below it is
        # tried first, because its parts would be lost otherwise.
        for name, value in self._content_values(headers):
            kind, parameters, wrong = content_value(value)
            if wrong and name == "content-type":
                self._defects["wrong content type"] = None
            values.setdefault(name, kind)
            if name == "content-type" and kind.startswith("multipart"):
                multipart = multipart or kind
            # multipart/related also has a parameter called `type`.
            for key, text in parameters:
                found.setdefault(key, text)
        found.pop("outside", None)
        mime_type = values.get("content-type") or "text/plain"
        if "/" not in mime_type:
            mime_type = "text/html" if "html" in mime_type else "text/plain"
        found["type"] = mime_type
        found["multipart"] = f"{multipart}/mixed" if multipart == "multipart" else multipart
        found["disposition"] = values.get("content-disposition", "")
        found["transfer"] = _transfer(headers)
        return found

    def _content_values(self, headers: Headers) -> list[tuple[str, str]]:
        """Return the names and the values of Content-Type and Content-Disposition, as far as the limits allow."""
        named = [(name, value) for name, value in headers if name in _CONTENT_NAMES]
        left, size = self._content_left, sum([len(value) for _, value in named])
        if size > left:
            self._defects["content headers too long"] = None
        self._content_left = max(left - size, 0)
        read: list[tuple[str, str]] = []
        for name, value in named:
            # The ending of a file name may stand behind a long gap.
            shown = value if len(value) <= MAX_VALUE else _LONG_GAP.sub(_GAP, value)
            shown = shown[: min(MAX_VALUE, left)]
            left -= len(shown)
            read.append((name, shown))
        return read


def _transfer(headers: Headers) -> str:
    """Return the first transfer encoding in which text must be decoded, otherwise the topmost one, or ''."""
    found = [transfer_encoding(value[:MAX_VALUE]) for name, value in headers if name == "content-transfer-encoding"]
    return next((one for one in found if one in ENCODED), found[0] if found else "")


def _eight_bit_line(line: bytes, claimed: str | None) -> str:
    """Decode a line that is not ASCII.

    The charset `claimed` is used if more than a quarter of the line is not ASCII and the result has no invalid
    characters. Otherwise the charset is guessed.
    """
    if claimed and len(line.translate(None, ASCII)) * 4 > len(line):
        text = guess(line, claimed)
        if "\ufffd" not in text and not _PRIVATE.search(text):
            return text
    return decode(line)[0]


def end_of_head(raw: bytes, start: int = 0) -> int:
    """Return the position of the first blank line at or after `start`, or `len(raw)`.

    `start` must be the beginning of a line.
    """
    blank = _blank_line(raw, start, len(raw))
    return blank if blank >= 0 else len(raw)


def _blank_line(raw: bytes, start: int, stop: int) -> int:
    """Return the position of the first blank line between `start`, the beginning of a line, and `stop`, or -1."""
    if raw.startswith((b"\n", b"\r\n"), start):
        return start
    # The search works in pieces, and the first ones are short. Otherwise, a body with one kind of line end would be
    # searched completely for the other kind.
    at, size = start, _FIRST_PIECE
    while at < stop:
        end = min(at + size, stop)
        unix = raw.find(b"\n\n", at, end + 1)
        dos = raw.find(b"\n\r\n", at, (end if unix < 0 else unix) + 2)
        if dos >= 0 or unix >= 0:
            return (dos if dos >= 0 else unix) + 1
        at, size = end, min(2 * size, BLOCK)
    return -1


def end_of_header(raw: bytes, start: int, end: int) -> int:
    """Return the end of the header or folded line at `start`, including the folded lines after it."""
    found = _HEADER_START.search(raw, start, end)
    return found.start() + 1 if found else end


class HeaderNames:
    """A set of header names, with methods that find, skip or remove these headers. Case is ignored.

    `x-a*` matches all names that begin with `x-a`.
    """

    def __init__(self, *names: str) -> None:
        name = _any_of(names).encode()
        self._first = re.compile(name + rb"[ \t]*+:")
        self._next = re.compile(rb"\n" + name + rb"[ \t]*+:")
        # One or more such headers with their folded lines, and the line end before the first.
        self._several = re.compile(rb"\n(?>" + name + rb"[ \t]*+:[^\n]*+(?>\n[ \t][^\n]*+)*+\n?+)++")

    def find(self, raw: bytes, start: int, end: int) -> int:
        """Return the position of the first of these headers in raw[start:end], or `end`."""
        if self._first.match(raw, start, end):
            return start
        found = self._next.search(raw, start, end)
        return found.start() + 1 if found else end

    def begins(self, raw: bytes) -> bool:
        """Return whether `raw` begins with one of these headers."""
        return self._first.match(raw) is not None

    def skip(self, raw: bytes, start: int, end: int) -> int:
        """Return the position after all consecutive headers of this set that begin at `start`."""
        for at, stop in _pieces(raw, start, end):
            if stop - at > BLOCK:
                if not self._first.match(raw, at, end):
                    return at
            elif found := self._several.match(b"\n" + raw[at:stop]):
                if at + found.end() - 1 < stop:
                    return at + found.end() - 1
            else:
                return at
        return end

    def left_out(self, raw: bytes, start: int, end: int) -> Iterator[memoryview]:
        """Yield raw[start:end] without these headers, in pieces. The range must consist of whole headers."""
        view = memoryview(raw)
        first = self.find(raw, start, end)
        yield view[start:first]
        for at, stop in _pieces(raw, first, end):
            if stop - at <= BLOCK:
                # Split and join take three quarters of the time of `sub`.
                yield memoryview(b"\n".join(self._several.split(b"\n" + raw[at:stop])))[1:]
            elif not self._first.match(raw, at, end):
                yield view[at:stop]


def _pieces(raw: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the start and end of pieces that consist of whole headers.

    A piece is larger than BLOCK only if it is a single header.
    """
    while start < end:
        if end - start <= BLOCK:
            stop = end
        elif last := _LAST_HEADER_START.match(raw, start, start + BLOCK):
            stop = last.end()
        else:
            stop = end_of_header(raw, start, end)
        yield start, stop
        start = stop


def _any_of(names: Sequence[str], *, top: bool = True) -> str:
    """Return a regular expression for these names.

    Names with the same beginning share a branch, because `re` tries alternatives one by one.
    """
    rests: dict[str, list[str]] = {}
    for name in names:
        rests.setdefault(name[:1], []).append(name[1:])
    ends = "" in rests
    options = [
        _letter(first) + (_any_of(rest, top=False) if first != "*" else "") for first, rest in rests.items() if first
    ]
    options += [""] if ends else []
    if len(options) == 1:
        return options[0]
    # Unless the name may end here, the next letter or two are checked before the alternatives are tried.
    ahead = "" if ends else f"(?={_one_of(rests)}{_one_of(name[1] for name in names) if top else ''})"
    return f"{ahead}(?:{'|'.join(options)})"


def _one_of(letters: Iterable[str]) -> str:
    return f"[{''.join(re.escape(letter.lower() + letter.upper()) for letter in dict.fromkeys(letters))}]"


def _letter(letter: str) -> str:
    if letter == "*":
        return "[!-9;-~]*+"
    return f"[{letter}{letter.upper()}]" if letter.isalpha() else re.escape(letter)
