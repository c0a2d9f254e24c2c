"""The headers of one mail and of its parts: where they end, their names and values, and what Content-* headers say.

Each limit that is reached leaves its name in `defects`.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from spamlstm.message.charset import ASCII, codec_name, decode, decode_words, guess

MAX_HEADER_BYTES = 256 * 1024
MAX_HEADERS = 1_000
# The header block of a part; real ones have a few hundred bytes, those of forwarded messages a few thousand.
MAX_INNER_HEADER_BYTES = 64 * 1024
# For all parts together: their header blocks, and what is read of their Content-Type and Content-Disposition. Ordinary
# mail with 500 parts has a fifth of this.
MAX_INNER_HEADERS, MAX_CONTENT_VALUES = 1024 * 1024, 256 * 1024
# So many header lines with bytes above 127 get a charset of their own; the lines after them share one.
MAX_EIGHT_BIT_LINES = 2_000
MAX_VALUE = 4_000

# The first is ten times as fast as the second, which only mail with carriage returns needs.
_FOLD, _FOLD_CR = re.compile(r"\n[ \t]+"), re.compile(r"\r?\n[ \t]+")
_HEADER_NAME = re.compile(rb"[!-9;-~]+[ \t]*:")
_CHARSET = re.compile(rb"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
# Characters that a wrong charset yields: private ones and controls.
_PRIVATE = re.compile("[\ue000-\uf8ff\x80-\x9f]")
# The groups: a name, and a value in quotes or a value without.
_PARAMETER = re.compile(r';\s*+([^\s=;"]++)\s*+=\s*+(?:("(?:[^"\\]++|\\.)*+")|([^;]*+))')
_UNQUOTED_PARAMETER = re.compile(r';\s*+([^\s=;"]++)\s*+=\s*+()([^;]*+)')
_ESCAPED = re.compile(r"\\(.)")
_CONTENT_NAMES = ("content-type", "content-disposition")

Headers = tuple[tuple[str, str], ...]


class HeaderReader:
    """Reads header blocks of one message. Most limits hold for all blocks together."""

    def __init__(self, raw: bytes, defects: dict[str, None]) -> None:
        self._raw = raw
        self._defects = defects
        self._inner_left = MAX_INNER_HEADERS
        self._content_left = MAX_CONTENT_VALUES
        self._eight_bit_left = MAX_EIGHT_BIT_LINES

    def read(self, start: int, *, top: bool = False) -> tuple[Headers, int]:
        """Return the headers that begin at `start`, and where the body begins. `top` are the message's own headers."""
        most = MAX_HEADER_BYTES if top else min(MAX_INNER_HEADER_BYTES, self._inner_left)
        end, body = self._end(start, most, top=top)
        block = self._raw[start:end]
        if not top:
            self._inner_left -= len(block)
        if block.isascii():
            text = block.decode("ascii")
        else:
            if top:
                self._defects["8-bit header"] = None
            text = self._eight_bit(block)
        found: list[tuple[str, str]] = []
        fold = _FOLD_CR if "\r" in text else _FOLD
        for line in fold.sub(" ", text.replace("\0", "")).split("\n"):
            name, colon, value = line.partition(":")
            name = name.rstrip()
            if not colon or not name or " " in name:
                continue
            if len(found) == MAX_HEADERS:
                self._defects["too many headers"] = None
                break
            found.append((name.lower(), value.strip()))
        return tuple(found), body

    def _end(self, start: int, most: int, *, top: bool) -> tuple[int, int]:
        """Return where a header block ends, of which at most `most` bytes are read, and where the body begins."""
        raw = self._raw
        if raw.startswith((b"\n", b"\r\n"), start):
            return start, raw.find(b"\n", start) + 1
        unix = raw.find(b"\n\n", start, start + most)
        dos = raw.find(b"\n\r\n", start, unix if unix >= 0 else start + most)
        if dos >= 0:
            end, body = dos, dos + 3
        elif unix >= 0:
            end, body = unix, unix + 2
        elif len(raw) - start > most:
            self._defects["headers too long"] = None
            end = body = start + most
        else:
            end = body = len(raw)
        if not _HEADER_NAME.match(raw, start, start + 200):
            self._defects["no headers" if top else "part without header"] = None
            return start, start
        # No header begins with two dashes: this is the first boundary, without the blank line above it.
        dashes = raw.find(b"\n--", start, end)
        return (dashes, dashes + 1) if dashes >= 0 else (end, body)

    def _eight_bit(self, block: bytes) -> str:
        """Decode a header block that is not ASCII, each line by itself."""
        labelled = _CHARSET.search(block)
        claimed = codec_name(labelled[1].decode("ascii", "replace")) if labelled else None
        lines = block.split(b"\n")
        text: list[str] = []
        for number, line in enumerate(lines):
            if line.isascii():
                text.append(line.decode("ascii"))
                continue
            if not self._eight_bit_left:
                text.append(guess(b"\n".join(lines[number:])))
                break
            self._eight_bit_left -= 1
            text.append(_eight_bit_line(line, claimed))
        return "\n".join(text)

    def content(self, headers: Headers) -> dict[str, str]:
        """Return what the Content-* headers of a part say: type, disposition, transfer, and their parameters.

        A part without a type is text/plain.
        """
        size = sum([len(value) for name, value in headers if name in _CONTENT_NAMES])
        if size > self._content_left:
            self._defects["content headers too long"] = None
        left = self._content_left
        self._content_left = max(left - size, 0)
        found: dict[str, str] = {}
        values: dict[str, str] = {}
        # Of two headers of one name the upper one counts, as in most mail programs.
        for name, value in headers:
            if name in _CONTENT_NAMES:
                read = value[: min(MAX_VALUE, left)]
                left -= len(read)
                kind, parameters = _content_value(read)
                values.setdefault(name, kind)
                # `type` is also a parameter, of multipart/related.
                for key, text in parameters:
                    found.setdefault(key, text)
            elif name == "content-transfer-encoding":
                found.setdefault("transfer", value[:MAX_VALUE].partition(";")[0].strip().lower())
        found["type"] = values.get("content-type") or "text/plain"
        found["disposition"] = values.get("content-disposition", "")
        if "/" not in found["type"]:
            found["type"] = "text/html" if "html" in found["type"] else "text/plain"
        return found


