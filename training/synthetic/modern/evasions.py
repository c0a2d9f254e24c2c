"""Disguises of spam. About a third of the spam has one or several.

The words, styles and sizes differ from those of `benchmarks/evasion.py`, which measures a filter that was trained on
this. Some letters, such as Cyrillic lookalikes, are the same.
"""

from __future__ import annotations

from random import Random

from ..links import throwaway
from ..tokens import alnum, chance, letters
from . import lettering
from .drafts import LINK, Draft, apply_some, as_answer, as_bulk, as_list, change_text, hide, put_above, put_below
from .enclosures import as_report, enclose, other_plain, second_part


def evade(rng: Random, draft: Draft) -> str:
    """Disguise a message in one or several ways and return their names."""
    return apply_some(rng, draft, EVASIONS, last="only in an attachment")


def _hidden_padding(rng: Random, draft: Draft) -> None:
    if draft.page.html:
        hide(rng, draft, draft.filler(rng.randrange(60, 300)))
    else:
        put_below(rng, draft, draft.filler(rng.randrange(60, 200)))


def _visible_padding(rng: Random, draft: Draft) -> None:
    put_below(rng, draft, draft.filler(rng.randrange(80, 400)))


def _cover_text(rng: Random, draft: Draft) -> None:
    """Put innocent text above, so that the start of the message is harmless."""
    put_above(draft, draft.filler(rng.randrange(30, 150)))


def _padding_around(rng: Random, draft: Draft) -> None:
    put_above(draft, draft.filler(rng.randrange(30, 150)))
    put_below(rng, draft, draft.filler(rng.randrange(40, 200)))


def _padding_between(rng: Random, draft: Draft) -> None:
    """Put innocent sentences between the paragraphs."""
    page = draft.page

    def padded(text: str, mark: str, form: str) -> str:
        pieces = text.split(mark)
        for number in rng.sample(range(len(pieces)), min(12, (len(pieces) + 1) // 2)):
            pieces[number] += form.format(draft.filler(14))
        return mark.join(pieces) if text else ""

    page.plain = padded(page.plain, "\n\n", "\n\n{}")
    page.html = padded(page.html, "</p>", "</p><p>{}")


def _fake_answer(rng: Random, draft: Draft) -> None:
    as_answer(rng, draft, draft.filler(rng.randrange(20, 200)))


def _false_list(rng: Random, draft: Draft) -> None:
    as_list(rng, draft, draft.domain if chance(rng, 0.6) else f"lists.{letters(rng, 7)}.org")


def _false_service(rng: Random, draft: Draft) -> None:
    as_bulk(rng, draft, draft.domain if chance(rng, 0.7) else throwaway(rng))


def _aligned(rng: Random, draft: Draft) -> None:
    """Let the sender and all links belong to one throw-away domain that signs."""
    draft.aligned = domain = throwaway(rng)
    draft.display = domain.split(".")[0].capitalize()
    page = draft.page
    for link in sorted(
        {*LINK.findall(page.html), *LINK.findall(page.plain)}, key=lambda link: (len(link), link), reverse=True
    )[:60]:
        new = f"https://www.{domain}/{alnum(rng, 8)}"
        page.html, page.plain = page.html.replace(link, new), page.plain.replace(link, new)


def _second_part(rng: Random, draft: Draft) -> None:
    second_part(rng, draft, draft.filler(rng.randrange(60, 250)))


def _false_report(rng: Random, draft: Draft) -> None:
    as_report(rng, draft)
    if chance(rng, 0.5):
        draft.page.subject = rng.choice(("Undelivered mail returned", "Delivery failure", "Mail delivery failed"))


def _other_plain(rng: Random, draft: Draft) -> None:
    other_plain(draft, draft.filler(rng.randrange(60, 250)))


def _pieces(rng: Random, draft: Draft) -> None:
    """Put single letters in tags of their own, so that few words are whole in the source of the page."""
    rate, tag = rng.choice((0.1, 0.3)), rng.choice(("span", "b", "font"))
    draft.page.html = change_text(
        draft.page.html,
        lambda text: "".join(f"<{tag}>{c}</{tag}>" if c.isalpha() and chance(rng, rate) else c for c in text),
    )
    if draft.page.html:
        draft.page.plain = ""
    else:
        lettering.lookalikes(rng, draft)


EVASIONS = {
    "hidden padding": _hidden_padding,
    "visible padding": _visible_padding,
    "cover text": _cover_text,
    "padding around": _padding_around,
    "padding between": _padding_between,
    "other plain text": _other_plain,
    "second part": _second_part,
    "only in an attachment": enclose,
    "lookalike letters": lettering.lookalikes,
    "invisible letters": lettering.invisible,
    "combining marks": lettering.combining,
    "leet": lettering.leet,
    "mathematical letters": lettering.alphabet,
    "spaced words": lettering.spaced_words,
    "split words": lettering.split_words,
    "pieces": _pieces,
    "fake answer": _fake_answer,
    "false list": _false_list,
    "false service": _false_service,
    "false report": _false_report,
    "aligned domain": _aligned,
}
