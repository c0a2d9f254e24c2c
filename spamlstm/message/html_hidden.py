"""The hidden text of a page: elements that a style hides, and letters in the colour of their background."""

import re
from functools import lru_cache
from typing import Any

from spamlstm.message.html_cost import Budget
from spamlstm.message.page import MAX_HIDDEN_TEXT, tidy

# After so many hidden elements with more than MAX_HIDDEN_TEXT, no further element counts as hidden.
_MAX_MISREAD = 20
# Longer styles are not cached, as the cache lives as long as the process.
_MAX_CACHED = 500
# The background of letters is looked for in so many elements around them.
_MAX_UP = 40

# Steps (see html_cost) for one element with a style, for the text of one element, for one character of it.
_PER_STYLE, _PER_TEXT, _PER_CHARACTER = 800, 200, 4

_HIDING = re.compile(
    r"(?=[dvmoltcf])(?:"
    r"display:none|visibility:hidden|max-height:0|opacity:0(?:\.0+)?(?:[;!]|$)|text-indent:-\d{3}"
    r"|(?:left|top|margin-left):-\d{3}|color:(?<![^;]color:)(?:transparent|rgba\(\d+,\d+,\d+,0\))"
    r"|font-size:(?:0(?:\.\d+)?(?:px|pt|%)?|0(?:\.0\d*)?r?em|1(?:\.\d+)?(?:px|pt|%))(?:[;!]|$))"
)
_COLOUR = re.compile(r"(?:^|;)color:([^;!]+)")
_BACKGROUND = re.compile(r"(?:^|;)background(?:-color|-image)?:([^;!]+)")
_UNPAINTED = ("", "transparent", "none", "inherit", "initial")
_RGB = re.compile(r"rgba?\((\d{1,3}),(\d{1,3}),(\d{1,3})(?:,[\d.]+)?\)")
_HEX = re.compile(r"#?(?:[0-9a-f]{3}|[0-9a-f]{6})")
_NAMED = {
    "white": "#ffffff",
    "snow": "#fffafa",
    "black": "#000000",
    "red": "#ff0000",
    "yellow": "#ffff00",
    "blue": "#0000ff",
}
_PALE = re.compile(r"#f[ef]f[ef]f[ef]")

_CONTENT = ("td", "p", "a")

# How a style hides an element, the colour of its letters, and its background or 'unknown'; each may be ''.
Look = tuple[str, str, str]


def take_hidden(tree: Any, budget: Budget, *, sheet: bool) -> tuple[str, str]:
    """Remove hidden elements from the tree; return their text, and the part of it, at its start, hidden by colour.

    `sheet` means that a style sheet paints backgrounds. It is not read, so a class may mean any colour.

    Raises:
        TooComplexError: the budget is spent. The tree is then of no use.

    """
    nodes = tree.css("[style], [hidden], [color], [bgcolor]")
    budget.spend(len(nodes) * _PER_STYLE)
    backgrounds = {"#ffffff", "#fefefe"}
    suspects: dict[int, tuple[Any, Look]] = {}
    for node in nodes:
        attributes = node.attributes
        style = attributes.get("style") or ""
        looking = _cached_look if len(style) <= _MAX_CACHED else _look
        look = looking(style, attributes.get("color") or "", attributes.get("bgcolor") or "")
        if "hidden" in attributes:
            look = ("hidden", "", "")
        if look[2]:
            backgrounds.add(look[2])
        if look[0] or look[1]:
            suspects[node.mem_id] = node, look
    surroundings = _Surroundings(tree, sheet=sheet)
    hidden = [
        (node, look[0])
        for node, look in suspects.values()
        if (look[0] or look[1] in backgrounds) and surroundings.is_hidden(node, look)
    ]
    return _take(hidden, budget)


