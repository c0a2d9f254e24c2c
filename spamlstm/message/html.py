"""Conversion of HTML to a Page: the visible text, the hidden text, the targets of links, forms and images.

lexbor builds the tree without limits. A page of 44 KB can make it allocate 1.6 GB, and a page of 400 KB can keep it
busy for 12 seconds. Expensive constructs are therefore removed first, and the cost of the tree is estimated. A page
that exceeds the budget of its message is read as plain text. docs/decisions/0002-own-parser.md has the cases.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from spamlstm.message.hidden_text import is_repeated, take_hidden
from spamlstm.message.html_cost import Budget, TooComplexError, pay
from spamlstm.message.media_query import applies
from spamlstm.message.outside_text import close_elements, never_shown, outside_text
from spamlstm.message.page import INVISIBLE, MAX_LINKS, Page, part_blocks, tidy
from spamlstm.message.page_links import read_links
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
# Buttons whose text is an attribute, and the most characters of it that are read.
_BUTTONS, _MAX_BUTTON = "input[type=submit i], input[type=button i], input[type=reset i]", 300
# An option of lexbor that sends no events to scripts. With events, lexbor searches again for the selected option of a
# list after each added option, which takes quadratic time.
_WITHOUT_EVENTS = 1

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


class _Unshown(NamedTuple):
    """What a page has besides the elements that browsers show.

    `scripts` is the number of scripts, and `sheets` are the style sheets for screens. `framed` are the sources of pages
    that are attributes of frames. `unseen` is the source in elements that no browser shows.
    """

    scripts: int
    sheets: Sequence[str]
    framed: Sequence[str]
    unseen: str


def _read_tree(source: bytes, budget: Budget, *, size: int, cut: bool) -> Page:
    """Return the page with this source in UTF-8.

    Text outside of the elements, and text that only some programs show, matters in a page of few words.
    """
    low = source.lower()
    page, tree, unshown = _read_elements(source, low, budget)
    is_short, has_few_words = len(page.visible) < _LITTLE_TEXT, _has_few_words(page.visible)
    is_pictured = is_short and _OTHER_PICTURE.search(low) is not None
    page = replace(page, size=size, cut=cut, pictured=is_pictured)
    if has_few_words and (unshown.framed or b"<!--[if" in low):
        page = _with_outlook(page, _for_outlook(source, unshown.framed), budget)
    if has_few_words and is_short:
        page = _with_outside_text(page, outside_text(tree, unshown.sheets, page.visible), unshown.framed, budget)
    return _with_unseen(page, unshown.unseen, budget) if unshown.unseen else page


def _read_inner(source: str | bytes, budget: Budget) -> Page:
    """Return a page that only some programs show in another page. Its size and its other pictures are not read."""
    source = source.encode() if isinstance(source, str) else source
    return _read_elements(source, source.lower(), budget, inner=True)[0]


def _read_elements(source: bytes, low: bytes, budget: Budget, *, inner: bool = False) -> tuple[Page, Any, _Unshown]:
    """Return what the elements of a page show, the tree of these elements, and what the page has besides them.

    `low` is the source in lower case. With `inner`, only some programs show the page in another page.
    """
    from selectolax.lexbor import LexborHTMLParser  # the import takes 8 ms, which text mail avoids

    pay(low, budget)
    tree: Any = LexborHTMLParser(part_blocks(source), options=_WITHOUT_EVENTS)
    unshown = _take_unshown(tree, low, inner=inner)
    _prepare_text(tree, low, unshown.sheets, budget)
    links, images, forms = read_links(tree, low, budget)
    visible, hidden, preheader = _read_text(tree, low, unshown.sheets, budget, pictures=bool(images))
    return Page(visible, hidden, links, images, forms, unshown.scripts, preheader=preheader), tree, unshown


def _take_unshown(tree: Any, low: bytes, *, inner: bool) -> _Unshown:
    """Remove the elements that are never shown from a tree, and return what the page has besides the others."""
    # A search walks the whole tree, and most pages have no script.
    scripts = len(tree.css("script")) if b"<script" in low else 0
    sheets = [node.text(deep=True) for node in tree.css("style") if _is_for_screens(node)] if b"<style" in low else ()
    unseen = "" if inner else never_shown(tree, low)
    tree.strip_tags([*INVISIBLE, "xml"] if inner else list(INVISIBLE))  # Outlook keeps settings in <xml>
    framed = [node.attributes["srcdoc"] or "" for node in tree.css("iframe[srcdoc]")] if b"srcdoc" in low else ()
    return _Unshown(scripts, sheets, framed, unseen)


def _prepare_text(tree: Any, low: bytes, sheets: Sequence[str], budget: Budget) -> None:
    """Change the text of a tree to what browsers show of SVG, of text in reversed order, and of buttons."""
    if b"<svg" in low:
        prepare_svg(tree)
    if b"bdo" in low or b"-override" in low:
        mark_reversed(tree, sheets, budget)
    if b"<input" in low:
        for node in tree.css(_BUTTONS)[:MAX_LINKS]:
            node.insert_child(f" {(node.attributes.get('value') or '')[:_MAX_BUTTON]} ")


def _read_text(tree: Any, low: bytes, sheets: Sequence[str], budget: Budget, *, pictures: bool) -> tuple[str, str, str]:
    """Return the visible text, the hidden text and the preheader of a tree, and remove its hidden elements.

    `pictures` tells whether the page has images.
    """
    close_elements(tree, low)
    sheet = read_sheets(sheets, budget)
    if sheet.values and b"var(" in low:
        sheet.resolve_styles(tree)
    taken = take_hidden(tree, sheet, elements=low.count(b"<"))
    body = tree.body
    visible = tidy(body.text(deep=True, separator="")) if body is not None else ""
    return taken.settle(visible, pictures=pictures)


def _has_few_words(text: str) -> bool:
    return len(text.split(None, _FEW_WORDS)) < _FEW_WORDS


def _is_new(text: str, visible: str) -> bool:
    """Return whether a text is more than a repetition of the visible text."""
    return not is_repeated(text, set(visible.lower().split()))


def _with_outlook(page: Page, source: bytes, budget: Budget) -> Page:
    """Return a page of few words that is also `pictured`, or says something `elsewhere`, by the source for Outlook."""
    other = _read_inner(source, budget)
    return replace(
        page,
        pictured=page.pictured or bool(other.images),
        elsewhere=_is_new(other.visible, page.visible),
    )


def _with_outside_text(page: Page, outside: str, framed: Sequence[str], budget: Budget) -> Page:
    """Return a page of few words with the text outside of its elements, and with what its pages in frames show."""
    texts, links, images = [outside], page.links, page.images
    if framed:
        within = _read_inner("\n".join(framed), budget)
        texts.append(within.visible)
        links, images = (links + within.links)[:MAX_LINKS], (images + within.images)[:MAX_LINKS]
    more = [text for text in texts if _is_new(text, page.visible)]
    return replace(page, visible="\n".join([page.visible, *more]).strip(), links=links, images=images)


def _with_unseen(page: Page, source: str, budget: Budget) -> Page:
    """Return a page with the text of elements that no browser shows, as hidden text unless nothing else is visible."""
    text = _read_inner(source, budget).visible
    if not page.visible:  # programs that show nothing of the page show these elements
        return replace(page, visible=text)
    if _is_new(text, page.visible):
        return replace(page, hidden=f"{page.hidden}\n{text}".strip())
    return page


def _for_outlook(source: bytes, framed: Iterable[str]) -> bytes:
    """Return the source in the comments for Outlook in a page, and the source of the pages in frames."""
    comments = [piece[begin.end() :] for piece in source.split(b"-->") if (begin := _FOR_OUTLOOK.search(piece))]
    # The `>` closes the `<![endif]` at the end of each.
    return b">\n".join([*comments, *map(str.encode, framed)])


def _is_for_screens(node: Any) -> bool:
    """Return whether a <style> element applies to a screen."""
    media = node.attributes.get("media")
    return not media or applies(media)
