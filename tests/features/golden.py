"""Rendered texts that are kept beside the tests, so that no change of the rendering goes unnoticed.

python -m tests.features.golden      rewrite golden.json; run it from the root of the checkout

A bundle is bound to one TEXT_VERSION, so the command refuses to change a kept text under the same version.
"""

import base64
import json
import re
import sys
from pathlib import Path

from spamlstm.features.render import BODY, TEXT_VERSION, cut_windows, render
from spamlstm.message.message import parse_message

FILE = Path(__file__).with_name("golden.json")
COMMAND = "python -m tests.features.golden"
# The windows of long bodies are kept for these sizes, in bytes and number.
WINDOW_BYTES, MAX_WINDOWS = 700, 4

# Facts stand on one line, each section on its own.
_SECTION = re.compile("(?=⟦[a-z]+⟧)")


def mail(*headers: str, body: str | bytes = "hello there, friend", charset: str = "utf-8", page: bool = False) -> bytes:
    """Return a message; without a Content-Type header it is plain text or a page in `charset`."""
    if not any(header.startswith("Content-Type") for header in headers):
        headers = (*headers, f"Content-Type: text/{'html' if page else 'plain'}; charset={charset}")
    encoded = body if isinstance(body, bytes) else body.encode(charset)
    return "".join(f"{header}\n" for header in headers).encode() + b"\n" + encoded


def multipart(kind: str, *parts: str, headers: tuple[str, ...] = ()) -> bytes:
    """Return a multipart message of `kind`; each part is written with its headers."""
    body = "".join(f"--=_edge\n{part}\n" for part in parts) + "--=_edge--\n"
    return mail(*headers, f'Content-Type: multipart/{kind}; boundary="=_edge"', body=body)


def attached(*names: str) -> bytes:
    """Return a message with an attachment of each name."""
    files = (f'Content-Type: application/octet-stream; name="{name}"\n\ndata' for name in names)
    return multipart("mixed", "Content-Type: text/plain\n\nsee the files", *files)


def hop(host: str, details: str, *, end: str = "by mx.example.com with SMTP") -> str:
    """Return a Received header."""
    return f"Received: from {host} ({details}) {end}; Mon, 6 Jan 2025 10:00:05 +0100"


def entry(host: str, details: str) -> str:
    """Return the Received header with which a message enters the organisation example.com."""
    return hop(host, details, end="by mx.example.com with ESMTPS")


def results(text: str) -> str:
    """Return the results that the receiving server of `entry` wrote."""
    return f"Authentication-Results: mx.example.com; {text}"


def pages(*sources: str, size: int = 0) -> bytes:
    """Return a message of one page, with an invisible comment of `size` characters."""
    return mail("From: a@shop.example", page=True, body="".join(sources) + f"<!--{'x' * size}-->" * bool(size))


def link(url: str, text: str = "here") -> str:
    """Return a link of a page."""
    return f'<a href="{url}">{text}</a> '


LETTER = " ".join(["please read the minutes of our last meeting and tell me what you think"] * 3)

