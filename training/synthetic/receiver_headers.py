# ruff: noqa: E501  # header lines are long strings by nature
"""The header lines that the receiving server adds.

The style of the server is drawn independently of the label: it shows where a mailbox is, not what is in it. For the
same reason, the verdicts of real servers (spam confidence levels and such) are left out or drawn alike for both labels.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from .headers import Letter
from .sender_headers import inner_hops, sent_headers
from .tokens import Weighted, alnum, base64, chance, digits, folded, hexes, letters, public_ip, uuid


def _check_dkim(letter: Letter, key: str, rng: Random) -> list[str]:
    signed = letter.alignment.signed
    return [
        f"dkim={result} {key}={'@' if key.endswith('.i') else ''}{domain} header.s={selector} header.b={alnum(rng, 8)}"
        for domain, selector, result in signed
    ]


def _gmail(rng: Random, letter: Letter) -> list[str]:
    alignment, to = letter.alignment, letter.recipient.address
    when = letter.date("-0700", 1)
    envelope, domain = alignment.envelope, alignment.envelope or alignment.helo
    verdict = {"pass": "designates", "none": "best guess record does not designate"}.get(
        alignment.spf, "does not designate"
    )
    spf = f"{alignment.spf} (google.com: domain of {domain} {verdict} {alignment.client_ip} as permitted sender)"
    checks = [*_check_dkim(letter, "header.i", rng), f"spf={spf} smtp.mailfrom={envelope}"]
    if alignment.dmarc != "none":
        checks.append(
            f"dmarc={alignment.dmarc} (p={alignment.policy} sp={alignment.policy} dis=NONE) header.from={alignment.domain}"
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
        f"Received: from {alignment.helo} ({alignment.helo}. [{alignment.client_ip}])\r\n        by mx.google.com with ESMTPS id {alnum(rng, 16).lower()}.{rng.randrange(900)}\r\n        for <{to}>\r\n        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);\r\n        {when}",
        f"Received-SPF: {spf} client-ip={alignment.client_ip};",
        f"Authentication-Results: {results}",
    ]


def _exchange_host(rng: Random) -> str:
    return f"{letters(rng, 2).upper()}{rng.randrange(2, 9)}PR{rng.randrange(1, 20):02}MB{digits(rng, 4)}.eurprd{rng.randrange(1, 20):02}.prod.outlook.com"


def _exchange(rng: Random, letter: Letter) -> list[str]:
    alignment, when = letter.alignment, letter.date("+0000", 1)
    inner, edge = (
        _exchange_host(rng),
        f"{alnum(rng, 9).upper()}.eop-EUR0{rng.randrange(1, 7)}.prod.protection.outlook.com",
    )
    domain = alignment.envelope.rpartition("@")[2] or alignment.helo
    signed = alignment.signed[0] if alignment.signed else None  # Exchange names the aligned signature
    dkim = (
        f"{signed[2]} ({'signature was verified' if signed[2] == 'pass' else 'body hash did not verify'})\r\n header.d={signed[0]}"
        if signed
        else "none (message not signed)\r\n header.d=none"
    )
    action = "none" if alignment.dmarc != "fail" else rng.choice(("none", "oreject", "quarantine"))
    dmarc = "bestguesspass" if alignment.dmarc == "none" and alignment.spf == "pass" else alignment.dmarc
    word = {"pass": "Pass", "fail": "Fail", "softfail": "SoftFail", "none": "None", "neutral": "Neutral"}.get(
        alignment.spf, "TempError"
    )
    lines = [
        f"Received: from {inner} (::1) by\r\n {_exchange_host(rng)} with HTTPS; {when}",
        f"Received: from {edge}\r\n (2603:10a6:20b:{hexes(rng, 3)}:cafe::{hexes(rng, 2)}) by {inner}\r\n (2603:10a6:20b:{hexes(rng, 3)}::13) with Microsoft SMTP Server (version=TLS1_2,\r\n cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.20.{digits(rng, 4)}.{rng.randrange(40)} via Frontend\r\n Transport; {when}",
        f"Authentication-Results: spf={alignment.spf} (sender IP is {alignment.client_ip})\r\n smtp.mailfrom={domain}; dkim={dkim};dmarc={dmarc} action={action}\r\n header.from={alignment.domain};compauth={'pass' if dmarc != 'fail' else 'fail'} reason={rng.choice(('100', '109', '101', '000', '001'))}",
        f"Received-SPF: {word} (protection.outlook.com: domain of {domain} {'designates' if word == 'Pass' else 'does not designate'}\r\n {alignment.client_ip} as permitted sender) receiver=protection.outlook.com;\r\n client-ip={alignment.client_ip}; helo={alignment.helo};",
        f"Received: from {alignment.helo} ({alignment.client_ip}) by\r\n {edge} (10.152.{rng.randrange(30)}.{rng.randrange(255)}) with Microsoft SMTP\r\n Server (version=TLS1_2, cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id\r\n 15.20.{digits(rng, 4)}.23 via Frontend Transport; {when}",
        f"Return-Path: {alignment.envelope}",
        f"X-MS-Exchange-Organization-Network-Message-Id:\r\n {uuid(rng)}",
        "X-EOPAttributedMessage: 0",
        "X-MS-Exchange-Organization-MessageDirectionality: Incoming",
        "X-MS-PublicTrafficType: Email",
        f"X-MS-Exchange-Organization-AuthSource:\r\n {edge}",
        "X-MS-Exchange-Organization-AuthAs: Anonymous",
        f"X-Sender-IP: {alignment.client_ip}",
        f"X-SID-PRA: {alignment.sender.upper()}",
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
    alignment, when = letter.alignment, letter.date("+0200", 1)
    return [
        f"Received: from {alignment.helo} ({alignment.helo if chance(rng, 0.85) else 'unknown'} [{alignment.client_ip}])\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n\tby {host} (Postfix) with ESMTPS id {hexes(rng, 10).upper()}\r\n\tfor <{letter.recipient.address}>; {when}"
    ]


def _postfix(rng: Random, letter: Letter) -> list[str]:
    """Postfix with OpenDKIM: one Authentication-Results line for each check."""
    alignment, host = letter.alignment, _own_host(rng, letter)
    results = [f"Authentication-Results: {host}; {check}" for check in _check_dkim(letter, "header.d", rng)]
    if chance(rng, 0.8):
        results.append(
            f"Authentication-Results: {host}; dmarc={alignment.dmarc} (p={alignment.policy.lower()} dis=none) header.from={alignment.domain}"
        )
    results.append(
        f"Received-SPF: {alignment.spf.capitalize()} (mailfrom) identity=mailfrom; client-ip={alignment.client_ip};\r\n\thelo={alignment.helo}; envelope-from={alignment.envelope}; receiver={letter.recipient.address}"
    )
    filtered = (
        [f"DKIM-Filter: OpenDKIM Filter v2.11.0 {host} {hexes(rng, 10).upper()}"]
        if alignment.signed and chance(rng, 0.6)
        else []
    )
    return [
        f"Return-Path: <{alignment.envelope}>",
        f"{rng.choice(('X-Original-To', 'Delivered-To'))}: {letter.recipient.address}",
        *filtered,
        *results,
        *_postfix_received(rng, letter, host),
    ]


def _rspamd(rng: Random, letter: Letter) -> list[str]:
    """Postfix with rspamd and Dovecot: one folded Authentication-Results line."""
    alignment, host = letter.alignment, _own_host(rng, letter)
    checks = _check_dkim(letter, "header.d", rng) or ["dkim=none"]
    checks += [
        f"spf={alignment.spf} ({host}: domain of {alignment.envelope} {'designates' if alignment.spf == 'pass' else 'does not designate'} {alignment.client_ip} as permitted sender) smtp.mailfrom={alignment.envelope}",
        f"dmarc={alignment.dmarc} (policy={alignment.policy.lower()}) header.from={alignment.domain}",
    ]
    return [
        f"Return-Path: <{alignment.envelope}>",
        f"Delivered-To: {letter.recipient.address}",
        f"Received: from {host}\r\n\tby {host} with LMTP\r\n\tid {alnum(rng, 16)}/{alnum(rng, 5)}\r\n\t(envelope-from <{alignment.envelope}>)\r\n\tfor <{letter.recipient.address}>; {letter.date('+0200', 2)}",
        *_postfix_received(rng, letter, host),
        f"Authentication-Results: {host};\r\n\t" + ";\r\n\t".join(checks),
    ]


def _exim(rng: Random, letter: Letter) -> list[str]:
    """Exim of a hosting company, without Authentication-Results."""
    alignment, host = letter.alignment, _own_host(rng, letter)
    port = f":{rng.randrange(1024, 65536)}" if chance(rng, 0.3) else ""
    greeting = f" helo={alignment.helo}" if chance(rng, 0.3) else ""
    client = f"{alignment.helo} ([{alignment.client_ip}]{port}{greeting})"
    if chance(rng, 0.15):  # without a confirmed name
        client = f"[{alignment.client_ip}] ({f'port={port[1:]} ' if port else ''}helo={alignment.helo})"
    return [
        f"Return-path: <{alignment.envelope}>",
        f"Envelope-to: {letter.recipient.address}",
        f"Delivery-date: {letter.date('+0100', 2)}",
        f"Received: from {client}\r\n\tby {host} with esmtps (TLS1.2) tls TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\r\n\t(Exim 4.9{rng.randrange(2, 8)})\r\n\t(envelope-from <{alignment.envelope}>)\r\n\tid 1{alnum(rng, 5)}-{alnum(rng, 6)}-{alnum(rng, 2)}\r\n\tfor {letter.recipient.address}; {letter.date('+0100', 1)}",
    ]


def _provider(rng: Random, letter: Letter) -> list[str]:
    """A large national provider: all results in one line, and headers of its own."""
    alignment, host = letter.alignment, f"mx{rng.randrange(1, 90)}.{letter.recipient.domain}"
    checks = [
        f"spf={alignment.spf} smtp.mailfrom={alignment.envelope or alignment.helo}",
        *_check_dkim(letter, "header.d", rng),
    ]
    if alignment.dmarc != "none":
        checks.append(f"dmarc={alignment.dmarc}(p={alignment.policy.lower()}) header.from={alignment.domain}")
    return [
        f"Return-Path: <{alignment.envelope}>",
        f"Authentication-Results: {host}; " + "; ".join(checks),
        f"Received: from {alignment.helo} ([{alignment.client_ip}]) by {host}\r\n with ESMTPS (Nemesis) id 1{alnum(rng, 5)}-{alnum(rng, 6)}-00 for <{letter.recipient.address}>;\r\n {letter.date('+0200', 1)}",
        f"X-UI-Filterresults: unknown:2;V03:K0:{base64(rng, 40)}",
    ]


def _bare(rng: Random, letter: Letter) -> list[str]:
    """Hardly any trace, as in mail exported by a mail program."""
    return [f"Return-Path: <{letter.alignment.envelope}>"] if chance(rng, 0.6) else []


def _plain(rng: Random, letter: Letter) -> list[str]:
    """A small server that checks nothing, or whose results its user does not see."""
    host = _own_host(rng, letter)
    lines = [f"Return-Path: <{letter.alignment.envelope}>"] if chance(rng, 0.7) else []
    inner = f"Received: from {host} (localhost [127.0.0.1])\r\n\tby {host} (Postfix) with ESMTP id {hexes(rng, 9).upper()};\r\n\t{letter.date('+0200', 2)}"
    return [*lines, *([inner] if chance(rng, 0.4) else []), *_postfix_received(rng, letter, host)]


def _fetched(rng: Random, letter: Letter) -> list[str]:
    """A mailbox at a provider from which fetchmail or getmail takes the mail to a machine at home."""
    machine = rng.choice(("localhost", f"home.{letter.recipient.domain}", "nas.lan", "raspberrypi.lan"))
    when, provider = letter.date("+0200", 300), f"{rng.choice(('pop', 'imap', 'mail'))}.{letter.recipient.domain}"
    fetched = f"Received: from {provider} [{public_ip(rng)}]\r\n\tby {machine} with {rng.choice(('IMAP', 'POP3'))} (fetchmail-6.4.{rng.randrange(16, 39)})\r\n\tfor <{letters(rng, 5)}@localhost> (single-drop); {when}"
    local = f"Received: from {machine} (localhost [127.0.0.1])\r\n\tby {machine} (Postfix) with ESMTP id {hexes(rng, 8).upper()}\r\n\tfor <{letters(rng, 5)}@localhost>; {when}"
    return [*([local] if chance(rng, 0.6) else []), fetched, *rng.choice((_provider, _rspamd, _exim))(rng, letter)]


STYLES: dict[str, Callable[[Random, Letter], list[str]]] = {
    "gmail": _gmail,
    "exchange": _exchange,
    "postfix": _postfix,
    "rspamd": _rspamd,
    "exim": _exim,
    "provider": _provider,
    "bare": _bare,
    "plain": _plain,
    "fetched": _fetched,
}
_STYLE = Weighted(
    {
        "gmail": 28.0,
        "exchange": 24.0,
        "postfix": 15.0,
        "rspamd": 14.0,
        "exim": 7.0,
        "provider": 8.0,
        "bare": 4.0,
        "plain": 6.0,
        "fetched": 5.0,
    }
)


def draw_style(rng: Random) -> str:
    """Draw the name of a receiving server's style."""
    return _STYLE.draw(rng)


def as_stored(rng: Random, letter: Letter, style: str) -> list[str]:
    """Return all header lines of a message as the receiving server stores it, except the MIME headers."""
    hops = [] if style == "bare" else inner_hops(rng, letter)
    return STYLES[style](rng, letter) + hops + sent_headers(rng, letter)
