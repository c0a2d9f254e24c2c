# ruff: noqa: E501  # header lines are long strings by nature
"""Header lines: what the sender wrote, and what the receiving server added.

The receiving styles are drawn without a look at the label: a style says where a mailbox lives, not what is in it.
Verdicts that real servers write (spam confidence levels and such) are left out or drawn alike, for the same reason.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from .delivery import fill
from .people import Person
from .relations import Relation, quoted
from .tokens import Weighted, alnum, base64, chance, digits, folded, hexes, letters, public_ip, uuid

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ZONES = ("+0000", "+0000", "-0700", "-0500", "-0400", "+0100", "+0200", "+0900", "+0300", "-0300", "+0800", "+1000")
MAILERS = (
    "PHPMailer 6.1.8 (https://github.com/PHPMailer/PHPMailer)",
    "Microsoft Outlook 16.0",
    "nodemailer (2.3.2)",
    "Apple Mail (2.3445.104.11)",
    "iPhone Mail (17F75)",
    "Zoho Mail",
    "aspNetEmail ver 3.7.0.0",
    "WPMailSMTP/Mailer/smtp 2.2",
    "Microsoft CDO for Windows 2000",
    "Roundcube Webmail/1.3.8",
    "eM Client/8.2",
    "Shopware",
    "Odoo",
    "MagnewsMail",
    "YMail",
    "Thunderbird 91.4",
    "SMF",
    "EC-Messenger",
    "Mailtrain",
    "dotdigital",
)


@dataclass
class Letter:
    """One message on its way: its relation, its times and its names."""

    relation: Relation
    recipient: Person
    arrived: datetime  # UTC
    subject: str
    bulk: bool

    def date(self, zone: str, seconds: int = 0) -> str:
        """The arrival, moved by some seconds, in RFC 5322 form in a zone."""
        sign = -1 if zone[0] == "-" else 1
        when = self.arrived + timedelta(seconds=seconds + sign * 3600 * int(zone[1:3]))
        return (
            f"{DAYS[when.weekday()]}, {when.day} {MONTHS[when.month - 1]} {when.year} "
            f"{when.hour:02}:{when.minute:02}:{when.second:02} {zone}"
        )


def encoded(text: str, limit: int = 42) -> str:
    """A header value as RFC 2047 encoded words where it is not ASCII."""
    if text.isascii():
        return text
    words, chunk = [], b""
    for letter in text:
        piece = letter.encode("utf-8", "replace")
        if len(chunk) + len(piece) > limit:
            words.append(chunk)
            chunk = b""
        chunk += piece
    words.append(chunk)
    return "\r\n ".join(f"=?UTF-8?B?{b64encode(word).decode()}?=" for word in words)


def named(display: str, address: str) -> str:
    """A display name with its address."""
    if not display:
        return address
    return f"{encoded(quoted(display))} <{address}>" if address else encoded(quoted(display))


# ---------------------------------------------------------------- the sender's side


def written(rng: Random, letter: Letter) -> list[str]:
    """The headers that left with the message, in an order as mailers have."""
    relation = letter.relation
    lines = [
        f"Date: {letter.date(rng.choice(ZONES), relation.skew - rng.randrange(0, 9))}",
        f"From: {named(relation.display, relation.sender)}",
        f"Subject: {encoded(letter.subject)}",
        f"Message-{rng.choice(('ID', 'ID', 'Id'))}: <{_message_id(rng)}@{relation.message_id_host}>",
    ]
    if relation.to:
        lines.append(f"To: {_to(relation.to)}")
    if relation.reply_to:
        lines.append(f"Reply-To: {named(relation.display if chance(rng, 0.4) else '', relation.reply_to)}")
    if relation.threaded:
        reference = f"<{_message_id(rng)}@{letter.recipient.domain}>"
        lines += [f"In-Reply-To: {reference}", f"References: {reference}"]
    lines += _bulk_lines(rng, letter) if letter.bulk else _mailer_lines(rng)
    if chance(rng, 0.6):  # most mailers have their own order
        rng.shuffle(lines)
    return _signatures(rng, relation) + lines


def _to(value: str) -> str:
    if value.isascii():
        return value
    name, _, address = value.rpartition(" <")
    return f"{encoded(name)} <{address}"


def _message_id(rng: Random) -> str:
    form = rng.randrange(6)
    if form == 0:
        return uuid(rng)
    if form == 1:
        return hexes(rng, 32)
    if form == 2:
        return f"{digits(rng, 8)}.{digits(rng, 5)}.{digits(rng, 13)}"
    if form == 3:
        return f"010{hexes(rng, 13)}-{uuid(rng)}-000000"
    return alnum(rng, 22) if form == 4 else f"CA{alnum(rng, 18)}_{alnum(rng, 12)}"


def _mailer_lines(rng: Random) -> list[str]:
    return [f"X-Mailer: {rng.choice(MAILERS)}"] if chance(rng, 0.35) else []


def _bulk_lines(rng: Random, letter: Letter) -> list[str]:
    """What lists and delivery services add; the same for whoever rents them."""
    relation = letter.relation
    lines = _mailer_lines(rng)
    if relation.service:
        lines += [fill(rng, line, relation.domain) for line in relation.service.headers]
    if relation.unsubscribe:
        lines += _unsubscribe_lines(rng, letter)
    if chance(rng, 0.25):
        lines.append(
            f"Feedback-ID: {digits(rng, 6)}:{digits(rng, 7)}:{rng.choice(('campaign', 'mail', 'promo'))}:{letters(rng, 5)}"
        )
    if chance(rng, 0.12):
        lines.append("Precedence: bulk")
    if chance(rng, 0.08):
        lines.append("Auto-Submitted: auto-generated")
    if chance(rng, 0.1):
        lines.append(f"X-{letters(rng, 5).title()}-ID: {base64(rng, 12)}")
    return lines


def _unsubscribe_lines(rng: Random, letter: Letter) -> list[str]:
    relation = letter.relation
    link = relation.unsubscribe() if relation.unsubscribe else ""
    mail = f"<mailto:unsubscribe-{hexes(rng, 12)}@{relation.domain}?subject=unsubscribe>"
    lines = ["List-Unsubscribe: " + rng.choice((f"<{link}>", mail, f"{mail}, <{link}>"))]
    if letter.arrived.year >= 2018 and chance(rng, 0.3 if letter.arrived.year < 2024 else 0.75):
        lines.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
    if chance(rng, 0.2):
        lines.append(f"List-ID: <{digits(rng, 6)}.{relation.domain}>")
    return lines


def _signatures(rng: Random, relation: Relation) -> list[str]:
    fields = rng.choice(
        (
            "from:to:subject:date:message-id:mime-version:content-type:list-unsubscribe",
            "Date:From:To:Subject",
            "from:subject:to:content-type:mime-version",
            "From:Reply-To:To:Subject:Date:List-Unsubscribe",
        )
    )
    return [
        f"DKIM-Signature: v=1; a=rsa-sha256; c={rng.choice(('relaxed/relaxed', 'relaxed/simple', 'simple/simple'))};"
        f" d={domain};\r\n\ts={selector}; h={fields};\r\n\tbh={base64(rng, 32)};\r\n\tb={folded(base64(rng, 128))}"
        for domain, selector, _ in relation.signed
    ]


def _inner_hops(rng: Random, letter: Letter) -> list[str]:
    """The sender's own hops, newest first; many hide them."""
    relation = letter.relation
    count = rng.choice((0, 0, 1, 1, 1, 2, 3))
    lines = []
    for hop in range(count):
        when = letter.date(rng.choice(("+0000", "+0200")), -1 - 2 * hop)
        inner = f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        lines.append(
            rng.choice(
                (
                    f"Received: from [{inner}] (unknown [{inner}])\r\n\tby {relation.helo} (Postfix) with ESMTP id {hexes(rng, 10).upper()};\r\n\t{when}",
                    f"Received: by {relation.helo} id {alnum(rng, 12)}; {when} (envelope-from <{relation.envelope}>)",
                    f"Received: from {letters(rng, 8)} ({public_ip(rng)})\r\n\tby {relation.helo} with ESMTPSA id {alnum(rng, 14)};\r\n\t{when}",
                    f"Received: by {letters(rng, 7)}-{digits(rng, 4)} with HTTP id {alnum(rng, 20)}\r\n\t{when}",
                )
            )
        )
    return lines


