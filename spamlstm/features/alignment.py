"""Facts of alignment: how the names, addresses, hosts and links of a message relate to its sender.

A fact is a name and a value, rendered as a ⟦name:value⟧ mark. An example is whether the reply address belongs to the
organisation in From. Such facts have the same meaning across servers and years.
"""

import re
from collections.abc import Iterator

from spamlstm.features.audience import AUDIENCE, audience_facts
from spamlstm.features.brands import belongs, brands_in
from spamlstm.features.domains import FREEMAIL
from spamlstm.features.links import LINKS, Targets, link_facts, shown_host
from spamlstm.features.normalise import normalise
from spamlstm.features.organisations import OWNERS, Organisations
from spamlstm.features.route import Route
from spamlstm.features.style import Fact
from spamlstm.message.message import Message, address

_PEOPLE = ("none", "same", "own", "service", "free", "other")
_AUTH = ("absent", "pass", "fail", "soft", "none", "error")

# Trained models have token ids in this order.
ALIGNMENT: dict[str, tuple[str, ...]] = {
    "from": ("none", "org", "free", "own", "self", "claimed", "relay"),
    "name": ("none", "match", "address", "foreign", "plain"),
    "local": ("none", "noreply", "role", "odd", "plain"),
    "domain": ("none", "plain", "odd", "long", "idn", "number"),
    "zone": ("none", "com", "net", "org", "public", "country", "new"),
    "reply": _PEOPLE,
    "id": (*_PEOPLE, "bad"),
    "brand": ("own", "foreign"),
    "via": OWNERS[1:],
    "sign": (*_PEOPLE, "both"),
    "spf": _AUTH,
    "dkim": (*_AUTH, "aligned"),
    "dmarc": ("absent", "pass", "fail", "none"),
    **LINKS,
    **AUDIENCE,
}

# These patterns are for addresses in lower case.
_ROLE = re.compile(
    r"(?:info|news|newsletter|sales|support|service|kundenservice|contact|kontakt|admin|office|hello|team|marketing|billing|orders?|accounts?|help|mail|customer|notifications?|notify|alerts?|updates?|promo|offers?|reply|bounce|owner|request|root|webmaster|postmaster)"
)
_NOREPLY = re.compile(r"no[-_.]?reply|do[-_.]?not[-_.]?reply|mailer-daemon|nepasrepondre|noresponder")
_WORDS, _LETTERS = re.compile(r"[a-z0-9]+"), re.compile(r"[a-z]+")
# Digits between letters, long numbers, or five consonants in a row. Letters that stand for one sound or often begin and
# end words count as one, because many words have more in a row: Wirtschaft, Hauptstrasse, lightspeed. The lookahead
# is faster where there are no five consonants.
_RANDOM = re.compile(
    r"[a-z]\d+[a-z]|\d{4,}"
    r"|(?=[bcdfghjklmnpqrstvwxz]{5})(?>sch|[cgpst]h|ck|st|[bcdfghjklmnpqrstvwxz]){5}"
)
# No public name ends in these. Machines have such names in the network of their organisation.
_PRIVATE_ZONES = frozenset(("", *"localhost localdomain local lan home internal intranet corp mail arpa".split()))
# Brands in disguise are searched for in the first characters of the name and the subject.
_MAX_NAMES = 500
_SIGNERS = ("same", "own", "service", "free", "other")


def alignment(message: Message, targets: Targets, route: Route) -> list[Fact]:
    """Return each fact that applies, in a fixed order. `targets` is the result of `link_targets`."""
    organisations = Organisations(message, route)
    return [
        *_sender(message, organisations),
        *_authentication(organisations),
        *link_facts(message, targets, organisations.link_owners),
        *audience_facts(message, organisations),
    ]


