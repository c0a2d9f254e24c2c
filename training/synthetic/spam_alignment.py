"""The alignment of spam: a false name, a foreign host, or an uninvited sender under its own name."""

from __future__ import annotations

from random import Random

from .alignment import MAILBOXES, SELECTORS, Alignment, address_of, display_of, helo_of, message_id_host_of, quoted
from .delivery import SERVICES, Service, fill
from .ham_alignment import ham_person
from .links import BAIT, MILD_TLDS, ODD_TLDS, SOCIAL, foreign_link, own_link, throwaway, tracked_link
from .organisations import Organisation, coin, invented
from .people import FREEMAIL, Person, person, slug
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


def spam_bulk(rng: Random, org: Organisation, recipient: Person, language: Language, claims: str) -> Alignment:
    """Return the alignment of bulk spam: it impersonates `org`, or for `claims` 'own' is an offer of `org` itself."""
    case = (_SELLER_CASES if claims == "own" else _SPAM_CASES).draw(rng)
    domain, display, mailbox = _spam_sender(rng, case, org, language)
    service = (
        SERVICES.draw(rng)
        if case in ("service", "seller") or (case in ("throwaway", "hacked") and chance(rng, 0.55))
        else None
    )
    sender = f"{mailbox}@{domain}"
    alignment = Alignment(
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
    _spam_links(rng, alignment, org, domain)
    _spam_auth(rng, alignment, case, service, domain)
    if chance(rng, 0.3):
        alignment.reply_to = _other_address(rng, language)
    return alignment


_SPAM_CASES = Weighted({"throwaway": 36, "lookalike": 14, "spoof": 13, "hacked": 14, "freemail": 7, "service": 16})

_SELLER_CASES = Weighted({"seller": 50, "throwaway": 25, "service": 15, "hacked": 4, "freemail": 6})


def _spam_sender(rng: Random, case: str, org: Organisation, language: Language) -> tuple[str, str, str]:
    """(domain, display name, mailbox) of a dishonest sender."""
    mailbox = (
        rng.choice(MAILBOXES) if chance(rng, 0.7) else rng.choice((letters(rng, 7), slug(org.name)[:12] or "info"))
    )
    display = display_of(rng, org, language) if chance(rng, 0.85) else _decorated(rng, org)
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


def _decorated(rng: Random, org: Organisation) -> str:
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
    """Return a second domain, which mass marketers use to protect the reputation of the first."""
    stem = slug(org.name)[:14] or slug(coin(rng))
    return rng.choice(
        (f"get{stem}.com", f"try{stem}.com", f"{stem}-mail.com", f"{stem}hq.co", f"{stem}offers.info", f"go{stem}.io")
    )


def lookalike(rng: Random, org: Organisation) -> str:
    """Return a domain that resembles that of the claimed organisation."""
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
        + rng.choice((*MILD_TLDS, *ODD_TLDS))
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


def _spam_links(rng: Random, alignment: Alignment, org: Organisation, domain: str) -> None:
    case, service = alignment.case, alignment.service
    if case == "seller":
        alignment.cta = alignment.other = (
            tracked_link(rng, service, domain) if service and chance(rng, 0.6) else own_link(rng, domain)
        )
        alignment.images = "www." + domain
    elif case in ("throwaway", "lookalike", "service", "hacked") and chance(rng, 0.45):
        alignment.cta = alignment.other = tracked_link(rng, service, domain) if service else own_link(rng, domain)
    if case != "seller" and org.real and chance(rng, 0.5):  # phishing uses the genuine pictures and help pages
        alignment.images = rng.choice(("www.", "images.", "static.", "cdn.")) + org.domain
        alignment.other = own_link(rng, org.domain)
    elif chance(rng, 0.3):
        alignment.images = rng.choice(
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
        alignment.unsubscribe = alignment.cta if chance(rng, 0.5) else alignment.other
    alignment.extra = (
        [f"https://{host}/{slug(org.name)[:12]}" for host in rng.sample(SOCIAL, rng.randrange(4))]
        if chance(rng, 0.5)
        else []
    )


def _spam_auth(rng: Random, alignment: Alignment, case: str, service: Service | None, domain: str) -> None:
    alignment.policy = "NONE" if chance(rng, 0.7) else rng.choice(("QUARANTINE", "REJECT"))
    if case == "spoof":
        alignment.spf = rng.choice(("fail", "softfail", "softfail", "none", "pass", "neutral"))
        alignment.dmarc = rng.choice(("fail", "fail", "fail", "none"))
        return
    if case == "freemail" or chance(rng, 0.68 if case != "seller" else 0.9):  # most modern spam passes authentication
        alignment.signed = [(domain, rng.choice(SELECTORS), "pass")]
        if service and chance(rng, 0.6):
            alignment.signed.append((fill(rng, service.dkim, domain), rng.choice(SELECTORS), "pass"))
        alignment.dmarc = "pass" if chance(rng, 0.7) else "none"
        return
    alignment.spf = rng.choice(("pass", "pass", "none", "softfail", "fail", "neutral", "permerror"))
    if chance(rng, 0.2):
        alignment.signed = [(domain, rng.choice(SELECTORS), rng.choice(("fail", "permerror", "neutral")))]
    alignment.dmarc = rng.choice(("none", "none", "fail"))


def _other_address(rng: Random, language: Language) -> str:
    return person(rng, language, None if chance(rng, 0.6) else throwaway(rng)).address


def spam_person(rng: Random, writer: Person, recipient: Person, language: Language) -> Alignment:
    """Return the alignment of mail under the name of an invented or impersonated person."""
    alignment = ham_person(rng, writer, recipient, language)
    alignment.case, alignment.threaded = "fake-person", chance(rng, 0.06)
    alignment.to = _address_spam(rng, recipient, alignment.sender)
    alignment.cta = alignment.other = foreign_link(rng)
    alignment.skew = rng.choice((0, 0, 0, 0, -3600, 18000))
    if chance(rng, 0.45):
        alignment.reply_to = _other_address(rng, language)
    draw = rng.random()
    if draw < 0.35:  # a hacked mailbox or rented server; its domain may or may not sign
        alignment.sender = f"{rng.choice(MAILBOXES)}@{throwaway(rng)}"
        alignment.envelope = alignment.sender if chance(rng, 0.7) else f"{letters(rng, 7)}@{throwaway(rng)}"
        alignment.helo, alignment.message_id_host = (
            _spam_helo(rng, None, alignment.domain),
            _spam_id_host(rng, None, alignment.domain, recipient),
        )
        alignment.signed = []
        _spam_auth(rng, alignment, "throwaway", None, alignment.domain)
    elif draw < 0.5:
        alignment.signed, alignment.spf, alignment.dmarc = [], rng.choice(("softfail", "fail", "none")), "fail"
        alignment.helo = _spam_helo(rng, None, throwaway(rng))
    return alignment
