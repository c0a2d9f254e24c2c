"""Conversion of HTML to a Page: the visible text, the hidden text, the targets of links, forms and images.

lexbor builds the tree without limits. A page of 44 KB can make it allocate 1.6 GB, and a page of 400 KB can keep it
busy for 12 seconds. Expensive constructs are therefore removed first, and the cost of the tree is estimated. A page
that exceeds the budget of its message is read as plain text. docs/decisions/0002-own-parser.md has the cases.
"""

import re
from collections.abc import Iterable
from typing import Any

from spamlstm.message.hidden_text import is_repeated, take_hidden
from spamlstm.message.html_cost import Budget, TooComplexError, pay
from spamlstm.message.media_query import applies
from spamlstm.message.outside_text import close_elements, never_shown, outside_text
from spamlstm.message.page import INVISIBLE, MAX_LINKS, Link, Page, part_blocks, tidy
from spamlstm.message.reversed_text import mark_reversed
from spamlstm.message.style_sheet import read_sheets
from spamlstm.message.svg import prepare_svg

# The number of characters of a page that are read, in its head and in its tail. Gmail shows 102 KB.
_PAGE_HEAD, _PAGE_TAIL = 192 * 1024, 64 * 1024
# A page with fewer tags, and none longer than _MAX_TAG, is read as it is.
_MIN_TAGS = 1_200
_MAX_TAG = 8_000
_WINDOW = _MAX_TAG // 2
# Each block reopens all open formatting tags, so the cost is the number of distinct formatting tags times the number of
# all tags. This constant is the maximum cost.
_MAX_REOPENED = 100_000

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
# Pictures besides <img>, in a page in lower case: buttons, films, SVG, VML of Outlook, and backgrounds.
_OTHER_PICTURE = re.compile(
    rb"<(?:image|object|embed|v(?:ideo|:fill|:imagedata|:image))(?![^\s/>])|<input\s[^<>]*?\btype\s*+=\s*+[\"']?image"
    rb"|\bbackground\s*+=\s*+[\"']?\w*+:|\b(?:background(?:-image)?|content)\s*+:[^;{}<>]{0,200}?\burl\("
)
# A page with at least this number of characters of text is not searched for other pictures.
_LITTLE_TEXT = 1_000
# A comment that Outlook for Windows, of version 16, reads as a part of the page: for any, this, or later versions.
_FOR_OUTLOOK = re.compile(
    rb"<!--\[if\s++\(?(?:mso(?:\s++16)?|gte?\s++mso\s++[\d.]++)(?![\s.]*+[\w&])[^\]<>]{0,40}\]>", re.IGNORECASE
)
# Beside a page of at least this number of words, text that only some programs show does not count.
_FEW_WORDS = 40
_REFRESH = re.compile(r"\s*+[\d.]*+\s*+(?:[;,]?\s*+url\s*+=|[;,])\s*+[\"']?(.*)", re.IGNORECASE | re.DOTALL)
# The target that a script of a page opens. Browsers run it in a page that is attached to a message.
_OPENED = re.compile(
    r"(?:\blocation(?:\.href)?\s*+=|\blocation\.(?:assign|replace)\s*+\(|\bwindow\.open\s*+\()\s*+([\"'])([^\"']++)\1"
)
_WEB = re.compile(r"(?:https?:|[/\\]{2})", re.IGNORECASE)
# Buttons whose text is an attribute, and the most characters of it that are read.
_BUTTONS, _MAX_BUTTON = "input[type=submit i], input[type=button i], input[type=reset i]", 300
_URL_SCHEME = re.compile(r"[\0- ]*+[a-z\t\n\r][a-z0-9+.\t\n\r-]*+:", re.IGNORECASE)
_ORIGIN = re.compile(r"[\0- ]*+[a-z]++:[/\\]*+[^/\\?#]*+", re.IGNORECASE)
# An option of lexbor that sends no events to scripts. With events, lexbor searches again for the selected option of a
# list after each added option, which takes quadratic time.
_WITHOUT_EVENTS = 1
# The steps (see html_cost) for each tag that may be traversed to find the text of a link.
_PER_LINK = 2

_FORMATTING_NAMES = r"<(?:b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)\b"
_FORMATTING = re.compile(_FORMATTING_NAMES, re.IGNORECASE)
# A formatting tag without syntax errors. Two such tags have the same formatting only if their text is equal.
_PLAIN_FORMATTING = re.compile(
    _FORMATTING_NAMES + r"(?>\s++[\w:-]++(?>\s*+=\s*+(?:\"[^\"<>]*+\"|'[^'<>]*+'|[\w#%.:;+-]++))?+)*+\s*+>",
    re.IGNORECASE,
)
_ANY_FORMATTING = re.compile(_FORMATTING_NAMES.replace("<", "</?") + r"[^<>]*>?", re.IGNORECASE)
_ROOT = re.compile(r"<(?:body|html)\b", re.IGNORECASE)


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
        from spamlstm.message.plain_page import read_plain  # the import takes 6 ms, which nearly all pages avoid

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