def _sender(message: Message, organisations: Organisations) -> Iterator[Fact]:
    sender = message.sender
    local, _, host = sender.partition("@")
    # The name, the subject and the reply address of relayed mail may be those of its writer.
    is_relayed = organisations.is_relayed
    if not sender:
        yield "from", "none"
    elif sender == organisations.recipient or organisations.sender == (organisations.own or None):
        # Anybody can write the address or the organisation of the recipient into From.
        is_self = sender == organisations.recipient
        yield "from", "claimed" if not organisations.is_proven else "self" if is_self else "own"
    else:
        yield "from", "relay" if is_relayed else "free" if organisations.sender in FREEMAIL else "org"
    name = _name(message.sender_name, sender, organisations.sender)
    yield "name", "plain" if is_relayed and name != "none" else name
    yield "local", _local(local)
    yield "domain", _domain(organisations.sender, host)
    yield "zone", _zone(host)
    reply = _reply(address(message.first.get("reply-to", "")), sender, organisations)
    yield "reply", "service" if is_relayed and reply in ("same", "other") else reply
    identity = message.first.get("message-id", "")
    yield "id", _identity(identity.strip("<> "), organisations)
    # A brand in the name or subject is foreign if it is not the organisation in From.
    if not is_relayed and (brands := _brands(f"{message.sender_name[:100]}\n{message.subject}")):
        owned = organisations.sender and any(belongs(brand, organisations.sender) for brand in brands)
        yield "brand", "own" if owned else "foreign"
    if (via := organisations.owner(organisations.route.host, signers=True)) != "none":
        yield "via", via


def _reply(reply: str, sender: str, organisations: Organisations) -> str:
    """Return whose address the replies go to. Another mailbox at the same mailbox provider may be anybody's."""
    if _mailbox(reply) == _mailbox(sender):
        return "same"
    owner = organisations.owner(reply)
    return "free" if owner == "same" and organisations.sender in FREEMAIL else owner


def _mailbox(address: str) -> tuple[str, str]:
    """Return an address without what some providers ignore: the dots before the @, and what follows a plus."""
    local, _, host = address.partition("@")
    return local.partition("+")[0].replace(".", ""), host


def _brands(text: str) -> tuple[str, ...]:
    """Return the brands that a text names, also those whose letters are in disguise."""
    return brands_in(text) if text.isascii() else (*brands_in(text), *brands_in(normalise(text[:_MAX_NAMES])[0]))


def _identity(identity: str, organisations: Organisations) -> str:
    """Return whose host wrote the Message-ID. A host with a private name may be that of anybody's mail service."""
    if "@" not in identity:
        return "bad" if identity else "none"
    owner = organisations.owner(identity)
    return "none" if owner == "other" and identity.rpartition(".")[2].lower() in _PRIVATE_ZONES else owner


def _name(name: str, sender: str, domain: str) -> str:
    """Return how the display name relates to the address.

    In phishing mail, the display name often shows a trusted name or address that the real address does not contain.
    """
    if not name:
        return "none"
    low = name.lower()
    if "@" in low or shown_host(low):
        return "address" if sender in low else "foreign"
    label = domain.partition(".")[0].replace("-", "")
    words = _WORDS.findall(low)
    if len(label) > 2 and (label in "".join(words) or any(len(word) > 3 and word in label for word in words)):
        return "match"
    local = "".join(_LETTERS.findall(sender.partition("@")[0]))
    if domain in FREEMAIL and any(len(word) > 2 and word in local for word in _LETTERS.findall(low)):
        return "match"
    return "plain"


def _local(local: str) -> str:
    if not local:
        return "none"
    if _NOREPLY.search(local):
        return "noreply"
    if _ROLE.match(local):
        return "role"
    return "odd" if _RANDOM.search(local) else "plain"


def _domain(domain: str, host: str) -> str:
    label = domain.partition(".")[0]
    if not label:
        return "none"
    if label.startswith("xn--") or not label.isascii():
        return "idn"
    if label.isdigit():
        return "number"
    if _RANDOM.search(label):
        return "odd"
    return "long" if len(label) > 18 or host.count(".") > 3 or label.count("-") > 1 else "plain"


def _zone(host: str) -> str:
    zone = host.rpartition(".")[2]
    if zone in _PRIVATE_ZONES:
        return "none"
    if zone in ("com", "net", "org"):
        return zone
    if zone in ("edu", "gov", "mil", "int"):
        return "public"
    return "country" if len(zone) == 2 else "new"


def _authentication(organisations: Organisations) -> Iterator[Fact]:
    owners = set(map(organisations.owner, organisations.signers))
    if {"same", "service"} <= owners:
        yield "sign", "both"
    else:
        yield "sign", next((owner for owner in _SIGNERS if owner in owners), "none")
    for method in ("spf", "dkim", "dmarc"):
        yield method, organisations.result(method)