# ---------------------------------------------------------------- the receiver's side


def _check_dkim(letter: Letter, key: str, rng: Random) -> list[str]:
    signed = letter.relation.signed
    return [
        f"dkim={result} {key}={'@' if key.endswith('.i') else ''}{domain} header.s={selector} header.b={alnum(rng, 8)}"
        for domain, selector, result in signed
    ]


def _gmail(rng: Random, letter: Letter) -> list[str]:
    relation, to = letter.relation, letter.recipient.address
    when = letter.date("-0700", 1)
    envelope, domain = relation.envelope, relation.envelope or relation.helo
    verdict = {"pass": "designates", "none": "best guess record does not designate"}.get(
        relation.spf, "does not designate"
    )
    spf = f"{relation.spf} (google.com: domain of {domain} {verdict} {relation.client_ip} as permitted sender)"
    checks = [*_check_dkim(letter, "header.i", rng), f"spf={spf} smtp.mailfrom={envelope}"]
    if relation.dmarc != "none":
        checks.append(
            f"dmarc={relation.dmarc} (p={relation.policy} sp={relation.policy} dis=NONE) header.from={relation.domain}"
        )
    results = "mx.google.com;\r\n       " + ";\r\n       ".join(checks)
    tail = str(int(letter.arrived.timestamp()))
    v6 = f"2002:a{hexes(rng, 2)}:{hexes(rng, 4)}:0:0:0:0:0"
    lines = [
        f"Delivered-To: {to}",
        f"Received: by {v6} with SMTP id {letters(rng, 1)}{digits(rng, 2)}csp{digits(rng, 7)}{letters(rng, 3)};\r\n        {when}",
        f"X-Google-Smtp-Source: {base64(rng, 54)}",
        f"X-Received: by {v6} with SMTP id {alnum(rng, 12).lower()}.{rng.randrange(400)}.{tail}{digits(rng, 3)};\r\n        {when}",
    ]
    if letter.arrived.year >= 2018:
        lines += [
            f"ARC-Seal: i=1; a=rsa-sha256; t={tail}; cv=none;\r\n        d=google.com; s=arc-20160816;\r\n        b={folded(base64(rng, 128), 64)}",
            f"ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=google.com; s=arc-20160816;\r\n        h=mime-version:subject:message-id:from:date;\r\n        bh={base64(rng, 32)};\r\n        b={folded(base64(rng, 128), 64)}",
            f"ARC-Authentication-Results: i=1; {results}",
        ]
    return [
        *lines,
        f"Return-Path: <{envelope}>",
        f"Received: from {relation.helo} ({relation.helo}. [{relation.client_ip}])\r\n        by mx.google.com with ESMTPS id {alnum(rng, 16).lower()}.{rng.randrange(900)}\r\n        for <{to}>\r\n        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);\r\n        {when}",
        f"Received-SPF: {spf} client-ip={relation.client_ip};",
        f"Authentication-Results: {results}",
    ]


