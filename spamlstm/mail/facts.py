"""What the header and the structure of a message say that holds across servers and years, as a closed set of facts.

Facts of *relation* (does the reply address belong to the organisation in From?) travel from corpus to corpus; facts
of *fashion* (is it HTML, how many hops) tell the year and the place more than the class. The two are kept apart so
that training can hide either (docs/decisions/0003-rendering.md).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from string import ascii_letters

from spamlstm.mail.message import Message, address
from spamlstm.mail.organisation import EVERYBODYS, FREEMAIL, MAIL_SERVICES, OPEN_HOSTING, organisation

_WHOSE = ("none", "same", "own", "signer", "service", "free", "other")
_AUTH = ("absent", "pass", "fail", "soft", "none", "error")

RELATION: dict[str, tuple[str, ...]] = {
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
FASHION: dict[str, tuple[str, ...]] = {
    "hops": ("0", "1", "2", "few", "many"),
    "helo": ("none", "host", "bare", "ip", "local"),
    "reverse": ("none", "same", "other", "unknown", "pool"),
    "tls": ("yes",),
    "date": ("none", "bad", "near", "ahead", "behind"),
    "parts": ("plain", "alternative", "page", "related", "mixed", "signed", "report", "other"),
    "text": ("0", "tiny", "short", "middle", "long", "huge"),
    "page": ("0", "small", "middle", "large"),
    "pictures": ("0", "1", "few", "many"),
    "hidden": ("little", "much"),
    "script": ("yes",),
    "file": ("document", "archive", "page", "program", "image", "calendar", "message", "other"),
    "letters": ("latin", "cyrillic", "cjk", "arabic", "other", "none"),
    "subject": ("none", "short", "long", "encoded", "shouting", "excited", "picture"),
    "odd": ("zerowidth", "confusable", "spaced", "defect"),
}
VALUES = {**RELATION, **FASHION}

_SIGNER = re.compile(r"\bd\s*=\s*([^\s;]+)")
_ROLE = re.compile(
    r"^(?:info|news|newsletter|sales|support|service|kundenservice|contact|kontakt|admin|office|hello|team|marketing|billing|orders?|accounts?|help|mail|customer|notifications?|notify|alerts?|updates?|promo|offers?|reply|bounce|owner|request|root|webmaster|postmaster)",
    re.IGNORECASE,
)
_NOREPLY = re.compile(r"no[-_.]?reply|do[-_.]?not[-_.]?reply|mailer-daemon|nepasrepondre|noresponder", re.IGNORECASE)
_HOST_IN_TEXT = re.compile(r"(?:https?://|www\.)([a-z0-9.-]+\.[a-z]{2,})", re.IGNORECASE)
_URL_HOST = re.compile(r"^(?:https?:)?//(?:[^/@?#]*@)?([^/:?#\s]+)", re.IGNORECASE)
# In two steps, as `re` finds a sign that is the same in both cases five times as fast as a letter in either case.
_TEXT_HOST, _SCHEME = re.compile(r"://([a-z0-9.-]+)", re.IGNORECASE), re.compile(r"https?\Z", re.IGNORECASE)
_IP_HOST = re.compile(r"[\d.]+|0x[0-9a-f]+")
_WORDS, _LETTERS = re.compile(r"[a-z0-9]+"), re.compile(r"[a-z]+")
_LONGER_WORDS, _NO_WORD = re.compile(r"\w{4,}"), re.compile(r"[^\w]+")
_RANDOM = re.compile(r"[a-z]\d+[a-z]|\d{4,}|[bcdfghjklmnpqrstvwxz]{5,}")
_LEAVE = re.compile(r"https?://([^/:?#\s>]+)")
_ANSWER = re.compile(r"(?:re|aw|sv|antw|回复|答复)\s*(?:\[\d+\])?:", re.IGNORECASE)
_FROM_HOP = re.compile(r"^from\s+(\S+)(?:\s+\(([^()]*(?:\([^()]*\)[^()]*)?)\))?", re.IGNORECASE)
_SECURE = re.compile(r"esmtps|tls|cipher", re.IGNORECASE)
_LOCALHOST = ("localhost", "127.0.0.1", "[::1]", "(::1)")
_IP, _IP_IN_BRACKETS = re.compile(r"\[?[\d.:a-f]+\]?"), re.compile(r"[\[(]?[\d.:a-f]+[\])]?")
_POOL = re.compile(r"\d+[-.x]\d+[-.x]\d+|dsl|dynamic|dhcp|ppp|cable|pool|dial", re.IGNORECASE)
# A date as nearly all are written; email.utils reads this and all others, in twice the time.
_USUAL_DATE = re.compile(
    r"\s*(?:[A-Za-z]{3},\s+)?([0-9]{1,2})\s+(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\s+([12][0-9]{3})\s+"
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})\s+([+-])([0-9]{2})([0-9]{2})(?!\S)"
)
_MONTHS = {name: number for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_BEFORE_1970 = date(1970, 1, 2).toordinal() * 86400
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
_FILES = {
    "document": "pdf doc docx docm xls xlsx xlsm ppt pptx rtf odt ods txt csv",
    "archive": "zip rar 7z gz tgz bz2 xz iso img cab arj ace z",
    "page": "html htm shtml mht svg",
    "program": "exe scr com bat cmd js jse vbs vbe wsf jar lnk ps1 msi pif hta apk one",
    "image": "gif jpg jpeg png bmp webp tif tiff heic",
    "calendar": "ics vcf",
    "message": "eml msg patch diff asc p7s sig",
}
_KIND_OF_FILE = {ending: kind for kind, endings in _FILES.items() for ending in endings.split()}
_ASCII, _ASCII_LETTER, _ASCII_LETTERS = re.compile(r"[\0-\x7f]+"), re.compile(r"[A-Za-z]"), ascii_letters.encode()
# The letters of each alphabet but ASCII, and how much one of them tells.
_ALPHABETS = {
    "latin": (re.compile(r"[\u00c0-\u024f]"), 1),
    "cyrillic": (re.compile(r"[\u0400-\u04ff]"), 1),
    "cjk": (re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"), 2),
    "arabic": (re.compile(r"[\u0590-\u06ff]"), 1),
    "other": (re.compile(r"[\u0370-\u03ff\u0900-\u0fff]"), 1),
}
_PUBLIC = frozenset("edu gov mil int".split())


def facts(message: Message, hosts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(name, value) of every fact that holds for `message`, in a fixed order; each is listed in VALUES.

    `hosts` is where its links lead: what `link_hosts` says of it.
    """
    relation = _Relation(message)
    yield from _who(message, relation)
    yield from _authentication(message, relation)
    yield from _links(message, relation, hosts)
    yield from _audience(message, relation)
    yield from _journey(message)
    yield from _shape(message)


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


