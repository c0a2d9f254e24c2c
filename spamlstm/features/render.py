"""The one text that the model reads of a message, and its windows. Training and judging both come through here."""

import re
import unicodedata
from collections.abc import Iterator

from spamlstm.features.alignment import link_hosts
from spamlstm.features.domains import organisational_domain
from spamlstm.features.facts import VALUES, facts
from spamlstm.features.style import STYLE
from spamlstm.message.message import Message
from spamlstm.message.mime import MAX_VALUE

# Raised with every change to what `render` or `windows` give for any message: a bundle is bound to one version.
TEXT_VERSION = 1

# Marks stand in brackets that mail cannot contain: `normalise` takes them out of all text.
SECTIONS = ("from", "subject", "trace", "hosts", "files", "body")
WORDS = ("url", "address", "tag", "gap", "same", "own", "quote", "hidden")
MARKS = tuple(f"⟦{name}:{value}⟧" for name, values in VALUES.items() for value in values) + tuple(
    f"⟦{word}⟧" for word in SECTIONS + WORDS
)
BODY = "⟦body⟧"
_OF_STYLE = re.compile(f"⟦(?:{'|'.join(STYLE)}):[a-z0-9]+⟧|⟦trace⟧[^⟦]*")

_ZERO_WIDTH = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\u3164\U000e0000-\U000e007f]"
)
_BRACKETS = str.maketrans("⟦⟧", "[]")
# Letters of other alphabets that pass for Latin ones; folded only inside words that mix them with Latin letters.
_LOOKALIKE = str.maketrans(
    "аеорсухіјѕһԁԛԝвкмнтгαβεικνορτυχηω",
    "aeopcyxijshdqwbkmhtrabeiknoptuxnw",
)
# Marks that follow a letter, among signs that are no letters; to sort them costs the square of their number.
_SIGNS = re.compile(r"(?<![^\w\s\0-\x7f])[^\w\s\0-\x7f]{100,}+")
# The two letters that are marks to Unicode, as the marks that they become.
_SOUND_MARKS = (("\uff9e", "\u3099"), ("\uff9f", "\u309a"))
_MIXED_WORD = re.compile(r"\b(?=\w*[a-z])(?=\w*[\u0370-\u03ff\u0400-\u052f])[a-z\u0370-\u03ff\u0400-\u052f]+\b")
_LINK, _SCHEME = re.compile("://"), re.compile(r"(?:https?|ftp)\Z")
_BEHIND_SCHEME = re.compile(r"(?:[^\s/@<>\"]*@)?([^\s/:?#<>\"')\]]+)[^\s<>\"]*")
_DOMAIN = re.compile(r"[\w.-]+")
_LOCAL = "abcdefghijklmnopqrstuvwxyz0123456789._+=-"
_GREEK_OR_CYRILLIC = re.compile("[\u0370-\u052f]")
# The ASCII that is named in these sets is there for speed: `re` finds it by a table.
_NUMBER, _RULE = re.compile(r"[0-9\d][0-9\d][0-9\d][0-9\d]+"), re.compile(r"([^a-z0-9_ \n\w\s])\1{3,}")
# What the two find in ASCII text, in one pass and a third of the time.
_ASCII_RUN = re.compile(r"([\0-\x08\x0e-\x1b!-@\[-^`{-\x7f])(?:(?<=[0-9])[0-9][0-9][0-9]+|\1\1\1+)")
_LONGEST = 40
_LONG = re.compile(r"[!-~]{41,}")
_TAG = re.compile(r"^((?:re|fwd?|aw|wg)\s*:\s*)*\[[^\]]{2,40}\]", re.IGNORECASE)
# The trace shows shapes, not names: letters and digits of ids are what spamware draws at random.
_HEX = re.compile(r"[0-9a-f]{6,}|[0-9A-F]{6,}|\d+")
_BOUNDARY = re.compile(r"boundary=\"?([^\";]+)", re.IGNORECASE)
_CHARSET = re.compile(r"charset=\"?([\w-]+)", re.IGNORECASE)
_ZONE, _NO_LETTER = re.compile(r"[+-]\d{4}"), re.compile(r"[^a-z ]+")
_CAPITALS = re.compile(r"[A-Z]{3,}|[a-z]{3,}|[A-Za-z]{6,}")
# A body longer than this is read in passages: so much of its head, of its tail, and so many between.
_MAX_BODY = 12_000
_HEAD, _TAIL, _PASSAGE, _PASSAGES = 4_000, 3_000, 1_000, 5


def render(message: Message) -> str:
    """Everything the model may know of `message`: facts, then named sections, the body last behind ⟦body⟧."""
    body, odd = _body(message)
    leads = link_hosts(message)
    every = (*facts(message, leads), *(("odd", what) for what in sorted(odd)))
    marks = "".join([f"⟦{name}:{value}⟧" for name, value in every])
    sections = (
        f"⟦from⟧ {_sender(message)}",
        f"⟦subject⟧ {_subject(message)}",
        f"⟦trace⟧ {_trace(message)}",
        f"⟦hosts⟧ {' '.join(_hosts(message, leads))}",
        f"⟦files⟧ {' '.join(_files(message))}",
    )
    return marks + " ".join(sections) + " " + BODY + " " + body


