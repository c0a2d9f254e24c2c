# ruff: noqa: E501  # header lines are long strings by nature
"""The header lines that the sender's side writes."""

from __future__ import annotations

from random import Random

from .alignment import Alignment
from .delivery import fill
from .headers import Letter, encoded, named
from .tokens import alnum, base64, chance, digits, folded, hexes, letters, public_ip, uuid

ZONES = ("+0000", "+0000", "-0700", "-0500", "-0400", "+0100", "+0200", "+0900", "+0300", "-0300", "+0800", "+1000")
MAILERS = (
    "PHPMailer 6.1.8 (https://github.com/PHPMailer/PHPMailer)", "Microsoft Outlook 16.0", "nodemailer (2.3.2)",
    "Apple Mail (2.3445.104.11)", "iPhone Mail (17F75)", "Zoho Mail", "aspNetEmail ver 3.7.0.0",
    "WPMailSMTP/Mailer/smtp 2.2", "Microsoft CDO for Windows 2000", "Roundcube Webmail/1.3.8", "eM Client/8.2",
    "Shopware", "Odoo", "MagnewsMail", "YMail", "Thunderbird 91.4", "SMF", "EC-Messenger", "Mailtrain", "dotdigital",
)  # fmt: skip


def sent_headers(rng: Random, letter: Letter) -> list[str]:
    """Return the headers that are sent with the message, in the order of some mailer."""
    alignment = letter.alignment
    lines = [
        f"Date: {letter.date(rng.choice(ZONES), alignment.skew - rng.randrange(0, 9))}",
        f"From: {named(alignment.display, alignment.sender)}",
        f"Subject: {encoded(letter.subject)}",
        f"Message-{rng.choice(('ID', 'ID', 'Id'))}: <{_message_id(rng)}@{alignment.message_id_host}>",
    ]
    if alignment.to:
        lines.append(f"To: {_to(alignment.to)}")
    if alignment.reply_to:
        lines.append(f"Reply-To: {named(alignment.display if chance(rng, 0.4) else '', alignment.reply_to)}")
    if alignment.threaded:
        reference = f"<{_message_id(rng)}@{letter.recipient.domain}>"
        lines += [f"In-Reply-To: {reference}", f"References: {reference}"]
    lines += _bulk_lines(rng, letter) if letter.bulk else _mailer_lines(rng)
    if chance(rng, 0.6):  # many mailers have an order of their own
        rng.shuffle(lines)
    return signature_lines(rng, alignment) + lines


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
    """Return the headers that mailing lists and delivery services add, for either label."""
    alignment = letter.alignment
    lines = _mailer_lines(rng)
    if alignment.service:
        lines += [fill(rng, line, alignment.domain) for line in alignment.service.headers]
    if alignment.unsubscribe:
        lines += unsubscribe_lines(rng, letter)
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


def unsubscribe_lines(rng: Random, letter: Letter) -> list[str]:
    """Return List-Unsubscribe and, depending on the year, its one-click form (RFC 8058), and in some cases List-Id."""
    alignment = letter.alignment
    link = f"<{alignment.unsubscribe() if alignment.unsubscribe else ''}>"
    mail = f"<mailto:unsubscribe-{hexes(rng, 12)}@{alignment.domain}?subject=unsubscribe>"
    lines = ["List-Unsubscribe: " + rng.choice((link, link, mail, f"{mail}, {link}", f"{link},\r\n {mail}"))]
    year = letter.arrived.year
    if year >= 2018 and chance(rng, 0.35 if year < 2024 else 0.8):
        lines.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
    if chance(rng, 0.2):
        lines.append(f"List-ID: <{digits(rng, 6)}.{alignment.domain}>")
    return lines


def signature_lines(rng: Random, alignment: Alignment) -> list[str]:
    """Return a DKIM signature for each domain that signs."""
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
        for domain, selector, _ in alignment.signed
    ]


def inner_hops(rng: Random, letter: Letter) -> list[str]:
    """Return the Received lines of the sender's network, newest first; many senders have none."""
    alignment = letter.alignment
    count = rng.choice((0, 0, 1, 1, 1, 2, 3))
    lines = []
    for hop in range(count):
        when = letter.date(rng.choice(("+0000", "+0200")), -1 - 2 * hop)
        inner = f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        lines.append(
            rng.choice(
                (
                    f"Received: from [{inner}] (unknown [{inner}])\r\n\tby {alignment.helo} (Postfix) with ESMTP id {hexes(rng, 10).upper()};\r\n\t{when}",
                    f"Received: by {alignment.helo} id {alnum(rng, 12)}; {when} (envelope-from <{alignment.envelope}>)",
                    f"Received: from {letters(rng, 8)} ({public_ip(rng)})\r\n\tby {alignment.helo} with ESMTPSA id {alnum(rng, 14)};\r\n\t{when}",
                    f"Received: by {letters(rng, 7)}-{digits(rng, 4)} with HTTP id {alnum(rng, 20)}\r\n\t{when}",
                )
            )
        )
    return lines
