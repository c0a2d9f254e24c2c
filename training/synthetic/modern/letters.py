"""Letters: a text as a person's mail program sends it, as plain text or as HTML, with quoted text below."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from random import Random

from ..tokens import chance
from .material import Text
from .pages import Page, fill_slots
from .routes import Route
from .slots import Scene

_WROTE = {
    "de": "Am {date} schrieb {name}:",
    "fr": "Le {date}, {name} a écrit :",
    "es": "El {date}, {name} escribió:",
    "it": "Il giorno {date} {name} ha scritto:",
    "nl": "Op {date} schreef {name}:",
    "pl": "{date} {name} napisał(a):",
    "pt": "Em {date}, {name} escreveu:",
    "ru": "{date} {name} пишет:",
    "ja": "{date} {name}:",
    "sv": "Den {date} skrev {name}:",
    "da": "Den {date} skrev {name}:",
    "cs": "Dne {date} {name} napsal(a):",
    "ro": "Pe {date}, {name} a scris:",
    "hu": "{name} ezt írta ({date}):",
    "tr": "{name}, {date} tarihinde şunu yazdı:",
    "el": "Στις {date}, ο χρήστης {name} έγραψε:",
    "uk": "{date} {name} пише:",
    "fi": "{name} kirjoitti {date}:",
    "ko": "{date} {name}님이 작성:",
    "zh-hans": "{name} 于{date}写道：",
    "he": "בתאריך {date} מאת {name}:",
    "ar": "في {date} كتب {name}:",
}

_BREAK, _WORD_BREAK = "<br>", "<o:p>&nbsp;</o:p>"
_HEAD = {
    "phone": '<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body dir="auto">',
    "webmail": (
        '<html><head><style type="text/css" style="display:none;">P {margin-top:0;margin-bottom:0;}</style></head>'
        '<body dir="ltr">'
    ),
    "word": (
        '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><meta name="Generator" '
        'content="Microsoft Word 15 (filtered medium)"></head><body lang="EN-US"><div class="WordSection1">'
    ),
}


def _div(lines: list[str], quote: str) -> str:
    return '<div dir="ltr">' + "".join(f"<div>{line or _BREAK}</div>" for line in lines) + f"</div>{quote}"


def _phone(lines: list[str], quote: str) -> str:
    return f"{_HEAD['phone']}{_BREAK.join(lines)}{quote}</body></html>"


def _webmail(lines: list[str], quote: str) -> str:
    body = "".join(f'<div class="elementToProof" style="font-size:12pt">{line or _BREAK}</div>' for line in lines)
    return f"{_HEAD['webmail']}{body}{quote}</body></html>"


def _word(lines: list[str], quote: str) -> str:
    body = "".join(f'<p class="MsoNormal">{line or _WORD_BREAK}</p>' for line in lines)
    return f"{_HEAD['word']}{body}</div>{quote}</body></html>"


_PROGRAMS: tuple[Callable[[list[str], str], str], ...] = (_div, _phone, _webmail, _word)
"""From the lines of a letter and the quoted part to the HTML of a mail program."""


def write_letter(rng: Random, text: Text, scene: Scene, route: Route, *, quoted: str = "") -> Page:
    """Return a text as a letter. `quoted` is the text that it answers."""
    subject = " ".join(fill_slots(text.subject, scene, route).split())
    body = fill_slots(text.text, scene, route)
    if quoted:
        wrote = _WROTE.get(text.lang, "On {date}, {name} wrote:").format(
            date=scene.day(-6, 0), name=scene.recipient.name
        )
        body = f"{body}\n\n{wrote}\n" + "\n".join(f"> {line}".rstrip() for line in quoted.splitlines())
    if chance(rng, 0.5):
        return Page(subject, body, "")
    return Page(subject, body if chance(rng, 0.85) else "", as_letter_html(rng, body))


def as_letter_html(rng: Random, body: str) -> str:
    """Return plain text as the HTML of some mail program; quoted lines become a block."""
    lines = body.splitlines()
    quoted = [line.lstrip("> ") for line in lines if line.startswith(">")]
    quote = ""
    if quoted:
        quote = '<blockquote type="cite" style="margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex">'
        quote = f'<div class="gmail_quote">{quote}{"<br>".join(map(escape, quoted))}</blockquote></div>'
    own = [_linked(escape(line, quote=False)) for line in lines if not line.startswith(">")]
    return rng.choice(_PROGRAMS)(own, quote)


def _linked(line: str) -> str:
    """Return a line with its addresses as links, as mail programs write them."""
    return " ".join(
        f'<a href="{word}">{word}</a>' if word.startswith(("https://", "http://")) else word for word in line.split(" ")
    )
