"""Facts of alignment: how the names, addresses, hosts and links of a message relate to its sender.

A fact is a name and a value, rendered as a ⟦name:value⟧ mark. An example is whether the reply address belongs to the
organisation in From. Such facts have the same meaning across servers and years.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from spamlstm.features.domains import FREEMAIL, MAIL_SERVICES, SHARED_DOMAINS, organisational_domain
from spamlstm.features.links import LINKS, link_facts, shown_host
from spamlstm.features.style import Fact, bucket
from spamlstm.message.message import Message, address

# The owner of a host: the organisation of the sender (same) or of the recipient (own), the signer of the message, a
# service that sends for others, a mailbox provider (free), or another organisation.
_OWNERS = ("none", "same", "own", "signer", "service", "free", "other")
_AUTH = ("absent", "pass", "fail", "soft", "none", "error")

# Trained models have token ids in this order, so a value that no message has any more stays in its position.
ALIGNMENT: dict[str, tuple[str, ...]] = {
    "from": ("none", "org", "free", "own", "self"),
    "name": ("none", "match", "address", "foreign", "plain"),
    "local": ("none", "noreply", "role", "odd", "plain"),
    "domain": ("none", "plain", "odd", "long", "idn", "number"),
    "zone": ("none", "com", "net", "org", "public", "country", "new"),
    "reply": _OWNERS,
    "path": (*_OWNERS, "null"),
    "id": (*_OWNERS, "bad"),
    "sign": ("none", "same", "own", "service", "free", "other"),
    "spf": _AUTH,
    "dkim": _AUTH,
    "dmarc": _AUTH,
    **LINKS,
    "to": ("none", "one", "few", "many", "hidden", "absent"),
    "greet": ("no", "subject", "body"),
    "list": ("none", "list", "bulk"),
    "leave": ("none", "same", "signer", "service", "other", "mail"),
    "thread": ("new", "reply", "forged"),
}

_SIGNER = re.compile(r"\bd\s*=\s*([^\s;]+)")
_ROLE = re.compile(
    r"^(?:info|news|newsletter|sales|support|service|kundenservice|contact|kontakt|admin|office|hello|team|marketing|billing|orders?|accounts?|help|mail|customer|notifications?|notify|alerts?|updates?|promo|offers?|reply|bounce|owner|request|root|webmaster|postmaster)",
    re.IGNORECASE,
)
_NOREPLY = re.compile(r"no[-_.]?reply|do[-_.]?not[-_.]?reply|mailer-daemon|nepasrepondre|noresponder", re.IGNORECASE)
_WORDS, _LETTERS = re.compile(r"[a-z0-9]+"), re.compile(r"[a-z]+")
_LONGER_WORDS, _NO_WORD = re.compile(r"\w{4,}"), re.compile(r"[^\w]+")
# Digits between letters, long numbers, or five consonants in a row.
_RANDOM = re.compile(r"[a-z]\d+[a-z]|\d{4,}|[bcdfghjklmnpqrstvwxz]{5,}")
_UNSUBSCRIBE_HOST = re.compile(r"https?://([^/:?#\s>]+)")
_ANSWER = re.compile(r"(?:re|aw|sv|antw|回复|答复)\s*(?:\[\d+\])?:", re.IGNORECASE)
_RESULT = re.compile(r"\b(spf|dkim|dmarc)\s*=\s*([a-z]+)", re.IGNORECASE)
_RESULTS = {
    **dict.fromkeys(("pass", "bestguesspass"), "pass"),
    **dict.fromkeys(("fail", "hardfail", "reject"), "fail"),
    **dict.fromkeys(("softfail", "neutral"), "soft"),
    "none": "none",
}
_NO_NAMES = frozenset("undisclosed recipients info mail list phishing".split())


def alignment(message: Message, hosts: Sequence[str]) -> Iterator[Fact]:
    """Yield each fact that applies, in a fixed order. `hosts` is the result of `link_hosts`."""
    organisations = _Organisations(message)
    yield from _sender(message, organisations)
    yield from _authentication(message, organisations)
    yield from link_facts(message, hosts, organisations.link_owners)
    yield from _audience(message, organisations)


class _Organisations:
    """The organisations of the sender and the recipient.

    `signers` contains the organisations of the DKIM signature and of the bounce address.
    """

    def __init__(self, message: Message) -> None:
        self.sender = organisational_domain(message.sender)
        first = message.first
        # The receiving server adds Delivered-To, X-Original-To and Envelope-To, which are more reliable than the
        # sender's To.
        to = first.get("delivered-to") or first.get("x-original-to") or first.get("envelope-to") or first.get("to", "")
        self.recipient = address(to)
        own = organisational_domain(self.recipient)
        self.own = "" if own in FREEMAIL else own
        signature = _SIGNER.search(first.get("dkim-signature", "")[:1000])
        self.signer = signature[1] if signature else ""
        # Mail that a service sends for its customers is signed by the service, or bounces to the service.
        bounces = address(first.get("return-path", ""))
        self.signers = {organisational_domain(self.signer), organisational_domain(bounces)}

    def owner(self, host: str, *, signers: bool = False) -> str:
        """Return the owner of a host or address, a value in _OWNERS. 'signer' is returned only if `signers` is set."""
        return self._owner(organisational_domain(host), signers=signers)

    def link_owners(self, hosts: Iterable[str]) -> set[str]:
        """Return the owners of the hosts of links or images. Domains in SHARED_DOMAINS are ignored."""
        return {self._owner(domain, signers=True) for domain in set(map(organisational_domain, hosts)) - SHARED_DOMAINS}

    def _owner(self, domain: str, *, signers: bool) -> str:
        if not domain:
            return "none"
        if domain == self.sender:
            return "same"
        if domain == self.own:
            return "own"
        if domain in FREEMAIL:
            return "free"
        if domain in MAIL_SERVICES:
            return "service"
        return "signer" if signers and domain in self.signers else "other"


def _sender(message: Message, organisations: _Organisations) -> Iterator[Fact]:
    sender = message.sender
    local, _, host = sender.partition("@")
    if not sender:
        yield "from", "none"
    elif sender == organisations.recipient:
        yield "from", "self"
    elif organisations.sender in FREEMAIL:
        yield "from", "free"
    else:
        yield "from", "own" if organisations.sender and organisations.sender == organisations.own else "org"
    yield "name", _name(message.sender_name, sender, organisations.sender)
    yield "local", _local(local)
    yield "domain", _domain(organisations.sender, host)
    yield "zone", _zone(host)
    reply = address(message.first.get("reply-to", ""))
    yield "reply", organisations.owner(reply) if reply != sender else "same"
    path = message.first.get("return-path", "")
    yield "path", "null" if path.strip() == "<>" else organisations.owner(address(path))
    identity = message.first.get("message-id", "")
    yield "id", organisations.owner(identity.strip("<> ")) if "@" in identity else ("bad" if identity else "none")


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
    if zone in ("", "com", "net", "org"):
        return zone or "none"
    if zone in ("edu", "gov", "mil", "int"):
        return "public"
    return "country" if len(zone) == 2 else "new"


def _authentication(message: Message, organisations: _Organisations) -> Iterator[Fact]:
    """Yield the authentication results of the receiving server: the topmost result of each kind.

    Results below the topmost may be forged by the sender.
    """
    found: dict[str, str] = {}
    for name in ("authentication-results", "arc-authentication-results"):
        for kind, result in _RESULT.findall(message.first.get(name, "")[:2000]):
            found.setdefault(kind.lower(), _RESULTS.get(result.lower(), "error"))
    spf = message.first.get("received-spf", "").strip().partition(" ")[0].lower()
    if spf and "spf" not in found:
        found["spf"] = _RESULTS.get(spf, "error")
    yield "sign", organisations.owner(organisations.signer)
    for kind in ("spf", "dkim", "dmarc"):
        yield kind, found.get(kind, "absent")


def _audience(message: Message, organisations: _Organisations) -> Iterator[Fact]:
    first = message.first
    to = first.get("to")
    if to is None:
        yield "to", "absent"
    elif "undisclosed" in to.lower() or "unlisted" in to.lower():
        yield "to", "hidden"
    else:
        recipients = to.count("@") + first.get("cc", "").count("@")
        yield "to", bucket(recipients, (1, "none"), (2, "one"), (6, "few"), last="many")
    yield "greet", _greeting(message, organisations)
    if "list-id" in first or "list-post" in first or "mailing-list" in first:
        yield "list", "list"
    else:
        yield "list", "bulk" if "list-unsubscribe" in first or "bulk" in first.get("precedence", "").lower() else "none"
    leave = first.get("list-unsubscribe", "")
    if match := _UNSUBSCRIBE_HOST.search(leave):
        owner = organisations.owner(match[1], signers=True)
        yield "leave", owner if owner in ALIGNMENT["leave"] else "other"
    else:
        yield "leave", "mail" if "mailto" in leave else "none"
    if first.get("in-reply-to") or first.get("references"):
        yield "thread", "reply"
    else:
        yield "thread", "forged" if _ANSWER.match(message.subject.strip()) else "new"


def _greeting(message: Message, organisations: _Organisations) -> str:
    """Return where a name of the recipient occurs: 'subject', 'body' (near the top of the text), or 'no'."""
    names = {word for word in _NO_WORD.split(organisations.recipient.partition("@")[0]) if len(word) > 3}
    names.update(_LONGER_WORDS.findall(message.first.get("to", "").partition("<")[0][:100].lower()))
    names -= _NO_NAMES
    for place, text in (("subject", message.subject[:1000]), ("body", message.text[:400])):
        low = text.lower()
        if any(name in low for name in names):
            return place
    return "no"
