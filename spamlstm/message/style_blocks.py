"""The blocks of style sheets: which rules there are, also within other rules, and whether each applies."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from spamlstm.message.media_query import applies
from spamlstm.message.selector_list import nested

_BRACE = re.compile(r"[{}]")
# A block for programs that know a usual property, and blocks of which it is uncertain whether and when they apply.
_CERTAIN = re.compile(r"@supports\s*+\(\s*+display\s*+:\s*+(?:none|block|grid|flex)\s*+\)\Z", re.IGNORECASE)
_UNCERTAIN = ("@supports", "@container", "@scope", "@starting-style")


class Block(NamedTuple):
    """The selectors and declarations of a rule that applies.

    `certain` means that all programs apply the rule. `layered` means that rules outside of layers have priority.
    """

    selectors: str
    declarations: str
    certain: bool
    layered: bool


class _Open(NamedTuple):
    """A block without its end. `selectors` is '' for a block of rules."""

    selectors: str
    shown: bool = True
    certain: bool = True
    layered: bool = False


def read_blocks(text: str) -> Iterator[Block]:
    """Yield the rules of a style sheet that apply."""
    open_blocks: list[_Open] = []
    start = 0
    for brace in _BRACE.finditer(text):
        before = text[start : brace.start()]
        start = brace.end()
        if brace[0] == "{":
            declarations, _, prelude = before.rpartition(";")
            outer = open_blocks[-1] if open_blocks else _Open("")
            if outer.selectors and outer.shown and declarations.strip():
                yield Block(outer.selectors, declarations, outer.certain, outer.layered)
            open_blocks.append(_opened(prelude.replace("<!--", "").replace("-->", "").strip(), outer))
        elif open_blocks:
            block = open_blocks.pop()
            if block.selectors and block.shown:
                yield Block(block.selectors, before, block.certain, block.layered)
    if open_blocks and open_blocks[-1].selectors and open_blocks[-1].shown:
        block = open_blocks[-1]
        yield Block(block.selectors, text[start:], block.certain, block.layered)


def _opened(prelude: str, outer: _Open) -> _Open:
    """Return the block that begins behind `prelude`."""
    selectors, shown, certain, layered = outer
    if not prelude.startswith("@"):
        return outer._replace(selectors=nested(prelude, selectors) if selectors else prelude)
    low = prelude[:20].lower()
    if low.startswith("@media"):
        return outer._replace(shown=shown and applies(prelude[6:]))
    if low.startswith("@layer"):
        return outer._replace(layered=True)
    certain = certain and _CERTAIN.match(prelude) is not None
    return _Open(selectors, shown and low.startswith(_UNCERTAIN), certain, layered)
