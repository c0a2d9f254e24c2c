"""The relations of unwanted mail: somebody else's name, somebody else's host, or a sender whom nobody asked."""

from __future__ import annotations

from random import Random

from .delivery import SERVICES, Service, fill
from .honest import ham_person
from .links import BAIT, MILD_TLDS, ODD_TLDS, SOCIAL, foreign_link, own_link, throwaway, tracked_link
from .organisations import Organisation, coin, invented
from .people import FREEMAIL, Person, person, slug
from .relations import (
    MAILBOXES,
    SELECTORS,
    Relation,
    address_of,
    display_of,
    helo_of,
    message_id_host_of,
    quoted,
)
from .texts import Language
from .tokens import Weighted, alnum, chance, digits, hexes, letters, public_ip


def _address_spam(rng: Random, recipient: Person, sender: str) -> str:
    draw = rng.random()
    if draw < 0.2:
        return f"{quoted(recipient.name)} <{recipient.address}>"
    if draw < 0.68:
        return recipient.address if draw < 0.55 else f"<{recipient.address}>"
    if draw < 0.78:
        return f"{recipient.local} <{recipient.address}>"
    if draw < 0.88:
        return rng.choice(("undisclosed-recipients:;", "Undisclosed recipients:;", "Recipients <" + sender + ">"))
    return sender if draw < 0.93 else "" if draw < 0.96 else f"{letters(rng, 6)}@{recipient.domain}"


def spam_bulk(rng: Random, org: Organisation, recipient: Person, language: Language, claims: str) -> Relation:
    """Mail that names `org` and comes from somebody else; for `claims` 'own', from a sender whom nobody asked."""
    case = (_SELLER_CASES if claims == "own" else _SPAM_CASES).draw(rng)
    domain, display, mailbox = _spam_sender(rng, case, org, language)
    service = (
        SERVICES.draw(rng)
        if case in ("service", "seller") or (case in ("throwaway", "hacked") and chance(rng, 0.55))
        else None
    )
    sender = f"{mailbox}@{domain}"
    relation = Relation(
        display=display,
        sender=sender,
        case=case,
        envelope=_spam_envelope(rng, case, sender, service, domain),
        message_id_host=_spam_id_host(rng, service, domain, recipient),
        helo=_spam_helo(rng, service, domain),
        client_ip=address_of(rng, service),
        cta=foreign_link(rng),
        other=foreign_link(rng),
        images=throwaway(rng),
        to=_address_spam(rng, recipient, sender),
        footer_host=org.domain,
        service=service,
        skew=rng.choice((0, 0, 0, 0, 0, -3600, 7200, -40000, 90000, 600)),
    )
    _spam_links(rng, relation, org, domain)
    _spam_auth(rng, relation, case, service, domain)
    if chance(rng, 0.3):
        relation.reply_to = _elsewhere(rng, language)
    return relation


_SPAM_CASES = Weighted({"throwaway": 36, "lookalike": 14, "spoof": 13, "hacked": 14, "freemail": 7, "service": 16})

_SELLER_CASES = Weighted({"seller": 50, "throwaway": 25, "service": 15, "hacked": 4, "freemail": 6})


def _spam_sender(rng: Random, case: str, org: Organisation, language: Language) -> tuple[str, str, str]:
    """(domain, display name, mailbox) of a dishonest sender."""
    mailbox = (
        rng.choice(MAILBOXES) if chance(rng, 0.7) else rng.choice((letters(rng, 7), slug(org.name)[:12] or "info"))
    )
    display = display_of(rng, org, language) if chance(rng, 0.85) else _shout(rng, org)
    if case == "seller":
        return (org.domain if chance(rng, 0.6) else _side_domain(rng, org)), display_of(rng, org, language), mailbox
    if case == "lookalike":
        return lookalike(rng, org), display, mailbox
    if case == "spoof":
        return org.domain, display, mailbox
    if case == "hacked":
        site = invented(rng, language, rng.choice(("shop", "club", "travel", "health", "office")))
        return site.domain, display, mailbox if chance(rng, 0.6) else person(rng, language).local
    if case == "freemail":
        return (
            FREEMAIL.draw(rng),
            display,
            person(rng, language).local if chance(rng, 0.6) else (slug(org.name) or "info") + digits(rng, 3),
        )
    return throwaway(rng), display, mailbox


