"""Text and macros of manual pages in the mdoc format, for generated pages."""

import re
import textwrap
from collections.abc import Iterable, Iterator

_WIDTH = 76
"""The maximum width of a line of text. mandoc's check recommends at most 80 bytes."""

_SPECIAL = str.maketrans(
    {"\\": r"\e", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", "≤": r"\(<=", "…": r"\&..."}
)
_MACRO = re.compile(r"%?[A-Z][a-z][a-z0-9]?")
"""The form of the names of macros, such as `Op`. They have their effect in the arguments of other macros too."""

_CODE = re.compile(r"`([^`]+)`([.,:;)]*)|(?<!\w)'([^']+)'(?!\w)([.,:;)]*)")
"""Words of a program, in `backquotes` or 'quotes', and the punctuation that follows."""


def escape(text: str) -> str:
    """Return text in which no character is markup. Hyphens of options can be copied to a terminal."""
    escaped = " ".join(_word(word) for word in text.split(" "))
    return rf"\&{escaped}" if escaped.startswith(".") else escaped


def _word(word: str) -> str:
    escaped = word.translate(_SPECIAL)
    if word.lstrip('(["').startswith("-"):
        return _hyphens(escaped)
    # A line must not end inside an address or a path.
    return rf"\%{escaped}" if re.search(r"[@/_.]\w", word) else escaped


def unbroken(text: str) -> str:
    """Return text as one argument of a macro, which is not divided into lines."""
    return escape(text).replace(" ", r"\ ").replace('"', r"\(dq")


def _hyphens(text: str) -> str:
    return text.replace("-", r"\-")


def literal(text: str) -> str:
    """Return text of a program or file as one argument of a macro."""
    escaped = _hyphens(text.translate(_SPECIAL)).replace('"', r"\(dq")
    if _MACRO.fullmatch(escaped):
        return rf"\&{escaped}"
    return f'"{escaped}"' if " " in escaped else escaped


def argument(text: str) -> str:
    """Return plain text as the rest of a line that begins with a macro."""
    return " ".join(rf"\&{word}" if _MACRO.fullmatch(word) else word for word in escape(text).split(" "))


def paragraph(text: str) -> Iterator[str]:
    """Yield the lines of a paragraph of plain text. Each sentence begins a line, as mandoc's check recommends."""
    position = 0
    for code in _CODE.finditer(text):
        yield from _prose(text[position : code.start()])
        words, punctuation = code[1] or code[3], " ".join(code[2] or code[4] or "")
        yield f".Ql {literal(words)} {punctuation}".rstrip()
        position = code.end()
    yield from _prose(text[position:])


def _prose(text: str) -> Iterator[str]:
    for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z\[\"])", text.strip()):
        yield from map(escape, textwrap.wrap(sentence, _WIDTH, break_long_words=False, break_on_hyphens=False))


def display(lines: Iterable[str]) -> Iterator[str]:
    """Yield an indented block of lines that are shown unchanged."""
    yield ".Bd -literal -offset indent"
    for line in lines:
        escaped = _hyphens(line.translate(_SPECIAL))
        yield rf"\&{escaped}" if escaped.startswith(".") else escaped
    yield ".Ed"


def items(entries: Iterable[tuple[str, Iterable[str]]]) -> Iterator[str]:
    """Yield a list of terms, each with the lines of its description."""
    yield ".Bl -tag -width Ds"
    for term, lines in entries:
        yield f".It {term}"
        yield from lines
    yield ".El"
