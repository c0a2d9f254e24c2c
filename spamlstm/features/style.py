"""Facts of style: how a message was delivered and how it is built. They also reveal its year and server.

A fact is a name and a value, rendered as a ⟦name:value⟧ mark.
"""

import re
from collections.abc import Iterator
from datetime import date
from string import ascii_letters, ascii_uppercase

from spamlstm.features.disguise import foreign
from spamlstm.features.domains import organisational_domain
from spamlstm.features.file_names import FILE_KINDS, KIND_BY_ENDING, file_kinds
from spamlstm.features.header_value import server_name
from spamlstm.features.hop import UNKNOWN, Client
from spamlstm.features.route import Route
from spamlstm.message.message import Message
from spamlstm.message.mime import Part
from spamlstm.message.part_text import file_ending

Fact = tuple[str, str]
"""A name and a value, both from fixed sets. The model reads a fact as one token."""

# The order determines the token ids of the marks in trained models, so values that no longer occur keep their place.
STYLE: dict[str, tuple[str, ...]] = {
    "helo": ("none", "host", "bare", "ip", "local"),
    "reverse": ("none", "same", "other", "unknown", "pool"),
    "tls": ("yes",),
    "date": ("none", "bad", "near", "ahead", "behind"),
    "parts": ("plain", "alternative", "page", "related", "mixed", "signed", "report", "other"),
    "text": ("0", "tiny", "short", "middle", "long", "huge"),
    "page": ("0", "small", "middle", "large"),
    "pictures": ("0", "1", "few", "many"),
    "hidden": ("little", "much", "pieces"),
    "preheader": ("yes",),
    "script": ("yes",),
    "file": FILE_KINDS,
    "letters": ("latin", "cyrillic", "cjk", "arabic", "other", "none"),
    "subject": ("none", "long", "encoded", "shouting", "excited", "picture"),
    "unread": ("encrypted", "archive", "pdf", "office", "image"),
    "odd": ("zerowidth", "confusable", "combining", "spaced", "leet", "defect"),
}

