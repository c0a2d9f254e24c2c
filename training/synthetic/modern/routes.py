"""Routes: who a message claims to be from, which system sends it, and where its links lead.

Every route is built by `build_route` for the domain that really sends. The routes of `false_routes` then claim another
organisation or lead elsewhere. So both classes have the same systems, header fashions,
recipients and dates, and only relations tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from ..alignment import MAILBOXES, SELECTORS, Alignment, address_of, helo_of, message_id_host_of, quoted
from ..delivery import SERVICES, fill
from ..links import FREE_HOSTS, SHORTENERS, Link, click_link, own_link, tracked_link
from ..organisations import Organisation, coin
from ..people import FREEMAIL, Person, slug
from ..tokens import Weighted, alnum, chance, digits, letters, public_ip
from .locales import Locale, draw_domain

_FORMS = ("docs.google.com/forms/d/e", "forms.office.com/r", "drive.google.com/file/d")
HONEST = Weighted({"own": 71, "platform": 9, "small": 7, "mailbox": 7, "forwarded": 4, "relayed": 2})
_ALIASES = ("simplelogin.co", "mozmail.com", "duck.com", "privaterelay.appleid.com", "anonaddy.me", "passmail.net")
_MARKETS = {
    "Allegro": "allegromail.pl",
    "eBay": "members.ebay.com",
    "Amazon Marketplace": "marketplace.amazon.co.uk",
    "Kleinanzeigen": "mail.kleinanzeigen.de",
    "Airbnb": "guest.airbnb.com",
    "Booking.com": "guest.booking.com",
    "craigslist": "reply.craigslist.org",
    "leboncoin": "messagerie.leboncoin.fr",
}


@dataclass
class Route(Alignment):
    """All names, addresses, hosts and authentication results of one message, and the links of its text.

    `cta` makes the link that the text asks for, `other` all other links, `shown` the address that a link displays.
    """

    system: str = "app"  # app: a program on the sender's server; service: a mail service; mailbox: a person's; machine
    shown: Link = str


def build_route(
    rng: Random, domain: str, display: str, recipient: Person, *, service: float, tracked: float = 0.5
) -> Route:
    """Return the route of automatic mail that `domain` sends, by a mail service with probability `service`."""
    by = SERVICES.draw(rng) if chance(rng, service) else None
    mailbox = rng.choice(MAILBOXES)
    sender = f"{mailbox}@{rng.choice(('', '', '', 'mail.', 'news.', 'e.', 'notify.'))}{domain}"
    own = own_link(rng, domain)
    if chance(rng, tracked):
        links = tracked_link(rng, by, domain) if by and chance(rng, 0.75) else click_link(rng, domain)
    else:
        links = own
    route = Route(
        display=display,
        sender=sender,
        envelope=fill(rng, by.envelope, domain) if by else draw_envelope(rng, sender, domain),
        message_id_host=message_id_host_of(rng, by, domain),
        helo=helo_of(rng, by, domain),
        client_ip=address_of(rng, by),
        cta=links,
        other=links,
        shown=own,
        images=rng.choice(("cdn.", "images.", "static.", "www.", "img.", "")) + domain,
        to=_to(rng, recipient),
        service=by,
        system="service" if by else "app",
        policy=rng.choice(("NONE", "NONE", "QUARANTINE", "REJECT", "REJECT")),
        unsubscribe=links,
    )
    sign(rng, route, domain, signs=0.97 if by else 0.85)
    return route


def draw_envelope(rng: Random, sender: str, domain: str) -> str:
    """Draw the envelope sender of a program on a server of `domain`."""
    return rng.choice(
        (
            sender,
            sender,
            f"bounces@{domain}",
            f"{rng.choice(('bounce', 'b', 'return'))}-{digits(rng, 7)}@{domain}",
            f"www-data@{rng.choice(('web', 'srv', 'app'))}{rng.randrange(1, 9)}.{domain}",
        )
    )


def _to(rng: Random, recipient: Person) -> str:
    return rng.choice(
        (
            recipient.address,
            recipient.address,
            f"<{recipient.address}>",
            f"{quoted(recipient.name)} <{recipient.address}>",
            f"{quoted(recipient.address)} <{recipient.address}>",
        )
    )


def sign(rng: Random, route: Route, domain: str, *, signs: float) -> None:
    """Draw the authentication results of mail that `domain` sends: signatures that it makes pass and are aligned."""
    route.signed = [(domain, rng.choice(SELECTORS), "pass")] if chance(rng, signs) else []
    if route.service and chance(rng, 0.6):
        route.signed.append((fill(rng, route.service.dkim, domain), rng.choice(SELECTORS), "pass"))
    route.spf = "pass" if chance(rng, 0.96) else rng.choice(("none", "neutral", "softfail"))
    aligned = any(signer == domain for signer, *_ in route.signed) or not route.service
    route.dmarc = "pass" if aligned and chance(rng, 0.93) else "none"


def honest(rng: Random, org: Organisation, recipient: Person, where: Locale) -> Route:
    """Return the route of mail that an organisation really sends."""
    case = HONEST.draw(rng)
    if org.real and case in ("platform", "small", "mailbox"):
        case = "own"  # a well-known brand signs its mail
    domain = rng.choice(org.mail_domains) if org.mail_domains and chance(rng, 0.3) else org.domain
    if case == "platform":  # a shop system or ticket seller writes in the name of its customer
        host = draw_domain(rng, where)
        name = f"{org.name} {rng.choice(('via', '–', '|', 'by'))} {host.partition('.')[0].capitalize()}"
        route = build_route(rng, host, name, recipient, service=0.5)
        if chance(rng, 0.7):
            route.reply_to = f"{rng.choice(MAILBOXES)}@{org.domain}"
    else:
        route = build_route(rng, domain, draw_display(rng, org), recipient, service=0.1 if case == "small" else 0.5)
    if case == "small" and not route.service:
        sign(rng, route, domain, signs=0.3)
        route.spf, route.policy = rng.choice(("pass", "pass", "none", "neutral", "softfail")), "NONE"
    if case == "mailbox":  # a club or shop writes from its own mailbox, often at a free provider
        if chance(rng, 0.6):
            route.sender = f"{slug(org.name)[:12] or 'info'}@{FREEMAIL.draw(rng)}"
        as_mailbox(rng, route)
    if chance(rng, 0.25) and not route.reply_to:
        free = not org.real and chance(rng, 0.12)
        route.reply_to = f"{rng.choice(MAILBOXES)}@{FREEMAIL.draw(rng) if free else org.domain}"
    if chance(rng, 0.06 if org.real else 0.2):
        _lead_to_others(rng, route, org, where)
    if case == "forwarded":
        forward(rng, route, where)
    if case == "relayed":
        relay_by_alias(rng, route)
    route.case, route.footer_host = case, org.domain
    return route


def _lead_to_others(rng: Random, route: Route, org: Organisation, where: Locale) -> None:
    """Let the links of honest mail lead to a partner, to a system that the organisation rents, or to an open host."""
    partners = (draw_domain(rng, where), f"{slug(org.name)[:10] or 'my'}.{draw_domain(rng, where)}")
    page = "https://" + fill(rng, rng.choice(FREE_HOSTS), "")
    form, short = rng.choice(_FORMS), rng.choice(SHORTENERS)
    links: tuple[Link, ...] = (
        own_link(rng, partners[0]),
        own_link(rng, partners[1]),
        lambda: f"{page}/{letters(rng, 6)}",
        lambda: f"https://{form}/{alnum(rng, 20)}",
        lambda: f"https://{short}/{alnum(rng, 7)}",
    )
    route.cta = rng.choice(links[:2] if org.real else links)
    if chance(rng, 0.4):
        route.other = route.cta
    route.shown = route.cta


def draw_display(rng: Random, org: Organisation) -> str:
    """Draw the name that an organisation, or who pretends to be it, has in From."""
    if chance(rng, 0.75):
        return org.name
    if chance(rng, 0.2):  # a product, a department or a former name, which the domain does not show
        return rng.choice((coin(rng), f"{coin(rng)} {coin(rng)}", "Newsletter", "Service", "Team"))
    return rng.choice((f"{org.name} Support", f"{org.name} Team", f"{org.name} Service", org.domain, org.name.upper()))


def forward(rng: Random, route: Route, where: Locale) -> None:
    """Let a route pass a forwarder, which rewrites the envelope sender (SRS) and is the last foreign host."""
    host = draw_domain(rng, where)
    local, _, domain = route.envelope.rpartition("@")
    route.envelope = f"SRS0={alnum(rng, 4)}={alnum(rng, 2).upper()}={domain}={local}@{host}"
    route.helo, route.client_ip = f"fwd{rng.randrange(9)}.{host}", public_ip(rng)
    route.spf = "pass"
    if not any(signer == route.domain for signer, *_ in route.signed):
        route.dmarc = "fail" if route.dmarc == "pass" else route.dmarc


def relay_by_alias(rng: Random, route: Route) -> None:
    """Let an alias service deliver the mail of a route from an address of its own, which contains the real one."""
    written = route.sender.replace("@", rng.choice(("_at_", "=", "_")))
    name, address = route.display, route.sender
    route.display = rng.choice((
        name, f"{name} - {address.replace('@', ' at ')}", f"{name} '{address}'", f"{address} [via Relay]",
        f"'{address}' via addy",
    ))  # fmt: skip
    host = rng.choice(_ALIASES)
    _relay(rng, route, f"{written}_{alnum(rng, 8).lower()}@{host}")
    route.to = f"{letters(rng, 9)}@{host}"


def relay_by_marketplace(rng: Random, route: Route) -> None:
    """Let a marketplace deliver the letter of a route from an address of its own."""
    name, host = rng.choice(list(_MARKETS.items()))
    route.display = rng.choice((f"{route.display} (via {name})", f"{route.display} - {name}", route.display, name))
    _relay(rng, route, f"{alnum(rng, 16).lower()}@{host}")


def _relay(rng: Random, route: Route, sender: str) -> None:
    """Send a route from an address of a service that passes on other people's mail."""
    # Some relays keep the address of the writer in Reply-To.
    route.reply_to = route.sender if chance(rng, 0.2) else ""
    route.sender, route.service = sender, None
    host = route.domain
    route.envelope = f"{rng.choice(('bounce', 'sl', 'b'))}+{alnum(rng, 10).lower()}@{host}"
    route.helo, route.client_ip = f"{rng.choice(('mail', 'mta', 'smtp'))}{rng.randrange(1, 20)}.{host}", public_ip(rng)
    route.message_id_host = rng.choice((route.message_id_host, host))
    route.signed, route.spf, route.dmarc = [(host, rng.choice(SELECTORS), "pass")], "pass", "pass"