class _Relation:
    """The organisations around one message: its sender's and its recipients'."""

    def __init__(self, message: Message) -> None:
        self.sender = organisation(message.sender)
        first = message.first
        # Delivered-To and its like come from the receiving server; To is what the sender claims.
        to = first.get("delivered-to") or first.get("x-original-to") or first.get("envelope-to") or first.get("to", "")
        self.recipient = address(to)
        self.own = organisation(self.recipient) if organisation(self.recipient) not in FREEMAIL else ""
        signature = _SIGNER.search(first.get("dkim-signature", "")[:1000])
        self.signer = signature[1] if signature else ""
        # Who answers for the delivery: a letter written for others by a service that no list of ours knows.
        self.vouching = {organisation(self.signer), organisation(address(first.get("return-path", "")))} - {""}

    def whose(self, host: str) -> str:
        """How a host or address relates to the sender: one of _WHOSE, but for 'signer'."""
        return self._whose(organisation(host))

    def places(self, hosts: Iterable[str]) -> set[str]:
        """How hosts in the text relate to the sender and to who vouches for it, each one of _WHOSE.

        But for those that letters of all kinds point at.
        """
        return {self._place(found) for found in set(map(organisation, hosts)) - EVERYBODYS}

    def place(self, host: str) -> str:
        """The same for one host, whoever points at it."""
        return self._place(organisation(host))

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


def _who(message: Message, relation: _Relation) -> Iterator[tuple[str, str]]:
    sender = message.sender
    local, _, host = sender.partition("@")
    if not sender:
        yield "from", "none"
    elif sender == relation.recipient:
        yield "from", "self"
    elif relation.sender in FREEMAIL:
        yield "from", "free"
    else:
        yield "from", "own" if relation.sender and relation.sender == relation.own else "org"
    yield "name", _name(message.sender_name, sender, relation.sender)
    yield "local", _local(local)
    yield "domain", _domain(relation.sender, host)
    yield "zone", _zone(host)
    reply = message.first.get("reply-to", "")
    yield "reply", relation.whose(address(reply)) if address(reply) != sender else "same"
    path = message.first.get("return-path", "")
    yield "path", "null" if path.strip() == "<>" else relation.whose(address(path))
    identity = message.first.get("message-id", "")
    yield "id", relation.whose(identity.strip("<> ")) if "@" in identity else ("bad" if identity else "none")


def _name(name: str, sender: str, org: str) -> str:
    """How the display name relates to the address: a phisher's name claims what the address does not."""
    if not name:
        return "none"
    low = name.lower()
    if "@" in low or _HOST_IN_TEXT.search(low):
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


