"""Facts of relation: how the names, addresses, hosts and links of a message belong together.

Does the reply address belong to the organisation in From? What such facts say holds across servers and years.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from spamlstm.features.bucket import bucket
from spamlstm.features.domains import FREEMAIL, MAIL_SERVICES, OPEN_HOSTING, SHARED_DOMAINS, organisational_domain
from spamlstm.message.message import Message, address

_WHOSE = ("none", "same", "own", "signer", "service", "free", "other")
_AUTH = ("absent", "pass", "fail", "soft", "none", "error")

ALIGNMENT: dict[str, tuple[str, ...]] = {
    "from": ("none", "org", "free", "own", "self"),
    "name": ("none", "match", "address", "foreign", "plain"),
    "local": ("none", "noreply", "role", "odd", "plain"),
    "domain": ("none", "plain", "odd", "long", "idn", "number"),
    "zone": ("none", "com", "net", "org", "public", "country", "new"),
    "reply": _WHOSE,
    "path": (*_WHOSE, "null"),
    "id": (*_WHOSE, "bad"),
    "sign": ("none", "same", "own", "service", "free", "other"),
    "spf": _AUTH,
    "dkim": _AUTH,
    "dmarc": _AUTH,
    "links": ("none", "same", "mixed", "signer", "service", "other", "ip"),
    "linkhosts": ("0", "1", "few", "many"),
    "openhost": ("yes",),
    "lying": ("yes",),
    "images": ("none", "same", "mixed", "signer", "inside", "other"),
    "to": ("none", "one", "few", "many", "hidden", "absent"),
    "greet": ("no", "subject", "body"),
    "list": ("none", "list", "bulk"),
    "leave": ("none", "same", "signer", "service", "other", "mail"),
    "thread": ("new", "reply", "forged"),
    "form": ("yes",),
}

_SIGNER = re.compile(r"\bd\s*=\s*([^\s;]+)")
_ROLE = re.compile(
    r"^(?:info|news|newsletter|sales|support|service|kundenservice|contact|kontakt|admin|office|hello|team|marketing|billing|orders?|accounts?|help|mail|customer|notifications?|notify|alerts?|updates?|promo|offers?|reply|bounce|owner|request|root|webmaster|postmaster)",
    re.IGNORECASE,
)
_NOREPLY = re.compile(r"no[-_.]?reply|do[-_.]?not[-_.]?reply|mailer-daemon|nepasrepondre|noresponder", re.IGNORECASE)
_BEFORE_HOST = re.compile(r"https?://|www\.", re.IGNORECASE)
_HOST, _HOST_SIGNS = re.compile(r"[a-z0-9.-]+\.[a-z]{2,}", re.IGNORECASE), re.compile(r"[a-z0-9.-]*", re.IGNORECASE)
_URL_HOST = re.compile(r"^(?:https?:)?//(?:[^/@?#]*@)?([^/:?#\s]+)", re.IGNORECASE)
# In two steps, as `re` finds a sign that is the same in both cases five times as fast as a letter in either case.
_TEXT_HOST, _SCHEME = re.compile(r"://([a-z0-9.-]+)", re.IGNORECASE), re.compile(r"https?\Z", re.IGNORECASE)
_IP_HOST = re.compile(r"[\d.]+|0x[0-9a-f]+")
_WORDS, _LETTERS = re.compile(r"[a-z0-9]+"), re.compile(r"[a-z]+")
_LONGER_WORDS, _NO_WORD = re.compile(r"\w{4,}"), re.compile(r"[^\w]+")
_RANDOM = re.compile(r"[a-z]\d+[a-z]|\d{4,}|[bcdfghjklmnpqrstvwxz]{5,}")
_LEAVE = re.compile(r"https?://([^/:?#\s>]+)")
_ANSWER = re.compile(r"(?:re|aw|sv|antw|回复|答复)\s*(?:\[\d+\])?:", re.IGNORECASE)
_RESULT = re.compile(r"\b(spf|dkim|dmarc)\s*=\s*([a-z]+)", re.IGNORECASE)
_RESULTS = {
    "pass": "pass",
    "fail": "fail",
    "hardfail": "fail",
    "reject": "fail",
    "softfail": "soft",
    "neutral": "soft",
    "bestguesspass": "pass",
    "none": "none",
}
_PUBLIC = frozenset("edu gov mil int".split())


def alignment(message: Message, hosts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(name, value) of each that holds, in a fixed order. `hosts` is where the links lead, see `link_hosts`."""
    around = _Organisations(message)
    yield from _who(message, around)
    yield from _authentication(message, around)
    yield from _links(message, around, hosts)
    yield from _audience(message, around)


def link_hosts(message: Message) -> list[str]:
    """The distinct hosts that the message's links lead to, in order; plain text counts where there is no page."""
    hosts: dict[str, None] = {}
    for link in message.page.links:
        if match := _URL_HOST.match(link.url):
            hosts[match[1].lower()] = None
    if not hosts:
        for host in _hosts_of_text(message.text[:100_000]):
            hosts[host] = None
            if len(hosts) > 50:
                break
    return list(hosts)


