"""Selectors of style sheets: which elements a rule is for.

A selector is read if it consists of names of elements, classes, ids and attributes, one inside another.
"""

import re
from dataclasses import dataclass

# The most parts of a selector.
_MAX_PARTS = 6
# The most positions and `:not()` of a part, and selectors in a `:not()`.
_MAX_STATES = 8

_NAME = r"-?[A-Za-z_\x80-\uffff][A-Za-z0-9_\x80-\uffff-]*+"
# Where an element is, and what it is not.
_POSITION = r"(?:first|last|only)-(?:child|of-type)|nth-(?:last-)?(?:child|of-type)\([^()]{1,20}\)"
_STATE = rf":(?i:root|{_POSITION}|not\([^()]*+\))(?![\w-])"
_STATES = re.compile(_STATE)
# The numbers of elements in a position, such as 2n+1.
_NUMBERS = re.compile(r"([-+]?\d{0,6})n([-+]\d{1,6})?|([-+]?\d{1,6})")
_PART = re.compile(
    rf"(?>(\*|{_NAME})?)((?>[.#]{_NAME}|\[{_NAME}(?:[~|^$*]?=(?:\"[^\"\]\\\\\n]*+\"|'[^'\]\\\\\n]*+'|{_NAME}))?\]|{_STATE})*+)"
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

    `source` is its text without positions and `:not()`. `names` are a tag, `.class` or `#id`, or '*' for any element,
    the rarest first. `positions` are arguments for `is_at`. The element must not match one of `refused`.
    """

    source: str
    names: tuple[str, ...]
    required: frozenset[str]
    attributes: tuple[tuple[str, str, str], ...]
    positions: tuple[tuple[int, int, int], ...] = ()
    refused: "tuple[SelectorPart, ...]" = ()


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
    classes = names.count(".") + sum(len(part.attributes) + len(part.positions) for part in parts)
    if refused := tuple((one,) for part in parts for one in part.refused):
        more = specificity(refused)
        return names.count("#") + more[0], classes + more[1], len(names.translate(_NO_TAGS)) + more[2]
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


def _part(match: re.Match[str]) -> SelectorPart | None:
    """Return the part of a selector that `_PART` found, or None if a position or `:not()` in it cannot be read."""
    tag, rest, source = match[1], match[2], match[0]
    positions: list[tuple[int, int, int]] = []
    refused: list[SelectorPart] = []
    if ":" in rest and (states := _STATES.findall(rest)):
        rest = _STATES.sub("", rest)
        if len(states) > _MAX_STATES:
            return None
        for state in states:
            if not _read_state(state[1:], positions, refused):
                return None
        if ":root" in (state.lower() for state in states):
            tag = tag or "html"
        source = f"{tag or ''}{rest}" or "*"
    simple = _SIMPLE.findall(rest)
    names = sorted(f"{one[0]}{one[1]}" for one in simple if one[0])
    if tag not in (None, "*") or not names:
        names.append((tag or "*").lower())
    attributes = tuple((one[2].lower(), one[3], one[4]) for one in simple if one[2])
    return SelectorPart(source, tuple(names), frozenset(names), attributes, tuple(positions), tuple(refused))


def _read_state(state: str, positions: list[tuple[int, int, int]], refused: list[SelectorPart]) -> bool:
    """Add what a state requires to `positions` or `refused`, and return whether it can be read."""
    name, _, inside = state.partition("(")
    name, inside = name.lower(), inside.removesuffix(")")
    if name == "not":
        if inside.count(",") >= _MAX_STATES:
            return False
        for selector in inside.split(","):
            match = _PART.fullmatch(selector.strip())
            if not match or not match[0] or (part := _part(match)) is None:
                return False
            refused.append(part)
        return True
    if name == "root":
        return True
    of_tag = 2 * name.endswith("of-type")
    if not name.startswith("nth"):
        positions += [(of_tag + end, 0, 1) for end in (0, 1) if not name.startswith(("last", "first")[end])]
        return True
    inside = "".join(inside.lower().split())
    numbers = _NUMBERS.fullmatch({"odd": "2n+1", "even": "2n"}.get(inside, inside))
    if numbers is None:
        return False
    if numbers[3]:
        step, first = 0, int(numbers[3])
    else:
        step = int(f"{numbers[1]}1" if numbers[1] in ("", "+", "-") else numbers[1])
        first = int(numbers[2] or 0)
    positions.append((of_tag + ("last" in name), step, first))
    return True


def is_at(place: tuple[int, int, int, int], count: int, step: int, first: int) -> bool:
    """Return whether the number `count` of a place is `first`, or some steps more."""
    number = place[count] - first
    return number == 0 if not step else number % step == 0 and number // step >= 0


def _read_any(selector: str) -> PartGroups | None:
    """Return the groups of any selector, or None if the selector is not a simple one."""
    groups: list[list[SelectorPart]] = [[]]
    at = 0
    for _ in range(_MAX_PARTS):
        match = _PART.match(selector, at)
        if match is None or not match[0]:
            return None
        if (part := _part(match)) is None:
            return None
        groups[-1].insert(0, part)
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
