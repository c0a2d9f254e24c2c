"""Disguised letters: words that a person reads and a program does not recognise."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from random import Random

from ..tokens import chance
from .drafts import LONG_WORD, Draft, change_all, change_text, spaced

_LOOKALIKES = {
    "a": "аɑ", "c": "сϲ", "e": "еҽ", "i": "іı", "o": "оοօ", "p": "рρ", "s": "ѕ", "u": "υս", "x": "х", "y": "уү",
    "n": "ո", "h": "һ", "d": "ԁ", "k": "κ", "t": "т",
}  # fmt: skip
_INVISIBLE = ("\u200b", "\u2060", "\u00ad")
_MARKS = ("\u0301", "\u0308", "\u0332", "\u0336", "\u0307", "\u0330")
_LEET = str.maketrans({"a": "@", "i": "1", "l": "|", "s": "$", "e": "€", "b": "8", "g": "9", "I": "!", "S": "$"})
_ALPHABETS = (("\U0001d41a", "\U0001d400"), ("\U0001d4ea", "\U0001d4d0"), ("\U0001d68a", "\U0001d670"))
"""The first small and the first capital letter of mathematical alphabets: bold, bold script, typewriter."""


def lookalikes(rng: Random, draft: Draft) -> None:
    """Replace letters by those of other scripts that look alike."""
    rate = rng.choice((0.1, 0.3, 0.6))
    _each_letter(draft, lambda c: rng.choice(_LOOKALIKES[c]) if c in _LOOKALIKES and chance(rng, rate) else c)


def invisible(rng: Random, draft: Draft) -> None:
    """Put characters without width behind letters."""
    mark, rate = rng.choice(_INVISIBLE), rng.choice((0.05, 0.15, 0.4))
    _each_letter(draft, lambda c: c + mark if c.isalpha() and chance(rng, rate) else c)


def combining(rng: Random, draft: Draft) -> None:
    """Put combining marks on letters."""
    marks, rate = rng.sample(_MARKS, rng.choice((1, 1, 3))), rng.choice((0.1, 0.3, 0.9))
    _each_letter(draft, lambda c: c + rng.choice(marks) if c.isalpha() and chance(rng, rate) else c)


def leet(rng: Random, draft: Draft) -> None:
    """Write some words with digits and signs in place of letters."""
    share = rng.choice((0.3, 0.6, 1.0))
    change_all(draft, lambda text: LONG_WORD.sub(lambda m: m[0].translate(_LEET) if chance(rng, share) else m[0], text))


def alphabet(rng: Random, draft: Draft) -> None:
    """Write some words in a mathematical alphabet."""
    (small, large), share = rng.choice(_ALPHABETS), rng.choice((0.2, 0.5, 1.0))

    def change(letter: str) -> str:
        if not (letter.isascii() and letter.isalpha()):
            return letter
        return chr(ord(small) + ord(letter) - 97) if letter.islower() else chr(ord(large) + ord(letter) - 65)

    def word(match: str) -> str:
        return "".join(map(change, match)) if chance(rng, share) else match

    change_all(draft, lambda text: LONG_WORD.sub(lambda m: word(m[0]), text))


def spaced_words(rng: Random, draft: Draft) -> None:
    """Put a space or a sign between the letters of some words."""
    mark = rng.choice((" ", ".", "_", "-", "\u00a0"))
    share = rng.choice((0.2, 0.35, 0.7))
    change_all(draft, lambda text: spaced(rng, text, mark, share))


def split_words(rng: Random, draft: Draft) -> None:
    """Split words by tags that nobody sees."""
    mark = rng.choice(("<b></b>", "<!-- -->", "<wbr>", '<i style="font-size:0">x</i>', "<font></font>"))
    draft.page.html = change_text(
        draft.page.html, lambda text: LONG_WORD.sub(lambda m: m[0][:3] + mark + m[0][3:], text)
    )
    if draft.page.html:
        draft.page.plain = ""
    else:
        spaced_words(rng, draft)


def decomposed(_: Random, draft: Draft) -> None:
    """Write accented letters as letter and mark, as some honest programs do."""
    change_all(draft, lambda text: unicodedata.normalize("NFD", text))


def _each_letter(draft: Draft, change: Callable[[str], str]) -> None:
    change_all(draft, lambda text: "".join(map(change, text)))
