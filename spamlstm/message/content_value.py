"""The values of Content-* headers: a type, its parameters, and a transfer encoding, as mail programs repair them."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from spamlstm.message.charset import decode, decode_words

# A value of the right form, up to its parameters. Another value is repaired.
_RIGHT = re.compile(r"[\w!#$&^.+-]*+(?>/[\w!#$&^+-]++(?>\.[\w!#$&^+-]++)*+)?+\s*+(?:;|\Z)")
_TYPE = re.compile(r"[\s\"'<]*+([\w!#$&^.+-]++)\s*+/\s*+([\w!#$&^+-]++(?>\.[\w!#$&^+-]++)*+)[\s\"',.:;>]*+")
_COMMENT = re.compile(r"\([^()]*+\)")
# The groups are a name, a quoted value, and an unquoted value. The semicolon behind a quoted value may be missing.
_PARAMETER = re.compile(r'(?:;|(?<=")[\s,]*+)\s*+([^\s=;,"]++)\s*+=\s*+(?:("(?>[^"\\]++|\\.)*+")|([^;]*+))')
_UNQUOTED_PARAMETER = re.compile(r';\s*+([^\s=;"]++)\s*+=\s*+()([^;]*+)')
# A parameter behind an unquoted value without a semicolon between them.
_NEXT_PARAMETER = re.compile(r"[\s,](?=[A-Za-z][\w*-]*+=)")
_ESCAPED = re.compile(r"\\(.)")
ENCODED = frozenset(("base64", "quoted-printable"))
"""The transfer encodings in which text must be decoded."""
_ENCODINGS = ENCODED | {"7bit", "8bit", "binary"}
_NO_LETTER = re.compile(r"[^a-z0-9]+")
# The names of the encodings, in letters and digits alone, among other words, and their short names.
_NAMED = re.compile(r"base64|quoted|\Aqp?\Z")


class ContentValue(NamedTuple):
    """The value of a Content-Type or Content-Disposition header, in lower case, and its parameters.

    `wrong` means that the value does not have the form of the standard and was repaired.
    """

    kind: str
    parameters: tuple[tuple[str, str], ...]
    wrong: bool


@lru_cache(maxsize=256)
def content_value(value: str) -> ContentValue:
    """Return the parsed value. Pieces of a parameter (RFC 2231) are joined."""
    wrong = not _RIGHT.match(value)
    kind, rest = _repaired(value) if wrong else (value.partition(";")[0].strip().lower(), value)
    found: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, str]]] = {}
    for raw_key, raw_text in _parameters(rest):
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
    return ContentValue(kind, tuple(found.items()), wrong)


def transfer_encoding(value: str) -> str:
    """Return the name of a transfer encoding in lower case, without quotes, comments and other additions."""
    name = value.strip().lower()
    if name in _ENCODINGS:
        return name
    squeezed = _NO_LETTER.sub("", _COMMENT.sub(" ", name)).removeprefix("x")
    if named := _NAMED.search(squeezed):
        return "base64" if named[0] == "base64" else "quoted-printable"
    return "uuencode" if squeezed.startswith("uu") else name.partition(";")[0].strip()


def _repaired(value: str) -> tuple[str, str]:
    """Return the type in a value of the wrong form, and the text of its parameters, which begins with a semicolon."""
    value = _COMMENT.sub(" ", value)
    if match := _TYPE.match(value):
        return f"{match[1]}/{match[2]}".lower(), ";" + value[match.end() :]
    kind, _, rest = value.partition(";")
    word = kind.strip(" \t\"',").lower()
    return ("", ";" + value) if "=" in kind else (word.partition(" ")[0], ";" + rest)


def _parameters(value: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each parameter. Quotes are part of the value."""
    pattern, at = _PARAMETER, 0
    while match := pattern.search(value, at):
        at = match.end()
        name, quoted, plain = match.groups()
        if plain and "=" in plain and (gap := _NEXT_PARAMETER.search(plain)):
            at = match.start(3) + gap.start()
            plain, value = plain[: gap.start()], f"{value[:at]};{value[at + 1 :]}"
        yield name, quoted or plain
        if plain and plain[0] == '"':
            # This quote has no end, so no later quote has one either. Searching for each end would take quadratic time.
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


def not_multipart(content: dict[str, str]) -> dict[str, str]:
    """Return the content headers of an entity that is read as if it were no multipart."""
    return {**content, "type": "text/plain"} if content["type"].startswith("multipart/") else content
