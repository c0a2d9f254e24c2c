"""Mutations of a message by the elements of mail: headers, parts, encodings, HTML and line ends."""

import base64
import binascii
import random
from collections.abc import Callable, Sequence

Mutation = Callable[[bytes, random.Random], bytes]

HEADERS = (
    *"From To Cc Subject Date Received Message-ID Reply-To List-Id List-Unsubscribe References In-Reply-To".split(),
    *"Content-Type Content-Disposition Content-Transfer-Encoding MIME-Version X-Mailer User-Agent Return-Path".split(),
    *"Authentication-Results DKIM-Signature X-Spam-Flag X-Spam-Status X-Spam X-Spam-Checker-Version Lines".split(),
    *"X-Status X-Keywords Content-Length X-Label Organization Sender X-Priority Thread-Index Delivered-To".split(),
)
VALUES = (
    b"a@b.example",
    b'"x" <a@b.example>',
    b"<" * 30,
    b"text/html; charset=utf-7",
    b"text/plain; charset=iso-2022-jp; format=flowed; delsp=yes",
    b"multipart/mixed; boundary=q",
    b'multipart/alternative; boundary="=_q"',
    b"message/rfc822",
    b"application/octet-stream; name*0*=utf-8'en'%41; name*1=b.html",
    b"attachment; filename=form.html",
    b"base64",
    b"quoted-printable",
    b"from a ([1.2.3.4]) by b; Mon, 1 Jan 2024 00:00:00 +0000",
    b"; Tue, 99 Foo 99999999 99:99:99 -9999",
    b"b; dkim=pass header.d=b.example; spf=fail smtp.mailfrom=c.example",
    b"spamlstm 1.0",
)
CHARSETS = (
    *"utf-8 utf-7 utf-16 utf-16le utf-32 iso-2022-jp iso-2022-kr hz gb18030 big5 shift_jis euc-jp koi8-r".split(),
    *"windows-1251 windows-1252 cp437 latin-1 ascii idna punycode unicode_escape base64 rot13 zip x-unknown".split(),
)
TAGS = (
    *"a b i u font p div table tr td span style script title form input img br center body html head select".split(),
    *"option noscript template svg math textarea pre h1 ul li blockquote area iframe frameset plaintext xmp".split(),
)
STYLES = (
    b"display:none",
    b"font-size:0",
    b"color:#fff",
    b"color:rgba(1,2,3,0)",
    b"background:white",
    b"text-indent:-999px",
    b"visibility : hidden!important",
    b"opacity:0.0",
)
FRAGMENTS = (
    *(b"\n", b"\r\n", b"\r", b"\n\n", b"\n\r\n", b"\0", b"\n ", b"\n\t", b" ", b"  ", b"\t", b":", b";", b",", b"="),
    *(b"=\n", b"=3D", b"==\nQUJD", b"--", b"\n--q\n", b"\n--q--\n", b"\n--=_q\n\n", b"\n-- \n", b"From ", b">From \n"),
    *(b"<", b">", b"</", b"<!--", b"-->", b"<![CDATA[", b"&nbsp;", b"&#x10ffff;", b"&#", b"'", b'"', b"(", b")", b"\\"),
    *(b"@", b".", b"://", b"http://a.example/", b"https://b.example:1/?c#d", b"www.c.example", b"xn--", b"[1.2.3.4]"),
    *(b"=?utf-8?q?=E2?=", b"=?utf-8?b?4g==?=", b"=?koi8-r?q?", b"?=", b"=?", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"),
    *(
        b"\x1b$B",
        b"\x1b(B",
        b"~{",
        b"~}",
        b"+AGE-",
        b"\xe2\x80\x8b",
        b"\xe2\x9f\xa6url\xe2\x9f\xa7",
        b"\xc2\xad",
        b"\xf0",
    ),
    *("аеο".encode(), "ﬀ".encode(), "ﷺ".encode(), "e\u0301\u0323".encode(), "İ".encode(), "\u2028".encode(), b"\x85"),
    *(b"1234567890", b"aaaaaaaa", b"AAAA", b"........", b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD", b"charset="),
)


def header(raw: bytes, chance: random.Random) -> bytes:
    """Insert a header, at the top or between lines."""
    value = chance.choice((*VALUES, _encoded_word(chance), bytes(chance.choices(range(256), k=chance.randrange(40)))))
    line = chance.choice(HEADERS).encode() + chance.choice((b": ", b":", b" : ", b":\n ")) + value + b"\n"
    at = 0 if chance.random() < 0.6 else _line_start(raw, chance)
    return raw[:at] + line + raw[at:]


def fragment(raw: bytes, chance: random.Random) -> bytes:
    """Insert a piece of syntax anywhere."""
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + chance.choice(FRAGMENTS) + raw[at:]


def repeat(raw: bytes, chance: random.Random) -> bytes:
    """Repeat a short piece many times."""
    at = chance.randrange(len(raw) + 1)
    piece = raw[at : at + chance.choice((1, 2, 5, 20, 80))]
    return raw[:at] + piece * chance.choice((2, 3, 10, 100)) + raw[at:]


def element(raw: bytes, chance: random.Random) -> bytes:
    """Insert an HTML element, or several nested ones, perhaps unclosed."""
    name = chance.choice(TAGS).encode()
    styled = b' style="' + chance.choice(STYLES) + b'"' if chance.random() < 0.5 else b""
    opened = (
        b"<" + name + styled + chance.choice((b"", b" hidden", b' href="http://x.example"', b" bgcolor=red")) + b">"
    )
    at, many = chance.randrange(len(raw) + 1), chance.choice((1, 1, 2, 30))
    closed = b"</" + name + b">" if chance.random() < 0.5 else b""
    return raw[:at] + opened * many + b"text" + closed * many + raw[at:]


def page(raw: bytes, chance: random.Random) -> bytes:
    """Declare the body as HTML."""
    head, body = _split(raw)
    return b"Content-Type: text/html; charset=" + chance.choice(CHARSETS).encode() + b"\n" + head + body


def multipart(raw: bytes, chance: random.Random) -> bytes:
    """Make the body a part of a multipart."""
    head, body = _split(raw)
    mark = chance.choice((b"q", b"=_q", b"q--", b" q", b"--"))
    kind = chance.choice((b"mixed", b"alternative", b"related", b"digest", b"x"))
    top = b"Content-Type: multipart/" + kind + b'; boundary="' + mark + b'"\n' + head
    end = chance.choice((b"\n--" + mark + b"--\n", b""))
    return top + b"\n--" + mark + b"\nContent-Type: " + chance.choice(VALUES) + b"\n" + body + end


def forwarded(raw: bytes, _chance: random.Random) -> bytes:
    """Wrap the message into a forwarding message."""
    return b"Subject: fwd\nContent-Type: message/rfc822\n\n" + raw


def encoded(raw: bytes, chance: random.Random) -> bytes:
    """Encode the body in base64 or quoted-printable."""
    head, body = _split(raw)
    if chance.random() < 0.5:
        return b"Content-Transfer-Encoding: base64\n" + head + b"\n" + base64.encodebytes(body)
    return b"Content-Transfer-Encoding: quoted-printable\n" + head + b"\n" + binascii.b2a_qp(body)


def charset(raw: bytes, chance: random.Random) -> bytes:
    """Declare another charset, and perhaps encode the body in it."""
    head, body = _split(raw)
    name = chance.choice(CHARSETS)
    if chance.random() < 0.5:
        try:
            body = body.decode("utf-8", "replace").encode(name, "replace")
        except (LookupError, UnicodeError):
            body = body[::-1]
    return b"Content-Type: text/plain; charset=" + name.encode() + b"\n" + head + b"\n" + body


def line_ends(raw: bytes, chance: random.Random) -> bytes:
    """Replace line ends, everywhere or in a few places."""
    old, new = chance.sample((b"\n", b"\r\n", b"\r", b"\n\n"), 2)
    return raw.replace(old, new, chance.choice((-1, 1, 5)))


def cut(raw: bytes, chance: random.Random) -> bytes:
    """Delete a piece."""
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + raw[at + chance.choice((1, 3, 30, 300)) :]


def swap_lines(raw: bytes, chance: random.Random) -> bytes:
    """Swap two lines."""
    lines = raw.split(b"\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def noise(raw: bytes, chance: random.Random) -> bytes:
    """Insert a few random bytes."""
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + bytes(chance.choices(range(256), k=chance.choice((1, 4, 16)))) + raw[at:]


ALL: tuple[Mutation, ...] = (
    *(header, fragment, repeat, element, page, multipart, forwarded, encoded, charset, line_ends, cut, swap_lines),
    *(noise, header, fragment, element, repeat),
)


def mutate(raw: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Apply one to four mutations; sometimes join the start of one message with the end of another."""
    for _ in range(chance.randrange(1, 5)):
        if others and chance.random() < 0.1:
            other = chance.choice(others)
            raw = raw[: chance.randrange(len(raw) + 1)] + other[chance.randrange(len(other) + 1) :]
        raw = chance.choice(ALL)(raw, chance)
    return raw


def _encoded_word(chance: random.Random) -> bytes:
    data = bytes(chance.choices(range(256), k=chance.randrange(12)))
    text = base64.b64encode(data) if chance.random() < 0.5 else binascii.b2a_qp(data, header=True)
    return b"=?" + chance.choice(CHARSETS).encode() + b"?" + chance.choice((b"b", b"q")) + b"?" + text + b"?="


def _line_start(raw: bytes, chance: random.Random) -> int:
    return raw.find(b"\n", chance.randrange(len(raw) + 1)) + 1


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """Return the head with its last line end, and the body with the blank line before it."""
    at = raw.find(b"\n\n") + 1
    return (raw[:at], raw[at:]) if at else (raw, b"\n")
