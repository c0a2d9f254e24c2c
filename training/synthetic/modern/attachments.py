"""Files that are attached to generated mail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random

from .. import mime
from ..organisations import coin
from ..tokens import digits, letters, uuid
from .pages import Page
from .routes import hosted_page
from .slots import Scene

_OFFICE = "application/vnd.openxmlformats-officedocument."
_TYPES = {
    "pdf": "application/pdf",
    "jpg": "image/jpeg",
    "zip": "application/zip",
    "htm": "text/html",
    "html": "text/html",
    "svg": "image/svg+xml",
    "iso": "application/octet-stream",
    "vcf": "text/vcard",
    "ics": "text/calendar; charset=utf-8; method=REQUEST",
    "docx": f"{_OFFICE}wordprocessingml.document",
    "xlsx": f"{_OFFICE}spreadsheetml.sheet",
}
_NATIVE = ("ja", "zh", "ru", "pl")


def draw_attachment(scene: Scene, ending: str) -> mime.Attachment:
    """Return a file with plausible name and content."""
    rng = scene.rng
    stem = rng.choice(
        (scene.fill("item"), f"Scan_{digits(rng, 6)}", scene.fill("order").strip("#"), f"doc{digits(rng, 8)}")
    )
    if ending == "jpg":
        stem = f"IMG_{digits(rng, 4)}"
    if ending == "ics":
        return mime.Attachment("invite.ics", _TYPES[ending], _calendar(scene))
    if ending in ("htm", "html", "svg"):
        return mime.Attachment(f"{stem}.{ending}", _TYPES[ending], _smuggled(rng, ending))
    if ending == "vcf":
        card = f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{scene.writer.name}\r\nEMAIL:{scene.writer.address}\r\nEND:VCARD\r\n"
        return mime.Attachment(f"{scene.writer.local}.vcf", _TYPES[ending], card.encode())
    return mime.Attachment(f"{stem}.{ending}", _TYPES[ending], mime.filler(rng, _TYPES[ending]))


def body_of(rng: Random, page: Page, lang: str, files: Sequence[mime.Attachment]) -> mime.Part:
    """Return the MIME tree of a page with its attachments."""
    language = lang.partition("-")[0]
    code = language if language in _NATIVE else "en"
    texts = [mime.text_part(rng, page.plain + "\n", "plain", code)] if page.plain or not page.html else []
    if page.html:
        texts.append(mime.text_part(rng, page.html + "\n", "html", code))
    part = texts[0] if len(texts) == 1 else mime.multipart(rng, "alternative", texts)
    if not files:
        return part
    return mime.multipart(rng, "mixed", [part, *map(mime.attachment_part, files)])


def _smuggled(rng: Random, ending: str) -> bytes:
    """Return a page that builds its content in the browser, or leads to a form for passwords."""
    target = hosted_page(rng)
    script = rng.choice((
        f'window.location.href="{target}"',
        f'document.write(atob("{mime.base64_lines(target.encode()).decode()}"))',
        f'var f=["{letters(rng, 6)}","{target}"];setTimeout(function(){{location=f[1]}},{rng.randrange(200, 900)})',
    ))  # fmt: skip
    if ending == "svg":
        return f'<svg xmlns="http://www.w3.org/2000/svg"><script>{script}</script></svg>'.encode()
    page = f"<!DOCTYPE html><html><head><title>{coin(rng)}</title></head><body><script>{script}</script></body></html>"
    return page.encode()


def _calendar(scene: Scene) -> bytes:
    rng = scene.rng
    day = (scene.arrived + timedelta(days=rng.randrange(1, 40))).strftime("%Y%m%d")
    lines = (
        "BEGIN:VCALENDAR",
        f"PRODID:-//{scene.org.name}//EN",
        "VERSION:2.0",
        "METHOD:REQUEST",
        "BEGIN:VEVENT",
        f"UID:{uuid(rng)}",
        f"DTSTART:{day}T{rng.randrange(8, 20):02}0000Z",
        f"DTEND:{day}T210000Z",
        f"ORGANIZER;CN={scene.writer.name}:mailto:{scene.writer.address}",
        f"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:{scene.recipient.address}",
        f"SUMMARY:{scene.fill('item')}",
        f"LOCATION:{rng.choice(scene.where.city)}",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    )
    return "\r\n".join(lines).encode()