def _shout(rng: Random, org: Organisation) -> str:
    return rng.choice(
        (
            org.name.upper(),
            f"{org.name}-{rng.choice(BAIT).title()}",
            f"⚠️ {org.name}",
            f"{org.name}®",
            " ".join(org.name),
            f"{org.name}_{digits(rng, 4)}",
            f"📦 {org.name}",
        )
    )


def _side_domain(rng: Random, org: Organisation) -> str:
    """A second domain that mass marketers keep so that the first keeps its name."""
    stem = slug(org.name)[:14] or slug(coin(rng))
    return rng.choice(
        (f"get{stem}.com", f"try{stem}.com", f"{stem}-mail.com", f"{stem}hq.co", f"{stem}offers.info", f"go{stem}.io")
    )


def lookalike(rng: Random, org: Organisation) -> str:
    """A domain that looks like the claimed one's at a glance."""
    stem = org.domain.partition(".")[0]
    swaps = [
        (a, b)
        for a, b in (("l", "1"), ("o", "0"), ("i", "l"), ("m", "rn"), ("w", "vv"), ("e", "3"), ("a", "e"))
        if a in stem
    ]
    if swaps and chance(rng, 0.3):
        stem = stem.replace(*rng.choice(swaps), 1)
        return f"{stem}.{rng.choice(MILD_TLDS)}"
    bait = rng.choice(BAIT)
    return (
        rng.choice(
            (
                f"{stem}-{bait}",
                f"{bait}-{stem}",
                f"{stem}{bait}",
                f"{stem}.{throwaway(rng).partition('.')[0]}",
                f"{stem}-{bait}{digits(rng, 2)}",
            )
        )
        + "."
        + rng.choice(MILD_TLDS + ODD_TLDS)
    )


def _spam_envelope(rng: Random, case: str, sender: str, service: Service | None, domain: str) -> str:
    if service:
        return fill(rng, service.envelope, domain)
    if case == "spoof":
        return f"{letters(rng, 6)}@{throwaway(rng)}" if chance(rng, 0.6) else sender
    draw = rng.random()
    if draw < 0.6:
        return sender
    return f"{rng.choice(('bounce', 'return', 'www-data', 'root'))}@{domain if draw < 0.75 else throwaway(rng)}"


def _spam_id_host(rng: Random, service: Service | None, domain: str, recipient: Person) -> str:
    draw = rng.random()
    if draw < 0.6:
        return message_id_host_of(rng, service, domain)
    return (
        throwaway(rng)
        if draw < 0.8
        else recipient.domain
        if draw < 0.87
        else rng.choice(
            (
                "localhost.localdomain",
                f"vps{digits(rng, 5)}",
                f"WIN-{alnum(rng, 11).upper()}",
                "[127.0.0.1]",
                letters(rng, 12),
            )
        )
    )


def _spam_helo(rng: Random, service: Service | None, domain: str) -> str:
    if service or chance(rng, 0.5):
        return helo_of(rng, service, domain)
    ip = public_ip(rng)
    return rng.choice(
        (
            f"vps{digits(rng, 6)}.{throwaway(rng)}",
            f"[{ip}]",
            ip.replace(".", "-") + ".dynamic.example-isp.net",
            throwaway(rng),
            f"server{rng.randrange(90)}.{throwaway(rng)}",
            letters(rng, 9),
        )
    )


