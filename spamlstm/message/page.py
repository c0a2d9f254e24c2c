"""A page of a message, as a reader would see it; and what all readers of HTML need to know of blocks and spaces."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

# Links, and images, of one page.
MAX_LINKS = 200
# A hidden element with more text is visible layout that was misread.
MAX_HIDDEN_TEXT = 50_000
# Elements whose content no reader sees.
UNSEEN = ("script", "style", "title", "noscript", "template")

_SPACES = re.compile("  +")
# The end of a block, or a line break, separates words; the end of an inline tag (V<span>ia</span>gra) must not.
_BLOCKS = (
    r"<(?=/?(?:t(?:[dhr]|able|itle)|p(?:re)?|div|br|[uo]l|li|h(?:[1-6r]|eader)"
    r"|blockquote|center|option|section|article|footer)(?![\w\x80-\xff]))"
)
_BLOCK, _BLOCK_BYTES = re.compile(_BLOCKS, re.IGNORECASE), re.compile(_BLOCKS.encode(), re.IGNORECASE)


class Link(NamedTuple):
    """A link: `url` is where a click leads, `text` what the reader sees, both cut at 300 characters."""

    url: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """What one HTML part shows, hides, links to and asks for. `size` is its length in characters.

    `cut` means that the page was too large or too tangled to be read as it is. `complex` means that its tree would
    cost more steps than the budget of the message, so it was read as plain text.
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


EMPTY = Page()


def join_pages(pages: Iterable[Page]) -> Page:
    """Return the HTML parts of one message as one page."""
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
        complex=any(page.complex for page in pages),
    )


def part_blocks(source: bytes) -> bytes:
    """Return a page in UTF-8 with a line break before each tag that begins or ends a block."""
    return _BLOCK_BYTES.sub(b"\n<", source)


def next_block(source: str, start: int) -> int:
    """Return where the next block after `start` begins or ends, or the end of the page."""
    match = _BLOCK.search(source, start)
    return match.start() if match else len(source)


def tidy(text: str) -> str:
    """Return `text` with single spaces and without empty lines."""
    for space in "\t\r\f\v\xa0":
        text = text.replace(space, " ")
    text = "\n".join(filter(None, map(str.strip, text.split("\n"))))
    return _SPACES.sub(" ", text) if "  " in text else text
