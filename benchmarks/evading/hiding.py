"""Innocent text that readers do not see, in the ways that pages can hide text."""

from .innocent import minutes
from .letter import Change, Letter, at_end, at_start, in_head

WORDS = 260


def _hidden(style: str, *, tag: str = "div") -> Change:
    """Return a transform that adds hidden text with an inline style."""
    return lambda letter: letter.with_page(at_end(letter.page, f'<{tag} style="{style}">{minutes(WORDS)}</{tag}>'))


def _by_rule(selector: str, rule: str, attribute: str) -> Change:
    """Return a transform that adds text which a rule of a style sheet hides."""

    def change(letter: Letter) -> Letter:
        page = in_head(letter.page, f"<style>{selector}{{{rule}}}</style>")
        return letter.with_page(at_end(page, f"<div {attribute}>{minutes(WORDS)}</div>"))

    return change


def comment(letter: Letter) -> Letter:
    return letter.with_page(at_end(letter.page, f"<!-- {minutes(WORDS)} -->"))


def for_word(letter: Letter) -> Letter:
    """Only Outlook with Word shows conditional comments, and only old versions."""
    return letter.with_page(at_end(letter.page, f"<!--[if mso 9]><p>{minutes(WORDS)}</p><![endif]-->"))


def long_preheader(letter: Letter) -> Letter:
    style = "display:none;max-height:0;overflow:hidden;mso-hide:all"
    return letter.with_page(at_start(letter.page, f'<span style="{style}">{minutes(WORDS)}</span>'))


def picture_text(letter: Letter) -> Letter:
    pixel = f'<img src="https://img.static-pages.net/p.gif" width="1" height="1" alt="{minutes(WORDS)}">'
    return letter.with_page(at_end(letter.page, pixel))


def page_title(letter: Letter) -> Letter:
    return letter.with_page(in_head(letter.page, f"<title>{minutes(WORDS)}</title>"))


def closed_details(letter: Letter) -> Letter:
    return letter.with_page(at_end(letter.page, f"<details><summary></summary>{minutes(WORDS)}</details>"))


def white_table(letter: Letter) -> Letter:
    cell = f'<table bgcolor="#ffffff"><tr><td><font color="white" size="1">{minutes(WORDS)}</font></td></tr></table>'
    return letter.with_page(at_end(letter.page, cell))


HIDING = {
    "hidden: display none": _hidden("display: none"),
    "hidden: tiny font": _hidden("font-size:0.4px;line-height:0.4px", tag="p"),
    "hidden: near-white, rgb()": _hidden("color:rgb(253,253,252);background:#fff"),
    "hidden: near-white, hsl()": _hidden("color:hsl(60,10%,99%)", tag="span"),
    "hidden: transparent": _hidden("color:transparent"),
    "hidden: opacity": _hidden("opacity:0.01;filter:alpha(opacity=1)"),
    "hidden: off the page": _hidden("position:absolute;top:-8800px;left:-77em", tag="section"),
    "hidden: height 0": _hidden("height:0px;overflow:hidden;display:block"),
    "hidden: clipped": _hidden("position:absolute;clip:rect(0 0 0 0);clip-path:inset(50%)"),
    "hidden: scaled to 0": _hidden("transform:scale(0);transform-origin:0 0"),
    "hidden: text indent": _hidden("text-indent:-700em;white-space:nowrap;overflow:hidden"),
    "hidden: class, display": _by_rule(".q71 ", "display:none!important", 'class="q71"'),
    "hidden: id, visibility": _by_rule("#zone-b", "visibility:hidden;height:1px;overflow:hidden", 'id="zone-b"'),
    "hidden: class, font 0": _by_rule("div.kk", "font:0/0 a;color:#fffffe", 'class="m kk"'),
    "hidden: white table": white_table,
    "hidden: comment": comment,
    "hidden: for Word only": for_word,
    "hidden: long preheader": long_preheader,
    "hidden: text of a pixel": picture_text,
    "hidden: title of the page": page_title,
    "hidden: closed details": closed_details,
}
