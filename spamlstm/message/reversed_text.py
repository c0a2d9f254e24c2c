"""Text that a page shows from right to left, whatever its letters."""

import re
from collections.abc import Sequence
from typing import Any

from spamlstm.message.html_cost import Budget

# Elements whose text may be shown in this order.
_REVERSED = "bdo[dir=rtl i], [style*=bidi-override i], [style*=isolate-override i]"
_OVERRIDE, _END_OF_OVERRIDE = "\u202e", "\u202c"
# The steps (see html_cost) for each element and for each character whose order is reversed.
_PER_ELEMENT, _PER_REVERSED = 4, 4
_OVERRIDING = ("bidi-override", "isolate-override")
_DIRECTION = re.compile("bidi|bdo|direction", re.IGNORECASE)
# Letters that are shown from right to left anyway.
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")


def mark_reversed(tree: Any, sheets: Sequence[str], budget: Budget) -> None:
    """Put text whose letters are shown from right to left between the characters of Unicode for this.

    An element in such an element, or a style sheet, may restore the order. The text is then read in both orders, so
    that neither hides it. `sheets` are the style sheets of the page.
    """
    may_restore = any(map(_DIRECTION.search, sheets))
    found: list[tuple[Any, str, bool]] = []
    for node in tree.css(_REVERSED):
        text = node.text(deep=True)
        budget.spend(len(text) * _PER_REVERSED + _PER_ELEMENT)
        if len(_RIGHT_TO_LEFT.findall(text)) * 2 <= len(text):
            text = text.replace(_OVERRIDE, "").replace(_END_OF_OVERRIDE, "")
            marked = "\n".join([f"{_OVERRIDE}{line}{_END_OF_OVERRIDE}" for line in text.split("\n")])
            found.append((node, marked, not may_restore and _is_reversed(node)))
    # The text stays in its element, which may be hidden.
    for node, marked, is_certain in found:
        if is_certain:
            for child in list(node.iter(include_text=True)):
                child.remove()
        node.insert_child(marked if is_certain else f"\n{marked}\n")


def _is_reversed(node: Any) -> bool:
    """Return whether the text of an element is reversed, whatever the style sheets say about other properties."""
    if any(child.tag[:1].isalpha() for child in node.iter()):
        return False
    style = (node.attributes.get("style") or "").lower()
    if node.tag == "bdo":
        return not _DIRECTION.search(style)
    declared: dict[str, str] = {}
    for declaration in style.split(";"):
        name, _, value = declaration.partition(":")
        if declared.setdefault(name.strip(), value.strip()) != value.strip():
            return False
    return declared.get("unicode-bidi") in _OVERRIDING and declared.get("direction") == "rtl"