def _take(elements: list[tuple[Any, str]], budget: Budget) -> tuple[str, str]:
    """Remove the hidden elements with their text. Each is (node, how its style hides it, or '' if by its colour)."""
    by_style: list[str] = []
    by_colour: list[str] = []
    misread = 0
    # The last comes first: an element must not be used once the element around it is removed.
    for node, hiding in reversed(elements):
        raw = node.text(deep=True)
        budget.spend(_PER_TEXT + _PER_CHARACTER * len(raw))
        if not raw:
            # If it stayed, each element around it would walk through it again.
            node.decompose()
            continue
        text = tidy(raw)
        if len(text) >= MAX_HIDDEN_TEXT:
            misread += 1
            if misread == _MAX_MISREAD:
                break
        elif text:
            (by_style if hiding else by_colour).append(text)
            node.decompose()
        else:
            # White space stays, as it may separate words.
            node.replace_with(raw)
    return "\n".join([*by_style, *by_colour][::-1]), "\n".join(by_colour[::-1])


def _look(style: str, colour: str, background: str) -> Look:
    """Return the look of an element by its style and its attributes `color` and `bgcolor`."""
    style = "".join(style.split()).lower()
    hiding = _HIDING.search(style)
    own = (_COLOUR.findall(style) if "color:" in style else None) or [colour.strip().lower()]
    behind = _BACKGROUND.findall(style) if "background" in style else ()
    painted = [shade for shade in (background.strip().lower(), *behind) if shade not in _UNPAINTED]
    return hiding[0] if hiding else "", _shade(own[-1]), (_shade(painted[-1]) or "unknown") if painted else ""


_cached_look = lru_cache(maxsize=2048)(_look)


def _shade(colour: str) -> str:
    """Return a colour as #rrggbb, or '' if it is not known."""
    if rgb := _RGB.fullmatch(colour):
        return "#{:02x}{:02x}{:02x}".format(*(min(int(part), 255) for part in rgb.groups()))
    if _HEX.fullmatch(colour):
        digits = colour.lstrip("#")
        return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))
    return _NAMED.get(colour, "")


class _Surroundings:
    """What lies around and inside the elements of a tree, which must not change. Each element is looked at once."""

    def __init__(self, tree: Any, *, sheet: bool) -> None:
        self._tree = tree
        self._sheet = sheet
        self._backgrounds: dict[int, tuple[str, int]] = {}
        self._holding: set[int] | None = None

    def is_hidden(self, node: Any, look: Look) -> bool:
        hiding, colour, background = look
        if node.tag in ("body", "html"):
            return False
        # font-size:0 around paragraphs, cells or links is layout that closes the gaps between images.
        if hiding:
            return not (hiding.startswith("font-size:0") and (node.tag in _CONTENT or self._holds_content(node)))
        background = background or self._background_of(node)
        return colour == background or bool(_PALE.fullmatch(colour) and _PALE.fullmatch(background))

    def _holds_content(self, node: Any) -> bool:
        """Return whether an element has a cell, a paragraph or a link inside."""
        if self._holding is None:
            self._holding = set()
            for content in self._tree.css(", ".join(_CONTENT)):
                around = content
                while around is not None and (key := around.mem_id) not in self._holding:
                    self._holding.add(key)
                    around = around.parent
        return node.mem_id in self._holding

    def _background_of(self, node: Any) -> str:
        """Return the background that the nearest element around `node` paints; the page itself is white."""
        path: list[int] = []
        background, up = "", 0
        while not background:
            node = node.parent
            if node is None or node.tag == "html":
                background, up = "#ffffff", 1
            elif (key := node.mem_id) in self._backgrounds:
                background, up = self._backgrounds[key]
            else:
                background = self._painted(node)
                path.append(key)
        # `up` is the distance from the element that was looked at last to the element that paints.
        for key in reversed(path):
            up += 1
            self._backgrounds[key] = background, up
        return background if up <= _MAX_UP else "unknown"

    def _painted(self, node: Any) -> str:
        """Return the background that an element paints, or '' for none."""
        attributes = node.attributes
        style, colour = attributes.get("style") or "", attributes.get("bgcolor") or ""
        if style or colour:
            looking = _cached_look if len(style) <= _MAX_CACHED else _look
            if painted := looking(style, "", colour)[2]:
                return painted
        return "unknown" if attributes.get("background") or (self._sheet and attributes.get("class")) else ""
