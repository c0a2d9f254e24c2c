"""Messages with HTML that keeps a parser busy: by name, functions from a size in bytes to a message."""

import itertools
from collections.abc import Callable, Iterable
from functools import cache

_TOP = b"From: a@example.org\nSubject: hello there\nMIME-Version: 1.0\n"
_WORDS = "abcdefghijklmnopqrstuvwxyz"


def page(html: str) -> bytes:
    """Return a message of one HTML part."""
    return _TOP + b"Content-Type: text/html; charset=utf-8\n\n" + html.encode() + b"\n"


def parts(html: str, count: int) -> bytes:
    """Return a message of `count` equal HTML parts."""
    part = b"--b\nContent-Type: text/html; charset=utf-8\n\n" + html.encode() + b"\n"
    return _TOP + b'Content-Type: multipart/mixed; boundary="b"\n\n' + part * count + b"--b--\n"


def fill(size: int, fragment: str) -> str:
    """Return copies of a fragment, of `size` characters in all."""
    return fragment * max(1, size // len(fragment))


def names(count: int) -> Iterable[str]:
    """Return `count` different short attribute names."""
    every = ("".join(letters) for length in itertools.count(1) for letters in itertools.product(_WORDS, repeat=length))
    return itertools.islice(every, max(1, count))


def attributes(size: int) -> str:
    """Return `size` characters of attributes without values."""
    return " ".join(names(size // 5))[:size]


def numbered(size: int, fragment: str) -> str:
    """Return copies of a fragment, of `size` characters in all, with a different name in place of each `%s`."""
    return "".join(fragment % name for name in names(size // (len(fragment) + 2)))


def _chain_of(name: bytes) -> int:
    """Return the index of the hash chain, of 128, in which lexbor looks for a name."""
    key = 0
    for letter in name:
        key = (key + letter) * 1025 & 0xFFFFFFFF
        key ^= key >> 6
    key = key * 9 & 0xFFFFFFFF
    key = (key ^ key >> 11) * 32769 & 0xFFFFFFFF
    return key % 128


@cache
def _colliding_names() -> list[str]:
    return [name for name in names(400_000) if not _chain_of(name.encode())]


def _collisions(size: int) -> str:
    colliding = _colliding_names()[: max(1, size // 12)]
    first = "".join(f"<br {' '.join(colliding[begin : begin + 90])}>" for begin in range(0, len(colliding), 90))
    return first + fill(max(1, size - len(first)), f"<br {colliding[-1]}>")


def _repeated(fragment: str, head: str = "", tail: str = "") -> Callable[[int], bytes]:
    return lambda size: page(head + fill(size, fragment) + tail)


def _bodies(size: int) -> str:
    every = list(names(size // 5))
    return "".join(f"<body {' '.join(every[begin : begin + 1800])}>" for begin in range(0, len(every), 1800))


PAGES: dict[str, Callable[[int], bytes]] = {
    "div, nested": _repeated("<div>", tail="x"),
    "hidden, nested": _repeated("<div hidden>", tail="x"),
    "hidden, nested, with spaces": _repeated("<div hidden> ", tail="x"),
    "hidden, nested, with wide spaces": _repeated("<div hidden>\u3000 ", tail="x"),
    "hidden, nested, with text": _repeated("<div style='display:none'>x"),
    "hidden, nested, large": lambda size: page(fill(size // 2, "<p style='display:none'><i>") + fill(size // 2, "y ")),
    "hidden, side by side": _repeated("<p hidden>x</p>"),
    "hidden, different styles": lambda size: page(numbered(size, "<p style='display:none;%s:0'>x")),
    "hidden, never closed, and lone brackets": lambda size: page(
        fill(size // 4, "<td hidden>") + "<" * (size * 3 // 4)
    ),
    "size zero, nested": _repeated("<div style=font-size:0>", tail="<b>x"),
    "size zero, nested, a cell below": _repeated("<div style=font-size:0>", tail="<p>x"),
    "pale, nested": _repeated("<div style=color:#fff>", tail="x"),
    "pale on many elements with attributes": lambda size: page(
        fill(size // 2, f"<div {attributes(size // 40)}>") + fill(size // 2, "<p style=color:#fff>x")
    ),
    "attributes": lambda size: page(f"<a {attributes(size)}>x"),
    "attributes behind a quoted bracket": lambda size: page(f"<a x='>' {attributes(size)}>x"),
    "attributes behind many quoted brackets": lambda size: page("<a " + numbered(size, '%s=">" ') + ">x"),
    "attributes with brackets in their names": lambda size: page("<a " + numbered(size, "<%s ") + ">x"),
    "attributes behind a quote in a name": lambda size: page(f'<a x"=">" {attributes(size)}>x'),
    "attributes with colliding names": lambda size: page(_collisions(size)),
    "attributes in an end tag": lambda size: page(f"<p>x</p x='>' {attributes(size)}>"),
    "attributes of many bodies": lambda size: page(_bodies(size)),
    "attributes of many bodies, pale text": lambda size: page(
        _bodies(size // 2) + fill(size // 2, "<p style=color:#fff>x")
    ),
    "attributes of <i> left open": lambda size: page(f"<i {attributes(size // 2)}>" + fill(size // 2, "<p>x")),
    "attributes of <i> left open, quoted": lambda size: page(
        f"<i x='>' {attributes(size // 2)}>" + fill(size // 2, "<p>x")
    ),
    "attributes of <a> left open": lambda size: page(f"<a href=x {attributes(size // 2)}>" + fill(size // 2, "<p>x")),
    "value of <a> left open": lambda size: page(f"<a href='{'y' * (size // 2)}'>" + fill(size // 2, "<p>x")),
    "formatting left open": lambda size: page(numbered(size, "<li><em id=%s>")),
    "formatting left open, in paragraphs": lambda size: page(
        numbered(size // 2, "<i id=%s>") + fill(size // 2, "<p>x")
    ),
    "formatting left open, few": lambda size: page("<b><i><u><s><tt>" * 3 + fill(size, "<p>x")),
    "formatting closed in the wrong order": _repeated("<b><i></b></i>"),
    "formatting around blocks": lambda size: page(
        fill(size // 4, "<b>") + fill(size // 2, "<div>") + fill(size // 4, "</b>") + "x"
    ),
    "links in links": _repeated("<a href=http://a.example/>x<div>"),
    "links in tables": lambda size: page(fill(size // 2, "<table><tr><td><a href=x>y") + "z" * (size // 2)),
    "end tags of nothing": lambda size: page(fill(size // 2, "<span>") + fill(size // 2, "</b>")),
    "text in tables": lambda size: page("<table>" + fill(size, "<div>x")),
    "tables in tables": _repeated("<table><tr><td>"),
    "options": lambda size: page("<select>" + fill(size, "<option>x")),
    "options with content selected": lambda size: page(
        "<select><button><selectedcontent></button>" + fill(size, "<option selected><b>x</b>")
    ),
    "text in reopened formatting": lambda size: page("y" * (size // 2) + fill(size // 2, "x</i>")),
    "svg": lambda size: page("<svg>" + fill(size, "<g>")),
    "math": lambda size: page("<math>" + fill(size, "<mi><p>")),
    "templates": _repeated("<template>"),
    "forms": _repeated("<form><div>"),
    "frames": lambda size: page("<frameset>" + fill(size, "<frameset><frame>")),
    "comments": _repeated("<!---->x"),
    "comments for versions of Outlook": _repeated("<!--[if gte mso " + "1" * 7900 + "<"),
    "comments for versions of Outlook, with spaces": _repeated("<!--[if" + " " * 7800),
    "comments never closed": _repeated("<!-- <b>"),
    "styles never closed": _repeated("<style><b>x"),
    "scripts": _repeated("<script></script>"),
    "NULs": _repeated("<b\0>\0"),
    "references": _repeated("&a"),
    "references to letters": lambda size: page("".join(f"&#{160 + number};" for number in range(size // 7))),
    "lone brackets": _repeated("<"),
    "tags that do not end": _repeated("<a"),
    "tags with a quote open": _repeated("<a x='"),
    "styles with many digits": lambda size: page(fill(size, f"<p style='color:rgba({'1' * 300},{'1' * 300}'>x")),
    "sheet of many rules": lambda size: page(
        "<style>" + numbered(size // 2, ".%s{display:none}") + "</style>" + fill(size // 2, "<p class=a>x")
    ),
    "sheet of long selectors": lambda size: page(
        "<style>"
        + fill(size // 2, ".a > .a > .a .b .c > .a{display:none}")
        + "</style>"
        + fill(size // 2, "<b class=a>x")
    ),
    "sheet of names around, nested": lambda size: page(
        "<style>"
        + numbered(size // 2, ".%s b{color:#fff}")
        + "</style>"
        + numbered(size // 2, "<div class=%s style=color:#fff><b>x</b>")
    ),
    "sheet of names far around": lambda size: page(
        "<style>"
        + fill(size // 3, ".a .b .a .b .c{display:none}")
        + "</style><p class=b><p class=a>"
        + fill(size // 3, "<div class=c>")
        + fill(size // 3, "<i class=c hidden>x</i>")
    ),
    "sheet for any element": lambda size: page(
        "<style>" + fill(size // 2, "* *{color:#fff}") + "</style>" + fill(size // 2, "<div>x")
    ),
    "sheet of attributes": lambda size: page(
        "<style>" + fill(size // 2, "[a*=b] [c]{opacity:0}") + "</style>" + fill(size // 2, "<p a=bb>x")
    ),
    "sheet of comments": lambda size: page("<style>" + fill(size, "/*") + "</style>x"),
    "sheet of blocks": lambda size: page("<style>" + fill(size, "@media (a){") + "</style>x"),
    "sheets": _repeated("<style>p{color:#fff}</style><p>x"),
    "colours revoked, nested": lambda size: page(fill(size, "<div style=color:#fff>") + "<p style=color:#000>x"),
    "spaces": lambda size: page("<p>" + " \u3000" * (size // 4) + "x"),
    "plaintext": lambda size: page("<plaintext>" + fill(size, "<b>")),
}
# Some also in 2, 30 and 500 parts, as the budget is one of the whole message.
MESSAGES: dict[str, Callable[[int], bytes]] = {
    **PAGES,
    **{
        f"{name}, {count} parts": lambda size, html=html, count=count: parts(html(size // count), count)
        for count in (2, 30, 500)
        for name, html in {
            "div, nested": lambda size: fill(size, "<div>"),
            "hidden, nested": lambda size: fill(size, "<div hidden>"),
            "size zero, nested": lambda size: fill(size, "<div style=font-size:0>"),
            "hidden, different styles": lambda size: numbered(size, "<p style='display:none;%s:0'>x"),
            "many bodies, pale text": lambda size: _bodies(size // 2) + fill(size // 2, "<p style=color:#fff>x"),
            "attributes behind a quoted bracket": lambda size: f"<a x='>' {attributes(size)}>x",
            "formatting left open": lambda size: numbered(size, "<li><em id=%s>"),
            "colliding names": _collisions,
            "links": lambda size: fill(size, "<a href=http://a.example/>x</a>"),
            "references": lambda size: fill(size, "&a"),
            "comments": lambda size: fill(size, "<!---->x"),
        }.items()
    },
}
