"""Disguises of spam. About a third of the spam has one.

The words, styles, sizes and letters differ from those of `benchmarks/evasion.py`, which measures a filter that was
trained on this.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from ..tokens import alnum, chance, letters
from .drafts import (
    LONG_WORD,
    Draft,
    as_answer,
    as_list,
    change_all,
    change_text,
    hide,
    put_below,
    put_first,
    spaced,
)

_LOOKALIKES = {
    "a": "аɑ", "c": "сϲ", "e": "еҽ", "i": "іı", "o": "оοօ", "p": "рρ", "s": "ѕ", "u": "υս", "x": "х", "y": "уү",
    "n": "ո", "h": "һ", "d": "ԁ", "k": "κ", "t": "т",
}  # fmt: skip
_INVISIBLE = ("\u200b", "\u2060", "\u00ad")


def evade(rng: Random, draft: Draft) -> str:
    """Disguise a message in one way and return the name of the way."""
    name = rng.choice(sorted(EVASIONS))
    EVASIONS[name](rng, draft)
    return name


def _hidden_padding(rng: Random, draft: Draft) -> None:
    if draft.page.html:
        hide(rng, draft, draft.filler(rng.randrange(60, 300)))
    else:
        put_below(rng, draft, draft.filler(rng.randrange(60, 200)))


def _visible_padding(rng: Random, draft: Draft) -> None:
    put_below(rng, draft, draft.filler(rng.randrange(80, 400)))


def _cover_text(rng: Random, draft: Draft) -> None:
    """Put innocent text above, so that the start of the message is harmless."""
    text = draft.filler(rng.randrange(30, 150))
    draft.page.html = put_first(draft.page.html, f"<p>{text}</p>") if draft.page.html else ""
    draft.page.plain = f"{text}\n\n{draft.page.plain}" if draft.page.plain else ""


def _lookalike_letters(rng: Random, draft: Draft) -> None:
    rate = rng.choice((0.1, 0.3, 0.6))

    def change(text: str) -> str:
        return "".join(rng.choice(_LOOKALIKES[c]) if c in _LOOKALIKES and chance(rng, rate) else c for c in text)

    change_all(draft, change)


def _invisible_letters(rng: Random, draft: Draft) -> None:
    mark, rate = rng.choice(_INVISIBLE), rng.choice((0.05, 0.15, 0.4))
    change_all(draft, lambda text: "".join(c + mark if c.isalpha() and chance(rng, rate) else c for c in text))


def _spaced_words(rng: Random, draft: Draft) -> None:
    mark = rng.choice((" ", ".", "_", "-"))
    change_all(draft, lambda text: spaced(rng, text, mark, 0.35))


def _split_words(rng: Random, draft: Draft) -> None:
    """Split words by tags that nobody sees."""
    mark = rng.choice(("<b></b>", "<!-- -->", "<wbr>", '<i style="font-size:0">x</i>'))
    draft.page.html = change_text(
        draft.page.html, lambda text: LONG_WORD.sub(lambda m: m[0][:3] + mark + m[0][3:], text)
    )
    if draft.page.html:
        draft.page.plain = ""


def _fake_answer(rng: Random, draft: Draft) -> None:
    as_answer(rng, draft, draft.filler(rng.randrange(20, 90)))


def _false_list(rng: Random, draft: Draft) -> None:
    as_list(rng, draft, draft.route.domain if chance(rng, 0.6) else f"lists.{letters(rng, 7)}.org")


def _aligned(rng: Random, draft: Draft) -> None:
    """Let all links lead to the domain that signs, with a sender's name like it."""
    domain = draft.route.domain
    draft.route.display = domain.split(".")[0].capitalize()
    page = draft.page
    links = sorted(set(re.findall(r"https?://[^\s\"'<>)]+", page.html + page.plain)), key=len, reverse=True)
    for link in links:
        new = f"https://www.{domain}/{alnum(rng, 8)}"
        page.html, page.plain = page.html.replace(link, new), page.plain.replace(link, new)


EVASIONS: dict[str, Callable[[Random, Draft], None]] = {
    "hidden padding": _hidden_padding,
    "visible padding": _visible_padding,
    "cover text": _cover_text,
    "lookalike letters": _lookalike_letters,
    "invisible letters": _invisible_letters,
    "spaced words": _spaced_words,
    "split words": _split_words,
    "fake answer": _fake_answer,
    "false list": _false_list,
    "aligned domain": _aligned,
}
