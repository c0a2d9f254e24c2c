"""Routes of spam: an organisation or person that is only claimed, a host that belongs to others, an unwanted offer."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from ..alignment import MAILBOXES, SELECTORS, helo_of
from ..delivery import fill
from ..links import foreign_link, own_link, throwaway
from ..organisations import Organisation
from ..people import FREEMAIL, Person, slug
from ..spam_alignment import lookalike
from ..tokens import Weighted, chance, digits
from .locales import Locale, draw_domain, draw_organisation, draw_person
from .routes import (
    Route,
    as_mailbox,
    build_route,
    draw_display,
    draw_envelope,
    forward,
    from_person,
    relay_by_alias,
    sign,
)

DISHONEST = Weighted({
    "throwaway": 25, "lookalike": 16, "account": 17, "hacked": 14, "spoof": 10, "freemail": 5, "hosted": 5,
    "reply": 4, "forwarded": 4, "relayed": 2,
})  # fmt: skip
SELLER = Weighted({"own": 25, "throwaway": 55, "account": 12, "freemail": 8})
"""The sender of an unwanted offer. Nearly all its relations are right: it signs, and its links lead to itself."""

SHARED_HOSTS = ("{h}.firebaseapp.com", "{h}.onmicrosoft.com", "{h}.myshopify.com", "{h}.zendesk.com", "{h}.wixsite.com")
PICTURE_HOSTS = (
    "i.imgur.com",
    "i.ibb.co",
    "upload.wikimedia.org",
    "lh3.googleusercontent.com",
    "cdn.shopify.com/s/files",
)


def dishonest(rng: Random, org: Organisation, recipient: Person, where: Locale) -> Route:
    """Return the route of mail that claims to be from an organisation and is not."""
    case = DISHONEST.draw(rng)
    domain, service = _DISHONEST[case](rng, org, where)
    route = build_route(rng, domain, draw_display(rng, org), recipient, service=service)
    elsewhere = foreign_link(rng)
    if case in ("account", "hacked", "spoof", "freemail", "reply", "forwarded") or chance(rng, 0.5):
        tracked = route.service and chance(rng, 0.35)  # a stolen account of a mail service tracks its links
        route.cta = route.cta if tracked else elsewhere
    if chance(rng, 0.5):  # the other links and the pictures of the copied mail still lead to the organisation
        route.other = own_link(rng, org.domain)
    else:
        route.other = route.cta
    if chance(rng, 0.5):
        route.images = rng.choice(("www.", "cdn.", "static.", "")) + org.domain
    elif chance(rng, 0.4):
        route.images = rng.choice(PICTURE_HOSTS)
    route.shown = own_link(rng, org.domain) if chance(rng, 0.5) else route.cta
    route.unsubscribe = route.cta if chance(rng, 0.6) else route.other
    _spoil(rng, route, case, org, where)
    if case == "reply" or chance(rng, 0.2):
        route.reply_to = draw_person(rng, where, None if chance(rng, 0.6) else throwaway(rng)).address
    elif chance(rng, 0.2):
        route.reply_to = f"{rng.choice(MAILBOXES)}@{rng.choice((org.domain, route.domain))}"
    if case == "relayed":
        relay_by_alias(rng, route)
    if case in ("throwaway", "lookalike", "account") and chance(rng, 0.08):
        # All names belong to the domain that sends, so that only the text claims the organisation.
        route.display = " ".join(part.capitalize() for part in re.split(r"[-.]", route.domain)[:-1]) or route.display
    route.case = case
    route.footer_host = org.domain
    return route


_DISHONEST: dict[str, Callable[[Random, Organisation, Locale], tuple[str, float]]] = {
    "throwaway": lambda rng, org, where: (throwaway(rng), 0.5),
    "lookalike": lambda rng, org, where: (lookalike(rng, org), 0.5),
    "account": lambda rng, org, where: (draw_domain(rng, where), 1.0),
    "hacked": lambda rng, org, where: (draw_organisation(rng, where, "shop", real=0).domain, 0.0),
    "spoof": lambda rng, org, where: (org.domain, 0.0),
    "freemail": lambda rng, org, where: (FREEMAIL.draw(rng), 0.0),
    "hosted": lambda rng, org, where: (fill(rng, rng.choice(SHARED_HOSTS), ""), 0.0),
    "reply": lambda rng, org, where: (org.domain, 0.0),
    "forwarded": lambda rng, org, where: (throwaway(rng), 0.4),
    "relayed": lambda rng, org, where: (throwaway(rng), 0.4),
}  # fmt: skip


def _spoil(rng: Random, route: Route, case: str, org: Organisation, where: Locale) -> None:
    """Give a dishonest route the addresses and results that its case has."""
    if case in ("spoof", "reply"):
        host = throwaway(rng) if chance(rng, 0.6) else draw_domain(rng, where)
        route.envelope = draw_envelope(rng, f"{rng.choice(MAILBOXES)}@{host}", host)
        route.helo, route.message_id_host = helo_of(rng, None, host), rng.choice((host, org.domain, f"mail.{host}"))
        route.signed = [(host, rng.choice(SELECTORS), "pass")] if chance(rng, 0.3) else []
        route.spf, route.dmarc = rng.choice(("pass", "pass", "none", "softfail", "fail")), rng.choice(("fail", "none"))
    elif case == "hacked":
        sign(rng, route, route.domain, signs=0.5)
        if chance(rng, 0.5):
            route.dmarc = "none"
    elif case == "freemail":
        stem = slug(org.name)[:10] or "info"
        route.sender = f"{rng.choice((stem + digits(rng, 3), draw_person(rng, where).local))}@{route.domain}"
        as_mailbox(rng, route)
    elif case == "forwarded":
        forward(rng, route, where)


def seller(rng: Random, org: Organisation, recipient: Person, where: Locale) -> Route:
    """Return the route of an unwanted offer. The organisation sends it itself, so most relations are right."""
    case = SELLER.draw(rng)
    if case == "own":
        route = build_route(rng, org.domain, draw_display(rng, org), recipient, service=0.5)
    elif case == "freemail":
        route = build_route(rng, FREEMAIL.draw(rng), draw_display(rng, org), recipient, service=0.0)
        as_mailbox(rng, route)
        route.cta = route.other = route.shown = foreign_link(rng)
    else:
        host = throwaway(rng) if case == "throwaway" else draw_domain(rng, where)
        route = build_route(rng, host, draw_display(rng, org), recipient, service=0.6)
        if chance(rng, 0.25):
            route.cta = foreign_link(rng)
    route.case, route.footer_host = case, route.domain if case == "throwaway" else org.domain
    return route


def from_impostor(rng: Random, writer: Person, recipient: Person, where: Locale, *, own_address: bool = False) -> Route:
    """Return the route of a fraud that is written like a letter: mostly from a mailbox whose relations are right.

    With `own_address`, it claims to come from the recipient.
    """
    case = rng.choice(("freemail", "freemail", "freemail", "throwaway", "throwaway", "hacked", "hacked", "spoof"))
    case = "spoof" if own_address else case
    host = {"freemail": None, "throwaway": throwaway(rng), "hacked": draw_domain(rng, where), "spoof": recipient.domain}
    author = draw_person(rng, where, host[case])
    route = from_person(rng, author, recipient)
    route.display = "" if chance(rng, 0.06) else writer.name
    if own_address:
        route.sender, route.display = recipient.address, rng.choice(("", recipient.name, recipient.address))
    if case == "spoof":
        other = throwaway(rng)
        route.envelope, route.helo, route.signed = f"{author.local}@{other}", f"mail.{other}", []
        route.spf, route.dmarc = rng.choice(("pass", "none", "softfail")), rng.choice(("fail", "none"))
    if chance(rng, 0.35):
        route.reply_to = draw_person(rng, where, None if chance(rng, 0.7) else throwaway(rng)).address
    route.cta = route.other = route.shown = foreign_link(rng)
    route.case = case
    return route