# Every header that the facts of alignment and the trace are made of.
NEWSLETTER = mail(
    "Return-Path: <bounce@mail.shop.example>",
    "Delivered-To: ann.miller@example.com",
    hop("out.shop.example", "out.shop.example [192.0.2.7]", end="by mx.example.com with ESMTPS"),
    "Authentication-Results: mx.example.com; spf=pass; dkim=pass; dmarc=pass",
    "DKIM-Signature: v=1; a=rsa-sha256; d=shop.example; s=one; b=AbCd",
    "From: =?utf-8?q?The_B=C3=B6gle_Shop?= <newsletter@mail.shop.example>",
    "To: Ann Miller <ann.miller@example.com>",
    "Subject: Miller, [Shop] your weekly offers!",
    "Date: Mon, 6 Jan 2025 10:00:00 +0100",
    "Message-ID: <01C77A12.C837F960.WYADCKPD@mail.shop.example>",
    "MIME-Version: 1.0",
    "List-Id: Weekly <weekly.shop.example>",
    "List-Unsubscribe: <https://mail.shop.example/leave?u=1>",
    "X-Mailer: Mailsmith 3.1 (build 77)",
    page=True,
    body="<h1>Offers</h1><p>Only today: 20% off, call 00491234567890.</p>"
    + link("https://shop.example/p?q=1")
    + link("https://www.facebook.com/shop")
    + "<img src=https://img.shop.example/1.png><img src=https://img.shop.example/2.png>",
)
PHISHING = mail(
    "Return-Path: <x9k2@mail.evil.example>",
    hop("[192.0.2.99]", "unknown [192.0.2.99]"),
    "Authentication-Results: mx.example.com; spf=softfail; dkim=fail; dmarc=none",
    'From: "security@bank.example" <zxqwrtk77@evil-login-secure-now.info>',
    "Reply-To: collector@gmail.com",
    "To: undisclosed-recipients:;",
    "Subject: Re: [URGENT] YOUR ACCOUNT",
    "Date: Wed, 8 Jan 2025 10:00:00 +0000",
    "Message-ID: <nonsense>",
    page=True,
    body="<p>Dear customer,</p><script>x</script>"
    "<form action=http://192.0.2.5/take>Pin <input type=password></form>"
    + link("http://evil.example/", "http://www.bank.example/login")
    + "<div style='display:none'>meeting agenda for thursday</div><font color=white>lunch</font>",
)
PASSAGES = " ".join(f"line {number} of a long letter about beans." for number in range(400))
LINKED = " ".join(
    f"offer {number}{f' at https://shop{number}.example/x?{number}' if number % 50 == 9 else ''} is good."
    for number in range(660)
)

