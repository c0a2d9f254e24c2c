"""A message before it is assembled, and the changes to it that both spammers and honest senders make."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from textwrap import wrap

from .. import mime
from ..tokens import alnum, chance, letters
from .pages import Page

_HIDDEN = (
    "display:none", "font-size:0px;line-height:0", "color:#ffffff;font-size:2px", "visibility:hidden;height:0",
    "position:absolute;left:-4000px", "max-height:0;overflow:hidden", "opacity:0;font-size:3px",
    "color:#fefefe;background-color:#ffffff", "width:0;height:0;overflow:hidden;display:inline-block",
    "mso-hide:all;display:none;max-width:0", "line-height:0;font-size:1px;color:#fff", "color:rgb(251, 251, 251)",
)  # fmt: skip
_TEXT_NODE = re.compile(
    r"(<(?:style|script|title).*?</(?:style|script|title)>|<!--.*?-->|<[^>]*>|&#?\w+;)", re.DOTALL | re.IGNORECASE
)
_BODY, _TAGS = re.compile(r"<body[^>]*>", re.IGNORECASE), re.compile(r"<[^>]*>")
LONG_WORD = re.compile(r"[^\W\d_]{5,12}")
LINK = re.compile(r"https?://[^\s\"'<>)]+")
SEVERAL = 0.3
"""The share of the changed messages that get two or three changes."""


@dataclass
class Draft:
    """A message before it is assembled. `filler` makes innocent text of a number of words in its language.

    `lines` are further header lines, `files` further MIME parts. `display` is a new name of the sender if it is not
    empty, and `aligned` a domain that the whole message claims to come from.
    """

    page: Page
    domain: str
    recipient_domain: str
    filler: Callable[[int], str]
    lines: list[str] = field(default_factory=list)
    files: list[mime.Part] = field(default_factory=list)
    display: str = ""
    aligned: str = ""

    @property
    def text(self) -> str:
        """The text that a person reads, without markup."""
        if self.page.plain:
            return self.page.plain
        return " ".join(_TAGS.sub(" ", "".join(_TEXT_NODE.split(self.page.html)[::2])).split())


def apply_some(rng: Random, draft: Draft, changes: Mapping[str, Callable[[Random, Draft], None]], *, last: str) -> str:
    """Apply one or several changes to a message and return their names.

    The change `last` moves the text into an attachment. It comes last, because it moves the text that others changed.
    """
    names = rng.sample(sorted(changes), rng.choice((2, 2, 3)) if chance(rng, SEVERAL) else 1)
    for name in sorted(names, key=lambda name: name == last):
        changes[name](rng, draft)
    return ", ".join(names)


def put_first(html: str, fragment: str) -> str:
    """Return a page with a fragment at the start of its body."""
    return _BODY.sub(lambda match: match[0] + fragment, html, count=1) if _BODY.search(html) else fragment + html


def put_last(html: str, fragment: str) -> str:
    """Return a page with a fragment at the end of its body."""
    head, mark, tail = html.rpartition("</body>")
    return head + fragment + mark + tail if mark else html + fragment


def change_text(html: str, change: Callable[[str], str]) -> str:
    """Return a page with `change` applied to the text between the tags. Addresses of links are left unchanged."""
    parts = _TEXT_NODE.split(html)
    return "".join(part if number % 2 or "://" in part else change(part) for number, part in enumerate(parts))


def change_all(draft: Draft, change: Callable[[str], str]) -> None:
    """Apply `change` to the text of both forms of a message, and to its subject. Links are left unchanged."""
    page = draft.page
    page.html = change_text(page.html, change)
    page.plain = "\n".join(line if "://" in line else change(line) for line in page.plain.splitlines())
    page.subject = change(page.subject)


def hide(rng: Random, draft: Draft, text: str) -> None:
    """Add a text that readers of the page do not see: by an inline style, or by a rule for its class or id."""
    tag = rng.choice(("div", "span", "p", "td", "font"))
    rule = rng.choice(_HIDDEN)
    attribute = f'style="{rule}"'
    if chance(rng, 0.4):
        name = letters(rng, rng.randrange(2, 8))
        kind, mark = ("class", ".") if chance(rng, 0.7) else ("id", "#")
        sheet = f"<style>{rng.choice(('', tag))}{mark}{name}{{{rule}{rng.choice(('', ' !important'))}}}</style>"
        draft.page.html = put_first(draft.page.html, sheet)
        attribute = f'{kind}="{name}"'
    fragment = f"<{tag} {attribute}>{text}</{tag}>"
    if tag == "td":
        fragment = f"<table><tr>{fragment}</tr></table>"
    draft.page.html = (put_first if chance(rng, 0.4) else put_last)(draft.page.html, fragment)


def put_below(rng: Random, draft: Draft, text: str) -> None:
    """Add a text below, after some or many empty lines, in some cases in small grey letters."""
    gap = rng.randrange(2, 20) if chance(rng, 0.7) else rng.randrange(20, 120)
    page = draft.page
    if page.html:
        style = rng.choice(("", "", ' style="font-size:10px;color:#999999"', ' style="color:#c4c4c4;font-size:8px"'))
        space = rng.choice(("<br>" * gap, "<p>&nbsp;</p>" * gap, f'<div style="height:{gap * 20}px"></div>'))
        page.html = put_last(page.html, f"{space}<p{style}>{text}</p>")
    if page.plain:
        page.plain += "\n" * gap + text + "\n"


def put_above(draft: Draft, text: str) -> None:
    """Add a text above."""
    page = draft.page
    page.html = put_first(page.html, f"<p>{text}</p>") if page.html else ""
    page.plain = f"{text}\n\n{page.plain}" if page.plain else ""


def as_answer(rng: Random, draft: Draft, quoted: str) -> None:
    """Make a message look like an answer: its subject, its headers and a quoted text."""
    page = draft.page
    page.subject = f"{rng.choice(('Re: ', 'RE: ', 'Re: ', 'AW: ', 'Fwd: ', 'SV: ', 'Odp: '))}{page.subject}"
    marks = [f"<{alnum(rng, 18)}@{draft.recipient_domain}>" for _ in range(rng.randrange(1, 4))]
    if chance(rng, 0.6):
        draft.lines += [f"In-Reply-To: {marks[-1]}", "References: " + "\r\n ".join(marks)]
    lines = wrap(quoted, 72)
    if page.plain:
        page.plain += "\n\n" + "\n".join(f"> {line}" for line in lines) + "\n"
    if page.html:
        page.html = put_last(page.html, f"<br><blockquote>{'<br>'.join(lines)}</blockquote>")


def as_list(rng: Random, draft: Draft, domain: str) -> None:
    """Give a message the headers, the subject tag and the footer of a mailing list at `domain`."""
    name = letters(rng, rng.randrange(4, 9))
    draft.lines += [
        f"List-Id: {name.title()} <{name}.{domain}>",
        f"List-Post: <mailto:{name}@{domain}>",
        f"List-Help: <mailto:{name}-request@{domain}?subject=help>",
        "Precedence: list",
        f"Sender: {name}-bounces@{domain}",
    ]
    draft.page.subject = f"[{name}] {draft.page.subject}"
    foot = f"{name} mailing list -- {name}@{domain}"
    if draft.page.plain:
        draft.page.plain += f"\n_______________________________________________\n{foot}\n"
    draft.page.html = put_last(draft.page.html, f"<hr><p>{foot}</p>") if draft.page.html else ""


def as_bulk(rng: Random, draft: Draft, domain: str) -> None:
    """Give a message the headers that mail services add for their customers."""
    link = f"https://{rng.choice(('', 'www.', 'click.', 'e.'))}{domain}/u/{alnum(rng, 16)}"
    draft.lines += [
        f"List-Unsubscribe: <{link}>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        f"Feedback-ID: {rng.randrange(10**6)}:{rng.choice(('news', 'promo', 'tx'))}:{domain.partition('.')[0]}",
    ]


def spaced(rng: Random, text: str, mark: str, share: float) -> str:
    """Return a text in which a share of the long words has `mark` between all letters."""
    return LONG_WORD.sub(lambda match: mark.join(match[0]) if chance(rng, share) else match[0], text)
