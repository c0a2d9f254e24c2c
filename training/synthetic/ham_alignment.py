"""The alignment of ham: the domain of From: signs the mail, and links lead to the sender's own sites."""

from __future__ import annotations

from random import Random

from .alignment import SELECTORS, Alignment, address_of, display_of, helo_of, mailbox_of, message_id_host_of, quoted
from .delivery import SERVICES, Service, fill
from .links import SOCIAL, click_link, own_link, tracked_link
from .organisations import TLDS, Organisation, coin
from .people import FREEMAIL, Person, person, slug
from .texts import Language
from .tokens import Weighted, alnum, chance, digits, hexes, letters, public_ip


def _subdomain(rng: Random, domain: str) -> str:
    return rng.choice(("mail", "news", "e", "email", "bounce", "em", "mailing", "info", "mg", "bounces")) + "." + domain


def _address_ham(rng: Random, recipient: Person) -> str:
    draw = rng.random()
    if draw < 0.55:
        return f"{quoted(recipient.name)} <{recipient.address}>"
    if draw < 0.93:
        return recipient.address if draw < 0.8 else f"<{recipient.address}>"
    return f"{quoted(recipient.address)} <{recipient.address}>"


def ham_bulk(rng: Random, org: Organisation, recipient: Person, language: Language) -> Alignment:
    """Return the alignment of bulk mail from an organisation."""
    domain = rng.choice(org.mail_domains) if org.mail_domains and chance(rng, 0.4) else org.domain
    case = (_KNOWN_CASES if org.real else _HAM_CASES).draw(rng)
    if case == "other-domain":  # From: has the domain of a parent company or shop system
        domain = f"{slug(coin(rng))}.{rng.choice(TLDS[language.code])}"
    service = SERVICES.draw(rng) if case in ("service", "other-domain", "service-shared") else None
    sender_domain = _subdomain(rng, domain) if chance(rng, 0.25) else domain
    sender = f"{mailbox_of(rng, org)}@{sender_domain}"
    alignment = Alignment(
        display=display_of(rng, org, language),
        sender=sender,
        case=case,
        envelope=fill(rng, service.envelope, domain) if service else _own_envelope(rng, sender, domain),
        message_id_host=message_id_host_of(rng, service, domain),
        helo=helo_of(rng, service, domain),
        client_ip=address_of(rng, service),
        cta=own_link(rng, org.domain),
        other=own_link(rng, org.domain),
        images=rng.choice(("cdn.", "images.", "static.", "www.", "img.", "assets.", "")) + org.domain,
        to=_address_ham(rng, recipient),
        footer_host=org.domain,
        service=service,
    )
    _ham_links(rng, alignment, org, service)
    _ham_auth(rng, alignment, service, domain)
    if chance(rng, 0.3):
        alignment.reply_to = f"{rng.choice(('service', 'reply', 'support', 'info', 'kontakt', 'hello'))}@{org.domain}"
    if case == "small" and chance(rng, 0.25):  # clubs write to themselves, with the members in Bcc:
        alignment.to = rng.choice(("undisclosed-recipients:;", sender))
    return alignment


_HAM_CASES = Weighted({"service": 50, "service-shared": 6, "own": 20, "small": 10, "other-domain": 14})

_KNOWN_CASES = Weighted({"service": 62, "own": 38})  # well-known brands send from their own domains


def _ham_links(rng: Random, alignment: Alignment, org: Organisation, service: Service | None) -> None:
    if service and chance(rng, 0.6):
        alignment.cta = alignment.other = tracked_link(rng, service, org.domain)
    elif chance(rng, 0.3):
        alignment.cta = alignment.other = click_link(rng, org.domain)
    if service and chance(rng, 0.25):
        alignment.images = rng.choice(
            (
                f"mcusercontent.com/{hexes(rng, 24)}",
                f"image.e.{org.domain}",
                f"d{hexes(rng, 12)}.cloudfront.net",
                "cdn.shopify.com/s/files",
                "static.xx.fbcdn.net",
                f"{letters(rng, 6)}.imgix.net",
            )
        )
    if chance(rng, 0.75):
        alignment.unsubscribe = alignment.other
    alignment.extra = [f"https://{host}/{slug(org.name)[:12]}" for host in rng.sample(SOCIAL, rng.randrange(5))]