def _exchange_host(rng: Random) -> str:
    return f"{letters(rng, 2).upper()}{rng.randrange(2, 9)}PR{rng.randrange(1, 20):02}MB{digits(rng, 4)}.eurprd{rng.randrange(1, 20):02}.prod.outlook.com"


def _exchange(rng: Random, letter: Letter) -> list[str]:
    relation, when = letter.relation, letter.date("+0000", 1)
    inner, edge = (
        _exchange_host(rng),
        f"{alnum(rng, 9).upper()}.eop-EUR0{rng.randrange(1, 7)}.prod.protection.outlook.com",
    )
    domain = relation.envelope.rpartition("@")[2] or relation.helo
    signed = relation.signed[0] if relation.signed else None  # it names the aligned one
    dkim = (
        f"{signed[2]} ({'signature was verified' if signed[2] == 'pass' else 'body hash did not verify'})\r\n header.d={signed[0]}"
        if signed
        else "none (message not signed)\r\n header.d=none"
    )
    action = "none" if relation.dmarc != "fail" else rng.choice(("none", "oreject", "quarantine"))
    dmarc = "bestguesspass" if relation.dmarc == "none" and relation.spf == "pass" else relation.dmarc
    word = {"pass": "Pass", "fail": "Fail", "softfail": "SoftFail", "none": "None", "neutral": "Neutral"}.get(
        relation.spf, "TempError"
    )
    lines = [
        f"Received: from {inner} (::1) by\r\n {_exchange_host(rng)} with HTTPS; {when}",
        f"Received: from {edge}\r\n (2603:10a6:20b:{hexes(rng, 3)}:cafe::{hexes(rng, 2)}) by {inner}\r\n (2603:10a6:20b:{hexes(rng, 3)}::13) with Microsoft SMTP Server (version=TLS1_2,\r\n cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.20.{digits(rng, 4)}.{rng.randrange(40)} via Frontend\r\n Transport; {when}",
        f"Authentication-Results: spf={relation.spf} (sender IP is {relation.client_ip})\r\n smtp.mailfrom={domain}; dkim={dkim};dmarc={dmarc} action={action}\r\n header.from={relation.domain};compauth={'pass' if dmarc != 'fail' else 'fail'} reason={rng.choice(('100', '109', '101', '000', '001'))}",
        f"Received-SPF: {word} (protection.outlook.com: domain of {domain} {'designates' if word == 'Pass' else 'does not designate'}\r\n {relation.client_ip} as permitted sender) receiver=protection.outlook.com;\r\n client-ip={relation.client_ip}; helo={relation.helo};",
        f"Received: from {relation.helo} ({relation.client_ip}) by\r\n {edge} (10.152.{rng.randrange(30)}.{rng.randrange(255)}) with Microsoft SMTP\r\n Server (version=TLS1_2, cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id\r\n 15.20.{digits(rng, 4)}.23 via Frontend Transport; {when}",
        f"Return-Path: {relation.envelope}",
        f"X-MS-Exchange-Organization-Network-Message-Id:\r\n {uuid(rng)}",
        "X-EOPAttributedMessage: 0",
        "X-MS-Exchange-Organization-MessageDirectionality: Incoming",
        "X-MS-PublicTrafficType: Email",
        f"X-MS-Exchange-Organization-AuthSource:\r\n {edge}",
        "X-MS-Exchange-Organization-AuthAs: Anonymous",
        f"X-Sender-IP: {relation.client_ip}",
        f"X-SID-PRA: {relation.sender.upper()}",
        f"X-Microsoft-Antispam: BCL:{rng.randrange(8)};",
        f"X-IncomingHeaderCount: {rng.randrange(8, 40)}",
        f"X-MS-Exchange-CrossTenant-Network-Message-Id: {uuid(rng)}",
        "X-MS-Exchange-CrossTenant-FromEntityHeader: Internet",
        f"X-MS-Exchange-Transport-CrossTenantHeadersStamped: {inner.split('.')[0]}",
    ]
    return lines if chance(rng, 0.7) else lines[:6]


