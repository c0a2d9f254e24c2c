"""Headers that senders set themselves to look like a known correspondent, a list or a service."""

from base64 import b64encode
from dataclasses import replace

from .letter import LINK, Letter

_RESULTS = "spf=pass smtp.mailfrom=office@{domain}; dkim=pass header.d={domain}; dmarc=pass header.from={domain}"
_DATE = "Tue, 4 Mar 2025 09:12:44 +0000"
_HOP = "from mail.{domain} (mail.{domain} [192.0.2.44]) by relay{n}.{domain}; Mon, 3 Mar 2025 09:00:0{n} +0000"


def _address(letter: Letter) -> tuple[str, str]:
    """Return the local part and the domain of From."""
    address = letter.get("from").rpartition("<")[2].strip("> \t\n")
    local, _, domain = address.rpartition("@")
    return local or "info", domain or "example.com"


def _recipient_domain(letter: Letter) -> str:
    return letter.get("to").rpartition("@")[2].strip("> \t\n\"'") or "example.com"


def answer(letter: Letter) -> Letter:
    subject = letter.get("subject")
    marked = letter.with_header("Subject", f"Re: {subject}").with_header(
        "In-Reply-To", "<7740.23.lkq@" + _recipient_domain(letter) + ">"
    )
    return marked.with_header(
        "References", f"<7740.21.lkq@{_recipient_domain(letter)}> <7740.23.lkq@{_recipient_domain(letter)}>"
    )


def mailing_list(letter: Letter) -> Letter:
    pairs = (
        ("List-Id", "Allotments <allotments.lists.garden-society.org>"),
        ("List-Post", "<mailto:allotments@lists.garden-society.org>"),
        ("List-Archive", "<https://lists.garden-society.org/archives/list/allotments/>"),
        ("List-Subscribe", "<mailto:allotments-join@lists.garden-society.org>"),
        ("X-Mailman-Version", "3.3.9"),
        ("Precedence", "list"),
        ("Subject", f"[Allotments] {letter.get('subject')}"),
    )
    for name, value in pairs:
        letter = letter.with_header(name, value)
    return letter


def service(letter: Letter) -> Letter:
    _, domain = _address(letter)
    letter = letter.with_header("List-Unsubscribe", f"<https://{domain}/leave/81>, <mailto:leave-81@{domain}>")
    letter = letter.with_header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
    return letter.with_header("Feedback-ID", f"81:2:receipts:{domain.partition('.')[0]}")


def aligned(letter: Letter) -> Letter:
    """All names are those of one throw-away domain: From, envelope, signature, results, links."""
    domain = "palmer-and-rowe.net"
    for name, value in (
        ("From", f"Palmer and Rowe <office@{domain}>"),
        ("Return-Path", f"<office@{domain}>"),
        ("Message-ID", f"<20af.77.1190@{domain}>"),
        (
            "DKIM-Signature",
            f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s=k7; h=from:to:subject:date; bh=x1=; b=y2=",
        ),
        ("Authentication-Results", f"mx.{_recipient_domain(letter)}; {_RESULTS.format(domain=domain)}"),
    ):
        letter = letter.with_header(name, value)
    kept = [
        (name, value) for name, value in letter.headers if name.lower() not in ("reply-to", "sender", "received-spf")
    ]
    link = f"https://www.{domain}/go"
    return replace(letter, headers=tuple(kept), plain=LINK.sub(link, letter.plain), html=LINK.sub(link, letter.html))


