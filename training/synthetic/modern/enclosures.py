"""Messages whose text is in an attachment, a calendar entry or a forwarded message."""

from __future__ import annotations

from html import escape
from random import Random

from .. import mime
from ..headers import encoded
from ..tokens import alnum, chance, digits, letters, uuid
from .drafts import Draft, put_above


def enclose(rng: Random, draft: Draft) -> None:
    """Move the text into a forwarded message, a calendar entry or a file. Often innocent text takes its place."""
    page, cover = draft.page, draft.filler(rng.randrange(3, 40)) if chance(rng, 0.7) else ""
    draft.files.append(rng.choice((_message, _message, _calendar, _page, _text))(rng, draft))
    page.plain, page.html = cover, ""
    if cover and chance(rng, 0.4):
        page.html = f"<html><body><p>{escape(cover, quote=False)}</p></body></html>"


def second_part(rng: Random, draft: Draft, text: str) -> None:
    """Add a second text part, which mail programs show below the first one or list as a file."""
    place = rng.choice(("inline", "inline", 'attachment; filename="notes.txt"'))
    draft.files.append(_typed(f"text/plain; charset=utf-8\r\nContent-Disposition: {place}", text))


def as_report(rng: Random, draft: Draft) -> None:
    """Add the parts of a delivery report, as if a server had returned the message."""
    status = (
        f"Reporting-MTA: dns; mail.{draft.domain}\n\nFinal-Recipient: rfc822; {letters(rng, 6)}@{draft.domain}\n"
        "Action: failed\nStatus: 5.1.1\n"
    )
    draft.files.append(_typed("message/delivery-status", status))
    draft.lines.append("Auto-Submitted: auto-replied")


def other_plain(draft: Draft, text: str) -> None:
    """Replace the plain text beside a page, which few programs show. Without a page, put `text` above."""
    page = draft.page
    if page.html:
        page.plain = text
    else:
        put_above(draft, text)


def _typed(kind: str, text: str) -> mime.Part:
    data = text.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8", "replace")
    return mime.Part((f"Content-Type: {kind}", "Content-Transfer-Encoding: base64"), mime.base64_lines(data))


def _text(rng: Random, draft: Draft) -> mime.Part:
    name = f"{rng.choice(('letter', 'doc', 'info'))}{digits(rng, 3)}.txt"
    return _typed(f"text/plain; charset=utf-8\r\nContent-Disposition: attachment; filename={name}", draft.text)


def _page(rng: Random, draft: Draft) -> mime.Part:
    name = f"{rng.choice(('page', 'invoice', 'message'))}{digits(rng, 4)}.html"
    html = draft.page.html or f"<html><body><p>{escape(draft.text).replace(chr(10), '<br>')}</p></body></html>"
    return _typed(f"text/html; charset=utf-8\r\nContent-Disposition: attachment; filename={name}", html)


def _message(rng: Random, draft: Draft) -> mime.Part:
    """Return the message as a forwarded one, with a short header of its own."""
    kind, text = ("html", draft.page.html) if draft.page.html else ("plain", draft.page.plain)
    inner = (
        f"From: {letters(rng, 6)}@{draft.domain}\r\nSubject: {encoded(draft.page.subject)}\r\nMIME-Version: 1.0\r\n"
        f"Message-ID: <{alnum(rng, 14)}@{draft.domain}>\r\nContent-Type: text/{kind}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return mime.Part(("Content-Type: message/rfc822",), inner.encode() + _typed("", text).body + b"\r\n")


def _calendar(rng: Random, draft: Draft) -> mime.Part:
    day = f"20{rng.randrange(22, 27)}{rng.randrange(1, 13):02}{rng.randrange(1, 29):02}"
    words = draft.text.replace("\\", "").replace("\n", "\\n")[:3_000]
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "METHOD:REQUEST",
        "BEGIN:VEVENT",
        f"UID:{uuid(rng)}",
        f"DTSTART:{day}T{rng.randrange(8, 20):02}0000Z",
        f"SUMMARY:{draft.page.subject}",
        f"DESCRIPTION:{words}",
        f"ORGANIZER:mailto:{letters(rng, 5)}@{draft.domain}",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    )
    return _typed("text/calendar; charset=utf-8; method=REQUEST", "\n".join(lines))