def _read_tree(source: bytes, budget: Budget, *, size: int, cut: bool, inner: bool = False) -> Page:
    """Return the page with this source in UTF-8. With `inner`, only some programs show it in another page."""
    from selectolax.lexbor import LexborHTMLParser  # the import takes 8 ms, which text mail avoids

    low = source.lower()
    pay(low, budget)
    tree: Any = LexborHTMLParser(part_blocks(source), options=_WITHOUT_EVENTS)
    # A search walks the whole tree, and most pages have no script.
    scripts = len(tree.css("script")) if b"<script" in low else 0
    texts = [node.text(deep=True) for node in tree.css("style") if _is_for_screens(node)] if b"<style" in low else ()
    unseen = "" if inner else never_shown(tree, low)
    tree.strip_tags([*INVISIBLE, "xml"] if inner else list(INVISIBLE))  # Outlook keeps settings in <xml>
    framed = [node.attributes["srcdoc"] or "" for node in tree.css("iframe[srcdoc]")] if b"srcdoc" in low else ()
    if b"<svg" in low:
        prepare_svg(tree)
    if b"bdo" in low or b"-override" in low:
        mark_reversed(tree, texts, budget)
    if b"<input" in low:
        for node in tree.css(_BUTTONS)[:MAX_LINKS]:
            node.insert_child(f" {(node.attributes.get('value') or '')[:_MAX_BUTTON]} ")
    rare = b"onclick" in low or b"<iframe" in low
    leading = [(node.tag, node) for node in tree.css(_LEADING + _RARE if rare else _LEADING)]
    linking = [node for tag, node in leading if tag in _LINKING][:MAX_LINKS]
    budget.spend(len(linking) * low.count(b"<") * _PER_LINK)
    links = tuple(_links(linking, budget))
    images = tuple((node.attributes.get("src") or "")[:300] for tag, node in leading if tag == "img")[:MAX_LINKS]
    forms = sum(tag in ("form", "input") for tag, _ in leading)
    close_elements(tree, low)
    sheet = read_sheets(texts, budget)
    if sheet.values and b"var(" in low:
        sheet.resolve_styles(tree)
    taken = take_hidden(tree, sheet, elements=low.count(b"<"))
    body = tree.body
    visible = tidy(body.text(deep=True, separator="")) if body is not None else ""
    visible, hidden, preheader = taken.settle(visible, pictures=bool(images))
    pictured = len(visible) < _LITTLE_TEXT and _OTHER_PICTURE.search(low) is not None
    elsewhere = False
    if not inner and (framed or b"<!--[if" in low) and len(visible.split()) < _FEW_WORDS:
        other = _read_tree(_for_outlook(source, framed), budget, size=0, cut=False, inner=True)
        pictured = pictured or bool(other.images)
        elsewhere = not is_repeated(other.visible, set(visible.lower().split()))
    if not inner and len(visible) < _LITTLE_TEXT and len(visible.split()) < _FEW_WORDS:
        more = [outside_text(tree, texts, visible)]
        if framed:
            within = _read_tree("\n".join(framed).encode(), budget, size=0, cut=False, inner=True)
            more.append(within.visible)
            links, images = (links + within.links)[:MAX_LINKS], (images + within.images)[:MAX_LINKS]
        words = set(visible.lower().split())
        visible = "\n".join([visible, *[text for text in more if text and not is_repeated(text, words)]]).strip()
    if unseen:
        text = _read_tree(unseen.encode(), budget, size=0, cut=False, inner=True).visible
        if not visible:  # programs that show nothing of the page show what browsers do not
            visible = text
        elif not is_repeated(text, set(visible.lower().split())):
            hidden = f"{hidden}\n{text}".strip()
    return Page(
        visible,
        hidden,
        links,
        images,
        forms,
        scripts,
        size,
        cut,
        preheader=preheader,
        pictured=pictured,
        elsewhere=elsewhere,
    )


def _for_outlook(source: bytes, framed: Iterable[str]) -> bytes:
    """Return the source in the comments for Outlook in a page, and the source of the pages in frames."""
    comments = [piece[begin.end() :] for piece in source.split(b"-->") if (begin := _FOR_OUTLOOK.search(piece))]
    # The `>` closes the `<![endif]` at the end of each.
    return b">\n".join([*comments, *map(str.encode, framed)])


def _is_for_screens(node: Any) -> bool:
    """Return whether a <style> element applies to a screen."""
    media = node.attributes.get("media")
    return not media or applies(media)


def _links(nodes: list[Any], budget: Budget) -> Iterable[Link]:
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