def _spam_links(rng: Random, relation: Relation, org: Organisation, domain: str) -> None:
    case, service = relation.case, relation.service
    if case == "seller":
        relation.cta = relation.other = (
            tracked_link(rng, service, domain) if service and chance(rng, 0.6) else own_link(rng, domain)
        )
        relation.images = "www." + domain
    elif case in ("throwaway", "lookalike", "service", "hacked") and chance(rng, 0.45):
        relation.cta = relation.other = tracked_link(rng, service, domain) if service else own_link(rng, domain)
    if case != "seller" and org.real and chance(rng, 0.5):  # phishing borrows the genuine pictures and help pages
        relation.images = rng.choice(("www.", "images.", "static.", "cdn.")) + org.domain
        relation.other = own_link(rng, org.domain)
    elif chance(rng, 0.3):
        relation.images = rng.choice(
            (
                "i.imgur.com",
                "i.ibb.co",
                f"d{hexes(rng, 12)}.cloudfront.net",
                "upload.wikimedia.org",
                f"mcusercontent.com/{hexes(rng, 24)}",
                "cdn.shopify.com/s/files",
            )
        )
    if chance(rng, 0.6):
        relation.unsubscribe = relation.cta if chance(rng, 0.5) else relation.other
    relation.extra = (
        [f"https://{host}/{slug(org.name)[:12]}" for host in rng.sample(SOCIAL, rng.randrange(4))]
        if chance(rng, 0.5)
        else []
    )


def _spam_auth(rng: Random, relation: Relation, case: str, service: Service | None, domain: str) -> None:
    relation.policy = "NONE" if chance(rng, 0.7) else rng.choice(("QUARANTINE", "REJECT"))
    if case == "spoof":
        relation.spf = rng.choice(("fail", "softfail", "softfail", "none", "pass", "neutral"))
        relation.dmarc = rng.choice(("fail", "fail", "fail", "none"))
        return
    if case == "freemail" or chance(rng, 0.68 if case != "seller" else 0.9):  # modern spam authenticates
        relation.signed = [(domain, rng.choice(SELECTORS), "pass")]
        if service and chance(rng, 0.6):
            relation.signed.append((fill(rng, service.dkim, domain), rng.choice(SELECTORS), "pass"))
        relation.dmarc = "pass" if chance(rng, 0.7) else "none"
        return
    relation.spf = rng.choice(("pass", "pass", "none", "softfail", "fail", "neutral", "permerror"))
    if chance(rng, 0.2):
        relation.signed = [(domain, rng.choice(SELECTORS), rng.choice(("fail", "permerror", "neutral")))]
    relation.dmarc = rng.choice(("none", "none", "fail"))


def _elsewhere(rng: Random, language: Language) -> str:
    return person(rng, language, None if chance(rng, 0.6) else throwaway(rng)).address


def spam_person(rng: Random, writer: Person, recipient: Person, language: Language) -> Relation:
    """Mail from a person who isn't one, or isn't this one."""
    relation = ham_person(rng, writer, recipient, language)
    relation.case, relation.threaded = "fake-person", chance(rng, 0.06)
    relation.to = _address_spam(rng, recipient, relation.sender)
    relation.cta = relation.other = foreign_link(rng)
    relation.skew = rng.choice((0, 0, 0, 0, -3600, 18000))
    if chance(rng, 0.45):
        relation.reply_to = _elsewhere(rng, language)
    draw = rng.random()
    if draw < 0.35:  # a hacked mailbox or a rented server: somebody else's domain, which may sign or not
        relation.sender = f"{rng.choice(MAILBOXES)}@{throwaway(rng)}"
        relation.envelope = relation.sender if chance(rng, 0.7) else f"{letters(rng, 7)}@{throwaway(rng)}"
        relation.helo, relation.message_id_host = (
            _spam_helo(rng, None, relation.domain),
            _spam_id_host(rng, None, relation.domain, recipient),
        )
        relation.signed = []
        _spam_auth(rng, relation, "throwaway", None, relation.domain)
    elif draw < 0.5:
        relation.signed, relation.spf, relation.dmarc = [], rng.choice(("softfail", "fail", "none")), "fail"
        relation.helo = _spam_helo(rng, None, throwaway(rng))
    return relation
