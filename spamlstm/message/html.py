"""Conversion of HTML to a Page: the visible text, the hidden text, the targets of links, forms and images.

lexbor builds the tree without limits. A page of 44 KB can make it allocate 1.6 GB, and a page of 400 KB can keep it
busy for 12 seconds. Expensive constructs are therefore removed first, and the cost of the tree is estimated. A page
that exceeds the budget of its message is read as plain text. docs/decisions/0002-own-parser.md has the cases.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from spamlstm.message.html_cost import Budget, TooComplexError, pay
from spamlstm.message.page import INVISIBLE, MAX_HIDDEN_TEXT, MAX_LINKS, Link, Page, part_blocks, read_plain, tidy

# The number of characters of a page that are read, in its head and in its tail. Gmail shows 102 KB.
_PAGE_HEAD, _PAGE_TAIL = 192 * 1024, 64 * 1024
# A page with fewer tags, and none longer than _MAX_TAG, is read as it is.
_MIN_TAGS = 1_200
_MAX_TAG = 8_000
_WINDOW = _MAX_TAG // 2
# Each block reopens all open formatting tags, so the cost is the number of distinct formatting tags times the number of
# all tags. This constant is the maximum cost.
_MAX_REOPENED = 100_000
# If fewer characters than this are visible and there are no images, the colours were probably misread.
_MIN_VISIBLE = 100

_LEADING = "a[href], area[href], form, input[type=password], img"
_LINKING = ("a", "area", "form")
# An option of lexbor that sends no events to scripts. With events, lexbor searches again for the selected option of a
# list after each added option, which takes quadratic time.
_WITHOUT_EVENTS = 1
# The steps (see html_cost) for each tag that may be traversed to find the text of a link.
_PER_LINK = 2

_FORMATTING_NAMES = r"<(?:b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)\b"
_FORMATTING = re.compile(_FORMATTING_NAMES, re.IGNORECASE)
# A formatting tag without syntax errors. Two such tags have the same formatting only if their text is equal.
_PLAIN_FORMATTING = re.compile(
    _FORMATTING_NAMES + r"(?:\s++[\w:-]++(?:\s*+=\s*+(?:\"[^\"<>]*+\"|'[^'<>]*+'|[\w#%.:;+-]++))?+)*+\s*+>",
    re.IGNORECASE,
)
_ANY_FORMATTING = re.compile(_FORMATTING_NAMES.replace("<", "</?") + r"[^<>]*>?", re.IGNORECASE)
_ROOT = re.compile(r"<(?:body|html)\b", re.IGNORECASE)
# After this many hidden elements with more text than MAX_HIDDEN_TEXT, no further element is treated as hidden.
_MAX_MISREAD = 20
# Longer styles are not cached, because entries are kept until the process ends.
_MAX_CACHED = 500
# The background is searched for in at most this many parents of an element.
_MAX_UP = 40
# The steps (see html_cost) for one element with a style, for the text of one element, and for one character of the
# text.
_PER_STYLE, _PER_TEXT, _PER_CHARACTER = 800, 200, 4
_HIDING = re.compile(
    r"(?=[dvmoltcf])(?:"
    r"display:none|visibility:hidden|max-height:0|opacity:0(?:\.0+)?(?:[;!]|$)|text-indent:-\d{3}"
    r"|(?:left|top|margin-left):-\d{3}|color:(?<![^;]color:)(?:transparent|rgba\(\d+,\d+,\d+,0\))"
    r"|font-size:(?:0(?:\.\d+)?(?:px|pt|%)?|0(?:\.0\d*)?r?em|1(?:\.\d+)?(?:px|pt|%))(?:[;!]|$))"
)
_COLOUR = re.compile(r"(?:^|;)color:([^;!]+)")
_BACKGROUND = re.compile(r"(?:^|;)background(?:-color|-image)?:([^;!]+)")
_NO_BACKGROUND = ("", "transparent", "none", "inherit", "initial")
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
# The style that hides an element, the colour of its letters, and its background or 'unknown'. Each may be ''.
Look = tuple[str, str, str]


def read_page(source: str, budget: Budget | None = None) -> Page:
    """Return the Page for the source of an HTML part.

    The pages of one message share `budget`. A page that costs more steps than are left is read as plain text.
    """
    size = len(source)
    short = size > _PAGE_HEAD + _PAGE_TAIL
    shown = f"{source[:_PAGE_HEAD]}\n{source[-_PAGE_TAIL:]}" if short else source
    budget = budget or Budget()
    try:
        source, cut = _simplified(shown)
        return _read_tree(source.encode(), budget, size=size, cut=short or cut)
    except TooComplexError:
        return read_plain(shown, size=size, cut=short)
    except (ValueError, RuntimeError, UnicodeError):
        return Page(visible=source, size=size, cut=short or cut)


def _simplified(source: str) -> tuple[str, bool]:
    """Return the page without markup that takes lexbor quadratic time, and whether anything was removed."""
    # A text between two `<` that is too long contains one of these windows.
    long = any(source.find("<", begin, begin + _WINDOW) < 0 for begin in range(0, len(source) - _WINDOW + 1, _WINDOW))
    if not long and source.count("<") < _MIN_TAGS - 1:
        return source, False
    pieces = source.split("<")
    cut, long = False, long and max(map(len, pieces)) > _MAX_TAG
    if len(pieces) < _MIN_TAGS and not long:
        return source, cut
    if long:
        source = "<".join([pieces[0], *(piece if len(piece) <= _MAX_TAG else _end_tag(piece) for piece in pieces[1:])])
    formatting = len(_FORMATTING.findall(source)) if len(pieces) ** 2 > _MAX_REOPENED else 0
    if formatting * len(pieces) > _MAX_REOPENED:
        plain = _PLAIN_FORMATTING.findall(source)
        if (formatting - len(plain) + len(set(plain))) * len(pieces) > _MAX_REOPENED:
            source, cut = _ANY_FORMATTING.sub("", source), True
    if len(pieces) >= _MIN_TAGS and len(_ROOT.findall(source)) > 20:
        source, cut = _ROOT.sub("<div ", source), True
    return source, cut


def _end_tag(piece: str) -> str:
    """Return the text after a `<`. If the tag has no end, an end and closing quotes are inserted."""
    if ">" in piece[:_MAX_TAG]:
        return piece
    _, end, rest = piece.partition(">")
    return piece[: _MAX_TAG // 2] + "'\">" + (rest if end else "")


def _read_tree(source: bytes, budget: Budget, *, size: int, cut: bool) -> Page:
    from selectolax.lexbor import LexborHTMLParser  # the import takes 8 ms, which text mail avoids

    low = source.lower()
    pay(low, budget)
    tree: Any = LexborHTMLParser(part_blocks(source), options=_WITHOUT_EVENTS)
    scripts = len(tree.css("script"))
    sheet = b"<style" in low and _sets_background(low)
    tree.strip_tags(list(INVISIBLE))
    leading = [(node.tag, node) for node in tree.css(_LEADING)]
    linking = [node for tag, node in leading if tag in _LINKING][:MAX_LINKS]
    budget.spend(len(linking) * low.count(b"<") * _PER_LINK)
    links = tuple(_links(linking, budget))
    images = tuple((node.attributes.get("src") or "")[:300] for tag, node in leading if tag == "img")[:MAX_LINKS]
    forms = sum(tag in ("form", "input") for tag, _ in leading)
    hidden, faint = take_hidden(tree, budget, sheet=sheet)
    body = tree.body
    visible = tidy(body.text(deep=True, separator="")) if body is not None else ""
    if faint and len(visible) < _MIN_VISIBLE and not images:
        # Almost nothing else is visible, so a style sheet or a picture must set another background.
        hidden, visible = hidden[len(faint) :].lstrip("\n"), f"{faint}\n{visible}".strip()
    return Page(visible, hidden, links, images, forms, scripts, size, cut)


def _sets_background(low: bytes) -> bool:
    """Return whether a style sheet of the page (in lower case) may set a background."""
    named = low.find(b"background")
    return named >= 0 and (low.find(b"</style", named) >= 0 or b"</style" not in low)


def _links(nodes: list[Any], budget: Budget) -> Iterable[Link]:
    for node in nodes:
        attributes = node.attributes
        url = (attributes.get("href") or attributes.get("action") or "").strip()
        if url and url[0] != "#":
            text = node.text(deep=True)
            budget.spend(len(text))
            yield Link(url[:300], tidy(text[:2000])[:300])


def take_hidden(tree: Any, budget: Budget, *, sheet: bool) -> tuple[str, str]:
    """Remove hidden elements from the tree. Return their text, and the part of this text that is hidden by colour.

    The first result begins with the second. `sheet` means that a style sheet may set backgrounds. The style sheet is
    not parsed, so an element with a class may have any background. After an error, the tree must not be used. Raises
    TooComplexError if the budget is spent.
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
    """Remove hidden elements from their tree, and return the same two texts as `take_hidden`.

    Each of `elements` is a node and the style that hides it, or '' if the node is hidden by colour.
    """
    by_style: list[str] = []
    by_colour: list[str] = []
    misread = 0
    # The order is reversed because an element must not be used after the element around it is removed.
    for node, hiding in reversed(elements):
        raw = node.text(deep=True)
        budget.spend(_PER_TEXT + _PER_CHARACTER * len(raw))
        if not raw:
            # An empty element is removed too. Otherwise each element around it would traverse it again.
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
            # White space may separate words, so it is kept.
            node.replace_with(raw)
    return "\n".join([*by_style, *by_colour][::-1]), "\n".join(by_colour[::-1])


