"""Selectors of style sheets: which elements a rule is for.

A selector is read if it consists of names of elements, classes, ids and attributes, one inside another.
"""

import re
from dataclasses import dataclass

# The most parts of a selector.
_MAX_PARTS = 6

_NAME = r"-?[A-Za-z_\x80-\uffff][A-Za-z0-9_\x80-\uffff-]*+"
_PART = re.compile(
    rf"(?>(\*|{_NAME})?)((?>[.#]{_NAME}|\[{_NAME}(?:[~|^$*]?=(?:\"[^\"\]\\\\\n]*+\"|'[^'\]\\\\\n]*+'|{_NAME}))?\])*+)"
)
_SIMPLE = re.compile(rf"([.#])({_NAME})|\[({_NAME})(?:([~|^$*]?)=[\"']?([^\"'\]]*+)[\"']?)?\]")
_COMBINATOR = re.compile(r"\s*+(>)\s*+|\s++")
# A selector of nearly all rules: parts without attributes, each somewhere inside the part before.
_DESCENDANTS = re.compile(r"[\w.#*-]++(?>\s++[\w.#*-]++)*+", re.ASCII)
_LAST_NAME = re.compile(rf"[.#]{_NAME}(?=[^.#]*+\Z)")
_NO_TAGS = str.maketrans("", "", ".#*")


@dataclass(frozen=True, slots=True)
class SelectorPart:
    """A part of a selector: the names and attributes that one element must have.

    `source` is its text. `names` are a tag, `.class` or `#id`, or '*' for any element, the rarest first.
    """

    source: str
    names: tuple[str, ...]
    required: frozenset[str]
    attributes: tuple[tuple[str, str, str], ...]


PartGroups = tuple[tuple[SelectorPart, ...], ...]
"""The parts of a selector from right to left.

Each part of a group is the parent of the part before. A group is anywhere around the group before.
"""


def read_selector(selector: str, known: dict[str, SelectorPart | None]) -> PartGroups | None:
    """Return the groups of a selector, or None if the selector is not a simple one.

    `known` has the parts of selectors that were read before in the same style sheet. New parts are added.
    """
    return _read_descendants(selector, known) if _DESCENDANTS.fullmatch(selector) else _read_any(selector)


def last_class_or_id(selector: str) -> PartGroups | None:
    """Return the last class or id of any selector as a selector of its own, or None if it has none."""
    name = _LAST_NAME.search(selector)
    return _read_any(name[0]) if name else None


def specificity(groups: PartGroups) -> tuple[int, int, int]:
    """Return the numbers of ids, of classes and attributes, and of tags, as CSS counts them."""
    parts = [part for group in groups for part in group]
    names = "".join([name[0] for part in parts for name in part.names])
    classes = names.count(".") + sum(len(part.attributes) for part in parts)
    return names.count("#"), classes, len(names.translate(_NO_TAGS))


def _read_descendants(selector: str, known: dict[str, SelectorPart | None]) -> PartGroups | None:
    """Return the groups of a selector that has only parts with white space between them, or None."""
    groups: list[tuple[SelectorPart, ...]] = []
    for source in selector.split():
        if source not in known:
            match = _PART.fullmatch(source)
            known[source] = _part(match) if match else None
        if (part := known[source]) is None or len(groups) == _MAX_PARTS:
            return None
        groups.insert(0, (part,))
    return tuple(groups) or None


def _part(match: re.Match[str]) -> SelectorPart:
    """Return the part of a selector that `_PART` found."""
    simple = _SIMPLE.findall(match[2])
    names = sorted(f"{one[0]}{one[1]}" for one in simple if one[0])
    if match[1] not in (None, "*") or not names:
        names.append((match[1] or "*").lower())
    attributes = tuple((one[2].lower(), one[3], one[4]) for one in simple if one[2])
    return SelectorPart(match[0], tuple(names), frozenset(names), attributes)


def _read_any(selector: str) -> PartGroups | None:
    """Return the groups of any selector, or None if the selector is not a simple one."""
    groups: list[list[SelectorPart]] = [[]]
    at = 0
    for _ in range(_MAX_PARTS):
        match = _PART.match(selector, at)
        if match is None or not match[0]:
            return None
        groups[-1].insert(0, _part(match))
        at = match.end()
        if at == len(selector):
            return tuple(map(tuple, reversed(groups)))
        between = _COMBINATOR.match(selector, at)
        if between is None:
            return None
        if not between[1]:
            groups.append([])
        at = between.end()
    return None


def has_attribute(attributes: dict[str, str | None], name: str, kind: str, wanted: str) -> bool:
    """Return whether an element has an attribute, with a value that an attribute selector wants."""
    if name not in attributes:
        return False
    value = attributes[name] or ""
    if not wanted:
        return not kind
    match kind:
        case "~":
            return wanted in value.split()
        case "|":
            return value == wanted or value.startswith(f"{wanted}-")
        case "^":
            return value.startswith(wanted)
        case "$":
            return value.endswith(wanted)
        case "*":
            return wanted in value
    return value == wanted
