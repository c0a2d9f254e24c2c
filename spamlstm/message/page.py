"""The content of an HTML part as a human reader sees it, and functions for blocks and spaces of HTML text.

Blocks are elements such as paragraphs and table cells, which are displayed apart from the surrounding text.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

# The most links, and images, of one page.
MAX_LINKS = 200
# An element with more text than this is treated as visible, because its style was probably misread.
MAX_HIDDEN_TEXT = 50_000
# Elements with content that is never shown. Mail programs run no scripts, so they show what is in <noscript>.
INVISIBLE = ("script", "style", "title", "template", "noframes", "noembed")

_SPACES = re.compile("  +")
# A block or a line break separates words; an inline tag (V<span>ia</span>gra) must not.
BLOCKS = (
    r"<(?=/?(?:t(?:[dhr]|able|itle)|p(?:re)?|div|br|[uo]l|li|h(?:[1-6r]|eader)"
    r"|blockquote|center|option|section|article|footer|d(?:[dlt]|etails|ir)|f(?:ieldset|ig(?:ure|caption))"
    r"|a(?:ddress|side)|caption|legend|m(?:ain|enu)|nav|summary)(?![\w\x80-\xff]))"
)
_BLOCK_BYTES = re.compile(BLOCKS.encode(), re.IGNORECASE)


class Link(NamedTuple):
    """A link. `url` is its target, truncated to 2,000 characters, and `text` its visible text, truncated to 300."""

    url: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """The content of one HTML part: visible text, hidden text, links, images, and the numbers of forms and scripts.

    `size` is the length of the part in characters. `cut` means that the page was too large or too complicated to be
    read unchanged. `complex` means that the tree of the page would exceed the budget of the message, so the page was
    read as plain text. `preheader` is the hidden text at the top of the page that mail programs show in the list of
    messages. It is also the first line of `visible`. `pictured` means that a page of little text has pictures that
    are not in `images`, such as backgrounds. `elsewhere` means that a page of few words says something else where only
    some programs show it: in comments for Outlook, and in pages that are attributes of frames.
    """

    visible: str = ""
    hidden: str = ""
    links: tuple[Link, ...] = ()
    images: tuple[str, ...] = ()
    forms: int = 0
    scripts: int = 0
    size: int = 0
    cut: bool = False
    complex: bool = False
    preheader: str = ""
    pictured: bool = False
    elsewhere: bool = False


def part_blocks(source: bytes) -> bytes:
    """Return a page in UTF-8 with a line break before each tag that begins or ends a block."""
    return _BLOCK_BYTES.sub(b"\n<", source)


def tidy(text: str) -> str:
    """Return `text` with single spaces and without empty lines."""
    for space in "\t\r\f\v\xa0":
        text = text.replace(space, " ")
    text = "\n".join(filter(None, map(str.strip, text.split("\n"))))
    return _SPACES.sub(" ", text) if "  " in text else text
