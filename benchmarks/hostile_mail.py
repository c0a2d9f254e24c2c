"""Mail that hostile senders could write to keep a filter busy. Each case makes a message of about a given size.

A family is a function that returns its cases by name. A new case is a line in a family, a new family a line in
FAMILIES. The families in LARGE are also measured at 63 MB.
"""

import base64
import random
import string
from collections.abc import Callable

from hostile_pages import MESSAGES

Make = Callable[[int], bytes]

TOP = b"From: a@b.org\nSubject: hello there friend\nMIME-Version: 1.0\n"
MULTIPART = TOP + b'Content-Type: multipart/mixed; boundary="b"\n\n'
PLAIN = b"From: a@b.org\nContent-Type: text/plain; charset=%s\nContent-Transfer-Encoding: %s\n\n"


def repeated(unit: bytes, *, before: bytes = TOP + b"\n", behind: bytes = b"") -> Make:
    """Return a maker of `before`, many copies of `unit`, and `behind`."""
    return lambda size: before + unit * max(1, (size - len(before) - len(behind)) // len(unit)) + behind


def numbered(unit: bytes, *, before: bytes = TOP + b"\n", behind: bytes = b"") -> Make:
    """Return a maker like `repeated`, with a number in place of %d in each copy of `unit`."""

    def make(size: int) -> bytes:
        return before + b"".join(unit % number for number in range(size // len(unit % 10**5) + 1)) + behind

    return make


def text(unit: str, charset: str = "utf-8") -> Make:
    """Return a maker of a body that repeats a text in a charset."""
    return repeated(unit.encode(charset), before=PLAIN % (charset.encode(), b"8bit"))


def noise(charset: bytes, transfer: bytes = b"8bit", *, seed: int = 1) -> Make:
    """Return a maker of a body of random bytes in a declared charset."""
    return lambda size: PLAIN % (charset, transfer) + random.Random(seed).randbytes(1000) * (size // 1000)


def headers() -> dict[str, Make]:
    """Header blocks: many, long, folded or forged headers, with and without an end."""
    body = b"\nA text of a few words.\n"
    units = {
        "short headers": b"a:\n",
        "lines without a colon": b"x\n",
        "lines that begin like an ignored header": b"x-\n",
        "forged headers": b"X-Spam-Flag: YES\n",
        "short forged headers": b"x-spam:\n",
        "every second header forged": b"a:\nx-spam:\n",
        "every second header ignored": b"a:\nlines:\n",
        "names that begin like forged ones": b"x-spam-aaaaaaaaaa\n",
        "Received headers": b"Received: from a.example (b.example [192.0.2.1]) by c; Mon, 1 Jan 2024 00:00:00 +0000\n",
        "Authentication-Results": b"Authentication-Results: x; spf=pass; dkim=fail; dmarc=none\n",
        "DKIM-Signature": b"DKIM-Signature: v=1; d=example.org; d = x; b=" + b"A" * 70 + b"\n\t" + b"B" * 70 + b"\n",
        "8-bit headers": b"X: \xe4\xf6\xfc\n",
        "8-bit lines": b"\xff\n",
        "carriage returns": b"a:\r",
        "CRLF": b"a: b\r\n",
        "NULs": b"a:\0\n",
        "mbox separators": b"From a 1:11 2020\n",
        "repeated Content-Type": b'Content-Type: text/x; a="b"; c=d\n',
    }
    long = {
        "folded Subject": (b"Subject: ", b"x\n "),
        "folded lines only": (b"", b" \n"),
        "folded Received": (b"Received: a\n", b" \n"),
        "folded forged header": (b"X-Spam: a\n", b" \n"),
        "long Subject": (b"Subject: ", b"x"),
        "Subject of encoded words": (b"Subject: ", b"=?utf-8?q?a?= "),
        "From of encoded words": (b"From: ", b"=?utf-16?b?gg==?="),
        "From of words": (b"From: ", b"a<"),
        "From of hosts": (b"From: ", b"www.1"),
        "To of addresses": (b"To: ", b"a@b.c,"),
        "References": (b"References: ", b"<a@b.c>\n "),
        "Received of brackets": (b"Received: from a (", b"("),
        "Received of spaces": (b"Received: from a", b" "),
        "Date of brackets": (b"Date: ", b"("),
        "List-Id of brackets": (b"List-Id: ", b"<"),
        "Authentication-Results of spaces": (b"Authentication-Results: spf", b" "),
        "Subject of answers": (b"Subject: ", b"re:"),
        "one long name": (b"x-spam-", b"x"),
        "long domain": (b"From: a@", b"b."),
        "IDN domain": (b"From: a@", b"xn--80ak6aa92e."),
    }
    return {
        **{name: repeated(unit, before=b"", behind=body) for name, unit in units.items()},
        **{f"{name}, no end": repeated(unit, before=b"") for name, unit in units.items()},
        **{name: repeated(unit, before=start, behind=b"\n" + body) for name, (start, unit) in long.items()},
    }


def bodies() -> dict[str, Make]:
    """Bodies of one part: text that is decoded, cut, or searched for links, dates and encoded data."""
    data = b"From: a@b.org\n\n" + b"A" * 60
    units = {
        "lines": b"hello world this\n",
        "one line": b"word ",
        "one word": b"x",
        "line ends": b"\n",
        "CRLF lines": b"hello world this\r\n",
        "CRLF": b"\r\n",
        "NULs in text": b"a\0 ",
        "mbox separators in text": b"From a 1:11 2020\n",
        "dash lines": b"--b\n",
        "dashes": b"\n-",
        "uuencoded": b"M" + b"0" * 60 + b"\n",
        "uuencoded files": b"begin 644 a.txt\n#0V%T\n`\nend\n",
        "uuencoded files without an end": b"begin 644 a\n#0V%T\n",
        "spaced letters": b"f r e e ",
        "spaced letters with other signs": b"a.b-c_d*",
        "digits in words": b"v1agra ca1led s0ftware ",
        "digits between letters": b"a0",
        "links": b"http://a.b/c ",
        "starts of links": b"http://",
        "separators of links": b"://",
        "distinct hosts": b"http://a.b.c.d.e.f.g.h.i.j/ ",
        "at signs": b"a@",
        "long numbers": b"12345678 ",
        "rules": b"!!!!!!!-------",
        "quotes": b"> " * 30 + b"text\n",
    }
    spaces = {"spaces": b" ", "line ends": b"\n", "short words": b" " * 40 + b"b\n"}
    flowed = TOP + b"Content-Type: text/plain; format=flowed\n\n"
    calendar, utf_7 = TOP + b"Content-Type: text/calendar\n\n", PLAIN % (b"utf-7", b"7bit")
    qp, b64 = PLAIN % (b"utf-8", b"quoted-printable"), PLAIN % (b"utf-8", b"base64")
    return {
        **{name: repeated(unit) for name, unit in units.items()},
        **{f"data and {name}": repeated(unit, before=data + b"\nx y z") for name, unit in spaces.items()},
        "bare data": repeated(b"A", before=b"From: a@b.org\n\n"),
        "only carriage returns": lambda size: repeated(b"hello world this\r")(size).replace(b"\n", b"\r"),
        "carriage returns, then CRLF": repeated(b"hello\r\n", before=TOP.replace(b"\n", b"\r") + b"\r" * 70_000),
        "flowed spaces": repeated(b" \n", before=flowed),
        "flowed signatures": repeated(b"-- \n", before=flowed),
        "soft breaks": repeated(b"=\n", before=qp),
        "quoted-printable equals": repeated(b"=", before=qp),
        "quoted-printable letters": repeated(b"=C3=A4", before=qp),
        "base64 of padding": repeated(b"=\n", before=b64),
        "base64 with padding in lines": repeated(b"QUFB=\n", before=b64),
        "base64 of long lines with padding": repeated(b"A" * 61 + b"=\n", before=b64),
        "base64 of other bytes": repeated(b"!" * 59 + b"A\n", before=b64),
        "one uuencoded file": repeated(b"M" + b"0" * 60 + b"\n", before=TOP + b"\nbegin 644 a.txt\n"),
        "UTF-7 groups": repeated(b"+AGE-", before=utf_7),
        "UTF-7 signs": repeated(b"+", before=utf_7),
        "one UTF-7 group": repeated(b"A", before=utf_7 + b"+"),
        "calendar of titles": numbered(b"SUMMARY:x%d\n", before=calendar),
        "calendar of parameters": repeated(b";a=b", before=calendar + b"SUMMARY"),
        "calendar of quotes": repeated(b';a="', before=calendar + b"SUMMARY"),
        "calendar of folded lines": repeated(b"\n x", before=calendar + b"SUMMARY:"),
        "calendar of escapes": repeated(b"\\n", before=calendar + b"SUMMARY:"),
    }


def encoded_messages(size: int) -> bytes:
    """Return messages in base64, one in another."""
    mail = TOP + b"\nA text of a few words.\n"
    head = TOP + b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
    while len(mail) < size:
        mail = head + base64.encodebytes(mail)
    return mail


def parts() -> dict[str, Make]:
    """Trees of parts, and costly headers of parts."""
    open_part, kind = b"--b\nContent-Type: text/x", b"Content-Type: multipart/mixed; boundary="
    cyrillic = b"--b\nContent-Type: text/plain; charset=cp1255\n\n" + b"\xdf " * 999
    forwarded = b"Content-Type: message/rfc822\n"
    encoded = forwarded + b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(TOP + b"\n" + b"word " * 400)
    units = {
        "parts": b"--b\n\n",
        "parts with text": b"--b\n\n" + b"word " * 400 + b"\n",
        "8-bit parts": cyrillic,
        "headers of parts": b"--b\n" + b"a:\n" * 20_000 + b"\n",
        "8-bit headers of parts": b"--b\nA: b\n" + b"\xff\n" * 30_000 + b"\n",
    }
    values = {
        "parameters": b";a=%d" + b";b=c" * 900,
        "RFC 2231 pieces": b";n*1=%d" + b";n*2=x" * 500,
        "RFC 2231 charsets": b";n*=utf-16'%d'" + b"%%FF" * 900,
        "open quotes": b";k=%d" + b';a="' * 900,
        "escaped quotes": b';k=%d;a="' + b'\\"' * 1900,
        "file names of encoded words": b'; k=%d; name="' + b"=?utf-8?b?w6Q=?=" * 200 + b'"',
    }
    long = b"b" * 60
    return {
        **{name: repeated(unit, before=MULTIPART) for name, unit in units.items()},
        **{name: numbered(open_part + value + b"\n\n", before=MULTIPART) for name, value in values.items()},
        "charsets": numbered(b"--b\nContent-Type: text/plain; charset=c%d\n\nh\xff\xfe words\n", before=MULTIPART),
        "nested multiparts": numbered(b"--b\n" + kind + b"c%d\n\n", before=MULTIPART),
        "nested messages": repeated(forwarded + b"\n", before=TOP),
        "encoded messages": encoded_messages,
        "encoded messages side by side": repeated(b"--b\n" + encoded + b"\n", before=MULTIPART),
        "subjects of nested messages": repeated(forwarded + b"Subject: " + b"=?q?q?a?=" * 400 + b"\n\n", before=TOP),
        "boundaries with a common prefix": repeated(b"--" + long + b"\n", before=TOP + kind + long + b"b\n\n"),
    }


def letters() -> dict[str, Make]:
    """Unicode that is costly to normalize or tokenize, and wrong charsets."""
    marks = "\u0345\u0301\u031b\u0334"
    charsets = (
        "utf-8 utf-16 utf-32 cp1252 cp1255 cp874 iso-8859-8 cp424 koi8-r shift_jis euc-jp iso-2022-jp gb18030 big5 "
        "euc-kr johab hz utf-7 x-unknown"
    )
    unreadable = {"cp1252": 0x81, "cp1255": 0xDF, "iso-8859-8": 0xBF, "utf-8": 0xFF, "utf-16": 0xD9, "utf-32": 0xD9}
    return {
        "marks in random order": text("a" + "".join(mark * 3000 for mark in marks)),
        "two alternating marks": text("a" + "\u0301\u0334" * 6000),
        "half-width sound marks": text("\u30ab" + "\u0301\uff9e\u0334" * 4000),
        "ligatures that become 18 letters": text("\ufdfa"),
        "ligatures in words": text("\ufdfa "),
        "zero-width characters": text("\u200b\u2060a"),
        "directions": text("\u202e\u200b\u2066"),
        "spaced letters of two alphabets": text("f \u0433 e \u0435 "),
        "letters set apart by dots": text("f\u00b7r\u00b7e\u2022e "),
        "decorated words": text("v\u00eddeo pl\u00e8ase w\u00efth "),
        "regional letters": text("\U0001f1e6 \U0001f1e8\U0001f1e9 "),
        "look-alikes": text("p\u0430yp\u0430l "),
        "one look-alike word": text("p\u0430"),
        "look-alikes and digits": text("p\u04301_"),
        "private use": text("\ue000"),
        "astral letters": text("\U0001d400\U0001f600"),
        "distinct words": text(" ".join(map(chr, range(0x4E00, 0x9F00)))),
        "one Chinese word": text("\u5b57"),
        "one Thai word": text("\u0e01\u0e34"),
        "Hangul letters": text("\u1100\u1161\u11a8"),
        "tags": text("\U000e0041"),
        **{f"noise as {name}": noise(name.encode()) for name in charsets.split()},
        **{
            f"0x{byte:02x} as {name}": repeated(bytes([byte]), before=PLAIN % (name.encode(), b"8bit"))
            for name, byte in unreadable.items()
        },
        "all printable signs": text(string.printable),
    }


FAMILIES: dict[str, Callable[[], dict[str, Make]]] = {
    "headers": headers,
    "bodies": bodies,
    "parts": parts,
    "letters": letters,
    "pages": lambda: MESSAGES,
}
LARGE = ("headers", "bodies", "parts", "pages")
