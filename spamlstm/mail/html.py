"""HTML to what a reader sees, and apart from it what is there but not seen, where links lead, forms and images.

The tree is lexbor's, which is as patient as a browser: a page of 44 KB can make it allocate 1.6 GB, one of 400 KB can
keep it busy for 12 seconds. So pages are tamed first; docs/decisions/0002-own-parser.md has the cases.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

MAX_LINKS = 200
# Characters of one page; Gmail shows 102 KB. And its tags: some nestings cost the square of their number.
PAGE_HEAD, PAGE_TAIL = 192 * 1024, 64 * 1024
TAGS_HEAD, TAGS_TAIL = 12_000, 4_000
# Fewer tags than this do no harm however they are nested.
MIN_TAGS = 1_200
MAX_TAG = 8_000
# Every formatting tag left open is made again in each block that follows: distinct ones times tags is the cost.
MAX_REOPENED = 100_000
# A hidden element larger than this is layout that was misread; after some of those nothing is taken for hidden.
MIN_LETTER = 100
MAX_HIDDEN_TEXT, MAX_MISREAD = 50_000, 20


class Link(NamedTuple):
    """`url` is where a click leads, `text` what the reader sees (both cut at 300 characters)."""

    url: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """What one HTML part shows, hides, links to and asks for. `size` is its length in characters.

    `cut` tells that it was too large or too tangled to be read as it is.
    """

    visible: str = ""
    hidden: str = ""
    links: tuple[Link, ...] = ()
    images: tuple[str, ...] = ()
    forms: int = 0
    scripts: int = 0
    size: int = 0
    cut: bool = False


EMPTY = Page()

# Closing a block, or a line break, separates words; closing an inline tag (V<span>ia</span>gra) must not.
_BLOCK = re.compile(
    r"<(?=/?(?:t(?:[dhr]|able|itle)|p|div|br|[uo]l|li|h[1-6r]|blockquote|center|option|pre|section|article|header|footer)\b)",
    re.IGNORECASE,
)
_FORMATTING_NAMES = r"<(?:b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)\b"
_FORMATTING = re.compile(_FORMATTING_NAMES, re.IGNORECASE)
# A formatting tag that is written so plainly that any two which differ do so in their letters.
_PLAIN_FORMATTING = re.compile(
    _FORMATTING_NAMES + r"(?:\s++[\w:-]++(?:\s*+=\s*+(?:\"[^\"<>]*+\"|'[^'<>]*+'|[\w#%.:;+-]++))?+)*+\s*+>",
    re.IGNORECASE,
)
_ANY_FORMATTING = re.compile(_FORMATTING_NAMES.replace("<", "</?") + r"[^<>]*>?", re.IGNORECASE)
_ROOT = re.compile(r"<(?:body|html)\b", re.IGNORECASE)

_UNSEEN = ["script", "style", "title", "noscript", "template"]
_LEADING = "a[href], area[href], form, input[type=password], img"
_LINKING = ("a", "area", "form")
_STYLES = ("style", "hidden", "color", "bgcolor")
_HIDING = re.compile(
    r"display:none|visibility:hidden|max-height:0|opacity:0(?:\.0+)?(?:[;!]|$)|text-indent:-\d{3}"
    r"|(?:left|top|margin-left):-\d{3}|(?:^|;)color:(?:transparent|rgba\(\d+,\d+,\d+,0\))"
    r"|font-size:(?:0(?:\.\d+)?(?:px|pt|%)?|0(?:\.0\d*)?r?em|1(?:\.\d+)?(?:px|pt|%))(?:[;!]|$)"
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
_SPACES = re.compile("  +")


def join(pages: Iterable[Page]) -> Page:
    """Several HTML parts of one message as one page."""
    pages = list(pages)
    if len(pages) < 2:
        return pages[0] if pages else EMPTY
    return Page(
        visible="\n".join(page.visible for page in pages),
        hidden="\n".join(page.hidden for page in pages if page.hidden),
        links=tuple(link for page in pages for link in page.links)[:MAX_LINKS],
        images=tuple(image for page in pages for image in page.images)[:MAX_LINKS],
        forms=sum(page.forms for page in pages),
        scripts=sum(page.scripts for page in pages),
        size=sum(page.size for page in pages),
        cut=any(page.cut for page in pages),
    )


def read(source: str) -> Page:
    """One HTML part. Whatever is no HTML comes back as the text it is."""
    from selectolax.lexbor import LexborHTMLParser  # 8 ms that text mail need not pay

    size = len(source)
    source, cut = _tame(source)
    try:
        tree: Any = LexborHTMLParser(_BLOCK.sub("\n<", source))
    except (ValueError, RuntimeError, UnicodeError):
        return Page(visible=source, size=size, cut=cut)
    low = source.lower()
    scripts = len(tree.css("script")) if "<script" in low else 0
    sheet = "<style" in low and "background" in low[: low.rfind("</style")]
    tree.strip_tags(_UNSEEN)
    leading = [(node.tag, node) for node in tree.css(_LEADING)]
    links = tuple(_links([node for tag, node in leading if tag in _LINKING][:MAX_LINKS]))
    images = tuple((node.attributes.get("src") or "")[:300] for tag, node in leading if tag == "img")[:MAX_LINKS]
    forms = sum(tag in ("form", "input") for tag, _ in leading)
    # Of these most pages have but one or two, and each that is asked for takes a walk through the tree.
    styles = [name for name in _STYLES if name in low]
    hidden, faint = _take_hidden(tree, styles, sheet=sheet) if styles else ("", "")
    body = tree.body
    visible = _tidy(body.text(deep=True, separator="")) if body is not None else ""
    if faint and len(visible) < MIN_LETTER and not images:
        # Colours that would leave the reader nothing were misread: a style sheet or a picture lies below.
        hidden, visible = hidden[len(faint) :].lstrip("\n"), f"{faint}\n{visible}".strip()
    return Page(visible, hidden, links, images, forms, scripts, size, cut)


def _tame(source: str) -> tuple[str, bool]:
    """The page with what would cost lexbor the square of its length cut out, and whether anything was."""
    cut = len(source) > PAGE_HEAD + PAGE_TAIL
    if cut:
        source = f"{source[:PAGE_HEAD]}\n{source[-PAGE_TAIL:]}"
    pieces = source.split("<")
    long = max(map(len, pieces)) > MAX_TAG
    if len(pieces) < MIN_TAGS and not long:
        return source, cut
    if len(pieces) > TAGS_HEAD + TAGS_TAIL:
        pieces, cut = [*pieces[:TAGS_HEAD], *pieces[-TAGS_TAIL:]], True
    if long:
        pieces = [pieces[0], *map(_end_tag, pieces[1:])]
    source = "<".join(pieces)
    plain = _PLAIN_FORMATTING.findall(source)
    distinct = len(_FORMATTING.findall(source)) - len(plain) + len(set(plain))
    if distinct * len(pieces) > MAX_REOPENED:
        source, cut = _ANY_FORMATTING.sub("", source), True
    if len(_ROOT.findall(source)) > 20:
        source, cut = _ROOT.sub("<div ", source), True
    return source, cut


def _end_tag(piece: str) -> str:
    """What follows a `<`; a tag that does not end is ended, whatever quotes it has open."""
    if len(piece) <= MAX_TAG or ">" in piece[:MAX_TAG]:
        return piece
    _, end, rest = piece.partition(">")
    return piece[: MAX_TAG // 2] + "'\">" + (rest if end else "")


def _links(nodes: list[Any]) -> Iterable[Link]:
    for node in nodes:
        attributes = node.attributes
        url = (attributes.get("href") or attributes.get("action") or "").strip()
        if url and url[0] != "#":
            yield Link(url[:300], _tidy(node.text(deep=True)[:2000])[:300])


def _take_hidden(tree: Any, styles: list[str], *, sheet: bool) -> tuple[str, str]:
    """Remove what no reader sees from the tree; return its text, and how that begins if only by its colour.

    `styles` are the attributes to look at. `sheet` tells that a style sheet paints backgrounds, which is not read: then
    a class may mean any colour.
    """
    grounds = {"#ffffff", "#fefefe"}
    suspects: dict[int, tuple[Any, tuple[str, str, str]]] = {}
    for node in tree.css(", ".join(f"[{name}]" for name in styles)):
        attributes = node.attributes
        look = _look(attributes.get("style") or "", attributes.get("color") or "", attributes.get("bgcolor") or "")
        if "hidden" in attributes:
            look = ("hidden", "", "")
        if look[2]:
            grounds.add(look[2])
        if look[0] or look[1]:
            suspects[node.mem_id] = node, look
    unseen = [
        (node, look[0])
        for node, look in suspects.values()
        if (look[0] or look[1] in grounds) and _is_hidden(node, look, sheet=sheet)
    ]
    found: list[str] = []
    faint: list[str] = []
    misread = 0
    # The last first: an element must not be looked at once the one around it is gone.
    for node, hiding in reversed(unseen):
        text = _tidy(node.text(deep=True))
        if len(text) >= MAX_HIDDEN_TEXT:
            misread += 1
            if misread == MAX_MISREAD:
                break
        elif text:
            (found if hiding else faint).append(text)
            node.decompose()
    pale = "\n".join(reversed(faint))
    return "\n".join([pale] * bool(pale) + found[::-1]), pale


@lru_cache(maxsize=2048)
def _look(style: str, colour: str, ground: str) -> tuple[str, str, str]:
    """(how a style hides, the colour of its letters, the colour it paints below them or 'unknown'); each may be ''."""
    style = "".join(style.split()).lower()
    hiding = _HIDING.search(style)
    own = _COLOUR.findall(style) or [colour.strip().lower()]
    painted = [shade for shade in (ground.strip().lower(), *_BACKGROUND.findall(style)) if shade not in _UNPAINTED]
    return hiding[0] if hiding else "", _shade(own[-1]), (_shade(painted[-1]) or "unknown") if painted else ""


def _shade(colour: str) -> str:
    """A colour as #rrggbb, or '' if it is none that can be told."""
    if rgb := _RGB.fullmatch(colour):
        return "#{:02x}{:02x}{:02x}".format(*(min(int(part), 255) for part in rgb.groups()))
    if _HEX.fullmatch(colour):
        digits = colour.lstrip("#")
        return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))
    return _NAMED.get(colour, "")