def _authentication(message: Message, relation: _Relation) -> Iterator[tuple[str, str]]:
    """What the receiving server found; only the topmost result of each kind, as those below came with the mail."""
    found: dict[str, str] = {}
    for name in ("authentication-results", "arc-authentication-results"):
        for kind, result in _RESULT.findall(message.first.get(name, "")[:2000]):
            found.setdefault(kind.lower(), _RESULTS.get(result.lower(), "error"))
    spf = message.first.get("received-spf", "").strip().partition(" ")[0].lower()
    if spf and "spf" not in found:
        found["spf"] = _RESULTS.get(spf, "error")
    yield "sign", relation.whose(relation.signer)
    for kind in ("spf", "dkim", "dmarc"):
        yield kind, found.get(kind, "absent")


def _links(message: Message, relation: _Relation, hosts: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield "links", _links_whose(hosts, relation)
    yield "linkhosts", _bucket(len(hosts), (1, "0"), (2, "1"), (5, "few"), last="many")
    if any(organisation(host) in OPEN_HOSTING or ".".join(host.split(".")[-2:]) in OPEN_HOSTING for host in hosts):
        yield "openhost", "yes"
    if any(_lies(link.url, link.text) for link in message.page.links):
        yield "lying", "yes"
    yield "images", _images(message, relation)
    if message.page.forms:
        yield "form", "yes"


def _links_whose(hosts: Sequence[str], relation: _Relation) -> str:
    if not hosts:
        return "none"
    if any(map(_IP_HOST.fullmatch, hosts)):
        return "ip"
    whose = relation.places(hosts)
    if "same" in whose or (not whose and hosts):
        return "mixed" if "other" in whose else "same"
    if "signer" in whose:
        return "signer"
    return "service" if whose and whose <= {"service", "own", "none"} else "other"


def _lies(url: str, text: str) -> bool:
    """Whether the text of a link shows one organisation's address and the link leads to another's."""
    claimed = _HOST_IN_TEXT.search(text)
    real = _URL_HOST.match(url)
    if not claimed or not real:
        return False
    lead = organisation(real[1])
    return organisation(claimed[1]) != lead and lead not in MAIL_SERVICES


def _images(message: Message, relation: _Relation) -> str:
    sources = message.page.images
    if not sources:
        return "none"
    hosts = [match[1] for source in sources if (match := _URL_HOST.match(source))]
    if not hosts:
        return "inside"
    whose = relation.places(hosts)
    if "same" in whose or not whose:
        return "mixed" if "other" in whose else "same"
    if "signer" in whose:
        return "signer"
    return "mixed" if "service" in whose else "other"


def _audience(message: Message, relation: _Relation) -> Iterator[tuple[str, str]]:
    first = message.first
    to = first.get("to")
    if to is None:
        yield "to", "absent"
    elif "undisclosed" in to.lower() or "unlisted" in to.lower():
        yield "to", "hidden"
    else:
        yield (
            "to",
            _bucket(to.count("@") + first.get("cc", "").count("@"), (1, "none"), (2, "one"), (6, "few"), last="many"),
        )
    yield "greet", _greeting(message, relation)
    if "list-id" in first or "list-post" in first or "mailing-list" in first:
        yield "list", "list"
    else:
        yield "list", "bulk" if "list-unsubscribe" in first or "bulk" in first.get("precedence", "").lower() else "none"
    leave = first.get("list-unsubscribe", "")
    match = _LEAVE.search(leave)
    whose = relation.place(match[1]) if match else ""
    yield (
        "leave",
        (whose if whose in RELATION["leave"] else "other") if match else ("mail" if "mailto" in leave else "none"),
    )
    answered = bool(first.get("in-reply-to") or first.get("references"))
    claims = _ANSWER.match(message.subject.strip())
    yield "thread", "reply" if answered else ("forged" if claims else "new")


def _greeting(message: Message, relation: _Relation) -> str:
    """Whether the letter knows its reader: a name of the recipient's stands in the subject or near the top."""
    names = {word for word in _NO_WORD.split(relation.recipient.partition("@")[0].lower()) if len(word) > 3}
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


def _journey(message: Message) -> Iterator[tuple[str, str]]:
    """The shape of the Received chain, read from its first hop between two hosts that are not the same machine."""
    chain = message.all("received")
    yield "hops", _bucket(len(chain), (1, "0"), (2, "1"), (3, "2"), (6, "few"), last="many")
    helo, reverse, secure = "none", "none", False
    for hop in chain[:8]:
        match = _FROM_HOP.match(hop)
        if match is None or any(local in match[0] for local in _LOCALHOST):
            continue
        helo, reverse = _hop(match[1], match[2] or "")
        secure = _SECURE.search(hop) is not None
        break
    yield "helo", helo
    yield "reverse", reverse
    if secure:
        yield "tls", "yes"
    yield "date", _date(message, chain)


def _hop(helo: str, details: str) -> tuple[str, str]:
    """(kind of the name it gave in HELO, kind of the name its address has) of the host that handed the mail over."""
    if _IP.fullmatch(helo):
        said = "ip"
    elif "." not in helo:
        said = "bare"
    else:
        said = "local" if helo.endswith((".local", ".localdomain", ".lan", ".internal")) else "host"
    name = details.replace("HELO", " ").split()
    named = next((word.strip("[].,") for word in name if "." in word and not _IP_IN_BRACKETS.fullmatch(word)), "")
    if not named or "unknown" in details.lower():
        return said, "unknown" if details else "none"
    if _POOL.search(named[:255]):
        return said, "pool"
    return said, "same" if organisation(named) == organisation(helo) else "other"


def _date(message: Message, chain: list[str]) -> str:
    """How the sender's clock stands to the receiver's: more than twelve hours off is no honest clock."""
    value = message.first.get("date")
    if not value:
        return "none"
    sent = _seconds(value)
    if sent is None:
        return "bad"
    got = _seconds(chain[0].rpartition(";")[2]) if chain else None
    if got is None or abs(sent - got) < 12 * 3600:
        return "near"
    return "ahead" if sent > got else "behind"


def _seconds(value: str) -> int | None:
    """The seconds since 1970 that a date means, or None."""
    match = _USUAL_DATE.match(value, 0, 100)
    if match is None:
        return _unusual_seconds(value)
    day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
    days = date(int(year), _MONTHS[month], 1).toordinal() + int(day)
    east = int(hours) * 3600 + int(minutes) * 60
    local = days * 86400 + int(hour) * 3600 + int(minute) * 60 + int(second)
    return local - (east if sign == "+" else -east) - _BEFORE_1970


def _unusual_seconds(value: str) -> int | None:
    from email.utils import mktime_tz, parsedate_tz  # 9 ms, which usual mail need not pay

    try:
        parsed = parsedate_tz(value[:100])
        return mktime_tz(parsed) if parsed else None
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def _shape(message: Message) -> Iterator[tuple[str, str]]:
    yield "parts", _parts(message.structure)
    text = len(message.text)
    yield "text", _bucket(text, (1, "0"), (60, "tiny"), (300, "short"), (1500, "middle"), (6000, "long"), last="huge")
    page = message.page
    yield "page", _bucket(page.size, (1, "0"), (4000, "small"), (20_000, "middle"), last="large")
    yield "pictures", _bucket(len(page.images), (1, "0"), (2, "1"), (8, "few"), last="many")
    if page.hidden:
        yield "hidden", "little" if len(page.hidden) < max(200, text // 4) else "much"
    if page.scripts:
        yield "script", "yes"
    for kind in sorted({_kind_of(part.name, part.type) for part in message.attachments}):
        yield "file", kind
    yield "letters", _letters(message.subject + " " + message.text[:2000])
    yield from (("subject", value) for value in _subject(message))
    if message.defects:
        yield "odd", "defect"


def _parts(structure: str) -> str:
    top = structure.partition(" ")[0]
    return {
        "plain": "plain",
        "html": "page",
        "alternative": "alternative",
        "related": "related",
        "mixed": "mixed",
        "signed": "signed",
        "report": "report",
    }.get(top, "other")


def _kind_of(name: str, kind: str) -> str:
    ending = name.lower().rpartition(".")[2]
    if ending in _KIND_OF_FILE:
        return _KIND_OF_FILE[ending]
    return "image" if kind.startswith("image/") else "document" if kind == "application/pdf" else "other"


def _letters(text: str) -> str:
    if text.isascii():
        return "latin" if _ASCII_LETTER.search(text) else "none"
    # Of most text in another alphabet than ASCII only a few signs are not ASCII: those are looked at one by one.
    foreign = _ASCII.sub("", text)
    counts = {kind: weight * len(letters.findall(foreign)) for kind, (letters, weight) in _ALPHABETS.items()}
    plain = text.encode("ascii", "ignore")
    counts["latin"] += len(plain) - len(plain.translate(None, _ASCII_LETTERS))
    best = max(counts, key=counts.__getitem__)
    return best if counts[best] else "none"


def _subject(message: Message) -> Iterator[str]:
    subject = message.subject.strip()
    if not subject:
        yield "none"
        return
    if len(subject) > 80:
        yield "long"
    letters = list(filter(str.isalpha, subject))
    if len(letters) > 6 and sum(map(str.isupper, letters)) > 0.7 * len(letters):
        yield "shouting"
    if "!" in subject:
        yield "excited"
    if subject.isascii():
        if "=?" in message.first.get("subject", ""):
            yield "encoded"
    elif re.search("[\u2190-\u2bff\U0001f000-\U0001faff]", subject):
        yield "picture"


def _bucket(value: int, *steps: tuple[int, str], last: str) -> str:
    """The name of the first step whose bound `value` is below."""
    for bound, name in steps:
        if value < bound:
            return name
    return last