def _eight_bit_line(line: bytes, claimed: str | None) -> str:
    """Decode a line in the charset of the body if that reads well and the line has more than a few accents."""
    if claimed and len(line.translate(None, ASCII)) * 4 > len(line):
        text = guess(line, claimed)
        if "\ufffd" not in text and not _PRIVATE.search(text):
            return text
    return guess(line)


@lru_cache(maxsize=256)
def _content_value(value: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the first word of a Content-* value in lower case, and its parameters, RFC 2231 pieces joined."""
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
    """Yield the name and the value of each parameter, with its quotes."""
    pattern, at = _PARAMETER, 0
    while match := pattern.search(value, at):
        at = match.end()
        name, quoted, plain = match.groups()
        yield name, quoted or plain
        if plain and plain[0] == '"':
            # This quote never ends, so no later one does. To search for each end would cost the square of the length.
            pattern = _UNQUOTED_PARAMETER


def _unquoted(text: str) -> str:
    if text[:1] != '"':
        return text
    return _ESCAPED.sub(r"\1", text[1:-1] if text.endswith('"') else text[1:])


def _extended(text: str) -> str:
    """Decode an RFC 2231 value: `charset'language'percent-encoded`."""
    charset, quote, rest = text.partition("'")
    if not quote:
        return decode(unquote_to_bytes(text))[0]
    return decode(unquote_to_bytes(rest.partition("'")[2]), charset)[0]
