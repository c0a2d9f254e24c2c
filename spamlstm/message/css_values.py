"""Escapes in CSS, and custom properties: `--name:value`, for which `var(--name)` stands elsewhere."""

import re
from collections.abc import Iterable

# A longer value is not read. It can say nothing about the look of an element.
_MAX_VALUE = 100
# The values of custom properties may refer to others, so many in a row.
_MAX_DEPTH = 4
# A text may grow to so many times its length, and so many characters more.
_MOST_GROWN, _MOST_ADDED = 4, 1_000
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})[ \t\r\n\f]?|([^0-9a-fA-F]))", re.DOTALL)
_NAME_CHARACTER = re.compile(r"[A-Za-z0-9_-]")
_DEFINITION = re.compile(r"(?:^|;)\s*+(--[\w-]++)\s*+:([^;]*+)")
_REFERENCE = re.compile(r"var\(\s*+(--[\w-]++)\s*+(?:,((?>[^()]++|\([^()]*+\))*+))?\)", re.IGNORECASE)


def unescaped(text: str) -> str:
    """Return CSS in which letters, digits and hyphens are not written as escapes. Other escapes stay as they are."""
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    number = int(match[1], 16) if match[1] else ord(match[2])
    character = chr(number) if number < 128 else ""
    return character if _NAME_CHARACTER.fullmatch(character) else match[0]


def custom_properties(declarations: Iterable[str]) -> dict[str, str]:
    """Return the values of custom properties. A property with several values is left out."""
    values: dict[str, str | None] = {}
    for block in declarations:
        for match in _DEFINITION.finditer(block):
            value = match[2].partition("!")[0].strip()
            if values.setdefault(match[1], value) != value or len(value) > _MAX_VALUE:
                values[match[1]] = None
    known = {name: value for name, value in values.items() if value is not None}
    for _ in range(_MAX_DEPTH):
        for name in [name for name, value in known.items() if "var(" in value]:
            value = _substituted(known[name], known)
            if len(value) > _MAX_VALUE:
                del known[name]
            else:
                known[name] = value
    return known


def resolved(declarations: str, known: dict[str, str]) -> str:
    """Return declarations with the values of custom properties, of their own or of `known`, in place of references."""
    if "var(" not in declarations.lower():
        return declarations
    if "--" in declarations and (own := custom_properties([declarations])):
        known = {**known, **own}
    most = len(declarations) * _MOST_GROWN + _MOST_ADDED
    for _ in range(_MAX_DEPTH):
        declarations, before = _substituted(declarations, known), declarations
        if declarations == before or len(declarations) > most:
            break
    return declarations


def _substituted(text: str, known: dict[str, str]) -> str:
    return _REFERENCE.sub(lambda match: known.get(match[1], match[0] if match[2] is None else match[2]), text)
