"""Removal of hidden elements from the tree of a page, and the text that they hide.

A preheader is a short hidden text at the top of a page, which mail programs show in the list of messages.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from spamlstm.message.colours import Colour, are_near
from spamlstm.message.page import MAX_HIDDEN_TEXT, tidy
from spamlstm.message.style_look import UNKNOWN, Look, look_of
from spamlstm.message.style_sheet import StyleSheet

# If fewer characters than this are visible and there are no images, the colours were probably misread.
_MIN_VISIBLE = 100
# After this many hidden elements with more text than MAX_HIDDEN_TEXT, no further element is treated as hidden.
_MAX_MISREAD = 20
# The background is searched for in at most this many parents of an element.
_MAX_UP = 40
# With more backgrounds than this, the background of each coloured element is searched for.
_MAX_BACKGROUNDS = 20
# Elements with a look of their own.
_STYLED = "[style], [hidden], [color], [bgcolor], body[text], details"
# The steps (see html_cost) for one element with a style, for the text of one element, and for one character of the
# text.
_PER_STYLE, _PER_TEXT, _PER_CHARACTER = 800, 200, 4
_WHITE: Colour = (255, 255, 255)
_CONTENT = ("td", "p", "a")
# A height or width of 0 does not hide cells, which grow with their text, or inline text, which has no height.
_TABLE = frozenset("table tbody thead tfoot tr td th".split())
_INLINE = frozenset("a abbr b big code em font i label small span strike strong sub sup tt u".split())
# Kinds of hiding that an element inside can revoke. The kind `layout` is a font size of 0 on a paragraph, cell or link,
# or on an element around one. It closes the gaps between images. Only text that stands in no further paragraph, cell or
# link counts as hidden.
_INHERITED = frozenset(("visibility", "size", "layout", "clear", ""))
# Characters without a picture, which fill a preheader so that no other text is shown behind it.
_FILLER = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180e\u2007\u200b-\u200f\u2028-\u202f\u2060-\u206f\u2800\u3164\ufeff]++"
)
# A longer hidden text at the top is not a preheader. Mail programs show about as much as _MAX_SHOWN.
_MAX_PREHEADER, _MAX_SHOWN = 300, 150
# The place of a hidden element in the text. A reference to this character in a page has little effect.
_PLACE = "\x02"
# A shorter text in a layout is a mistake in the page, such as an extra character behind a tag.
_MIN_LAYOUT = 20
# A hidden text is a repetition if this share of its words is visible elsewhere.
_REPEATED = 0.8


@dataclass(slots=True)
class HiddenText:
    """The texts of hidden elements, in the order of the page: hidden by style, and hidden by colour."""

    by_style: list[str] = field(default_factory=list)
    by_colour: list[str] = field(default_factory=list)

    def settle(self, visible: str, *, pictures: bool) -> tuple[str, str, str]:
        """Return the visible text, the hidden text, and the preheader of a page.

        `visible` is the tidy text of the tree after `take_hidden`. Hidden copies of visible text are in neither text:
        pages have them for narrow screens.
        """
        by_style, by_colour, preheader = self.by_style, self.by_colour, ""
        if by_style:
            if visible.startswith(_PLACE) and len(by_style[0]) <= _MAX_PREHEADER:
                preheader, *by_style = by_style
            if _PLACE in visible:
                visible = tidy(visible.replace(_PLACE, ""))
        if by_colour and len(visible) < _MIN_VISIBLE and not pictures:
            # Almost nothing else is visible, so a picture or an unknown rule must set another background.
            visible, by_colour = "\n".join([*by_colour, visible]).strip(), []
        hidden = [*by_style, *by_colour]
        if hidden:
            words = set(visible.lower().split())
            hidden = [text for text in hidden if not is_repeated(text, words)]
        if preheader:
            visible = f"{preheader[:_MAX_SHOWN]}\n{visible}".strip()
        return visible, "\n".join(hidden), preheader


def take_hidden(tree: Any, sheet: StyleSheet, *, elements: int) -> HiddenText:
    """Remove hidden elements from a tree of about `elements` elements, and return their texts.

    After an error, the tree must not be used. Raises TooComplexError if the budget of `sheet` is spent.
    """
    nodes = tree.css(_STYLED)
    sheet.budget.spend(len(nodes) * _PER_STYLE)
    styled = [(node, *_own_look(node.attributes)) for node in nodes]
    of_sheet = list(sheet.looks())
    backgrounds = {_WHITE, *(look.background for _, look, _ in styled if look.background)}
    backgrounds.update([look.background for _, look in of_sheet if look.background])
    pale = _Pale(backgrounds)
    suspects = {
        node.mem_id: node
        for node, look, hidden in styled
        if hidden or look.hiding or look.colour in pale or _is_closed(node)
    }
    if chosen := [selector for selector, look in of_sheet if look.hiding or look.colour in pale]:
        by_sheet = sheet.select(tree, chosen, elements=elements)
        sheet.budget.spend(len(by_sheet) * _PER_STYLE)
        if suspects and by_sheet:
            # The order of the page is needed, because elements are removed from the last to the first.
            wanted = suspects.keys() | {node.mem_id for node in by_sheet}
            by_sheet = [
                node for node in sheet.select(tree, [_STYLED, *chosen], elements=elements) if node.mem_id in wanted
            ]
        suspects = {node.mem_id: node for node in by_sheet} or suspects
    if not suspects:
        return HiddenText()
    surroundings = _Surroundings(tree, sheet)
    hidden = [(node, kind) for node in suspects.values() if (kind := surroundings.hiding(node)) is not None]
    return _take(hidden, surroundings)


def _own_look(attributes: dict[str, str | None], style: str = "") -> tuple[Look, bool]:
    """Return the look of an element, and whether it has the attribute `hidden`.

    `style` is the declarations that style sheets give to the element.
    """
    own = attributes.get("style") or ""
    colour = attributes.get("color") or attributes.get("text") or ""
    look = look_of(f"{style};{own}" if style else own, colour, attributes.get("bgcolor") or "")
    if look.background is None and attributes.get("background"):
        look = look._replace(background=UNKNOWN)  # a picture
    return look, "hidden" in attributes and not look.displayed


def _is_closed(node: Any) -> bool:
    """Return whether an element is a closed `details` without a visible summary, which nobody opens."""
    if node.tag != "details" or "open" in node.attributes:
        return False
    summary = next((child for child in node.iter() if child.tag == "summary"), None)
    if summary is None:  # mail programs show a word of their own
        return False
    look, hidden = _own_look(summary.attributes)
    # A search in the whole summary would take quadratic time for nested ones.
    is_empty = all(child.is_text_node and not child.text().strip() for child in summary.iter(include_text=True))
    return hidden or bool(look.hiding) or is_empty


class _Pale:
    """The colours that are near one of the backgrounds of a page."""

    def __init__(self, backgrounds: set[Colour]) -> None:
        self._backgrounds = backgrounds - {UNKNOWN}
        self._known: dict[Colour, bool] = {}

    def __contains__(self, colour: Colour | None) -> bool:
        if colour is None:
            return False
        if colour not in self._known:
            many = len(self._backgrounds) > _MAX_BACKGROUNDS
            self._known[colour] = many or any(are_near(colour, background) for background in self._backgrounds)
        return self._known[colour]


def _take(elements: list[tuple[Any, str]], surroundings: "_Surroundings") -> HiddenText:
    """Remove hidden elements from their tree, and return their texts.

    Each of `elements` is a node and the kind of its hiding, or '' if the node is hidden by colour.
    """
    taken = HiddenText()
    budget = surroundings.sheet.budget
    misread = 0
    # The order is reversed because an element must not be used after the element around it is removed.
    for node, kind in reversed(elements):
        pieces = [node]
        if kind in _INHERITED and any(child.is_element_node for child in node.iter()):
            pieces = surroundings.covered(node, kind)
        raw = "".join([piece.text(deep=True) for piece in pieces])
        budget.spend(_PER_TEXT + _PER_CHARACTER * len(raw))
        if not raw:
            # Empty elements are removed too. Otherwise each element around them would traverse them again.
            for piece in pieces:
                piece.decompose()
            continue
        text = tidy(_FILLER.sub("", raw.replace(_PLACE, "")))
        if kind == "layout" and len(text) < _MIN_LAYOUT:
            continue
        if len(text) >= MAX_HIDDEN_TEXT:
            misread += 1
            if misread == _MAX_MISREAD:
                break
            continue
        if text:
            (taken.by_style if kind else taken.by_colour).append(text)
        # White space may separate words, so it is kept.
        pieces[0].replace_with((_PLACE if kind else "") if text else _FILLER.sub("", raw))
        for piece in pieces[1:]:
            if not (piece.is_text_node and piece.text().isspace()):
                piece.decompose()
    taken.by_style.reverse()
    taken.by_colour.reverse()
    return taken


def is_repeated(text: str, words: set[str]) -> bool:
    """Return whether most words of `text` are in `words`, which are in lower case."""
    own = text.lower().split()
    return sum(word in words for word in own) >= _REPEATED * len(own)


class _Surroundings:
    """A cached lookup of the looks, backgrounds and contents of the elements of a tree.

    The tree must not change before all calls of `hiding`. Each element is visited only once by these calls.
    """

    def __init__(self, tree: Any, sheet: StyleSheet) -> None:
        self._tree = tree
        self.sheet = sheet
        self._backgrounds: dict[int, tuple[Colour, int]] = {}
        self._holding: set[int] | None = None

    def hiding(self, node: Any) -> str | None:
        """Return the kind of hiding of an element, '' if its colour hides it, or None if the element is visible."""
        tag = node.tag
        look, hidden = self._look(node)
        if tag in ("body", "html") and (hidden or look.hiding not in ("", "size")):
            return None
        kind = look.hiding or ("display" if hidden or _is_closed(node) else "")
        if kind == "size" and (tag in _CONTENT or self._holds_content(node)):
            return "layout"
        if kind == "box":
            return None if tag in _TABLE or (tag in _INLINE and not look.boxed) else kind
        if kind:
            return kind
        if look.colour is None:
            return None
        background = look.background or self._background_of(node)
        return "" if are_near(look.colour, background) else None

    def covered(self, node: Any, kind: str) -> list[Any]:
        """Return the parts of a hidden element that no element inside makes visible again."""
        covered: list[Any] = []
        open_nodes = [node]
        revoked = False
        while open_nodes:
            for child in open_nodes.pop().iter(include_text=True):
                if child.is_text_node:
                    # Without the white space of a layout, the words of its links would run together.
                    if kind != "layout" or not child.text().isspace():
                        covered.append(child)
                elif child.is_element_node and not (kind == "layout" and child.tag in _CONTENT):
                    self.sheet.budget.spend(_PER_STYLE)
                    look, _ = self._look(child)
                    # Programs give a link a colour of their own.
                    is_link = child.tag == "a" and "href" in child.attributes
                    is_blue = is_link and kind in ("", "clear") and not look.uncoloured
                    if is_blue or _revokes(look, kind):
                        revoked = True
                    else:
                        open_nodes.append(child)
        return covered if revoked or kind == "layout" else [node]

    def _look(self, node: Any) -> tuple[Look, bool]:
        return _own_look(node.attributes, self.sheet.declarations(node))

    def _holds_content(self, node: Any) -> bool:
        """Return whether an element contains a cell, a paragraph or a link."""
        if self._holding is None:
            self._holding = set()
            for content in self._tree.css(", ".join(_CONTENT)):
                around = content
                while around is not None and (key := around.mem_id) not in self._holding:
                    self._holding.add(key)
                    around = around.parent
        return node.mem_id in self._holding

    def _background_of(self, node: Any) -> Colour:
        """Return the background colour around `node`: white, or the colour set by the nearest parent that sets one.

        Return UNKNOWN if that colour is unknown or found more than _MAX_UP levels above `node`.
        """
        path: list[int] = []
        background: Colour | None = None
        up = 0
        while background is None:
            node = node.parent
            if node is None:
                background, up = _WHITE, 1
            elif (key := node.mem_id) in self._backgrounds:
                background, up = self._backgrounds[key]
            else:
                background = self._background_set_by(node)
                path.append(key)
        # `up` is the distance from the last element of the path to the element that sets the background.
        for key in reversed(path):
            up += 1
            self._backgrounds[key] = background, up
        return background if up <= _MAX_UP else UNKNOWN

    def _background_set_by(self, node: Any) -> Colour | None:
        """Return the background that an element sets, or None."""
        if not node.is_element_node:
            return None
        look, _ = _own_look(node.attributes, self.sheet.declarations(node, backgrounds=True))
        return look.background


def _revokes(look: Look, kind: str) -> bool:
    """Return whether an element inside a hidden element is visible nevertheless."""
    if kind == "visibility":
        return look.seen
    if kind in ("size", "layout"):
        return look.sized
    return look.coloured or look.background is not None
