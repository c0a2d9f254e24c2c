"""The style sheets of a page: rules with simple selectors, and the declarations that they give to an element.

Rules with other selectors may set a background, but they hide nothing. Rules for paper, phones or dark screens are
ignored.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any

from spamlstm.message.css_values import custom_properties, resolved
from spamlstm.message.html_cost import Budget
from spamlstm.message.selector import (
    PartGroups,
    SelectorPart,
    has_attribute,
    is_at,
    last_class_or_id,
    read_selector,
    specificity,
)
from spamlstm.message.selector_list import alternatives, split_list
from spamlstm.message.style_blocks import read_blocks
from spamlstm.message.style_look import Look, has_look, look_of, separated_css

# The part of the style sheets that is read, in characters and selectors.
_MAX_SHEET, _MAX_SELECTORS = 100_000, 1_000
# Longer style sheets are not cached, because entries are kept until the process ends.
_MAX_CACHED = 30_000
# The most elements around an element that are compared with the parts of a selector.
_MAX_UP = 60
# The steps (see html_cost) for one comparison of an element with a selector, for each element that is compared, for
# each selector that is read, and for each comparison by lexbor.
_PER_COMPARISON, _PER_ELEMENT, _PER_SELECTOR, _PER_SEARCH = 200, 800, 3_000, 10

_LINK_STATE = re.compile(r"(?<!:):(?:link|any-link)(?![\w-])")
# Selectors that browsers do not know, or that only some know. They void all selectors of their rule.
_VOID = re.compile(
    r"(?:^|,)\s*+(?:,|\Z)|[$%;&!?{}]|:(?!:?(?:link|visited|hover|active|focus|any-link|target|root|empty"
    r"|enabled|disabled|checked|first|last|nth|only|not|is|where|has|lang|before|after|placeholder|selection))",
    re.IGNORECASE,
)
# Any character may stand in a comparison with an attribute.
_ATTRIBUTE = re.compile(r"\[[^\[\]]*+\]")


# Whether the rule is outside of layers, the specificity of its selector, and its place.
_Rank = tuple[bool, int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Rule:
    """A selector with its declarations. `paints` means that the rule sets a background."""

    groups: PartGroups
    rank: _Rank
    declarations: str
    paints: bool

    @property
    def key(self) -> SelectorPart:
        """The part that the element itself must have."""
        return self.groups[0][0]


@dataclass(frozen=True, slots=True)
class _Element:
    """An element. `within` has the bits of the names of the element and of all elements around it."""

    names: frozenset[str]
    attributes: dict[str, str | None]
    within: int


@dataclass(slots=True)
class StyleSheet:
    """The rules of a page. The elements of the page must not change during the lifetime of the object."""

    rules: list[_Rule] = field(default_factory=list)
    budget: Budget = field(default_factory=Budget)
    # The values of custom properties.
    values: dict[str, str] = field(default_factory=dict)
    # The rules by the rarest name of the element itself, with the bits of the names that must be around it.
    _by_key: dict[str, list[tuple[_Rule, int]]] = field(default_factory=dict)
    _elements: dict[int, _Element] = field(default_factory=dict)
    # A bit for each name that a rule requires around an element.
    _bits: dict[str, int] = field(default_factory=dict)
    # The place of each element among the elements of its parent: from the start and from the end, among all and among
    # those with its tag.
    _places: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        bits = self._bits
        for rule in self.rules:
            around = 0
            for group in rule.groups[1:]:
                for part in group:
                    for name in part.names:
                        around |= bits.setdefault(name, 1 << len(bits))
            self._by_key.setdefault(rule.key.names[0], []).append((rule, around))

    def looks(self) -> Iterator[tuple[str, Look]]:
        """Yield the selector of the element itself and the look of each rule."""
        for rule in self.rules:
            yield rule.key.source, look_of(rule.declarations)

    def select(self, tree: Any, selectors: Iterable[str], *, elements: int) -> list[Any]:
        """Return the elements of a tree that match one of `selectors`, in the order of the page.

        `elements` is the number of elements in the tree.
        """
        chosen = list(dict.fromkeys(selectors))
        self.budget.spend(elements * len(chosen) * _PER_SEARCH)
        return list(tree.css(", ".join(chosen)))

    def resolve_styles(self, tree: Any) -> None:
        """Write the values of custom properties into the styles of elements."""
        for node in tree.css("[style*='var(' i]"):
            style = node.attributes.get("style") or ""
            self.budget.spend(_PER_ELEMENT + len(style) * _PER_SEARCH)
            node.attrs["style"] = resolved(separated_css(style), self.values)

    def declarations(self, node: Any, *, backgrounds: bool = False) -> str:
        """Return the declarations of all rules for an element. The last has the highest priority.

        With `backgrounds`, rules that do not set a background are omitted.
        """
        if not self.rules:
            return ""
        found: list[_Rule] = []
        element = self._element(node)
        missing = ~element.within
        for name in element.names:
            if rules := self._by_key.get(name):
                self.budget.spend(len(rules) * _PER_SEARCH)
                found += [
                    rule
                    for rule, around in rules
                    if not around & missing and (rule.paints or not backgrounds) and self._matches(rule, node)
                ]
        if len(found) > 1:
            found.sort(key=_rank)
        return ";".join([rule.declarations for rule in found])

    def _element(self, node: Any) -> _Element:
        if known := self._elements.get(node.mem_id):
            return known
        path = [node]
        within = 0
        while self._bits and (node := node.parent) is not None:
            if around := self._elements.get(node.mem_id):
                within = around.within
                break
            path.append(node)
        for outer in reversed(path[1:]):
            element = self._elements[outer.mem_id] = self._read(outer, within)
            within = element.within
        element = self._elements[path[0].mem_id] = self._read(path[0], within)
        return element

    def _read(self, node: Any, within: int) -> _Element:
        """Return an element that is not known yet. `within` has the bits of the names around it."""
        attributes = node.attributes
        classes = attributes.get("class") or ""
        self.budget.spend(_PER_ELEMENT + len(classes) * _PER_SEARCH)
        names = frozenset((*[f".{name}" for name in classes.split()], f"#{attributes.get('id')}", node.tag, "*"))
        if self._bits:
            for name in names & self._bits.keys():
                within |= self._bits[name]
        return _Element(names, attributes, within)

    def _matches(self, rule: _Rule, node: Any) -> bool:
        self.budget.spend(_PER_COMPARISON)
        first, *around = rule.groups
        if not self._is_group(first, node):
            return False
        up = 0
        for group in around:
            node = node.parent
            while node is not None and not self._is_group(group, node):
                node, up = node.parent, up + 1
                if up > _MAX_UP:
                    node = None
            if node is None:
                self.budget.spend(up * _PER_COMPARISON)
                return False
        return True

    def _is_group(self, group: tuple[SelectorPart, ...], node: Any) -> bool:
        for part in group:
            if node is None:
                return False
            element = self._element(node)
            if not part.required <= element.names or not all(
                has_attribute(element.attributes, *wanted) for wanted in part.attributes
            ):
                return False
            if part.positions and not all(is_at(self._place(node), *wanted) for wanted in part.positions):
                return False
            if part.refused:
                self.budget.spend(len(part.refused) * _PER_COMPARISON)
                if any(self._is_group((refused,), node) for refused in part.refused):
                    return False
            node = node.parent
        return True

    def _place(self, node: Any) -> tuple[int, int, int, int]:
        if (known := self._places.get(node.mem_id)) is not None:
            return known
        siblings = [child for child in node.parent.iter() if child.is_element_node] if node.parent else [node]
        self.budget.spend(len(siblings) * _PER_COMPARISON)
        tags = [sibling.tag for sibling in siblings]
        most, counted = Counter(tags), Counter[str]()
        for number, (sibling, tag) in enumerate(zip(siblings, tags, strict=True), start=1):
            counted[tag] += 1
            last, of_tag = len(siblings) - number + 1, counted[tag]
            self._places[sibling.mem_id] = number, last, of_tag, most[tag] - of_tag + 1
        return self._places.get(node.mem_id, (1, 1, 1, 1))


def _rank(rule: _Rule) -> _Rank:
    return rule.rank


def read_sheets(texts: Iterable[str], budget: Budget) -> StyleSheet:
    """Return the rules of style sheets. Raises TooComplexError if `budget` is spent."""
    text = "\n".join(texts)[:_MAX_SHEET]
    text = separated_css(text)
    budget.spend(min(text.count(",") + text.count("{"), _MAX_SELECTORS) * _PER_SELECTOR)
    rules, values = (_cached_rules if len(text) <= _MAX_CACHED else _rules)(text)
    return StyleSheet(list(rules), budget, values)


def _rules(text: str) -> tuple[tuple[_Rule, ...], dict[str, str]]:
    """Return the rules of a style sheet, and the values of its custom properties."""
    rules: list[_Rule] = []
    parts: dict[str, SelectorPart | None] = {}
    read = 0
    blocks = list(islice(read_blocks(text), _MAX_SELECTORS))
    values = custom_properties([block.declarations for block in blocks]) if "--" in text else {}
    for selectors, source, is_certain, is_layered in blocks:
        declarations = resolved(source, values)
        if not has_look(declarations):
            read += selectors.count(",") + 1
            continue
        if (not is_certain or _is_void(selectors)) and _may_hide(declarations):
            continue
        for listed in split_list(selectors):
            for selector, light in alternatives(listed.strip()):
                read += 1
                if read > _MAX_SELECTORS:
                    return tuple(rules), values
                if rule := _read_rule(selector, declarations, (not is_layered, read), parts, light):
                    rules.append(rule)
    return tuple(rules), values


# The newsletters of a sender have the same style sheet.
_cached_rules = lru_cache(maxsize=16)(_rules)


def _is_void(selectors: str) -> bool:
    return _VOID.search(_ATTRIBUTE.sub("[]", selectors)) is not None


def _may_hide(declarations: str) -> bool:
    """Return whether declarations may hide text, also by its colour."""
    look = look_of(declarations)
    return bool(look.hiding or look.colour)


def _read_rule(
    selector: str,
    declarations: str,
    place: tuple[bool, int],
    known: dict[str, SelectorPart | None],
    light: Iterable[str],
) -> _Rule | None:
    """Return a rule, or None if it cannot be read and does not set a background.

    `known` has the parts of selectors that were read before in the same style sheet. `place` is whether the rule is
    outside of layers, and its number. The selectors `light`, which are in `selector`, do not count for its rank.
    """
    if ":" in selector:
        selector = _LINK_STATE.sub("", selector)
    groups = read_selector(selector, known)
    if groups is None:
        if "background" not in declarations.lower() or ":hover" in selector:
            return None
        groups, declarations = last_class_or_id(selector), "background:?"
        if groups is None:
            return None
    ids, classes, tags = specificity(groups)
    for one in light:
        less = specificity(read_selector(one, known) or ())
        ids, classes, tags = ids - less[0], classes - less[1], tags - less[2]
    return _Rule(groups, (place[0], ids, classes, tags, place[1]), declarations, "background" in declarations.lower())