def as_mailbox(rng: Random, route: Route) -> None:
    """Send a route from the mailbox in From: at a provider, or at the server of its domain."""
    domain = route.domain
    route.system, route.service, route.envelope = "mailbox", None, route.sender
    route.client_ip, route.unsubscribe = public_ip(rng), None
    if domain == "gmail.com":
        route.helo = f"mail-{letters(rng, 2)}1-f{rng.randrange(40, 190)}.google.com"
        route.message_id_host = "mail.gmail.com"
    elif domain in ("outlook.com", "hotmail.com", "live.com"):
        host = f"{letters(rng, 3).upper()}P{digits(rng, 3)}MB{digits(rng, 4)}.eurprd0{rng.randrange(1, 9)}"
        route.message_id_host = f"{host}.prod.outlook.com"
        route.helo = f"{letters(rng, 3).upper()}-obe.outbound.protection.outlook.com"
    else:
        route.helo = rng.choice(("mail.", "smtp.", "mout.", "out.", "mx.")) + domain
        route.message_id_host = rng.choice((domain, domain, f"mail.{domain}"))
    sign(rng, route, domain, signs=1.0 if domain in FREEMAIL.values else 0.8)


def send_from(rng: Random, route: Route, domain: str) -> None:
    """Let a route come from a server of `domain`, with all relations right."""
    old, route.sender = route.domain, f"{route.sender.rpartition('@')[0]}@{domain}"
    if domain == old:
        return
    route.service, route.envelope, route.reply_to = None, draw_envelope(rng, route.sender, domain), ""
    route.helo, route.message_id_host = helo_of(rng, None, domain), message_id_host_of(rng, None, domain)
    route.client_ip, route.unsubscribe = public_ip(rng), own_link(rng, domain) if route.unsubscribe else None
    route.cta = route.other = route.shown = own_link(rng, domain)
    sign(rng, route, domain, signs=0.95)


def from_person(rng: Random, writer: Person, recipient: Person) -> Route:
    """Return the route of mail that a person sends from their own mailbox."""
    route = build_route(rng, writer.domain, writer.name, recipient, service=0.0, tracked=0.0)
    route.sender = writer.address
    as_mailbox(rng, route)
    route.case, route.footer_host = "person", writer.domain
    return route


def hosted_page(rng: Random) -> str:
    """Return the address of a page at an open host, where anyone may put one."""
    return "https://" + fill(rng, rng.choice(FREE_HOSTS), "") + f"/{letters(rng, 7)}"
