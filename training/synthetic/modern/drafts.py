"""A message before it is assembled, and the changes to it that both spammers and honest senders make."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from textwrap import wrap

from ..tokens import alnum, chance, letters
from .pages import Page
from .routes import Route
from .slots import Scene

_HIDDEN = (
    'style="display:none"', 'style="font-size:0px;line-height:0"', 'style="color:#ffffff;font-size:2px"',
    'style="visibility:hidden;height:0"', 'style="position:absolute;left:-4000px"',
    'style="max-height:0;overflow:hidden"',
    'style="opacity:0;font-size:3px"',
)  # fmt: skip
_TEXT_NODE = re.compile(
    r"(<(?:style|script|title).*?</(?:style|script|title)>|<[^>]*>|&#?\w+;)", re.DOTALL | re.IGNORECASE
)
_BODY = re.compile(r"<body[^>]*>", re.IGNORECASE)
LONG_WORD = re.compile(r"[^\W\d_]{5,12}")


@dataclass
class Draft:
    """A message before it is assembled. `filler` makes innocent text of a number of words in its language."""

    page: Page
    route: Route
    scene: Scene
    filler: Callable[[int], str]
    lines: list[str] = field(default_factory=list)


def put_first(html: str, fragment: str) -> str:
    """Return a page with a fragment at the start of its body."""
    return _BODY.sub(lambda match: match[0] + fragment, html, count=1) if _BODY.search(html) else fragment + html


def put_last(html: str, fragment: str) -> str:
    """Return a page with a fragment at the end of its body."""
    head, mark, tail = html.rpartition("</body>")
    return head + fragment + mark + tail if mark else html + fragment


def change_text(html: str, change: Callable[[str], str]) -> str:
    """Return a page with `change` applied to the text between the tags."""
    return "".join(part if number % 2 else change(part) for number, part in enumerate(_TEXT_NODE.split(html)))


def change_all(draft: Draft, change: Callable[[str], str], *, subject: bool = True) -> None:
    """Apply `change` to the text of both forms of a message, and to its subject; links are left as they are."""
    page = draft.page
    page.html = change_text(page.html, change)
    page.plain = "\n".join(line if "://" in line else change(line) for line in page.plain.splitlines())
    if subject:
        page.subject = change(page.subject)


def hide(rng: Random, draft: Draft, text: str) -> None:
    """Add a text that readers of the page do not see."""
    tag = rng.choice(("div", "span", "p"))
    style = rng.choice(_HIDDEN)
    if chance(rng, 0.25):
        name = letters(rng, 5)
        rule = style.removeprefix('style="').removesuffix('"')
        draft.page.html = put_first(draft.page.html, f"<style>.{name}{{{rule}}}</style>")
        style = f'class="{name}"'
    fragment = f"<{tag} {style}>{text}</{tag}>"
    draft.page.html = (put_first if chance(rng, 0.4) else put_last)(draft.page.html, fragment)


def put_below(rng: Random, draft: Draft, text: str) -> None:
    """Add a text below, after some empty lines."""
    gap = rng.randrange(2, 25)
    draft.page.html = put_last(draft.page.html, "<br>" * gap + f"<p>{text}</p>") if draft.page.html else ""
    if draft.page.plain:
        draft.page.plain += "\n" * gap + text + "\n"


def as_answer(rng: Random, draft: Draft, quoted: str) -> None:
    """Make a message look like an answer: its subject, its headers and a quoted text."""
    draft.page.subject = f"{rng.choice(('Re: ', 'RE: ', 'Re: ', 'AW: ', 'Fwd: '))}{draft.page.subject}"
    mark = f"<{alnum(rng, 18)}@{draft.scene.recipient.domain}>"
    if chance(rng, 0.6):
        draft.lines += [f"In-Reply-To: {mark}", f"References: {mark}"]
    lines = wrap(quoted, 72)
    if draft.page.plain:
        draft.page.plain += "\n\n" + "\n".join(f"> {line}" for line in lines) + "\n"
    if draft.page.html:
        draft.page.html = put_last(draft.page.html, f"<br><blockquote>{'<br>'.join(lines)}</blockquote>")


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


def spaced(rng: Random, text: str, mark: str, share: float) -> str:
    """Return a text in which a share of the long words has `mark` between all letters."""
    return LONG_WORD.sub(lambda match: mark.join(match[0]) if chance(rng, share) else match[0], text)
