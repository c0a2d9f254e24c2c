"""HTML to a Page: what a reader sees, and apart from it the hidden text, where links lead, forms and images.

lexbor builds the tree, without limits: a page of 44 KB can make it allocate 1.6 GB, and one of 400 KB can keep it busy
for 12 seconds. So a page is tamed first and the cost of its tree is estimated. A page beyond the budget of its message
is read as plain text. docs/decisions/0002-own-parser.md has the cases.
"""

import re
from collections.abc import Iterable
from typing import Any

from spamlstm.message.html_cost import Budget, TooComplexError, pay
from spamlstm.message.html_hidden import take_hidden
from spamlstm.message.html_plain import read_plain
from spamlstm.message.page import MAX_LINKS, UNSEEN, Link, Page, part_blocks, tidy

# The characters of one page that are read, in its head and its tail; Gmail shows 102 KB.
_PAGE_HEAD, _PAGE_TAIL = 192 * 1024, 64 * 1024
# A page with fewer tags need not be tamed.
_MIN_TAGS = 1_200
_MAX_TAG = 8_000
_WINDOW = _MAX_TAG // 2
# Each block reopens every formatting tag that is left open: the cost is the distinct formatting tags times the tags.
_MAX_REOPENED = 100_000
# Fewer visible characters than this, without images, mean that colours were misread.
_MIN_VISIBLE = 100

_LEADING = "a[href], area[href], form, input[type=password], img"
_LINKING = ("a", "area", "form")
# An option of lexbor that sends no events to scripts. With events it searches for the selected option of a list again
# with each option added, which costs the square of their number.
_WITHOUT_EVENTS = 1
# Steps (see html_cost) for each tag that the text of a link may walk over.
_PER_LINK = 2

_FORMATTING_NAMES = r"<(?:b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)\b"
_FORMATTING = re.compile(_FORMATTING_NAMES, re.IGNORECASE)
# A formatting tag without syntax errors: two of them are the same formatting only if their text is the same.
_PLAIN_FORMATTING = re.compile(
    _FORMATTING_NAMES + r"(?:\s++[\w:-]++(?:\s*+=\s*+(?:\"[^\"<>]*+\"|'[^'<>]*+'|[\w#%.:;+-]++))?+)*+\s*+>",
    re.IGNORECASE,
)
_ANY_FORMATTING = re.compile(_FORMATTING_NAMES.replace("<", "</?") + r"[^<>]*>?", re.IGNORECASE)
_ROOT = re.compile(r"<(?:body|html)\b", re.IGNORECASE)


def read_page(source: str, budget: Budget | None = None) -> Page:
    """Return an HTML part as a Page. Text that is no HTML comes back unchanged.

    The pages of one message share `budget`. A page that would cost more steps than are left is read as plain text.
    """
    size = len(source)
    short = size > _PAGE_HEAD + _PAGE_TAIL
    shown = f"{source[:_PAGE_HEAD]}\n{source[-_PAGE_TAIL:]}" if short else source
    budget = budget or Budget()
    try:
        source, cut = _tame(shown)
        return _read_tree(source.encode(), budget, size=size, cut=short or cut)
    except TooComplexError:
        return read_plain(shown, size=size, cut=short)
    except (ValueError, RuntimeError, UnicodeError):
        return Page(visible=source, size=size, cut=short or cut)


def _tame(source: str) -> tuple[str, bool]:
    """Return the page without what would cost lexbor the square of its length, and whether anything was cut."""
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
    """Return the text after a `<`, with an end and closed quotes for a tag that has no end."""
    if ">" in piece[:_MAX_TAG]:
        return piece
    _, end, rest = piece.partition(">")
    return piece[: _MAX_TAG // 2] + "'\">" + (rest if end else "")


def _read_tree(source: bytes, budget: Budget, *, size: int, cut: bool) -> Page:
    from selectolax.lexbor import LexborHTMLParser  # 8 ms that text mail need not pay

    low = source.lower()
    pay(low, budget)
    tree: Any = LexborHTMLParser(part_blocks(source), options=_WITHOUT_EVENTS)
    scripts = len(tree.css("script"))
    sheet = b"<style" in low and _paints(low)
    tree.strip_tags(list(UNSEEN))
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
        # Almost nothing else is visible, so a style sheet or a picture must paint another background.
        hidden, visible = hidden[len(faint) :].lstrip("\n"), f"{faint}\n{visible}".strip()
    return Page(visible, hidden, links, images, forms, scripts, size, cut)


def _paints(low: bytes) -> bool:
    """Return whether a page in lower case names a background before the end of a style sheet, or has no such end."""
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