def _own_host(rng: Random, letter: Letter) -> str:
    return rng.choice(("mx", "mail", "mx1", "mail2", "srv", "post")) + "." + letter.recipient.domain


def _postfix_received(rng: Random, letter: Letter, host: str) -> list[str]:
    relation, when = letter.relation, letter.date("+0200", 1)
    return [
        f"Received: from {relation.helo} ({relation.helo if chance(rng, 0.85) else 'unknown'} [{relation.client_ip}])\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n\tby {host} (Postfix) with ESMTPS id {hexes(rng, 10).upper()}\r\n\tfor <{letter.recipient.address}>; {when}"
    ]


def _postfix(rng: Random, letter: Letter) -> list[str]:
    """Postfix with OpenDKIM and friends: one results line for each check."""
    relation, host = letter.relation, _own_host(rng, letter)
    results = [f"Authentication-Results: {host}; {check}" for check in _check_dkim(letter, "header.d", rng)]
    if chance(rng, 0.8):
        results.append(
            f"Authentication-Results: {host}; dmarc={relation.dmarc} (p={relation.policy.lower()} dis=none) header.from={relation.domain}"
        )
    results.append(
        f"Received-SPF: {relation.spf.capitalize()} (mailfrom) identity=mailfrom; client-ip={relation.client_ip};\r\n\thelo={relation.helo}; envelope-from={relation.envelope}; receiver={letter.recipient.address}"
    )
    filtered = (
        [f"DKIM-Filter: OpenDKIM Filter v2.11.0 {host} {hexes(rng, 10).upper()}"]
        if relation.signed and chance(rng, 0.6)
        else []
    )
    return [
        f"Return-Path: <{relation.envelope}>",
        f"{rng.choice(('X-Original-To', 'Delivered-To'))}: {letter.recipient.address}",
        *filtered,
        *results,
        *_postfix_received(rng, letter, host),
    ]


