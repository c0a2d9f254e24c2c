"""Pages: a text as plain text and as HTML, with shells, preheaders, footers, tracking pixels and links filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from random import Random

from ..tokens import alnum, chance, hexes, letters
from .material import SLOT, Material, Text
from .routes import Route
from .slots import LINKS, Scene

_LINK = re.compile(r"https?://[^\s\"'<>)]+")
_SUBJECT_LINK = re.compile(r"\s*[(\[]?\{\{\w*url\w*\}\}[)\]]?")
_ANCHOR = re.compile(r"(<a\b[^>]*href=\"\{\{(\w+)\}\}\"[^>]*>\s*)\{\{\2\}\}", re.IGNORECASE)
_BUTTON = re.compile(r"<a\b[^>]*(?:btn|button|action)[^>]*>", re.IGNORECASE)
_HREF_SLOT = re.compile(r"href=[\"']?\{\{(\w+)\}\}")
# `label ({{url}})`: the label begins with a word, and slots in it stay whole.
_LABELLED = re.compile(
    r"(?<![\w{])((?:\{\{\w+\}\}|[^\s<>(){}:.!?;])(?:\{\{\w+\}\}|[^\n<>(){}:.!?;]){0,49})\s\(\{\{(\w*url\w*)\}\}\)"
)
_BODY_TAG, _MJ = re.compile(r"<body[^>]*>", re.IGNORECASE), re.compile(r"<(/?)mj-\w+[^>]*>")
_TAGS, _SPACES = (
    re.compile(r"<(?:style|script|head|title).*?</(?:style|script|head|title)>|<[^>]+>", re.DOTALL | re.IGNORECASE),
    re.compile(r"[ \t\xa0]+"),
)
_PRE_FILLERS = ("&#847; &zwnj; &nbsp; ", "&nbsp;&zwnj;", "&#8199;&#65279;&#847; ", "&nbsp;")
_HIDING = (
    "display:none;font-size:1px;line-height:1px;max-height:0px;max-width:0px;opacity:0;overflow:hidden",
    "display:none !important;visibility:hidden;mso-hide:all;font-size:1px;color:#ffffff",
    "display:none;max-height:0px;overflow:hidden;",
)


@dataclass
class Page:
    """The subject, the plain text and the HTML of a message; either of the last two may be empty."""

    subject: str
    plain: str
    html: str
    preheader: str = ""


def draw_form(rng: Random, *, has_html: bool) -> str:
    """Draw 'plain', 'html' or 'alternative', in the same proportions for ham and spam."""
    return rng.choices(("plain", "html", "alternative"), (18, 24, 58) if has_html else (45, 15, 40))[0]


def write_page(rng: Random, text: Text, scene: Scene, route: Route, material: Material) -> Page:
    """Return a text as a page, with all its slots filled."""
    form = draw_form(rng, has_html=bool(text.html))
    subject = _SUBJECT_LINK.sub("", text.subject or text.text.strip().partition("\n")[0][:70])
    subject = _filled(subject, scene, _Links(route, subject))
    plain = _filled(text.text, scene, _Links(route, text.text))
    page = Page(" ".join(subject.split())[:150], plain if form != "html" else "", "")
    if form == "plain":
        page.plain = _with_plain_footer(plain, text.lang, scene, route, material)
        return page
    source = _ANCHOR.sub(r"\1{{shown_url}}", _MJ.sub(r"<\1div>", text.html)) or _as_html(text.text)
    if "<body" not in source.lower():
        source = _in_shell(rng, source, text.lang, material)
    if chance(rng, 0.45):
        page.preheader = _first_sentence(plain)
    page.html = _filled(source, scene, _Links(route, source), html=True)
    page.html = _with_extras(page, text.lang, scene, route, material)
    return page


def lead_links(page: Page, route: Route, *, most: int | None) -> None:
    """Let the first `most` links of a page, or all of them, lead where the route leads."""
    targets = {link: route.cta() for link in list(dict.fromkeys(_LINK.findall(page.html + page.plain)))[:most]}
    page.html = _LINK.sub(lambda link: targets.get(link[0], link[0]), page.html)
    page.plain = _LINK.sub(lambda link: targets.get(link[0], link[0]), page.plain)


def fill_slots(source: str, scene: Scene, route: Route) -> str:
    """Return a plain text with its slots filled."""
    return _filled(source, scene, _Links(route, source))


class _Links:
    """Fills the slots for links of one text. The first button, or else the first link, is the one that is asked for."""

    def __init__(self, route: Route, source: str) -> None:
        self.route, self.count, self.main, self.last = route, 0, 0, ""
        self.target = route.cta()
        self.shown = self.target if route.shown is route.cta else route.shown()
        if (button := _BUTTON.search(source)) and _HREF_SLOT.search(button[0]):
            self.main = len(
                [m for m in SLOT.finditer(source[: button.start()]) if LINKS.search(m[1]) and m[1] != "shown_url"]
            )

    def fill(self, name: str) -> str:
        """Return the next link. The slot `shown_url` is the address that the last link displays."""
        if name == "shown_url":
            return self.shown if self.last == self.target else self.last
        here, self.count = self.count, self.count + 1
        if "unsubscribe" in name:
            self.last = (self.route.unsubscribe or self.route.other)()
        else:
            self.last = self.target if here == self.main else self.route.other()
        return self.last


def _filled(source: str, scene: Scene, links: _Links, *, html: bool = False) -> str:
    """Replace all slots of a text."""
    out: list[str] = []
    end, hrefs = 0, set(_HREF_SLOT.findall(source))
    for match in SLOT.finditer(source):
        out.append(source[end : match.start()])
        end, name = match.end(), match[1].strip()
        before = source[max(0, match.start() - 80) : match.start()]
        alone = (
            before.rstrip().endswith(":")
            and source[end : end + 1] in ("", "\n", "<", "\r")
            and name.startswith("value")
        )
        if alone or LINKS.search(name) or (name in hrefs and not before.endswith("mailto:")):
            value = links.fill(name)
            after = source[end : end + 1]
            if after.isalpha() or after in ("?", "&", "/", "#"):
                value = value.partition("?")[0].rstrip("/") + ("/" if after.isalpha() else "")
            if before.endswith(("http://", "https://")):
                value = value.partition("://")[2]
            elif before[-1:].isalnum() or source[: match.start()].endswith("}}"):
                value = ""  # two slots that were one address
        elif before.endswith(("http://", "https://")):
            value = links.route.other().split("/")[2]
        else:
            value = scene.fill(name, before=source[: match.start()])
        out.append(escape(value) if html and not value.startswith("https://") else value)
    out.append(source[end:])
    return "".join(out)


def _as_html(text: str) -> str:
    """Return plain text as paragraphs, with `label ({{url}})` as a link."""
    out = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        body = escape(paragraph.strip(), quote=False).replace("\n", "<br>\n")
        body = _LABELLED.sub(r'<a href="{{\2}}">\1</a>', body)
        body = re.sub(r'(?<!")\{\{(\w*url)\}\}', r'<a href="{{\1}}">{{shown_url}}</a>', body)
        out.append(f"<p>{body}</p>")
    return "\n".join(out)


def _in_shell(rng: Random, inner: str, lang: str, material: Material) -> str:
    """Return a fragment of HTML in a page: a designed shell, or hardly anything."""
    if chance(rng, 0.3):
        font = rng.choice(
            ("Arial, sans-serif", "Helvetica, Arial, sans-serif", "Georgia, serif", "Verdana, sans-serif")
        )
        style, charset = f"font-family:{font};font-size:14px", '<meta charset="utf-8">'
        return rng.choice((
            f"<html><body>{inner}</body></html>",
            f'<!DOCTYPE html><html lang="{lang}"><head>{charset}</head><body style="{style}">{inner}</body></html>',
            f'<html><head>{charset}</head><body>\n<div style="{style}">{inner}</div>\n</body></html>',
        ))  # fmt: skip
    shell = rng.choice(material.shells).html
    words: dict[str, str] = {"content": inner, "title": "", "heading": "", "preheader": "", "text": "", "body": ""}

    def word(match: re.Match[str]) -> str:
        name = match[1].strip()
        if name in words:
            return words[name]
        if name in ("unsubscribe_text", "view_in_browser_text", "link_text", "footer_text"):
            return SLOT.sub("", rng.choice(material.words(lang, name)))
        return match[0]

    page = SLOT.sub(word, shell)
    return page if "<body" in page.lower() else f"<html><body>{page}</body></html>"


def _with_extras(page: Page, lang: str, scene: Scene, route: Route, material: Material) -> str:
    """Return the page with preheader, footer and tracking pixel, each of which a message may have."""
    rng = scene.rng
    html = page.html
    if page.preheader:
        filler = rng.choice(_PRE_FILLERS) * rng.randrange(10, 60) if chance(rng, 0.35) else ""
        tag = rng.choice(("div", "span"))
        hidden = f'<{tag} style="{rng.choice(_HIDING)}">{escape(page.preheader)}{filler}</{tag}>'
        html = _BODY_TAG.sub(lambda match: match[0] + hidden, html, count=1)
    end = ""
    if chance(rng, 0.35):
        end += f'<p style="font-size:11px;color:#888888">{_footer(lang, scene, material)}</p>'
    if route.unsubscribe and chance(rng, 0.4):
        label = escape(rng.choice(material.words(lang, "unsubscribe_text")))
        end += f'<p style="font-size:11px"><a href="{route.unsubscribe()}">{label}</a></p>'
    if route.system != "mailbox" and chance(rng, 0.4):
        host = route.other().split("/")[2]
        path = rng.choice(("open", "wf/open", "o", "track/open.php", "q", f"o/{alnum(rng, 20)}"))
        pixel = f"https://{host}/{path}?{letters(rng, 1)}={hexes(rng, 24)}"
        end += f'<img src="{pixel}" width="1" height="1" border="0" alt="">'
    head, mark, tail = html.rpartition("</body>")
    return head + end + mark + tail if mark else html + end


def _footer(lang: str, scene: Scene, material: Material) -> str:
    rng = scene.rng
    reason = SLOT.sub("", rng.choice(material.words(lang, "footer_text")))
    lines = [f"© {scene.arrived.year} {scene.org.name}", scene.fill("company_address"), reason]
    return "<br>".join(escape(line) for line in rng.sample(lines, rng.randrange(1, 4)))


def _with_plain_footer(plain: str, lang: str, scene: Scene, route: Route, material: Material) -> str:
    rng = scene.rng
    if not chance(rng, 0.4) or route.system == "mailbox":
        return plain
    lines = [f"{scene.org.name}, {scene.fill('company_address')}"]
    if route.unsubscribe:
        lines.append(f"{rng.choice(material.words(lang, 'unsubscribe_text'))}: {route.unsubscribe()}")
    return f"{plain.rstrip()}\n\n{rng.choice(('-- ', '—', '________________', '----------'))}\n" + "\n".join(lines)


def _first_sentence(plain: str) -> str:
    lines = [line.strip() for line in plain.splitlines() if 15 < len(line.strip()) < 160 and "://" not in line]
    return lines[0] if lines else ""
