"""Links that browsers repair or follow, and hosts that everybody trusts."""

import re
from collections.abc import Callable
from urllib.parse import quote

from .letter import HREF, LINK, Change, Letter, at_end, in_head


def _each_link(change: Callable[[str], str]) -> Change:
    """Return a transform that changes the target of each link. None if the message has no link."""

    def apply(letter: Letter) -> Letter | None:
        if not LINK.search(letter.page):
            return None
        page = HREF.sub(lambda link: f'href="{change(link[2])}"', letter.page)
        return letter.with_page(page)

    return apply


def _first(letter: Letter) -> str:
    found = HREF.search(letter.page)
    return found[2] if found else ""


def _without_links(letter: Letter) -> str:
    return HREF.sub('href="#"', letter.page)


def _in_other_markup(markup: str) -> Change:
    """Return a transform that replaces the links by other markup that leads to the first target."""

    def apply(letter: Letter) -> Letter | None:
        target = _first(letter)
        return letter.with_page(at_end(_without_links(letter), markup.format(target=target))) if target else None

    return apply


def base(letter: Letter) -> Letter | None:
    target = _first(letter)
    if not target:
        return None
    scheme, _, rest = target.partition("://")
    host, _, path = rest.partition("/")
    page = HREF.sub(f'href="{path or "x"}"', letter.page)
    return letter.with_page(in_head(page, f'<base href="{scheme}://{host}/">'))


def refresh(letter: Letter) -> Letter | None:
    target = _first(letter)
    return (
        letter.with_page(in_head(_without_links(letter), f'<meta http-equiv="refresh" content="3;url={target}">'))
        if target
        else None
    )


def in_words(letter: Letter) -> Letter | None:
    """The link is written out for the reader to type."""
    target = _first(letter)
    host = target.partition("://")[2].partition("/")[0]
    return (
        letter.with_page(at_end(_without_links(letter), f"<p>Type: {host.replace('.', ' dot ')}</p>"))
        if target
        else None
    )


def _host(change: Callable[[str], str]) -> Change:
    def apply(link: str) -> str:
        scheme, _, rest = link.partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}://{change(host)}{slash}{path}"

    return _each_link(apply)


LINKING = {
    "links: slash and backslash": _each_link(lambda link: link.replace("://", ":/\\", 1)),
    "links: one slash": _each_link(lambda link: link.replace("://", ":/", 1)),
    "links: backslashes": _each_link(lambda link: link.replace("://", ":\\\\", 1)),
    "links: tab in the scheme": _each_link(lambda link: link.replace("tp", "t\tp", 1)),
    "links: line end in the host": _each_link(lambda link: re.sub(r"://(...)", "://\\1\n", link, count=1)),
    "links: ideographic stop": _host(lambda host: host.replace(".", "。")),
    "links: full width": _host(lambda host: host.translate({n: n + 0xFEE0 for n in range(0x61, 0x7B)})),
    "links: percent signs": _host(lambda host: "".join(f"%{ord(c):02x}" if c.isalpha() else c for c in host)),
    "links: name before @": _host(lambda host: f"www.gov.uk@{host}"),
    "links: google.com/url": _each_link(lambda link: f"https://www.google.com/url?sa=t&amp;url={quote(link, safe='')}"),
    "links: linkedin.com/safety": _each_link(
        lambda link: f"https://www.linkedin.com/safety/go?url={quote(link, safe='')}"
    ),
    "links: a document at Google": _each_link(lambda _: "https://docs.google.com/document/d/e/2PACX-9tLq/pub"),
    "links: a page at SharePoint": _each_link(lambda _: "https://contoso-my.sharepoint.com/:o:/p/office/Eq8"),
    "links: form": _in_other_markup('<form action="{target}"><input type="submit" value="Continue"></form>'),
    "links: formaction": _in_other_markup('<form><button formaction="{target}">Continue</button></form>'),
    "links: SVG": _in_other_markup(
        '<svg width="90" height="20"><a xlink:href="{target}"><text y="15">Continue</text></a></svg>'
    ),
    "links: image map": _in_other_markup(
        '<map name="m"><area shape="default" href="{target}"></map><img usemap="#m" src="a.png">'
    ),
    "links: base": base,
    "links: refresh": refresh,
    "links: in words": in_words,
}