def _rspamd(rng: Random, letter: Letter) -> list[str]:
    """Postfix with rspamd behind Dovecot: one folded results line."""
    relation, host = letter.relation, _own_host(rng, letter)
    checks = _check_dkim(letter, "header.d", rng) or ["dkim=none"]
    checks += [
        f"spf={relation.spf} ({host}: domain of {relation.envelope} {'designates' if relation.spf == 'pass' else 'does not designate'} {relation.client_ip} as permitted sender) smtp.mailfrom={relation.envelope}",
        f"dmarc={relation.dmarc} (policy={relation.policy.lower()}) header.from={relation.domain}",
    ]
    return [
        f"Return-Path: <{relation.envelope}>",
        f"Delivered-To: {letter.recipient.address}",
        f"Received: from {host}\r\n\tby {host} with LMTP\r\n\tid {alnum(rng, 16)}/{alnum(rng, 5)}\r\n\t(envelope-from <{relation.envelope}>)\r\n\tfor <{letter.recipient.address}>; {letter.date('+0200', 2)}",
        *_postfix_received(rng, letter, host),
        f"Authentication-Results: {host};\r\n\t" + ";\r\n\t".join(checks),
    ]


def _exim(rng: Random, letter: Letter) -> list[str]:
    """A hosting company's Exim, which writes no results."""
    relation, host = letter.relation, _own_host(rng, letter)
    return [
        f"Return-path: <{relation.envelope}>",
        f"Envelope-to: {letter.recipient.address}",
        f"Delivery-date: {letter.date('+0100', 2)}",
        f"Received: from {relation.helo} ([{relation.client_ip}])\r\n\tby {host} with esmtps (TLS1.2) tls TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\r\n\t(Exim 4.9{rng.randrange(2, 8)})\r\n\t(envelope-from <{relation.envelope}>)\r\n\tid 1{alnum(rng, 5)}-{alnum(rng, 6)}-{alnum(rng, 2)}\r\n\tfor {letter.recipient.address}; {letter.date('+0100', 1)}",
    ]


def _provider(rng: Random, letter: Letter) -> list[str]:
    """A large national provider: results in one line, and its own marks."""
    relation, host = letter.relation, f"mx{rng.randrange(1, 90)}.{letter.recipient.domain}"
    checks = [
        f"spf={relation.spf} smtp.mailfrom={relation.envelope or relation.helo}",
        *_check_dkim(letter, "header.d", rng),
    ]
    if relation.dmarc != "none":
        checks.append(f"dmarc={relation.dmarc}(p={relation.policy.lower()}) header.from={relation.domain}")
    return [
        f"Return-Path: <{relation.envelope}>",
        f"Authentication-Results: {host}; " + "; ".join(checks),
        f"Received: from {relation.helo} ([{relation.client_ip}]) by {host}\r\n with ESMTPS (Nemesis) id 1{alnum(rng, 5)}-{alnum(rng, 6)}-00 for <{letter.recipient.address}>;\r\n {letter.date('+0200', 1)}",
        f"X-UI-Filterresults: unknown:2;V03:K0:{base64(rng, 40)}",
    ]


def _bare(rng: Random, letter: Letter) -> list[str]:
    """Next to nothing: mail exported by a program that drops the trace."""
    return [f"Return-Path: <{letter.relation.envelope}>"] if chance(rng, 0.6) else []


STYLES: dict[str, Callable[[Random, Letter], list[str]]] = {
    "gmail": _gmail,
    "exchange": _exchange,
    "postfix": _postfix,
    "rspamd": _rspamd,
    "exim": _exim,
    "provider": _provider,
    "bare": _bare,
}
_STYLE = Weighted(
    {"gmail": 28.0, "exchange": 24.0, "postfix": 15.0, "rspamd": 14.0, "exim": 7.0, "provider": 8.0, "bare": 4.0}
)


def draw_style(rng: Random) -> str:
    """The name of a receiving server's style."""
    return _STYLE.draw(rng)


def stored(rng: Random, letter: Letter, style: str) -> list[str]:
    """All header lines of a message as the receiving server stored it, but for the MIME ones."""
    hops = [] if style == "bare" else _inner_hops(rng, letter)
    return STYLES[style](rng, letter) + hops + written(rng, letter)
