"""Disguised copies of real mail: spam as spammers disguise it, and ham with honest habits that look alike.

A copy is a further message of training, in one group with the message that it was made from. So no split separates
them, and a source that is left out of training takes its copies with it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from random import Random

from spamlstm.message.charset import decode_words

from .innocent import Innocent, language_of
from .synthetic import mime
from .synthetic.alignment import SELECTORS
from .synthetic.headers import encoded, named
from .synthetic.modern.attachments import body_of
from .synthetic.modern.drafts import Draft
from .synthetic.modern.evasions import evade
from .synthetic.modern.habits import adorn
from .synthetic.modern.pages import Page
from .synthetic.tokens import alnum, base64, chance, folded

_LARGEST = 200_000
"""Larger messages are not copied."""
_MOST_TEXT = 40_000
_POOL, _GIVEN, _LARGEST_DONOR = 600, 60, 30_000
_MIME = re.compile(r"content-|mime-version$", re.IGNORECASE)
_SENDER = frozenset(
    "return-path dkim-signature domainkey-signature authentication-results received-spf reply-to sender message-id "
    "arc-seal arc-message-signature arc-authentication-results list-unsubscribe list-unsubscribe-post".split()
)
"""Headers that would contradict an aligned sender."""


@dataclass(frozen=True)
class _Original:
    """A message in parts: its header lines without those of MIME, its text in both forms, and all other parts."""

    headers: tuple[tuple[str, str], ...]
    plain: str
    html: str
    files: tuple[mime.Part, ...]

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


def evaded_copy(raw: bytes, label: str, innocent: Innocent, rng: Random) -> bytes | None:
    """Return a copy of a message with disguises if `label` is 'spam', otherwise with honest habits.

    The padding is made of `innocent` sentences in the language of the message. Return None if the message is too large,
    has no text, or cannot be read.
    """
    if len(raw) > _LARGEST or not innocent:
        return None
    original = _read(raw)
    if original is None or not (original.plain.strip() or original.html.strip()):
        return None
    page = Page(
        subject=" ".join(decode_words(original.get("subject")).split()),
        plain=original.plain,
        html=original.html,
    )
    lang = language_of(page.plain or page.html)
    draft = Draft(
        page,
        domain=_domain(original.get("from")) or "example.com",
        recipient_domain=_domain(original.get("to") or original.get("delivered-to")) or "example.org",
        filler=lambda count: innocent.words(rng, lang, count),
        files=list(original.files),
    )
    (evade if label == "spam" else adorn)(rng, draft)
    body = body_of(rng, page, lang, (), draft.files)
    head = [*_headers(rng, original, draft), "MIME-Version: 1.0", *body.headers]
    return ("\n".join(head).encode("utf-8", "surrogateescape") + b"\n\n" + body.body).replace(b"\r\n", b"\n")


def _headers(rng: Random, original: _Original, draft: Draft) -> list[str]:
    """Return the header lines of the copy: those of the original, with the subject and the sender of the draft."""
    dropped = {line.partition(":")[0].lower() for line in draft.lines} | (_SENDER if draft.aligned else set())
    lines = []
    for name, value in original.headers:
        lower = name.lower()
        if lower == "subject":
            lines.append(f"{name}: {encoded(draft.page.subject)}")
        elif lower == "from" and draft.aligned:
            local = rng.choice(("info", "office", "contact", "news", "support", alnum(rng, 5).lower()))
            lines.append(f"{name}: {named(draft.display, f'{local}@{draft.aligned}')}")
        elif lower not in dropped:
            lines.append(f"{name}: {value}")
    if draft.aligned:
        lines = [*_aligned_lines(rng, draft), *lines]
    return lines + draft.lines


def _aligned_lines(rng: Random, draft: Draft) -> list[str]:
    """Return header lines for a throw-away domain: those of its server, and the results of the receiving server."""
    domain, host = draft.aligned, f"mx.{draft.recipient_domain}"
    results = f"spf=pass smtp.mailfrom={domain}; dkim=pass header.d={domain}; dmarc=pass header.from={domain}"
    lines = [f"Return-Path: <{rng.choice(('bounce', 'info', 'mail'))}@{domain}>"]
    if chance(rng, 0.7):
        lines.append(f"Authentication-Results: {host}; {results}")
    if chance(rng, 0.9):
        lines.append(
            f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s={rng.choice(SELECTORS)};"
            f"\n\th=from:to:subject:date; bh={base64(rng, 32)};\n\tb={folded(base64(rng, 128))}"
        )
    return [*lines, f"Message-ID: <{alnum(rng, 18)}@{domain}>"]


def _read(raw: bytes) -> _Original | None:
    try:
        message = message_from_bytes(raw)
        plain, html = "", ""
        files: list[mime.Part] = []
        for part in message.walk():
            if part.is_multipart() and part.get_content_type() != "message/rfc822":
                continue
            kind, named_file = part.get_content_type(), bool(part.get_filename()) or _is_attached(part)
            if kind == "text/plain" and not plain and not named_file:
                plain = _text(part)
            elif kind == "text/html" and not html and not named_file:
                html = _text(part)
            elif part is not message:
                files.append(_part(part))
        headers = tuple((name, _clean(str(value))) for name, value in message.raw_items() if not _MIME.match(name))
    except (RecursionError, ValueError, LookupError, TypeError, AttributeError, KeyError):
        return None  # the standard library fails on some damaged mail
    return _Original(headers, plain, html, tuple(files[:20]))


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment"


def _clean(value: str) -> str:
    return value.replace("\r\n", "\n").replace("\r", " ")


def _part(part: Message) -> mime.Part:
    """Return a part as it stands in the message."""
    data = part.as_bytes().replace(b"\r\n", b"\n")
    head, _, body = data.partition(b"\n\n")
    return mime.Part(tuple(head.decode("ascii", "replace").split("\n")), body)


def _text(part: Message) -> str:
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    try:
        text = data.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:
        text = data.decode("utf-8", "replace")
    return text.replace("\r\n", "\n")[:_MOST_TEXT]


def _domain(value: str) -> str:
    found = re.findall(r"@([\w.-]+\.\w+)", value)
    return found[0].lower() if found else ""


class Donors:
    """The ham whose sentences pad the copies: of the corpus that is being read, or of those before it if it has little.

    So the ham of a corpus that is left out pads few copies of others.
    """

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self._here: deque[bytes] = deque(maxlen=_POOL)
        self._before: deque[bytes] = deque(maxlen=_POOL)

    def next_corpus(self) -> None:
        """Begin the next corpus."""
        self._before.extend(self._rng.sample(list(self._here), min(_GIVEN, len(self._here))))
        self._here.clear()

    def take(self, ham: Iterable[bytes]) -> tuple[bytes, ...]:
        """Add ham of the current corpus, and return ham to take sentences from."""
        self._here.extend(raw[:_LARGEST_DONOR] for raw in ham)
        pool = list(self._here if len(self._here) >= _GIVEN else self._before or self._here)
        return tuple(self._rng.sample(pool, min(_GIVEN, len(pool))))