def windows(text: str, *, size: int, most: int, style: bool = True) -> list[str]:
    """A rendered text as at most `most` texts, each the header sections and at most `size` bytes of the body.

    Without `fashion` the facts of fashion and the trace are left out: a network that is to judge mail of other
    places and years does better not to see them (docs/decisions/0005-modern-ham.md).

    A short body is one window. Of a long one the head and the tail are always read; between them the windows lie
    where the links are, as spam hidden in innocent text has to lead somewhere, and else at equal distances.
    """
    head, mark, body = text.partition(BODY)
    if not style:
        head = _OF_STYLE.sub("", head)
        text = head + mark + body
    # A character takes up to four bytes; only a text that could be too long is measured.
    if len(body) * 4 <= size or len(body.encode()) <= size:
        return [text]
    pieces = _cut(body, size)
    if len(pieces) > most:
        pieces = [pieces[index] for index in _choose(pieces, most)]
    return [f"{head}{mark} {piece}" for piece in pieces]


def _cut(body: str, size: int) -> list[str]:
    """Pieces of about equal length and at most `size` bytes, cut between words where there are any."""
    if body.isascii():
        count = -(-len(body) // (size - 40))
        even = -(-len(body) // count)
    else:
        even = size
    pieces, start = [], 0
    while start < len(body):
        piece = body[start : start + min(even + 40, size)]
        if not piece.isascii():
            piece = piece.encode()[:size].decode("utf-8", "ignore")
        if start + len(piece) < len(body):
            piece = piece[: piece.rfind(" ", len(piece) - 40) + 1 or None]
        pieces.append(piece)
        start += len(piece)
    return pieces


def _choose(pieces: list[str], most: int) -> list[int]:
    last = len(pieces) - 1
    between = range(1, last)
    linked = [index for index in between if "⟦url⟧" in pieces[index]]
    spread = [round(step * last / (most - 1)) for step in range(1, most - 1)] if most > 2 else []
    # Half of the room between is for links, so that a digest full of links is still read evenly.
    chosen = dict.fromkeys([0, last, *linked[-(most // 2) :], *spread, *between])
    return sorted(list(chosen)[:most])


def normalise(text: str) -> tuple[str, set[str]]:
    """`text` folded to what its words are, and which oddities were folded away.

    NFKC; zero-width characters and lookalike letters folded; lower case; addresses, paths of links, long numbers
    and long runs replaced, as they name one mail and not a kind of mail.
    """
    odd: set[str] = set()
    if not text.isascii():
        if "⟦" in text or "⟧" in text:
            text = text.translate(_BRACKETS)
        if not unicodedata.is_normalized("NFKC", text):
            for letter, mark in _SOUND_MARKS:
                text = text.replace(letter, mark)
            text = unicodedata.normalize("NFKC", _SIGNS.sub(_without_marks, text))
        text, removed = _ZERO_WIDTH.subn("", text)
        # One may be a byte order mark, some are emoji joiners.
        if removed > 3:
            odd.add("zerowidth")
    text = text.lower()
    ascii_only = text.isascii()
    if not ascii_only and _GREEK_OR_CYRILLIC.search(text):
        text, folded = _MIXED_WORD.subn(lambda match: match[0].translate(_LOOKALIKE), text)
        if folded:
            odd.add("confusable")
    if "://" in text:
        text = _without_links(text)
    if "@" in text:
        text = _without_addresses(text)
    if ascii_only:
        text = _ASCII_RUN.sub(_shortened_run, text)
    else:
        text = _RULE.sub(_shortened_run, _NUMBER.sub(_shortened_run, text))
    words = text.split()
    if len(max(words, key=len, default="")) > _LONGEST:
        words = [word if len(word) <= _LONGEST else _shortened(word) for word in words]
    return " ".join(words), odd


def _without_marks(match: re.Match[str]) -> str:
    """A long run of signs without the marks that normalisation would have to sort."""
    return "".join([sign for sign in match[0] if not unicodedata.combining(sign)])


def _shortened_run(match: re.Match[str]) -> str:
    """Of a long number how long it is, of a run of signs three."""
    run = match[0]
    return "0" * min(len(run), 8) if run[0].isdecimal() else run[:3]


def _shortened(word: str) -> str:
    return _LONG.sub(lambda match: match[0][:24] + "…", word)


def _without_links(text: str) -> str:
    """`text` with ⟦url⟧ and the host for each link. To look for the sign first takes half the time of one pattern."""
    out: list[str] = []
    end = 0
    for sign in _LINK.finditer(text):
        # A link may stand within one: then there is no room for its scheme.
        scheme = _SCHEME.search(text, max(end, sign.start() - 5), sign.start())
        if scheme and (link := _BEHIND_SCHEME.match(text, sign.end())):
            out += (text[end : scheme.start()], f" ⟦url⟧{link[1][:40]} ")
            end = link.end()
    out.append(text[end:])
    return "".join(out)


def _without_addresses(text: str) -> str:
    """`text` with ⟦address⟧ for each address: what may stand in one on both sides of an @."""
    first, *rest = text.split("@")
    out = [first]
    for after in rest:
        domain = _DOMAIN.match(after)
        local = out[-1].rstrip(_LOCAL) if domain else out[-1]
        if domain is None or len(local) == len(out[-1]):
            out += ("@", after)
        else:
            out[-1] = local
            out += ("⟦address⟧", after[domain.end() :])
    return "".join(out)


def _body(message: Message) -> tuple[str, set[str]]:
    text = message.text
    body, odd = normalise(text if len(text) <= _MAX_BODY else _passages(text))
    if message.page.hidden:
        hidden, more = normalise(message.page.hidden[:300])
        body, odd = f"{body} ⟦hidden⟧ {hidden}", odd | more
    return body, odd


def _passages(text: str) -> str:
    """The head and the tail of a long text, and between them what stands around links, or at equal distances."""
    end = len(text) - _TAIL
    links = [match.start() for match in _LINK.finditer(text, _HEAD, end)]
    places = links if len(links) >= _PASSAGES else range(_HEAD, end, -(-(end - _HEAD) // _PASSAGES))
    chosen = [places[len(places) * number // _PASSAGES] for number in range(min(_PASSAGES, len(places)))]
    starts = [max(_HEAD, place - _PASSAGE // 2) for place in chosen]
    between = (text[start : min(start + _PASSAGE, end)] for start in starts)
    return "\n".join((text[:_HEAD], *between, text[end:]))


def _sender(message: Message) -> str:
    name = normalise(message.sender_name[:80])[0]
    host = message.sender.rpartition("@")[2][:60].translate(_BRACKETS)
    return f"{name} ⟦address⟧ {host.replace('.', ' . ')}"


def _subject(message: Message) -> str:
    return normalise(_TAG.sub("⟦tag⟧", message.subject[:300].strip()).replace("⟦tag⟧", "\x00"))[0].replace(
        "\x00", "⟦tag⟧ "
    )


def _hosts(message: Message, leads: list[str]) -> Iterator[str]:
    sender = organisational_domain(message.sender)
    seen: set[str] = set()
    for host in leads:
        org = organisational_domain(host) or host
        if org in seen:
            continue
        seen.add(org)
        yield "⟦same⟧" if org == sender else normalise(org[:40])[0]
        if len(seen) == 6:
            return


def _files(message: Message) -> Iterator[str]:
    for part in message.attachments[:5]:
        yield f"{normalise(part.name[-40:])[0]} {part.type[:40].translate(_BRACKETS)}"


def _trace(message: Message) -> str:
    """The handwriting of the sending program: names of headers in order, and the shapes of what it made up."""
    order = "".join([_INITIALS[name] for name, _ in message.headers if name in _INITIALS])
    mailer = (message.first.get("x-mailer") or message.first.get("user-agent") or "").strip()
    kind = message.first.get("content-type", "")
    boundary = _BOUNDARY.search(kind)
    charset = _CHARSET.search(kind)
    zone = _ZONE.search(message.first.get("date", ""))
    return " ".join(
        (
            order[:40],
            _NO_LETTER.sub("", mailer[:MAX_VALUE].lower())[:40],
            _outline(message.first.get("message-id", "").strip("<> ").partition("@")[0]),
            _outline(boundary[1]) if boundary else "",
            charset[1].lower()[:20] if charset else "",
            zone[0] if zone else "",
        )
    ).translate(_BRACKETS)


# One letter for each header that sending programs write; what servers and lists add later says nothing of the sender.
_INITIALS = {
    "from": "f", "to": "t", "cc": "c", "subject": "s", "date": "d", "message-id": "m", "mime-version": "v",
    "content-type": "y", "content-transfer-encoding": "e", "reply-to": "r", "x-mailer": "x", "user-agent": "u",
    "x-priority": "p", "importance": "i", "x-mimeole": "o", "x-msmail-priority": "q", "in-reply-to": "n",
    "references": "z", "organization": "g", "sender": "w", "thread-index": "h", "list-unsubscribe": "l",
}  # fmt: skip


def _outline(value: str) -> str:
    """The shape of an id: `01C77A12.C837F960` → `9.9`, `WYADCKPD` → `A`, with lengths folded."""
    return _CAPITALS.sub(lambda match: "a" if match[0].islower() else "A", _HEX.sub("9", value[:60]))[:24].lower()