MESSAGES: dict[str, bytes] = {
    "newsletter": NEWSLETTER,
    "phishing": PHISHING,
    "empty": b"",
    "no header": b"hello there, friend\n\nsecond paragraph",
    # MIME
    "alternative": multipart(
        "alternative",
        "Content-Type: text/plain; charset=utf-8; format=flowed\n\nflowed \ntext",
        "Content-Type: text/html\n\n<p>the page <b>wins</b></p>",
    ),
    "related": multipart(
        "related",
        "Content-Type: text/html\n\n<p>hello</p><img src=cid:one>",
        "Content-Type: image/png; name=one.png\nContent-Transfer-Encoding: base64\n\nQUJD",
    ),
    "signed": multipart("signed", "Content-Type: text/plain\n\nhello", "Content-Type: a/b; name=smime.p7s\n\nx"),
    "report": multipart(
        "report",
        "Content-Type: text/plain\n\nnot delivered",
        "Content-Type: message/rfc822\n\nSubject: inner\n\ninner text",
        headers=("Return-Path: <>", "From: MAILER-DAEMON@example.com"),
    ),
    "flowed": mail("Content-Type: text/plain; format=flowed; delsp=yes", body="one \ntwo\n-- \nann"),
    "wrong boundary": mail("Content-Type: multipart/mixed; boundary=said", body="--real\nContent-Type: a/b\n\nx"),
    "base64": mail("Content-Transfer-Encoding: base64", body=base64.encodebytes("Grüße aus Köln".encode())),
    "quoted-printable": mail("Content-Transfer-Encoding: quoted-printable", body="Gr=C3=BC=C3=9Fe =\naus"),
    "files": attached("a.pdf", "⟦body⟧.zip", "login.html", "run.exe", "a.png"),
    "plain and page": multipart(
        "mixed", "Content-Type: text/plain\n\nthe letter", "Content-Type: text/html\n\n<p>the footer</p>"
    ),
    "alternative says something else": multipart(
        "alternative",
        "Content-Type: text/plain\n\nyou have won a large prize in the summer lottery",
        "Content-Type: text/html\n\n<p>sent from my phone</p>",
    ),
    "calendar": mail(
        "Content-Type: text/calendar",
        body="BEGIN:VEVENT\nORGANIZER;CN=Ann:mailto:ann@example.org\nSUMMARY:Budget\\, talk\nDESCRIPTION:Bring the\n"
        "  figures\nUID:1\nEND:VEVENT",
    ),
    "secondary text": multipart(
        "mixed",
        f"Content-Type: text/plain\n\n{LETTER}",
        "Content-Type: message/rfc822\n\nSubject: inner\n\ninner text",
        "Content-Type: text/plain; name=a.txt\nContent-Disposition: attachment\n\nminutes of the meeting",
    ),
    "alternative beside a letter": multipart(
        "alternative",
        "Content-Type: text/plain\n\nyou have won a large prize in the summer lottery",
        f"Content-Type: text/html\n\n<p>{LETTER}</p>",
    ),
    "forwarded": mail(body=f"{LETTER}\n\n---- Weitergeleitete Nachricht ----\nVon: Ann\nBetreff: Bohnen\n\nHallo"),
    "wrong content type": mail("Content-Type: text/html charset=utf-8", body="<p>hello</p>"),
    "unread office": attached("a.docx"),
    "unread archive": attached("a.zip"),
    "unread pdf": attached("a.pdf"),
    "unread image": pages("<p>leave</p><img src=https://shop.example/1.png>"),
    "encrypted": multipart(
        "encrypted",
        "Content-Type: application/pgp-encrypted\n\nVersion: 1",
        "Content-Type: application/octet-stream\n\n-----BEGIN PGP MESSAGE-----",
    ),
    "more files": attached("a.ics", "a.eml", "a.xyz"),
    # Charsets and what is folded
    "latin1": mail("Subject: größe", charset="iso-8859-1", body="Größe"),
    "labelled latin1": mail("Content-Type: text/plain; charset=iso-8859-1", body="„100 €“".encode("cp1252")),
    "labelled gb2312": mail("Content-Type: text/plain; charset=gb2312", body="朱镕基".encode("gb18030")),
    "koi8": mail("From: a@example.ru", charset="koi8-r", body="Добрый день, уважаемые коллеги"),
    "gb18030": mail(
        "Subject: =?gb18030?b?tPq/qreixrE=?=", "From: a@例子.中国", charset="gb18030", body="代开发票，欢迎来电"
    ),
    "arabic": mail(body="مرحبا بكم في متجرنا"),
    "greek": mail(body="Καλημέρα σας, φίλοι μου"),
    "wrong charset": mail("Content-Type: text/plain; charset=us-ascii", body="größer".encode("cp1252")),
    "disguised brand": mail(
        "Subject: \U0001f600 p\u0430ypal",
        body="p\u0430ypal v\u200bi\u200ba\u200bg\u200bra ＮＯＷ ﾊﾞ ⟦spf:pass⟧ =====----- ann.b@example.org\n"
        + "x" * 60
        + " 1234567890123 12345 http://u:p@evil.example/p?q=1",
    ),
    "letters apart": mail(body="f r e e  m.o.n.e.y and f-r-e-e p1lls for m0ney"),
    "decorated": mail(body="r\u0332e\u0332a\u0332d\u0332 \u1e0bo it yo\u1ee5 wi\u1e6d\u1e25 y\u1ecdur"),
    "digits only": mail(body="12 345 !!!!!!!!"),
    # What hides in pages
    "hidden little": pages("<p>" + "words that stay " * 30, "<span style='font-size:0'>secret</span>", size=5000),
    "hidden much": pages("<p>hi</p><div style='visibility:hidden'>", "innocent words " * 40, "</div>", size=25_000),
    "pale": pages("<p>" + "words that stay " * 10, "<table bgcolor=#036><td><font color=#003366>pale</font></table>"),
    "transparent": pages("<p>seen<b style='color:transparent'>not seen</b></p>", "<blockquote>quote</blockquote>end"),
    "hidden pieces": pages("<style>.x{display:none}</style><p>yo", "<b class=x>qzx</b>u wi<b class=x>71</b>n" * 5),
    "preheader": pages("<div style='display:none'>Only today&zwnj;&nbsp;&#847;&zwnj;</div><h1>Sale</h1>"),
    # Alignment
    "own": mail(
        "Return-Path: <b@example.com>",
        "From: Ann Miller <info@sub.example.com>",
        "To: Bob <robert@example.com>, c@d.org",
        "Reply-To: c@example.com",
        "DKIM-Signature: d=example.com",
        "Message-ID: <1@example.com>",
        body="dear robert, see https://example.com/ now",
    ),
    "self": mail("From: ann@example.com", "To: ann@example.com", "Return-Path: <>", "Subject: x"),
    "replied": mail(
        "From: Ann Miller <annmiller@gmail.com>",
        "To: a@b.org, b@b.org, c@b.org, d@b.org, e@b.org, f@b.org, g@b.org",
        "Subject: Re: beans",
        "In-Reply-To: <1@b.org>",
        "Return-Path: <x@yahoo.com>",
        "DKIM-Signature: d=gmail.com",
        "Message-ID: <1@gmail.com>",
        "Received-SPF: neutral (x)",
        "Precedence: bulk",
    ),
    "recipient": mail(
        "From: Robert <no-reply@department.of.the.university.edu>",
        "To: <robert@example.com>",
        "Reply-To: a@example.com",
        "Return-Path: <a@example.com>",
        "DKIM-Signature: d=example.com",
        "Message-ID: <1@example.com>",
        "List-Unsubscribe: <mailto:leave@x.org>",
        body=link("https://example.com/") + "https://example.com/",
    ),
    "service": mail(
        "From: Shop <a@1234.com>",
        "To: ",
        "Return-Path: <b@mail.sendgrid.net>",
        "Reply-To: c@amazonses.com",
        "DKIM-Signature: d=sendgrid.net",
        "Message-ID: <1@sendgrid.net>",
        "List-Unsubscribe: <https://u.sendgrid.net/x>",
        "Authentication-Results: mx; spf=none; dkim=none; dmarc=fail",
        page=True,
        body=link("https://click.sendgrid.net/x") + "<img src=https://img.sendgrid.net/x>",
    ),
    "signer": mail(
        "From: a@xn--bcher-kva.net",
        "DKIM-Signature: d=post.example",
        "Return-Path: <a@post.example>",
        "Reply-To: a@other.example",
        "Message-ID: <1@other.example>",
        "List-Unsubscribe: <https://post.example/x>",
        "Authentication-Results: mx; spf=fail; dkim=temperror; dmarc=permerror",
        page=True,
        body=link("https://post.example/x") + "<img src=https://post.example/x>",
    ),
    "mixed": mail(
        "From: a@shop.org",
        "Authentication-Results: mx; spf=weird; dkim=neutral; dmarc=bestguesspass",
        "List-Unsubscribe: <https://leave.example/x>",
        page=True,
        body=link("https://shop.org/") + link("https://other.example/") + link("https://a.github.io/x")
        + "<img src=https://shop.org/1><img src=https://b.example/2>",
    ),
    "many hosts": mail(
        "From: a@bcdfgh77x.com",
        "DKIM-Signature: d=other.example",
        page=True,
        body="".join(link(f"https://h{number}.example/") for number in range(9))
        + "".join(f"<img src=https://i{number}.example/>" for number in range(9)),
    ),
    "repaired links": pages(
        link("http:/\\evil。example/x"),
        link("ht&#9;tps://bank.example@evil.example/"),
        link("http://3221225991/x"),
        link("https://[2001:DB8:0::25]/x"),
        "<meta http-equiv=refresh content='0; url=https://refresh.example/x'>",
        "<form><button formaction=https://form.example/x>go</button></form>",
        "<svg><a xlink:href=https://svg.example/x><text>go</text></a></svg>",
    ),
    "relative links": pages("<base href=https://a.example/b/>", link("x.html"), link("/y"), link("//other.example/")),
    "redirected links": pages(
        link("https://www.google.com/url?q=https%3A%2F%2Fevil.example%2Fl&sa=D"),
        link("https://abc123.r.eu-west-1.awstrack.me/L0/https:%2F%2Fshop.example%2Fp/1/0102/x"),
        link("https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fgate.example%2F&data=05"),
    ),
    "shared links": pages(link("https://www.facebook.com/shop"), "<img src=https://static.gstatic.com/x.png>"),
    "open pages": pages(link("https://docs.google.com/forms/d/e/1/viewform"), link("https://x-my.sharepoint.com/x")),
    "many links": pages(*(link(f"https://shop.example/{number}") for number in range(12))),
    "links of text": mail(
        "From: a@shop.example",
        body="see http://bank.example@evil.example./x, http://3221225991/ and www.other.example/y.",
    ),
    "foreign ids": mail(
        'From: "a@b.org" <a@b.org>',
        "DKIM-Signature: d=gmail.com",
        "Message-ID: <1@gmail.com>",
        "Authentication-Results: mx; dmarc=neutral",
        hop("a.example", "b.example [192.0.2.2]"),
        "Content-Type: image/png; name=a.png",
    ),
    "plain links": mail("From: a@b.org", body="see http://b.org/ and http://c.org/x and https://bit.ly/x"),
    "long names": mail(
        "From: a@thelongestdomainofall.net",
        *(f"{name}: x" for name in ("To", "CC", "Sender", "References", "X-Priority", "Importance", "User-Agent") * 7),
    ),
    # What the receiving server says
    "proven": mail(
        entry("out.sendgrid.net", "out.sendgrid.net [192.0.2.7]"),
        results("spf=fail smtp.mailfrom=shop.org; dkim=pass header.d=sendgrid.net; dkim=pass header.d=shop.org"),
        "DKIM-Signature: d=shop.org; i=@shop.org",
        "DKIM-Signature: v=1; d=sendgrid.net",
        "From: PayPal <a@shop.org>",
        "To: ann@example.com",
        "Feedback-ID: 1:2:sendgrid",
        "List-Unsubscribe: =?us-ascii?Q?=3Chttps=3A=2F=2Fu=2Esendgrid=2Enet=2Fx=3E?=",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "Subject: =?utf-8?q?[=00x]_=00?= offers",
    ),
    "proven list": mail(
        entry("mail.lists.org", "mail.lists.org [192.0.2.7]"),
        "From: PayPal <service@paypal.com>",
        "To: list@lists.org",
        "List-Id: <list.lists.org>",
        "References: <1@some.example> <2@other.example>",
    ),
    "from a colleague": mail(
        "Received: from pc (pc.lan [192.168.1.5]) by mx.example.com with ESMTP; Mon, 6 Jan 2025 10:00:05 +0100",
        "From: bob@example.com",
        "To: ann@example.com",
        "In-Reply-To: <1@mail.example.com>",
    ),
    "in the recipient's name": mail(
        entry("a.example", "a.example [192.0.2.7]"),
        "From: ann@example.com",
        "To: ann@example.com",
        "Subject: Re: beans",
    ),
    "from an administrator": mail(
        entry("a.example", "a.example [192.0.2.7]"),
        "From: example.com admin <a@shop.org>",
        "To: ann@example.com",
        body="Dear ann@example.com,",
    ),
    "from a stranger": mail(
        entry("a.example", "a.example [192.0.2.7]"), "To: ann@example.com", "Subject: ann@example.com"
    ),
    "from a marketplace": mail(
        entry("mx1.allegro.pl", "mx1.allegro.pl [192.0.2.7]"),
        results("dmarc=pass header.from=allegromail.pl"),
        'From: "DPD (a@dpd.example, via Poczta Allegro)" <x@allegromail.pl>',
        "Reply-To: a@dpd.example",
        "To: ann@example.com",
    ),
    "attached to hide": attached("invoice.pdf.exe", "prices.xlsm"),
    "note to self": mail(
        entry("mx.example.com", "mx.example.com [192.0.2.1]"),
        results("dmarc=pass header.from=example.com; dkim=none; spf=softfail"),
        "From: ann@example.com",
        "To: ann@example.com",
    ),
    **{
        f"checked {number}": mail(
            entry(f"out.{host}", f"out.{host} [192.0.2.7]"),
            results(found),
            "DKIM-Signature: d=post.org",
            "From: a@shop.org",
            f"To: ann@{to}",
        )
        for number, (host, to, found) in enumerate(
            (
                ("shop.org", "example.com", "spf=none; dkim=pass header.d=post.org; dmarc=permerror"),
                ("post.org", "example.com", "spf=permerror; dkim=fail; dmarc=fail"),
                ("example.com", "example.com", "dkim=none; dmarc=none"),
                ("gmail.com", "example.com", "spf=pass; dkim=neutral; dmarc=quarantine"),
                ("a.example", "a.example", "spf=softfail; dkim=temperror; dmarc=softfail"),
                ("b.example", "a.example", "dmarc=pass"),
            )
        )
    },
    # Style
    "from a relay": mail(
        "Received: by imap.example.com with LMTP id 1; Mon, 6 Jan 2025 10:00:05 +0100",
        entry("mx.example.com", "mx.example.com [192.0.2.1]"),
        entry("host", "pool-1-2-3.dynamic.example [192.0.2.2]"),
        "Date: Sun, 5 Jan 2025 08:00:00 +0100",
    ),
    **{
        f"from {host}": mail(entry(host, details), f"Date: {date}")
        for host, details, date in (
            ("[192.0.2.9]", "unknown [192.0.2.9]", "nonsense"),
            ("pc.local", "pc.lan.example [192.0.2.9]", "Mon, 6 Jan 2025 23:00:05 +0100"),
        )
    },
    "hops": mail(
        hop("gateway", "pool-1-2-3.dynamic.example [192.0.2.1]"),
        hop("a.example", "b.example [192.0.2.2]"),
        hop("c.example", "c.example [192.0.2.3]"),
        "Date: Sun, 5 Jan 2025 08:00:00 +0100",
        "Subject: " + "a long subject " * 8,
    ),
    "many hops": mail(*[hop("pc.local", "") for _ in range(7)], "Date: nonsense", "Subject: =?utf-8?q?plain?="),
    "two hops": mail(hop("a.example", "a.example [192.0.2.1]"), "Received: by here", "Date: 6 Jan 25 10:00 GMT"),
    "own domain in wide letters": mail(
        "From: \uff45xample\uff0eorg <a@example.com>", "To: garcia@example.org", "Subject: R: a", body="Hola García"
    ),
    "a gap in a file name": attached("invoice" + "\u2003" * 40 + ".exe"),
    # Long bodies
    "passages": mail(body=PASSAGES),
    "passages at links": mail(body=LINKED),
    "windows": mail(body="begin " + "größere Wörter " * 200 + "https://example.org/ " + "beans " * 300 + "end"),
    "just no passages": mail(body=PASSAGES[:12_000]),
    "middle": mail(body="words " * 80),
    "short": mail(body="words " * 20),
}  # fmt: skip


