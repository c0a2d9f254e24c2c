# ruff: noqa: E501  # header lines are long strings by nature
"""The header lines that the sending system writes: a program, a mail service, or a person's mail program."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from ..delivery import fill
from ..headers import Letter, encoded, named
from ..receiver_headers import STYLES
from ..sender_headers import ZONES, inner_hops, signature_lines, unsubscribe_lines
from ..tokens import alnum, base64, chance, digits, hexes, letters, uuid
from .routes import Route

PROGRAMS = (
    "", "", "", "", "PHPMailer 6.9.1 (https://github.com/PHPMailer/PHPMailer)", "PHPMailer 6.6.0 (https://github.com/PHPMailer/PHPMailer)",
    "Nodemailer", "Odoo", "MailKit", "Drupal", "WPMailSMTP/Mailer/smtp 3.8.2", "Zend_Mail", "Sympa 6.2.70",
)  # fmt: skip
MAIL_PROGRAMS = (
    "", "", "", "", "Microsoft Outlook 16.0", "Apple Mail (2.3774.500.171.1.1)", "iPhone Mail (21F90)", "iPhone Mail (22B83)",
    "Zoho Mail", "Evolution 3.50.3", "eM Client/9.2.2157.0", "K-9 Mail for Android", "Roundcube Webmail/1.6.6",
)  # fmt: skip
_USER_AGENTS = (
    "Mozilla Thunderbird",
    "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.11.0",
    "Roundcube Webmail/1.6.5",
)


def header_lines(rng: Random, letter: Letter, route: Route, style: str, more: Sequence[str]) -> list[str]:
    """Return all header lines of a message as a receiving server of `style` stores it, except the MIME headers.

    `more` are further lines of the sender.
    """
    hops = [] if style == "bare" else inner_hops(rng, letter)
    return [*STYLES[style](rng, letter), *hops, *signature_lines(rng, route), *_sent(rng, letter, route), *more]


def _sent(rng: Random, letter: Letter, route: Route) -> list[str]:
    lines = [
        f"Date: {letter.date(rng.choice(ZONES), route.skew - rng.randrange(0, 9))}",
        f"From: {named(route.display, route.sender)}",
        f"Subject: {encoded(letter.subject)}",
        f"Message-ID: <{_message_id(rng, route)}@{route.message_id_host}>",
    ]
    if route.to:
        name, mark, address = route.to.rpartition(" <")
        lines.append(f"To: {encoded(name)}{mark}{address}")
    if route.reply_to:
        lines.append(f"Reply-To: {named(route.display if chance(rng, 0.4) else '', route.reply_to)}")
    if route.threaded:
        reference = f"<{alnum(rng, 20)}@{letter.recipient.domain}>"
        lines += [f"In-Reply-To: {reference}", f"References: {reference}"]
    if route.system == "machine":
        lines += ["Auto-Submitted: auto-generated"] if chance(rng, 0.6) else []
    elif route.system == "mailbox":
        lines += _person_lines(rng)
    else:
        lines += _automatic_lines(rng, letter, route)
    if chance(rng, 0.6):  # systems have their own order of headers
        rng.shuffle(lines)
    return lines


def _message_id(rng: Random, route: Route) -> str:
    if route.message_id_host == "mail.gmail.com":
        return f"CA{alnum(rng, 8)}+{alnum(rng, 12)}={alnum(rng, 10)}"
    if route.message_id_host.endswith("amazonses.com"):
        return f"010{hexes(rng, 13)}-{uuid(rng)}-000000"
    return rng.choice(
        (
            uuid(rng),
            hexes(rng, 32),
            alnum(rng, 22),
            f"{digits(rng, 8)}.{digits(rng, 5)}.{digits(rng, 13)}",
            f"{digits(rng, 14)}.{hexes(rng, 8).upper()}",
        )
    )


def _person_lines(rng: Random) -> list[str]:
    if chance(rng, 0.15):
        return [f"User-Agent: {rng.choice(_USER_AGENTS)}"]
    program = rng.choice(MAIL_PROGRAMS)
    lines = [f"X-Mailer: {program}"] if program else []
    if program.startswith("Microsoft"):
        lines += [f"Thread-Index: {base64(rng, 22)}", "Content-Language: en-us"]
    return lines


def _automatic_lines(rng: Random, letter: Letter, route: Route) -> list[str]:
    lines = []
    if route.service:
        lines += [fill(rng, line, route.domain) for line in route.service.headers]
    elif program := rng.choice(PROGRAMS):
        lines.append(f"X-Mailer: {program}")
    if route.unsubscribe and chance(rng, 0.65 if route.service else 0.3):
        lines += unsubscribe_lines(rng, letter)
    if route.service and chance(rng, 0.4) and not any(line.startswith("Feedback-ID") for line in lines):
        lines.append(
            f"Feedback-ID: {digits(rng, 6)}:{digits(rng, 7)}:{rng.choice(('campaign', 'transactional', 'mail'))}:{letters(rng, 5)}"
        )
    if chance(rng, 0.2):
        lines.append("Auto-Submitted: auto-generated")
    if chance(rng, 0.12):
        lines.append("X-Auto-Response-Suppress: All")
    if chance(rng, 0.08):
        lines.append("Precedence: bulk")
    return lines
