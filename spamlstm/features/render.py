"""Rendering of a message to the text that the model reads. Training and classification both use this module.

A fact is a name and a value that describe the message. A mark is a fact or a section name in the brackets ⟦⟧, which the
model reads as one token.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from spamlstm.features.alignment import ALIGNMENT, alignment
from spamlstm.features.domains import organisational_domain
from spamlstm.features.links import Targets, link_targets
from spamlstm.features.normalise import SCHEME_END, normalise, without_brackets
from spamlstm.features.route import Route
from spamlstm.features.style import STYLE, Fact, style
from spamlstm.message.headers import MAX_VALUE
from spamlstm.message.message import Message

# The version of the rendered text. It is raised with each change to the result of `render` or `cut_windows` for any
# message, because a model can only read the version on which it was trained. tests/features/golden.py has the golden
# outputs.
TEXT_VERSION = 5

FACTS = {**ALIGNMENT, **STYLE}
SECTIONS = ("from", "subject", "trace", "hosts", "files", "body")
# Each mark is one token. `normalise` replaces the brackets ⟦⟧ in mail.
MARKS = (
    *(f"⟦{name}:{value}⟧" for name, values in FACTS.items() for value in values),
    *(f"⟦{name}⟧" for name in (*SECTIONS, "url", "address", "tag", "same")),
)
BODY = "⟦body⟧"
# Separates secondary text from the letter in a rendered text. No window contains it.
SECONDARY = "⟦secondary⟧"

# A body longer than _MAX_BODY is shortened to its head, its tail and _PASSAGES passages of length _PASSAGE between
# them.
_MAX_BODY = 12_000
# At least this number of windows of secondary text is kept, if there are that many.
_FEWEST_SECONDARY = 2
_HEAD, _TAIL, _PASSAGE, _PASSAGES = 4_000, 3_000, 1_000, 5
_TAG = re.compile(r"^((?:re|fwd?|aw|wg)\s*:\s*)*\[[^\]]{2,40}\]", re.IGNORECASE)
# A letter for each header that sending programs write. Headers added later by servers and lists are not included.
_INITIALS = {
    "from": "f", "to": "t", "cc": "c", "subject": "s", "date": "d", "message-id": "m", "mime-version": "v",
    "content-type": "y", "content-transfer-encoding": "e", "reply-to": "r", "x-mailer": "x", "user-agent": "u",
    "x-priority": "p", "importance": "i", "x-mimeole": "o", "x-msmail-priority": "q", "in-reply-to": "n",
    "references": "z", "organization": "g", "sender": "w", "thread-index": "h", "list-unsubscribe": "l",
}  # fmt: skip
# A pattern that begins with a sign is found faster than one that begins with a letter in either case.
_BOUNDARY = re.compile(r"=(?<=boundary=)\"?([^\";]+)", re.IGNORECASE)
_CHARSET = re.compile(r"=(?<=charset=)\"?([\w-]+)", re.IGNORECASE)
_ZONE, _NO_LETTER = re.compile(r"[+-]\d{4}"), re.compile(r"[^a-z ]+")
_HEX, _LETTERS = re.compile(r"[0-9a-f]{6,}|[0-9A-F]{6,}|\d+"), re.compile(r"[A-Z]{3,}|[a-z]{3,}|[A-Za-z]{6,}")
_STYLE_MARKS = re.compile(f"⟦(?:{'|'.join(STYLE)}):[a-z0-9]+⟧|⟦trace⟧[^⟦]*")
# A piece of ASCII text may end up to this many characters early, at the end of a word.
_SLACK = 40


def render(message: Message, route: Route | None = None) -> str:
    """Return the rendered text of `message`: the facts, then named sections, with the body last after ⟦body⟧.

    Secondary text, if there is any, follows the letter after SECONDARY.
    `route` is the route of the message, for a caller that also needs it.
    """
    body, odd = _body(message)
    targets = link_targets(message)
    every = [*facts(message, targets, route), *[("odd", name) for name in sorted(odd)]]
    marks = "".join([f"⟦{name}:{value}⟧" for name, value in every])
    sections = (
        f"⟦from⟧ {_sender(message)}",
        f"⟦subject⟧ {_subject(message)}",
        f"⟦trace⟧ {_trace(message)}",
        f"⟦hosts⟧ {' '.join(_hosts(message, targets.hosts))}",
        f"⟦files⟧ {' '.join(_files(message))}",
    )
    return marks + " ".join(sections) + " " + BODY + " " + body


def facts(message: Message, targets: Targets, route: Route | None = None) -> list[Fact]:
    """Return every fact that applies, in a fixed order.

    Each fact is listed in FACTS. `targets` is the result of `link_targets`, and `route` as in `render`.
    """
    route = route or Route(message)
    return [*alignment(message, targets, route), *style(message, route)]


def _body(message: Message) -> tuple[str, set[str]]:
    if not message.secondary:
        return _normal_text(message.text)
    letter, odd = _normal_text(message.text.removesuffix(message.secondary))
    secondary, also_odd = _normal_text(message.secondary)
    return f"{letter} {SECONDARY} {secondary}", odd | also_odd


def _normal_text(text: str) -> tuple[str, set[str]]:
    return normalise(text if len(text) <= _MAX_BODY else _passages(text))


def _passages(text: str) -> str:
    """Return the head and the tail of a long text, and passages between them around links or at equal distances."""
    end = len(text) - _TAIL
    links = [match.start() for match in SCHEME_END.finditer(text, _HEAD, end)]
    places = links if len(links) >= _PASSAGES else range(_HEAD, end, -(-(end - _HEAD) // _PASSAGES))
    chosen = [places[len(places) * number // _PASSAGES] for number in range(min(_PASSAGES, len(places)))]
    starts = [max(_HEAD, place - _PASSAGE // 2) for place in chosen]
    between = (text[start : min(start + _PASSAGE, end)] for start in starts)
    return "\n".join((text[:_HEAD], *between, text[end:]))


def _sender(message: Message) -> str:
    name = normalise(message.sender_name[:80])[0]
    host = without_brackets(message.sender.rpartition("@")[2][:60])
    return f"{name} ⟦address⟧ {host.replace('.', ' . ')}"


def _subject(message: Message) -> str:
    # The tag and the words before it have one mark. `normalise` would replace the brackets of the mark.
    subject = message.subject[:300].strip()
    tag = _TAG.match(subject)
    return f"⟦tag⟧ {normalise(subject[tag.end() :])[0]}" if tag else normalise(subject)[0]


def _hosts(message: Message, hosts: Iterable[str]) -> Iterator[str]:
    """Yield the first six organisations to which links lead. The organisation of the sender is ⟦same⟧."""
    sender = organisational_domain(message.sender)
    for domain in list(dict.fromkeys(organisational_domain(host) or host for host in hosts))[:6]:
        yield "⟦same⟧" if domain == sender else _normal_host(domain[:40])


@lru_cache(maxsize=2048)
def _normal_host(host: str) -> str:
    return normalise(host)[0]


def _files(message: Message) -> Iterator[str]:
    for part in message.attachments[:5]:
        yield f"{normalise(part.name[-40:])[0]} {without_brackets(part.type[:40])}"


def _trace(message: Message) -> str:
    """Return the fingerprint of the sending program: the order of the headers and the shapes of the ids."""
    order = "".join([_INITIALS[name] for name, _ in message.headers if name in _INITIALS])
    mailer = (message.first.get("x-mailer") or message.first.get("user-agent") or "").strip()
    content_type = message.first.get("content-type", "")
    boundary = _BOUNDARY.search(content_type)
    charset = _CHARSET.search(content_type)
    zone = _ZONE.search(message.first.get("date", ""))
    trace = " ".join(
        (
            order[:40],
            _NO_LETTER.sub("", mailer[:MAX_VALUE].lower())[:40] if mailer else "",
            _outline(message.first.get("message-id", "").strip("<> ").partition("@")[0]),
            _outline(boundary[1]) if boundary else "",
            charset[1].lower()[:20] if charset else "",
            zone[0] if zone else "",
        )
    )
    return without_brackets(trace)


def _outline(value: str) -> str:
    """Return the shape of an id: `01C77A12.C837F960` gives `9.9`, `WYADCKPD` gives `a`.

    Spam programs choose the letters and digits of ids at random, so only their pattern is informative.
    """
    return _LETTERS.sub("a", _HEX.sub("9", value[:60]))[:24].lower()


def cut_windows(text: str, *, size: int, most: int, style: bool = True) -> list[str]:
    """Return at most `most` windows of a rendered text.

    A window has the header sections and at most `size` bytes of the body. A short body is one window. The head and the
    tail of a long body are always included. The windows between them are placed at links, because spam hidden in
    innocent text must contain a link, and otherwise at equal distances. Secondary text follows in windows of its own.
    If there are too many windows, two of secondary text are kept.

    Without `style`, the facts of style and the trace are omitted. A network that classifies mail of other years and
    servers performs better without them (docs/decisions/0005-modern-ham.md).
    """
    head, mark, body = text.partition(BODY)
    if not style:
        head = _STYLE_MARKS.sub("", head)
    letter, _, secondary = body.partition(f" {SECONDARY}")
    pieces, others = _pieces(letter, size), _pieces(secondary, size) if secondary else []
    if len(pieces) + len(others) > most:
        others = _chosen(others, max(min(_FEWEST_SECONDARY, most - 1), most - len(pieces)))
        pieces = _chosen(pieces, most - len(others))
    return [f"{head}{mark}{piece}" for piece in (*pieces, *others)]


def _pieces(body: str, size: int) -> list[str]:
    """Return a body in pieces of at most `size` bytes, each after a space."""
    # A character takes up to four bytes, so the size of most texts is known without encoding them.
    if len(body) * 4 <= size or len(body.encode()) <= size:
        return [body]
    return [f" {piece}" for piece in _cut(body, size)]


def _chosen(pieces: list[str], most: int) -> list[str]:
    return pieces if len(pieces) <= most else [pieces[index] for index in _choose(pieces, most)]


def _cut(body: str, size: int) -> list[str]:
    """Return pieces of about equal length and at most `size` bytes, split between words if possible."""
    even = size
    if body.isascii():
        count = -(-len(body) // (size - _SLACK))
        even = -(-len(body) // count)
    pieces, start = [], 0
    while start < len(body):
        piece = body[start : start + min(even + _SLACK, size)]
        if not piece.isascii():
            piece = piece.encode()[:size].decode("utf-8", "ignore")
        if start + len(piece) < len(body):
            piece = piece[: piece.rfind(" ", len(piece) - _SLACK) + 1 or None]
        pieces.append(piece)
        start += len(piece)
    return pieces


def _choose(pieces: list[str], most: int) -> list[int]:
    """Return the indexes of `most` pieces in order: first, last, pieces with links, and evenly spaced pieces."""
    last = len(pieces) - 1
    between = range(1, last)
    linked = [index for index in between if "⟦url⟧" in pieces[index]]
    spread = [round(step * last / (most - 1)) for step in range(1, most - 1)] if most > 2 else []
    # At most half of the windows are chosen for their links, so that a digest full of links is still read evenly.
    chosen = dict.fromkeys([0, last, *linked[-(most // 2) :], *spread, *between])
    return sorted(list(chosen)[:most])