def _ham_auth(rng: Random, alignment: Alignment, service: Service | None, domain: str) -> None:
    alignment.policy = rng.choice(("NONE", "NONE", "QUARANTINE", "REJECT", "REJECT"))
    if alignment.case == "small":
        alignment.spf = rng.choice(("pass", "pass", "none", "neutral", "softfail"))
        if chance(rng, 0.45):
            alignment.signed = [(domain, rng.choice(SELECTORS), "pass")]
        alignment.dmarc = "pass" if alignment.signed and chance(rng, 0.5) else "none"
        alignment.policy = "NONE"
        return
    result = "pass" if chance(rng, 0.97) else rng.choice(("temperror", "neutral", "fail", "permerror"))
    alignment.spf = "pass" if chance(rng, 0.96) else rng.choice(("none", "neutral", "temperror", "softfail"))
    aligned = alignment.case != "service-shared"
    if aligned and chance(rng, 0.97):
        alignment.signed.append((domain if chance(rng, 0.75) else alignment.domain, rng.choice(SELECTORS), result))
    if service and (not aligned or chance(rng, 0.6)):
        alignment.signed.append((fill(rng, service.dkim, domain), rng.choice(SELECTORS), result))
    passed = alignment.signed and result == "pass" and aligned
    alignment.dmarc = "pass" if passed and chance(rng, 0.9) else "none" if passed or chance(rng, 0.6) else "fail"


def _own_envelope(rng: Random, sender: str, domain: str) -> str:
    draw = rng.random()
    if draw < 0.45:
        return sender
    if draw < 0.9:
        return f"{rng.choice(('bounce', 'bounces', 'return', 'b'))}-{digits(rng, 7)}@{_subdomain(rng, domain)}"
    return f"www-data@web{rng.randrange(9)}.{domain}" if draw < 0.96 else ""


def ham_person(rng: Random, writer: Person, recipient: Person, language: Language) -> Alignment:
    """Return the alignment of mail from one person to another."""
    domain = writer.domain
    big = domain in FREEMAIL.values
    alignment = Alignment(
        display=writer.name if chance(rng, 0.93) else writer.first,
        sender=writer.address,
        envelope=writer.address,
        message_id_host=_person_id_host(rng, domain),
        helo=_person_helo(rng, domain),
        client_ip=public_ip(rng),
        cta=own_link(rng, rng.choice(("youtube.com", "photos.app.goo.gl", "wikipedia.org", "maps.app.goo.gl", domain))),
        other=own_link(rng, domain),
        images=domain,
        to=_address_ham(rng, recipient),
        footer_host=domain,
        threaded=chance(rng, 0.4),
        case="person",
    )
    if big or chance(rng, 0.6):
        alignment.signed = [(domain, rng.choice(SELECTORS), "pass" if chance(rng, 0.97) else "fail")]
    alignment.spf = "pass" if big or chance(rng, 0.75) else rng.choice(("none", "neutral", "softfail"))
    alignment.dmarc = "pass" if alignment.signed and chance(rng, 0.8) else "none"
    if chance(rng, 0.05):
        alignment.reply_to = person(rng, language).address
    return alignment


def _person_id_host(rng: Random, domain: str) -> str:
    if domain == "gmail.com":
        return "mail.gmail.com"
    if domain in ("outlook.com", "hotmail.com", "live.com") or chance(rng, 0.25):
        return f"{alnum(rng, 6).upper()}MB{digits(rng, 4)}.eurprd0{rng.randrange(1, 9)}.prod.outlook.com"
    return rng.choice((domain, domain, f"mail.{domain}", f"[192.168.{rng.randrange(3)}.{rng.randrange(2, 200)}]"))


def _person_helo(rng: Random, domain: str) -> str:
    if domain == "gmail.com":
        return f"mail-{letters(rng, 2)}1-f{rng.randrange(40, 190)}.google.com"
    if domain in ("outlook.com", "hotmail.com", "live.com"):
        return f"EUR0{rng.randrange(1, 6)}-{letters(rng, 3).upper()}-obe.outbound.protection.outlook.com"
    return rng.choice(("mail.", "smtp.", "mout.", "out.", "mx.")) + domain