def _hosts_of_text(text: str) -> Iterator[str]:
    end = 0
    for match in _TEXT_HOST.finditer(text):
        start = match.start()
        if _SCHEME.search(text, max(end, start - 5), start):
            end = match.end()
            yield match[1].lower()


class _Organisations:
    """The organisations around one message: its sender's and its recipients'."""

    def __init__(self, message: Message) -> None:
        self.sender = organisational_domain(message.sender)
        first = message.first
        # Delivered-To and its like come from the receiving server; To is what the sender claims.
        to = first.get("delivered-to") or first.get("x-original-to") or first.get("envelope-to") or first.get("to", "")
        self.recipient = address(to)
        self.own = (
            organisational_domain(self.recipient) if organisational_domain(self.recipient) not in FREEMAIL else ""
        )
        signature = _SIGNER.search(first.get("dkim-signature", "")[:1000])
        self.signer = signature[1] if signature else ""
        # Who answers for the delivery: a letter written for others by a service that no list of ours knows.
        self.vouching = {
            organisational_domain(self.signer),
            organisational_domain(address(first.get("return-path", ""))),
        } - {""}

    def whose(self, host: str) -> str:
        """How a host or address relates to the sender: one of _WHOSE, but for 'signer'."""
        return self._whose(organisational_domain(host))

    def places(self, hosts: Iterable[str]) -> set[str]:
        """How hosts in the text relate to the sender and to who vouches for it, each one of _WHOSE.

        But for those that letters of all kinds point at.
        """
        return {self._place(found) for found in set(map(organisational_domain, hosts)) - SHARED_DOMAINS}

    def place(self, host: str) -> str:
        """The same for one host, whoever points at it."""
        return self._place(organisational_domain(host))

    def _place(self, found: str) -> str:
        whose = self._whose(found)
        return "signer" if whose == "other" and found in self.vouching else whose

    def _whose(self, found: str) -> str:
        if not found:
            return "none"
        if found == self.sender:
            return "same"
        if found == self.own:
            return "own"
        if found in FREEMAIL:
            return "free"
        return "service" if found in MAIL_SERVICES else "other"


def _who(message: Message, around: _Organisations) -> Iterator[tuple[str, str]]:
    sender = message.sender
    local, _, host = sender.partition("@")
    if not sender:
        yield "from", "none"
    elif sender == around.recipient:
        yield "from", "self"
    elif around.sender in FREEMAIL:
        yield "from", "free"
    else:
        yield "from", "own" if around.sender and around.sender == around.own else "org"
    yield "name", _name(message.sender_name, sender, around.sender)
    yield "local", _local(local)
    yield "domain", _domain(around.sender, host)
    yield "zone", _zone(host)
    reply = message.first.get("reply-to", "")
    yield "reply", around.whose(address(reply)) if address(reply) != sender else "same"
    path = message.first.get("return-path", "")
    yield "path", "null" if path.strip() == "<>" else around.whose(address(path))
    identity = message.first.get("message-id", "")
    yield "id", around.whose(identity.strip("<> ")) if "@" in identity else ("bad" if identity else "none")


def _name(name: str, sender: str, org: str) -> str:
    """How the display name relates to the address: a phisher's name claims what the address does not."""
    if not name:
        return "none"
    low = name.lower()
    if "@" in low or _host_in_text(low):
        return "address" if sender in low else "foreign"
    label = org.partition(".")[0].replace("-", "")
    words = _WORDS.findall(low)
    if len(label) > 2 and (label in "".join(words) or any(len(word) > 3 and word in label for word in words)):
        return "match"
    local = "".join(_LETTERS.findall(sender.partition("@")[0]))
    if any(len(word) > 2 and word in local for word in _LETTERS.findall(low)):
        return "plain" if org not in FREEMAIL else "match"
    return "plain"


def _local(local: str) -> str:
    if not local:
        return "none"
    if _NOREPLY.search(local):
        return "noreply"
    if _ROLE.match(local):
        return "role"
    return "odd" if _is_random(local) else "plain"


def _domain(org: str, host: str) -> str:
    label = org.partition(".")[0]
    if not label:
        return "none"
    if label.startswith("xn--") or not label.isascii():
        return "idn"
    if label.isdigit():
        return "number"
    if _is_random(label):
        return "odd"
    return "long" if len(label) > 18 or host.count(".") > 3 or label.count("-") > 1 else "plain"


def _is_random(word: str) -> bool:
    """Whether a name looks drawn by lot: digits among its letters, or more consonants in a row than people write."""
    return _RANDOM.search(word) is not None


def _zone(host: str) -> str:
    zone = host.rpartition(".")[2]
    if not zone:
        return "none"
    if zone in ("com", "net", "org"):
        return zone
    if zone in _PUBLIC:
        return "public"
    return "country" if len(zone) == 2 else "new"


