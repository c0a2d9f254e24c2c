"""HTML to a Page: what a reader sees, and apart from it the hidden text, where links lead, forms and images.

lexbor builds the tree, without limits: a page of 44 KB can make it allocate 1.6 GB, and one of 400 KB can keep it busy
for 12 seconds. So a page is tamed first and the cost of its tree is estimated. A page beyond the budget of its message
is read as plain text. docs/decisions/0002-own-parser.md has the cases.
"""

from collections.abc import Iterable
from typing import Any

from spamlstm.message.html_cost import Budget, TooComplexError, pay, shorten, tame
from spamlstm.message.html_hidden import take_hidden
from spamlstm.message.html_plain import read_plain
from spamlstm.message.page import MAX_LINKS, UNSEEN, Link, Page, part_blocks, tidy

# Fewer visible characters than this, without images, mean that colours were misread.
_MIN_VISIBLE = 100

_LEADING = "a[href], area[href], form, input[type=password], img"
_LINKING = ("a", "area", "form")
# An option of lexbor that sends no events to scripts. With events it searches for the selected option of a list again
# with each option added, which costs the square of their number.
_WITHOUT_EVENTS = 1
# Steps (see html_cost) for each tag that the text of a link may walk over.
_PER_LINK = 2


def read_page(source: str, budget: Budget | None = None) -> Page:
    """Return an HTML part as a Page. Text that is no HTML comes back unchanged.

    The pages of one message share `budget`. A page that would cost more steps than are left is read as plain text.
    """
    size = len(source)
    shown, short = shorten(source)
    budget = budget or Budget()
    try:
        source, cut = tame(shown)
        return _read_tree(source.encode(), budget, size=size, cut=short or cut)
    except TooComplexError:
        return read_plain(shown, size=size, cut=short)
    except (ValueError, RuntimeError, UnicodeError):
        return Page(visible=source, size=size, cut=short or cut)


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
