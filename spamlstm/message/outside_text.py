"""Text of a page that is not in its tree of visible elements.

Elements that browsers never show, pages in frames, texts in place of pictures, values of inputs, and text that a style
sheet writes.
"""

import re
from collections.abc import Iterable
from typing import Any

from spamlstm.message.page import tidy

# Elements that browsers show only if the sender or the reader asks for them, by attributes and clicks.
_CLOSED = re.compile(rb"<d(?:ialog|atalist)(?![^\s/>])|\spopover(?![^\s/>=])|\spopover=")
_CLOSED_ELEMENTS = "dialog:not([open]), datalist, [popover]"
_NEVER_SHOWN = re.compile(rb"<(?:template|noframes|noembed)(?![^\s/>])")
_START_TAG = re.compile(r"\A<[^>]*+>")
_SHOWN_INPUTS = frozenset(("", "text", "button", "submit", "reset", "email", "search", "tel", "url", "number"))
_CONTENT = re.compile(r"content\s*+:\s*+(?:\"([^\"\n]{20,4000})\"|'([^'\n]{20,4000})')", re.IGNORECASE)
# Shorter texts besides a page say nothing of their own: names of pictures, labels of buttons.
_FEWEST_WORDS = 25
# At most this many texts of each kind are read, of this many characters.
_MOST, _MAX_LENGTH = 100, 4_000


def close_elements(tree: Any, low: bytes) -> None:
    """Mark elements that are closed as hidden. `low` is the source of the page in lower case."""
    if _CLOSED.search(low):
        for node in tree.css(_CLOSED_ELEMENTS):
            node.attrs["hidden"] = ""


def never_shown(tree: Any, low: bytes) -> str:
    """Return the source in elements that no browser shows, which programs that do not know them may show."""
    if not _NEVER_SHOWN.search(low):
        return ""
    nodes = tree.css("template, noframes, noembed")
    # The content of a template is no child of it, so its source is read.
    return "\n".join([_START_TAG.sub("", (node.html or "")[: _MAX_LENGTH * 5]) for node in nodes[:_MOST]])


def outside_text(tree: Any, sheets: Iterable[str], visible: str) -> str:
    """Return the text that pictures, inputs and style sheets show in a page of few words, or '' if it is shorter.

    `visible` is the visible text of the page.
    """
    texts = [node.attributes.get("alt") or "" for node in tree.css("img[alt]")[:_MOST]]
    texts += [
        node.attributes.get("value") or ""
        for node in tree.css("input[value]")[:_MOST]
        if (node.attributes.get("type") or "").strip().lower() in _SHOWN_INPUTS
    ]
    for sheet in sheets:
        found = [match[1] or match[2] for match, _ in zip(_CONTENT.finditer(sheet), range(_MOST), strict=False)]
        texts += [text for text in found if " " in text.strip()]
    text = tidy("\n".join([text[:_MAX_LENGTH] for text in texts]))
    words = len(text.split())
    return text if words >= _FEWEST_WORDS and words > len(visible.split()) else ""