def _authentication(message: Message, around: _Organisations) -> Iterator[tuple[str, str]]:
    """What the receiving server found; only the topmost result of each kind, as those below came with the mail."""
    found: dict[str, str] = {}
    for name in ("authentication-results", "arc-authentication-results"):
        for kind, result in _RESULT.findall(message.first.get(name, "")[:2000]):
            found.setdefault(kind.lower(), _RESULTS.get(result.lower(), "error"))
    spf = message.first.get("received-spf", "").strip().partition(" ")[0].lower()
    if spf and "spf" not in found:
        found["spf"] = _RESULTS.get(spf, "error")
    yield "sign", around.whose(around.signer)
    for kind in ("spf", "dkim", "dmarc"):
        yield kind, found.get(kind, "absent")


def _links(message: Message, around: _Organisations, hosts: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield "links", _links_whose(hosts, around)
    yield "linkhosts", bucket(len(hosts), (1, "0"), (2, "1"), (5, "few"), last="many")
    if any(
        organisational_domain(host) in OPEN_HOSTING or ".".join(host.split(".")[-2:]) in OPEN_HOSTING for host in hosts
    ):
        yield "openhost", "yes"
    if any(_lies(link.url, link.text) for link in message.page.links):
        yield "lying", "yes"
    yield "images", _images(message, around)
    if message.page.forms:
        yield "form", "yes"


def _links_whose(hosts: Sequence[str], around: _Organisations) -> str:
    if not hosts:
        return "none"
    if any(map(_IP_HOST.fullmatch, hosts)):
        return "ip"
    whose = around.places(hosts)
    if "same" in whose or (not whose and hosts):
        return "mixed" if "other" in whose else "same"
    if "signer" in whose:
        return "signer"
    return "service" if whose and whose <= {"service", "own", "none"} else "other"


def _host_in_text(text: str) -> str:
    """The first host that a text shows, which stands behind `http://` or `www.` and ends in a domain; else ''."""
    end = 0
    for before in _BEFORE_HOST.finditer(text):
        # Where one run of letters and dots holds no host, neither does what follows another `www.` in it.
        if before.end() < end:
            continue
        if host := _HOST.match(text, before.end()):
            return host[0]
        signs = _HOST_SIGNS.match(text, before.end())
        end = signs.end() if signs else end
    return ""


def _lies(url: str, text: str) -> bool:
    """Whether the text of a link shows one organisation's address and the link leads to another's."""
    claimed = _host_in_text(text)
    real = _URL_HOST.match(url)
    if not claimed or not real:
        return False
    lead = organisational_domain(real[1])
    return organisational_domain(claimed) != lead and lead not in MAIL_SERVICES


def _images(message: Message, around: _Organisations) -> str:
    sources = message.page.images
    if not sources:
        return "none"
    hosts = [match[1] for source in sources if (match := _URL_HOST.match(source))]
    if not hosts:
        return "inside"
    whose = around.places(hosts)
    if "same" in whose or not whose:
        return "mixed" if "other" in whose else "same"
    if "signer" in whose:
        return "signer"
    return "mixed" if "service" in whose else "other"


def _audience(message: Message, around: _Organisations) -> Iterator[tuple[str, str]]:
    first = message.first
    to = first.get("to")
    if to is None:
        yield "to", "absent"
    elif "undisclosed" in to.lower() or "unlisted" in to.lower():
        yield "to", "hidden"
    else:
        yield (
            "to",
            bucket(to.count("@") + first.get("cc", "").count("@"), (1, "none"), (2, "one"), (6, "few"), last="many"),
        )
    yield "greet", _greeting(message, around)
    if "list-id" in first or "list-post" in first or "mailing-list" in first:
        yield "list", "list"
    else:
        yield "list", "bulk" if "list-unsubscribe" in first or "bulk" in first.get("precedence", "").lower() else "none"
    leave = first.get("list-unsubscribe", "")
    match = _LEAVE.search(leave)
    whose = around.place(match[1]) if match else ""
    yield (
        "leave",
        (whose if whose in ALIGNMENT["leave"] else "other") if match else ("mail" if "mailto" in leave else "none"),
    )
    answered = bool(first.get("in-reply-to") or first.get("references"))
    claims = _ANSWER.match(message.subject.strip())
    yield "thread", "reply" if answered else ("forged" if claims else "new")


def _greeting(message: Message, around: _Organisations) -> str:
    """Whether the letter knows its reader: a name of the recipient's stands in the subject or near the top."""
    names = {word for word in _NO_WORD.split(around.recipient.partition("@")[0].lower()) if len(word) > 3}
    names |= {
        word
        for word in _LONGER_WORDS.findall(message.first.get("to", "").partition("<")[0][:100].lower())
        if "@" not in word
    }
    names -= {"undisclosed", "recipients", "info", "mail", "list", "phishing"}
    if not names:
        return "no"
    subject = message.subject[:1000].lower()
    if any(name in subject for name in names):
        return "subject"
    top = message.text[:400].lower()
    return "body" if any(name in top for name in names) else "no"
