"""Honest habits that look like disguises. As many ham messages have one as spam messages have a disguise.

They are hidden blocks for small screens, long legal notes, headlines in spaced letters, real answers and list mail. So
the look says nothing.
"""

from __future__ import annotations

import re
from random import Random

from ..tokens import chance
from . import lettering
from .drafts import Draft, apply_some, as_answer, as_bulk, as_list, change_text, hide, put_above, put_below, put_first
from .enclosures import enclose, second_part


def adorn(rng: Random, draft: Draft) -> str:
    """Give an honest message one or several habits and return their names."""
    return apply_some(rng, draft, HABITS, last="enclosed")


def _small_screen(rng: Random, draft: Draft) -> None:
    """Hide a second copy of the text, or some other text, as pages do that show one block on phones."""
    if not draft.page.html:
        _legal_note(rng, draft)
    elif chance(rng, 0.7):
        hide(rng, draft, " ".join(draft.text.split()[: rng.randrange(15, 200)]).replace("<", "&lt;"))
    else:
        hide(rng, draft, draft.filler(rng.randrange(20, 120)))


def _preheader(rng: Random, draft: Draft) -> None:
    """Hide a line above, which mail programs show in the list of messages, and some filler behind it."""
    if not draft.page.html:
        _legal_note(rng, draft)
        return
    line = draft.filler(rng.randrange(5, 18))
    filler = rng.choice(("&zwnj;&nbsp;", "&#847; ", "&shy;", "&#8204; ")) * rng.randrange(0, 90)
    style = rng.choice(("display:none;max-height:0", "display:none;font-size:1px;color:#f4f4f4;opacity:0"))
    draft.page.html = put_first(draft.page.html, f'<div style="{style}">{line}{filler}</div>')


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
    put_above(draft, draft.filler(rng.randrange(10, 150)))


def _real_answer(rng: Random, draft: Draft) -> None:
    as_answer(rng, draft, draft.filler(rng.randrange(20, 250)))


def _real_list(rng: Random, draft: Draft) -> None:
    as_list(rng, draft, draft.domain)


def _real_service(rng: Random, draft: Draft) -> None:
    as_bulk(rng, draft, draft.domain)


def _styled_tags(rng: Random, draft: Draft) -> None:
    """Split long words by tags, as editors do with initials and pasted text."""
    mark = rng.choice(("<wbr>", "<b></b>", "<!-- -->"))
    draft.page.html = change_text(
        draft.page.html, lambda t: re.sub(r"[^\W\d_]{14,}", lambda m: m[0][:7] + mark + m[0][7:], t)
    )


def _second_part(rng: Random, draft: Draft) -> None:
    """Add a second text, as list servers and programs with footers do."""
    second_part(rng, draft, draft.filler(rng.randrange(10, 250)))


HABITS = {
    "block for small screens": _small_screen,
    "preheader": _preheader,
    "legal note": _legal_note,
    "spaced headline": _spaced_headline,
    "soft hyphens": _soft_hyphens,
    "decomposed letters": lettering.decomposed,
    "text above": _greeting_first,
    "answer": _real_answer,
    "list mail": _real_list,
    "mail service": _real_service,
    "styled tags": _styled_tags,
    "second part": _second_part,
    "enclosed": enclose,
}