def rendered(raw: bytes) -> dict[str, list[str]]:
    """Return the text of a message, cut into lines that a diff can show, and its windows if it has many."""
    text = render(parse_message(raw))
    cut, plain = (cut_windows(text, size=WINDOW_BYTES, most=MAX_WINDOWS, style=style) for style in (True, False))
    found = {"text": _SECTION.split(text)}
    if len(cut) > 1:
        found["windows"] = [window.partition(BODY)[2] for window in cut]
        found["header without style"] = _SECTION.split(plain[0].partition(BODY)[0])
    return found


def texts() -> dict[str, dict[str, list[str]]]:
    """Return the rendering of each message by the message's name."""
    return {name: rendered(raw) for name, raw in MESSAGES.items()}


def main() -> None:
    """Write golden.json, unless it holds another text of the same version."""
    new = texts()
    if FILE.exists():
        kept = json.loads(FILE.read_text("utf-8"))
        changed = [name for name, text in kept["texts"].items() if text != new.get(name, text)]
        if changed and kept["text_version"] == TEXT_VERSION:
            sys.exit(
                f"the rendering of {', '.join(changed)} has changed: raise TEXT_VERSION, or give new mail a new name"
            )
    content = {"text_version": TEXT_VERSION, "texts": new}
    FILE.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