def _is_hidden(node: Any, look: tuple[str, str, str], *, sheet: bool) -> bool:
    hiding, colour, ground = look
    if node.tag in ("body", "html"):
        return False
    # An element that holds nearly the whole letter under font-size:0 (to close gaps between images) is layout.
    if hiding:
        return not (hiding.startswith("font-size:0") and node.css_first("td, p, a") is not None)
    return _alike(colour, ground or _ground_below(node, sheet=sheet))


def _alike(colour: str, ground: str) -> bool:
    return colour == ground or bool(_PALE.fullmatch(colour) and _PALE.fullmatch(ground))


def _ground_below(node: Any, *, sheet: bool) -> str:
    """The colour that the nearest element around `node` paints; the page itself is white."""
    for _ in range(40):
        node = node.parent
        if node is None or node.tag == "html":
            return "#ffffff"
        attributes = node.attributes
        style, painted = attributes.get("style") or "", attributes.get("bgcolor") or ""
        if (style or painted) and (ground := _look(style, "", painted)[2]):
            return ground
        if attributes.get("background") or (sheet and attributes.get("class")):
            return "unknown"
    return "unknown"


def _tidy(text: str) -> str:
    """Runs of spaces and empty lines made one."""
    for odd in "\t\r\f\v\xa0":
        text = text.replace(odd, " ")
    return "\n".join(filter(None, map(str.strip, _SPACES.sub(" ", text).split("\n"))))