_IP = re.compile(r"\[.*|[\d.]+|[\da-f]*:[\da-f:.]*", re.IGNORECASE)
_POOL = re.compile(r"\d[-.x]\d+[-.x]\d|dsl|dynamic|dhcp|ppp|cable|pool|dial", re.IGNORECASE)
# The usual form of a date. email.utils reads this form and all other forms, but takes twice as long.
_USUAL_DATE = re.compile(
    r"\s*(?:[A-Za-z]{3},\s+)?([0-9]{1,2})\s+(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\s+([12][0-9]{3})\s+"
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})\s+([+-])([0-9]{2})([0-9]{2})(?!\S)"
)
_MONTHS = {name: number for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_BEFORE_1970 = date(1970, 1, 2).toordinal() * 86400
# The values for the first word of `Message.structure`, a multipart or text subtype.
_PARTS = {"html": "page", **{name: name for name in "plain alternative related mixed signed report".split()}}
# Hidden text of at least _MIN_PIECES lines with fewer than _MAX_PIECE characters each is in pieces.
_MIN_PIECES, _MAX_PIECE = 6, 16
_ENCRYPTED_TYPES = {"application/pgp-encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"}
# TNEF, in which Outlook and Exchange pack a letter with its files, and RTF, which may be a letter or a file.
_TNEF_TYPES, _RTF_TYPES = {"application/ms-tnef", "application/vnd.ms-tnef"}, {"text/rtf", "application/rtf"}
_TNEF_NAME = "winmail.dat"
# The text of a message with content that cannot be read is shorter than this, in characters.
_SHORT_TEXT = 200
_READ_DOCUMENTS = ("txt", "csv")
_PICTURE = re.compile("[\u2190-\u2bff\U0001f000-\U0001faff]")
_ASCII_LETTER, _ASCII_LETTERS, _ASCII_CAPITALS = (
    re.compile(r"[A-Za-z]"),
    ascii_letters.encode(),
    ascii_uppercase.encode(),
)
# The letters of each alphabet outside ASCII, and the weight of a letter.
_ALPHABETS = {
    "latin": (re.compile(r"[\u00c0-\u024f]"), 1),
    "cyrillic": (re.compile(r"[\u0400-\u04ff]"), 1),
    "cjk": (re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"), 2),
    "arabic": (re.compile(r"[\u0590-\u06ff]"), 1),
    "other": (re.compile(r"[\u0370-\u03ff\u0900-\u0fff]"), 1),
}


def bucket(value: int, *steps: tuple[int, str], last: str) -> str:
    """Return the name of the first step whose bound is above `value`, or `last`."""
    for bound, name in steps:
        if value < bound:
            return name
    return last


def style(message: Message, route: Route) -> list[Fact]:
    """Return each fact that applies, in a fixed order."""
    return [*_delivery(message, route), *_content(message)]


def _delivery(message: Message, route: Route) -> Iterator[Fact]:
    """Yield the facts of the delivery, from the Date header and the hop into the receiving organisation."""
    helo, reverse, hop = "none", "none", route.entry
    greeting, reverse_name = route.client.greeting, route.client.reverse
    # A host that calls itself by a name of the organisation is its own relay or a forger, so its facts say nothing.
    # An authenticated user may be anywhere.
    if (greeting or reverse_name) and server_name(greeting) != route.own and not route.is_authenticated:
        helo, reverse = _greeting(greeting), _reverse(route.client)
    yield "helo", helo
    yield "reverse", reverse
    if helo != "none" and route.has_tls:
        yield "tls", "yes"
    yield "date", _date(message, hop)


def _greeting(greeting: str) -> str:
    """Return the fact `helo`: the form of the name that the sending host announced."""
    if _IP.fullmatch(greeting):
        return "ip"
    if "." not in greeting:
        return "bare"
    return "local" if greeting.endswith((".local", ".localdomain", ".lan", ".internal")) else "host"


def _reverse(client: Client) -> str:
    """Return the fact `reverse`: how the reverse DNS name of the sending host relates to its greeting."""
    if client.reverse in ("", UNKNOWN):
        return client.reverse or "none"
    if _POOL.search(client.reverse[:255]):
        return "pool"
    return "same" if organisational_domain(client.reverse) == organisational_domain(client.greeting) else "other"


def _date(message: Message, hop: str) -> str:
    """Return how the date of the sender relates to the date of receipt.

    'near' means that the difference is less than twelve hours or the date of receipt is unknown.
    """
    value = message.first.get("date")
    if not value:
        return "none"
    sent = _seconds(value)
    if sent is None:
        return "bad"
    received = _seconds(hop.rpartition(";")[2]) if hop else None
    if received is None or abs(sent - received) < 12 * 3600:
        return "near"
    return "ahead" if sent > received else "behind"


def _seconds(value: str) -> int | None:
    """Return a date as seconds since 1970, or None if the date cannot be read."""
    match = _USUAL_DATE.match(value, 0, 100)
    if match is None:
        return _unusual_seconds(value)
    day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
    days = date(int(year), _MONTHS[month], 1).toordinal() + int(day)
    east = int(hours) * 3600 + int(minutes) * 60
    local = days * 86400 + int(hour) * 3600 + int(minute) * 60 + int(second)
    return local - (east if sign == "+" else -east) - _BEFORE_1970


def _unusual_seconds(value: str) -> int | None:
    from email.utils import mktime_tz, parsedate_tz  # the import takes 9 ms, which usual dates avoid

    try:
        parsed = parsedate_tz(value[:100])
        return mktime_tz(parsed) if parsed else None
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def _content(message: Message) -> Iterator[Fact]:
    """Yield the facts of the content of the message."""
    yield "parts", _PARTS.get(message.structure.partition(" ")[0], "other")
    text = len(message.text)
    yield "text", bucket(text, (1, "0"), (60, "tiny"), (300, "short"), (1500, "middle"), (6000, "long"), last="huge")
    page = message.page
    yield "page", bucket(page.size, (1, "0"), (4000, "small"), (20_000, "middle"), last="large")
    yield "pictures", bucket(len(page.images), (1, "0"), (2, "1"), (8, "few"), last="many")
    if page.hidden:
        yield "hidden", _hidden(page.hidden, text)
    if page.preheader:
        yield "preheader", "yes"
    if page.scripts:
        yield "script", "yes"
    for kind in sorted({kind for part in message.attachments for kind in file_kinds(part.name, part.type)}):
        yield "file", kind
    if kind := _unread(message, text):
        yield "unread", kind
    yield "letters", _letters(f"{message.subject} {message.text[:2000]}")
    for value in _subject(message):
        yield "subject", value
    if message.defects:
        yield "odd", "defect"


def _hidden(hidden: str, text: int) -> str:
    """Return the size of the hidden text compared with `text`, the number of visible characters.

    'pieces' are many short hidden texts, which break visible words apart.
    """
    pieces = hidden.count("\n") + 1
    if pieces >= _MIN_PIECES and len(hidden) < pieces * _MAX_PIECE:
        return "pieces"
    return "little" if len(hidden) < max(200, text // 4) else "much"


def _unread(message: Message, length: int) -> str:
    """Return the kind of the content that cannot be read, if the readable text is too short to be the content."""
    types = {part.type for part in message.parts}
    if types & _ENCRYPTED_TYPES or "-----BEGIN PGP MESSAGE" in message.text[:2000]:
        return "encrypted"
    if length >= _SHORT_TEXT:
        return ""
    kinds = {_unread_kind(part.name, part.type) for part in message.parts}
    if message.page.images:
        kinds.add("image")
    return next((kind for kind in STYLE["unread"] if kind in kinds), "")


def _unread_kind(name: str, mime_type: str) -> str:
    end = file_ending(name)
    if _is_tnef(name, mime_type) or mime_type in _RTF_TYPES:
        return "office"
    if mime_type == "application/pdf" or end == "pdf":
        return "pdf"
    kind = KIND_BY_ENDING.get(end)
    if kind in ("document", "macros") and end not in _READ_DOCUMENTS:
        return "office"
    return "image" if kind == "image" or mime_type.startswith("image/") else kind or ""


def _is_tnef(name: str, mime_type: str) -> bool:
    return mime_type in _TNEF_TYPES or name.lower() == _TNEF_NAME


def may_contain_letter(part: Part) -> bool:
    """Return whether an unread part may contain the letter itself, and not only a file beside the letter."""
    is_shown_rtf = part.type in _RTF_TYPES and not part.attached
    return part.type in _ENCRYPTED_TYPES or _is_tnef(part.name, part.type) or is_shown_rtf


def is_picture(part: Part) -> bool:
    """Return whether a part is a picture, by its type or by the name of its file."""
    return _unread_kind(part.name, part.type) == "image"


def _letters(text: str) -> str:
    if text.isascii():
        return "latin" if _ASCII_LETTER.search(text) else "none"
    # Most such text has few characters outside ASCII. Only these characters are examined one by one.
    others = foreign(text)
    counts = {kind: weight * len(letters.findall(others)) for kind, (letters, weight) in _ALPHABETS.items()}
    plain = text.encode("ascii", "ignore")
    counts["latin"] += len(plain) - len(plain.translate(None, _ASCII_LETTERS))
    best = max(counts, key=counts.__getitem__)
    return best if counts[best] else "none"


def _is_shouting(subject: str) -> bool:
    """Return whether most letters are capitals."""
    if subject.isascii():
        plain = subject.encode("ascii")
        count = len(plain) - len(plain.translate(None, _ASCII_LETTERS))
        return count > 6 and len(plain) - len(plain.translate(None, _ASCII_CAPITALS)) > 0.7 * count
    letters = list(filter(str.isalpha, subject))
    return len(letters) > 6 and sum(map(str.isupper, letters)) > 0.7 * len(letters)


def _subject(message: Message) -> Iterator[str]:
    subject = message.subject.strip()
    if not subject:
        yield "none"
        return
    if len(subject) > 80:
        yield "long"
    if _is_shouting(subject):
        yield "shouting"
    if "!" in subject:
        yield "excited"
    if subject.isascii():
        if "=?" in message.first.get("subject", ""):
            yield "encoded"
    elif _PICTURE.search(subject):
        yield "picture"
