"""Reading of a page as plain text, for pages that are too complex for a tree."""

import re
from functools import lru_cache
from html import unescape

from spamlstm.message.page import BLOCKS, INVISIBLE, MAX_HIDDEN_TEXT, MAX_LINKS, Link, Page, part_blocks, tidy

_BLOCK = re.compile(BLOCKS, re.IGNORECASE)
# The most character references that are decoded in one text.
_MAX_REFERENCES = 50_000
# The search for the ends of hidden elements reads at most this many times the characters of the page.
_MOST_SEARCHED = 4
# No pattern searches past the next `<`, so all matches together take linear time.
_ATTRIBUTES = (
    r"(?>[\s/]*+[^\s/<>][^\s/<>=]*+(?>\s*+=\s*+(?>\"[^\"<]*+\"|'[^'<]*+'|[^\s<>\"'][^\s<>]*+)?+)?+)*+[\s/]*+>?"
)
_TAG = re.compile(rf"<(?:[/!?][^<>]*+>?|[a-z][^\s/<>]*+{_ATTRIBUTES})", re.IGNORECASE)
_NAME = re.compile(r"<(/?)([a-z][^\s/<>]*)", re.IGNORECASE)
_INVISIBLE = re.compile(rf"<(?:!--|({'|'.join(INVISIBLE)})(?![^\s/>]))", re.IGNORECASE)
_INVISIBLE_END = {"": re.compile("--!?>"), **{name: re.compile(f"</{name}", re.IGNORECASE) for name in INVISIBLE}}
_HIDING = re.compile(
    r"<([a-z][^\s/<>]*+)[^<>]*?(?:\shidden(?![^\s/>=])|display\s*+:\s*+none|visibility\s*+:\s*+hidden"
    r"|(?:max-height|opacity)\s*+:\s*+0(?!\.?\d)|(font-size)\s*+:\s*+(?:0(?!\.?\d)|1(?:px|pt|%)))",
    re.IGNORECASE,
)
_CONTENT = re.compile(r"<(?:td|p|a)(?![^\s/>])", re.IGNORECASE)
_LINK = re.compile(
    r"<(?:a|area|form)\s[^<>]*?\b(?:href|action)\s*+=\s*+(?:\"([^\"<]*+)\"|'([^'<]*+)'|([^\s\"'<>]++))"
    rf"{_ATTRIBUTES}([^<]{{0,300}}(?:<(?!/?a(?:rea)?[\s>])[^<]{{0,300}}){{0,9}})",
    re.IGNORECASE,
)
_IMAGE = re.compile(r"<img(?![^\s/>])(?:[^<>]*?\bsrc\s*+=\s*+[\"']?([^\"'\s<>]++))?", re.IGNORECASE)
_FORM = re.compile(r"<form(?![^\s/>])|<input\s[^<>]*?\btype\s*+=\s*+[\"']?password", re.IGNORECASE)
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7};?|#x[0-9a-f]{1,6};?|[a-z][a-z0-9]{1,30};)", re.IGNORECASE)
# Elements that have no content, or contain the whole page.
_NOT_HIDING = frozenset("area base body br col embed hr html img input link meta source track wbr".split())


def read_plain(source: str, *, size: int, cut: bool) -> Page:
    """Return the page that results from reading HTML as plain text, with `complex` set."""
    source, scripts = _without_invisible(source)
    visible, hidden = map(_text, _split_hidden(source))
    if len(hidden) >= MAX_HIDDEN_TEXT:
        visible, hidden = _text(source), ""
    links = [
        Link(_decoded(match[1] or match[2] or match[3] or "").strip()[:300], _text(match[4])[:300])
        for match in _first(_LINK, source)
    ]
    return Page(
        visible=visible,
        hidden=hidden,
        links=tuple(link for link in links if link.url and link.url[0] != "#"),
        images=tuple(_decoded(match[1] or "")[:300] for match in _first(_IMAGE, source)),
        forms=len(_FORM.findall(source)),
        scripts=scripts,
        size=size,
        cut=cut,
        complex=True,
    )


def _first(pattern: re.Pattern[str], source: str) -> list[re.Match[str]]:
    return [match for match, _ in zip(pattern.finditer(source), range(MAX_LINKS), strict=False)]


def _without_invisible(source: str) -> tuple[str, int]:
    """Return the page without comments and elements that are never shown, and the number of scripts."""
    kept: list[str] = []
    unclosed: set[str] = set()
    position = scripts = 0
    while match := _INVISIBLE.search(source, position):
        kept.append(source[position : match.start()])
        position = match.end()
        name = (match[1] or "").lower()
        scripts += name == "script"
        # `<!-->` is a complete comment.
        end = None if name in unclosed else _INVISIBLE_END[name].search(source, position if name else position - 2)
        if end:
            position = end.end()
        else:
            # The end is missing, so it is not searched for again for elements of this name. The text is kept.
            unclosed.add(name)
        if name:
            kept.append("</")  # the rest of the tag follows
    return "".join([*kept, source[position:]]), scripts


def _split_hidden(source: str) -> tuple[str, str]:
    """Return the source of a page without elements that their own style hides, and the source of these elements."""
    shown: list[str] = []
    hidden: list[str] = []
    room = len(source) * _MOST_SEARCHED
    position = 0
    while room > 0 and (match := _HIDING.search(source, position)):
        shown.append(source[position : match.start()])
        position = end = match.end()
        name = match[1].lower()
        if name not in _NOT_HIDING:
            end, searched = _end_of(name, source, position)
            room -= searched
        # font-size:0 around paragraphs, cells or links is layout that closes the gaps between images.
        if end == position or (match[2] and _CONTENT.search(source, match.start(), end)):
            shown.append(match[0])
        else:
            hidden.append(source[match.start() : end])
            position = end
    return "".join([*shown, source[position:]]), "\n".join(hidden)


def _end_of(name: str, source: str, start: int) -> tuple[int, int]:
    """Return the end of an element (its end tag or the next block), and the number of searched characters."""
    depth = 1
    for tag in _NAME.finditer(source, start):
        if tag[2].lower() == name:
            depth += -1 if tag[1] else 1
            if not depth:
                return tag.start(), tag.end() - start
    block = _BLOCK.search(source, start)
    return block.start() if block else len(source), len(source) - start + 1


def _text(source: str) -> str:
    parted = part_blocks(source.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")
    return tidy(_decoded(_TAG.sub("", parted)))


def _decoded(text: str) -> str:
    return _REFERENCE.sub(lambda reference: _character(reference[0]), text, count=_MAX_REFERENCES)


@lru_cache(maxsize=1024)
def _character(reference: str) -> str:
    return unescape(reference)
