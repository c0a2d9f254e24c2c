"""Whether a person still reads the same text after a transform."""

import re
import unicodedata
from functools import lru_cache
from html import unescape

from .letter import Letter
from .lettering import FOLDED

_BACKWARDS = re.compile(r'<bdo dir="rtl">([^<]*)</bdo>')
_UNSEEN = re.compile(r'<u style="display:none">[^<]*</u>')
_RUN = 7
"""Texts are compared by their runs of this many letters, so that spaces and marks between letters do not matter."""


def reads_the_same(before: Letter, after: Letter, *, share: float = 0.8) -> bool:
    """Return whether at least a share of the text of `before` is still in `after`, as a person reads it.

    Lookalike letters count as the letters that they look like. Marks, spaces and invisible characters are skipped.
    """
    wanted = _wanted(before.words)
    after_words = _BACKWARDS.sub(lambda word: unescape(word[1])[::-1], _UNSEEN.sub("", after.html))
    found = _runs(_letters(after.plain + " " + Letter((), "", after_words).words))
    return not wanted or len(wanted & found) >= share * len(wanted)


@lru_cache(2000)
def _wanted(words: str) -> frozenset[str]:
    return frozenset(_runs(_letters(words)))


def _letters(text: str) -> str:
    """Return the letters of a text in one case, without marks, and with lookalikes folded."""
    folded = unicodedata.normalize("NFKD", text.translate(FOLDED)).lower().translate(FOLDED)
    return "".join(letter for letter in folded if letter.isalpha())


def _runs(letters: str) -> set[str]:
    return {letters[at : at + _RUN] for at in range(max(1, len(letters) - _RUN + 1))} if letters else set()
