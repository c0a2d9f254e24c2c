"""What a page holds but no reader sees: elements that a style hides, and letters in the colour of what is below."""

import re
from functools import lru_cache
from typing import Any

from spamlstm.message.html_cost import Budget
from spamlstm.message.page import tidy

# A hidden element larger than this is layout that was misread; after some of those nothing is taken for hidden.
MAX_HIDDEN_TEXT, MAX_MISREAD = 50_000, 20
# A style longer than this is not kept in the cache, which lives as long as the process.
_MAX_CACHED = 500
# The colour of what lies below letters is looked for this many elements up.
_MAX_UP = 40

# Steps (see html_cost) for one element that has a style, for one search in a tag's content, for one character of text.
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

Look = tuple[str, str, str]


def take_hidden(tree: Any, budget: Budget, *, sheet: bool) -> tuple[str, str]:
    """Remove what no reader sees from the tree; return its text, and how that begins if only by its colour.

    `sheet` tells that a style sheet paints backgrounds, which is not read: then a class may mean any colour.

    Raises:
        TooComplexError: the budget is spent. The tree is then half done and of no use.

    """
    nodes = tree.css("[style], [hidden], [color], [bgcolor]")
    budget.spend(len(nodes) * _PER_STYLE)
    grounds = {"#ffffff", "#fefefe"}
    suspects: dict[int, tuple[Any, Look]] = {}
    for node in nodes:
        attributes = node.attributes
        style = attributes.get("style") or ""
        looking = _look if len(style) <= _MAX_CACHED else _uncached_look
        look = looking(style, attributes.get("color") or "", attributes.get("bgcolor") or "")
        if "hidden" in attributes:
            look = ("hidden", "", "")
        if look[2]:
            grounds.add(look[2])
        if look[0] or look[1]:
            suspects[node.mem_id] = node, look
    view = _View(tree, sheet=sheet)
    unseen = [
        (node, look[0])
        for node, look in suspects.values()
        if (look[0] or look[1] in grounds) and view.is_hidden(node, look)
    ]
    return _take(unseen, budget)


def _take(unseen: list[tuple[Any, str]], budget: Budget) -> tuple[str, str]:
    """Remove the hidden elements with their text. Each is (node, how it hides, or '' if by its colour)."""
    found: list[str] = []
    faint: list[str] = []
    misread = 0
    # The last first: an element must not be looked at once the one around it is gone.
    for node, hiding in reversed(unseen):
        raw = node.text(deep=True)
        budget.spend(_PER_TEXT + _PER_CHARACTER * len(raw))
        if not raw:
            # It goes all the same, as the elements around it would otherwise walk through it once more each.
            node.decompose()
            continue
        text = tidy(raw)
        if len(text) >= MAX_HIDDEN_TEXT:
            misread += 1
            if misread == MAX_MISREAD:
                break
        elif text:
            (found if hiding else faint).append(text)
            node.decompose()
        else:
            # The same for white space, which may part words.
            node.replace_with(raw)
    pale = "\n".join(reversed(faint))
    return "\n".join([pale] * bool(pale) + found[::-1]), pale


def _uncached_look(style: str, colour: str, ground: str) -> Look:
    """(how a style hides, the colour of its letters, the colour it paints below them or 'unknown'); each may be ''."""
    style = "".join(style.split()).lower()
    hiding = _HIDING.search(style)
    own = (_COLOUR.findall(style) if "color:" in style else None) or [colour.strip().lower()]
    behind = _BACKGROUND.findall(style) if "background" in style else ()
    painted = [shade for shade in (ground.strip().lower(), *behind) if shade not in _UNPAINTED]
    return hiding[0] if hiding else "", _shade(own[-1]), (_shade(painted[-1]) or "unknown") if painted else ""


_look = lru_cache(maxsize=2048)(_uncached_look)


def _shade(colour: str) -> str:
    """A colour as #rrggbb, or '' if it is none that can be told."""
    if rgb := _RGB.fullmatch(colour):
        return "#{:02x}{:02x}{:02x}".format(*(min(int(part), 255) for part in rgb.groups()))
    if _HEX.fullmatch(colour):
        digits = colour.lstrip("#")
        return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))
    return _NAMED.get(colour, "")


def _alike(colour: str, ground: str) -> bool:
    return colour == ground or bool(_PALE.fullmatch(colour) and _PALE.fullmatch(ground))


class _View:
    """What lies around and inside the elements of a tree that does not change meanwhile. Each element is asked once."""

    def __init__(self, tree: Any, *, sheet: bool) -> None:
        self._tree = tree
        self._sheet = sheet
        self._grounds: dict[int, tuple[str, int]] = {}
        self._holding: set[int] | None = None

    def is_hidden(self, node: Any, look: Look) -> bool:
        hiding, colour, ground = look
        if node.tag in ("body", "html"):
            return False
        # An element that holds nearly the whole letter under font-size:0 (to close gaps between images) is layout.
        if hiding:
            return not (hiding.startswith("font-size:0") and (node.tag in _CONTENT or self._holds_content(node)))
        return _alike(colour, ground or self._ground_below(node))

    def _holds_content(self, node: Any) -> bool:
        """Whether an element has a cell, a paragraph or a link inside."""
        if self._holding is None:
            self._holding = set()
            for content in self._tree.css(", ".join(_CONTENT)):
                around = content
                while around is not None and (key := around.mem_id) not in self._holding:
                    self._holding.add(key)
                    around = around.parent
        return node.mem_id in self._holding

    def _ground_below(self, node: Any) -> str:
        """The colour that the nearest element around `node` paints; the page itself is white."""
        path: list[int] = []
        ground, up = "", 0
        while not ground:
            node = node.parent
            if node is None or node.tag == "html":
                ground = "#ffffff"
                up = 1
            elif (key := node.mem_id) in self._grounds:
                ground, up = self._grounds[key]
            else:
                ground = self._painted(node)
                path.append(key)
                up = 0
        # `up` is how far the ground lies above the element that was looked at last.
        for key in reversed(path):
            up += 1
            self._grounds[key] = ground, up
        return ground if up <= _MAX_UP else "unknown"

    def _painted(self, node: Any) -> str:
        """The colour that an element paints, 'unknown' if it can't be told, or ''."""
        attributes = node.attributes
        style, painted = attributes.get("style") or "", attributes.get("bgcolor") or ""
        if style or painted:
            ground = (_look if len(style) <= _MAX_CACHED else _uncached_look)(style, "", painted)[2]
            if ground:
                return ground
        return "unknown" if attributes.get("background") or (self._sheet and attributes.get("class")) else ""
