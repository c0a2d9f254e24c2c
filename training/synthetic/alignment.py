"""Alignment: who a message claims to be from, who really sends it, and where it leads. Here ham and spam differ.

This module has what both labels share; `ham_alignment` and `spam_alignment` draw the values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from .delivery import Service, fill
from .links import Link
from .organisations import Organisation
from .people import person, slug
from .texts import Language
from .tokens import chance, public_ip

MAILBOXES = """
info noreply no-reply service news newsletter hello contact mail support notifications notification team
donotreply kontakt account updates shop orders office admin do-not-reply marketing offers email customer.service
billing
""".split()

SELECTORS = """
s1 s2 k1 default mail dkim selector1 google 20210112 mandrill scph0220 cm 200608 ses key1 pm zoho dk1024 sig1 fm1
mxvault
""".split()


@dataclass
class Alignment:
    """All names, addresses, hosts and authentication results of one message."""

    display: str
    sender: str
    envelope: str
    message_id_host: str
    helo: str
    client_ip: str
    cta: Link
    other: Link
    images: str
    to: str
    signed: list[tuple[str, str, str]] = field(default_factory=list)  # (domain, selector, result)
    spf: str = "pass"
    dmarc: str = "pass"
    policy: str = "NONE"
    reply_to: str = ""
    unsubscribe: Link | None = None
    service: Service | None = None
    extra: list[str] = field(default_factory=list)
    footer_host: str = ""
    skew: int = 0  # seconds by which Date differs from arrival
    threaded: bool = False
    case: str = ""

    @property
    def domain(self) -> str:
        """The domain of the From address."""
        return self.sender.rpartition("@")[2]


def quoted(name: str) -> str:
    """Return a display name, quoted where RFC 5322 requires it."""
    return f'"{name}"' if any(mark in name for mark in '.,@()<>:;"&+') and name.isascii() else name


def mailbox_of(rng: Random, org: Organisation) -> str:
    """Draw the local part of an organisation's From: address."""
    return rng.choice(MAILBOXES) if chance(rng, 0.85) else slug(org.name)[:12] or "info"


def display_of(rng: Random, org: Organisation, language: Language) -> str:
    """Draw the display name in an organisation's From:."""
    draw = rng.random()
    if draw < 0.72:
        return org.name
    if draw < 0.82:
        return f"{person(rng, language).first} {rng.choice(('@', '|', '–', 'from', '-'))} {org.name}"
    if draw < 0.95:
        return f"{org.name} {rng.choice(('Newsletter', 'Service', 'Team', 'Support', 'Online', 'News', 'Shop', '❤️'))}"
    return "" if draw < 0.97 else org.domain


def message_id_host_of(rng: Random, service: Service | None, domain: str) -> str:
    """Draw the host of the Message-ID, of a service or of the sender's own domain."""
    if service is None or chance(rng, 0.6):
        return rng.choice((domain, domain, "mail." + domain, f"app{rng.randrange(20)}.{domain}", f"smtp.{domain}"))
    return rng.choice(
        (
            "email.amazonses.com",
            fill(rng, service.helo, domain),
            fill(rng, service.dkim, domain),
            f"geopod-ismtpd-{rng.randrange(40)}",
            f"las1s{rng.randrange(10):02}mta{rng.randrange(1000, 2000)}.xt.local",
            f"ip-10-0-{rng.randrange(9)}-{rng.randrange(256)}.ec2.internal",
        )
    )


def helo_of(rng: Random, service: Service | None, domain: str) -> str:
    """Draw the HELO name of the sending host."""
    if service:
        return fill(rng, service.helo, domain)
    return rng.choice(("mail.", "smtp.", "mx1.", "mta3.", "out2.", "mailout.", "web01.", "")) + domain


def address_of(rng: Random, service: Service | None) -> str:
    """Draw the IP address of the sending host."""
    if service is None:
        return public_ip(rng)
    return f"{service.address}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