def _look(style: str, colour: str, background: str) -> Look:
    """Return the look of an element with these values of its attributes `style`, `color` and `bgcolor`."""
    style = "".join(style.split()).lower()
    hiding = _HIDING.search(style)
    own = (_COLOUR.findall(style) if "color:" in style else None) or [colour.strip().lower()]
    behind = _BACKGROUND.findall(style) if "background" in style else ()
    painted = [shade for shade in (background.strip().lower(), *behind) if shade not in _NO_BACKGROUND]
    return hiding[0] if hiding else "", _shade(own[-1]), (_shade(painted[-1]) or "unknown") if painted else ""


_cached_look = lru_cache(maxsize=2048)(_look)


def _shade(colour: str) -> str:
    """Return a colour as #rrggbb, or '' if the colour is unknown."""
    if rgb := _RGB.fullmatch(colour):
        return "#{:02x}{:02x}{:02x}".format(*(min(int(part), 255) for part in rgb.groups()))
    if _HEX.fullmatch(colour):
        digits = colour.lstrip("#")
        return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))
    return _NAMED.get(colour, "")


class _Surroundings:
    """A cached lookup of the backgrounds and contents of the elements of a tree.

    The tree must not change during the lifetime of the object. Each element is visited only once.
    """

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
        """Return whether an element contains a cell, a paragraph or a link."""
        if self._holding is None:
            self._holding = set()
            for content in self._tree.css(", ".join(_CONTENT)):
                around = content
                while around is not None and (key := around.mem_id) not in self._holding:
                    self._holding.add(key)
                    around = around.parent
        return node.mem_id in self._holding

    def _background_of(self, node: Any) -> str:
        """Return the background colour around `node`: white, or the colour set by the nearest parent that sets one.

        Return 'unknown' if that colour is unknown or found more than _MAX_UP levels above `node`.
        """
        path: list[int] = []
        background, up = "", 0
        while not background:
            node = node.parent
            if node is None or node.tag == "html":
                background, up = "#ffffff", 1
            elif (key := node.mem_id) in self._backgrounds:
                background, up = self._backgrounds[key]
            else:
                background = self._background_set_by(node)
                path.append(key)
        # `up` is the distance from the last element of the path to the element that sets the background.
        for key in reversed(path):
            up += 1
            self._backgrounds[key] = background, up
        return background if up <= _MAX_UP else "unknown"

    def _background_set_by(self, node: Any) -> str:
        """Return the background that an element sets, or '' for none."""
        attributes = node.attributes
        style, colour = attributes.get("style") or "", attributes.get("bgcolor") or ""
        if style or colour:
            looking = _cached_look if len(style) <= _MAX_CACHED else _look
            if painted := looking(style, "", colour)[2]:
                return painted
        return "unknown" if attributes.get("background") or (self._sheet and attributes.get("class")) else ""
