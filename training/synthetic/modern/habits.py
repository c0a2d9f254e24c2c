"""Honest habits that look like disguises. As many ham messages have one as spam messages have a disguise.

They are hidden blocks for small screens, long legal notes, headlines in spaced letters, real answers and list mail. So
the look says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from .drafts import (
    Draft,
    as_answer,
    as_list,
    change_text,
    hide,
    put_below,
    put_first,
)


def adorn(rng: Random, draft: Draft) -> str:
    """Give an honest message one habit and return its name."""
    name = rng.choice(sorted(HABITS))
    HABITS[name](rng, draft)
    return name


def _small_screen(rng: Random, draft: Draft) -> None:
    """Hide a second copy of some text, as pages do that show one block on phones and another on desktops."""
    if draft.page.html:
        hide(rng, draft, draft.filler(rng.randrange(20, 120)))
    else:
        _legal_note(rng, draft)


def _legal_note(rng: Random, draft: Draft) -> None:
    put_below(rng, draft, draft.filler(rng.randrange(60, 350)))


def _spaced_headline(_: Random, draft: Draft) -> None:
    """Write a short headline in spaced capitals."""
    words = [word for word in draft.page.subject.split() if 3 < len(word) < 10 and word.isalpha()]
    word = " ".join((words or ["news"])[0].upper())
    draft.page.html = put_first(draft.page.html, f"<h2>{word}</h2>") if draft.page.html else ""
    draft.page.plain = f"{word}\n\n{draft.page.plain}" if draft.page.plain else ""


def _soft_hyphens(rng: Random, draft: Draft) -> None:
    """Allow hyphenation in long words, as newsletters do for phones."""
    mark = rng.choice(("\u00ad", "\u200b"))
    long_word = re.compile(r"[^\W\d_]{11,}")
    draft.page.html = change_text(draft.page.html, lambda t: long_word.sub(lambda m: m[0][:6] + mark + m[0][6:], t))


def _greeting_first(rng: Random, draft: Draft) -> None:
    """Put a personal word above, as people do who pass something on."""
    text = draft.filler(rng.randrange(30, 150))
    draft.page.html = put_first(draft.page.html, f"<p>{text}</p>") if draft.page.html else ""
    draft.page.plain = f"{text}\n\n{draft.page.plain}" if draft.page.plain else ""


def _real_answer(rng: Random, draft: Draft) -> None:
    as_answer(rng, draft, draft.filler(rng.randrange(20, 90)))


def _real_list(rng: Random, draft: Draft) -> None:
    as_list(rng, draft, draft.route.domain)


def _styled_tags(rng: Random, draft: Draft) -> None:
    """Set single letters in tags of their own, as editors do with initials and pasted text."""
    mark = rng.choice(("<wbr>", "<b></b>", "<!-- -->"))
    draft.page.html = change_text(
        draft.page.html, lambda t: re.sub(r"[^\W\d_]{14,}", lambda m: m[0][:7] + mark + m[0][7:], t)
    )


HABITS: dict[str, Callable[[Random, Draft], None]] = {
    "block for small screens": _small_screen,
    "legal note": _legal_note,
    "spaced headline": _spaced_headline,
    "soft hyphens": _soft_hyphens,
    "text above": _greeting_first,
    "answer": _real_answer,
    "list mail": _real_list,
    "styled tags": _styled_tags,
}
