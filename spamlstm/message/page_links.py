"""The links, images and forms in the tree of a page."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from spamlstm.message.html_cost import Budget
from spamlstm.message.page import MAX_LINKS, Link, tidy

_LEADING = (
    r"a[href], a[xlink\:href], area[href], form, input[type=password], img, button[formaction], input[formaction], "
    "base[href], meta[http-equiv=refresh i]"
)
# Rare elements with links. They are searched for only in pages that have them, because each selector takes time.
_RARE = ", iframe[src], a[onclick], button[onclick], input[onclick]"
_LINKING = ("a", "area", "form", "button", "input", "base", "meta", "iframe")
# Attributes with the target of a link. Links in SVG have the last one.
_TARGETS = ("href", "action", "formaction", "xlink:href")
_MAX_URL = 2_000
_MAX_IMAGE_URL = 300
_REFRESH = re.compile(r"\s*+[\d.]*+\s*+(?:[;,]?\s*+url\s*+=|[;,])\s*+[\"']?(.*)", re.IGNORECASE | re.DOTALL)
# The target that a script of a page opens. Browsers run it in a page that is attached to a message.
_OPENED = re.compile(
    r"(?:\blocation(?:\.href)?\s*+=|\blocation\.(?:assign|replace)\s*+\(|\bwindow\.open\s*+\()\s*+([\"'])([^\"']++)\1"
)
_WEB = re.compile(r"(?:https?:|[/\\]{2})", re.IGNORECASE)
_URL_SCHEME = re.compile(r"[\0- ]*+[a-z\t\n\r][a-z0-9+.\t\n\r-]*+:", re.IGNORECASE)
_ORIGIN = re.compile(r"[\0- ]*+[a-z]++:[/\\]*+[^/\\?#]*+", re.IGNORECASE)
# The steps (see html_cost) for each tag that may be traversed to find the text of a link.
_PER_LINK = 2


class PageLinks(NamedTuple):
    """The links of a page, the sources of its images, and the number of its forms and password fields."""

    links: tuple[Link, ...]
    images: tuple[str, ...]
    forms: int


def read_links(tree: Any, low: bytes, budget: Budget) -> PageLinks:
    """Return the links, images and forms in a tree. `low` is the source of the page in lower case.

    Raises TooComplexError if `budget` is spent.
    """
    is_rare = b"onclick" in low or b"<iframe" in low
    nodes = [(node.tag, node) for node in tree.css(_LEADING + _RARE if is_rare else _LEADING)]
    linking = [node for tag, node in nodes if tag in _LINKING][:MAX_LINKS]
    budget.spend(len(linking) * low.count(b"<") * _PER_LINK)
    links = tuple(_links(linking, budget))
    sources = [(node.attributes.get("src") or "")[:_MAX_IMAGE_URL] for tag, node in nodes if tag == "img"]
    return PageLinks(links, tuple(sources[:MAX_LINKS]), sum(tag in ("form", "input") for tag, _ in nodes))


def _links(nodes: Sequence[Any], budget: Budget) -> Iterator[Link]:
    origin = ""
    for node in nodes:
        attributes = node.attributes
        url = next((value for name in _TARGETS if (value := (attributes.get(name) or "").strip())), "")
        if node.tag == "base":
            # Only the first base counts, also for the links before it, but those are rare.
            origin = origin or (match[0] if (match := _ORIGIN.match(url[:_MAX_URL])) else "")
            continue
        if node.tag == "meta":
            url = match[1] if (match := _REFRESH.match(attributes.get("content") or "")) else ""
        elif node.tag == "iframe":
            source = (attributes.get("src") or "").strip()
            url = source if _WEB.match(source) else ""
        elif not url or url[0] == "#":
            opened = _OPENED.search((attributes.get("onclick") or "")[:_MAX_URL])
            url = opened[2] if opened else url
        if url and url[0] != "#":
            text = node.text(deep=True)
            budget.spend(len(text))
            yield Link(_resolved(url[:_MAX_URL], origin), tidy(text[:2000])[:300])


def _resolved(url: str, origin: str) -> str:
    """Return `url`, or the URL at `origin` (the scheme and host of the base of the page) if `url` is relative."""
    if not origin or url.startswith(("//", "\\\\", "/\\", "\\/")) or _URL_SCHEME.match(url):
        return url
    return f"{origin}/{url.lstrip('/')}"