def _fresh(letter: Letter, *, sender: str, subject: str, more: tuple[tuple[str, str], ...] = ()) -> Letter:
    """Return the letter with the header of a message that a small company with a new domain sends by its own server.

    Senders choose all of it except what the receiving server adds, and that is what an aligned domain gets.
    """
    domain, to = "palmer-and-rowe.net", letter.get("to").rpartition("<")[2].strip("> \t\n\"'") or "anna@example.com"
    host = f"mx.{_recipient_domain(letter)}"
    received = f"from mail.{domain} (mail.{domain} [198.51.100.25]) by {host} with ESMTPS (TLS1.3) id 4Xq81; {_DATE}"
    headers = (
        ("Return-Path", f"<{sender.rpartition('<')[2].rstrip('>')}>"),
        ("Delivered-To", to),
        ("Received", received),
        ("Authentication-Results", f"{host}; {_RESULTS.format(domain=domain)}"),
        ("DKIM-Signature", f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s=k7; h=from:to:subject; bh=x1=; b=y2="),
        ("From", sender),
        ("To", to),
        ("Subject", subject),
        ("Date", _DATE),
        ("Message-ID", f"<6f1d20ce.7731@{domain}>"),
        *more,
    )
    link = f"https://www.{domain}/go"
    return replace(letter, headers=headers, plain=LINK.sub(link, letter.plain), html=LINK.sub(link, letter.html))


def fresh_company(letter: Letter) -> Letter:
    return _fresh(letter, sender="Palmer and Rowe <office@palmer-and-rowe.net>", subject=letter.get("subject"))


def fresh_person(letter: Letter) -> Letter:
    return _fresh(letter, sender="Ruth Palmer <ruth@palmer-and-rowe.net>", subject=letter.get("subject"))


def fresh_answer(letter: Letter) -> Letter:
    mark = f"<7740.23.lkq@{_recipient_domain(letter)}>"
    more = (("In-Reply-To", mark), ("References", mark), ("User-Agent", "Mozilla Thunderbird"))
    subject = f"Re: {letter.get('subject')}"
    return _fresh(letter, sender="Ruth Palmer <ruth@palmer-and-rowe.net>", subject=subject, more=more)


def person(letter: Letter) -> Letter:
    local, domain = _address(letter)
    return letter.with_header("From", f"Ruth Ellis <{local}@{domain}>").with_header("User-Agent", "Mozilla Thunderbird")


def calm_subject(letter: Letter) -> Letter:
    return letter.with_header("Subject", "Minutes of Thursday's meeting")


def encoded_subject(letter: Letter) -> Letter:
    subject = letter.get("subject")
    if "=?" in subject:
        return letter.with_header("Subject", subject.replace("?=", "?=\n "))
    words = [
        f"=?utf-8?b?{b64encode(part.encode()).decode()}?="
        for part in (subject[at : at + 2] for at in range(0, len(subject), 2))
    ]
    return letter.with_header("Subject", "\n ".join(words) or "=?utf-8?q??=")


def from_oneself(letter: Letter) -> Letter:
    to = letter.get("to").rpartition("<")[2].strip("> \t\n")
    return letter.with_header("From", f"<{to}>") if "@" in to else letter.with_header("From", letter.get("from"))


def many_hops(letter: Letter) -> Letter:
    hops = (("Received", _HOP.format(domain="garden-society.org", n=n)) for n in range(3))
    return replace(letter, headers=(*letter.headers, *hops))


def forged_results(letter: Letter) -> Letter:
    _, domain = _address(letter)
    value = f"i=1; mx.garden-society.org; dkim=pass header.d={domain}; spf=pass smtp.mailfrom={domain}; dmarc=pass"
    return replace(letter, headers=(*letter.headers, ("ARC-Authentication-Results", value)))


HEADING = {
    "header: fake answer": answer,
    "header: mailing list": mailing_list,
    "header: mail service": service,
    "header: aligned domain": aligned,
    "header: all new, a company": fresh_company,
    "header: all new, a person": fresh_person,
    "header: all new, an answer": fresh_answer,
    "header: name of a person": person,
    "header: from the recipient": from_oneself,
    "header: calm subject": calm_subject,
    "header: subject in pieces": encoded_subject,
    "header: invented hops": many_hops,
    "header: invented ARC results": forged_results,
}
