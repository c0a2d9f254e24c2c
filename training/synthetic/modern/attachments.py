"""Files that are attached to generated mail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random

from .. import mime
from ..organisations import coin
from ..tokens import base64, chance, digits, folded, letters, uuid
from .pages import Page
from .routes import hosted_page
from .slots import Scene

_OFFICE = "application/vnd.openxmlformats-officedocument."
_TYPES = {
    "pdf": "application/pdf",
    "jpg": "image/jpeg",
    "png": "image/png",
    "zip": "application/zip",
    "htm": "text/html",
    "html": "text/html",
    "svg": "image/svg+xml",
    "iso": "application/octet-stream",
    "vcf": "text/vcard",
    "ics": "text/calendar; charset=utf-8; method=REQUEST",
    "docx": f"{_OFFICE}wordprocessingml.document",
    "xlsx": f"{_OFFICE}spreadsheetml.sheet",
    "docm": "application/vnd.ms-word.document.macroEnabled.12",
    "xlsm": "application/vnd.ms-excel.sheet.macroEnabled.12",
    "rar": "application/vnd.rar",
    "7z": "application/x-7z-compressed",
}
_HARMLESS = ("pdf", "pdf", "pdf", "docx", "xlsx", "jpg", "png")
_HARMFUL = ("htm", "html", "svg", "zip", "rar", "7z", "iso", "img", "exe", "js", "vbs", "lnk", "docm", "xlsm", "hta")
_PAGES, _PROGRAMS = ("htm", "html", "svg"), ("exe", "js", "vbs", "lnk", "hta")
_CHARSETS = {
    "ja": "iso-2022-jp",
    "zh": "gb2312",
    "ko": "euc-kr",
    "ru": "koi8-r",
    "uk": "koi8-u",
    "pl": "iso-8859-2",
    "cs": "iso-8859-2",
    "hu": "iso-8859-2",
    "tr": "iso-8859-9",
    "el": "iso-8859-7",
}
"""Charsets in use besides UTF-8."""


def draw_endings(rng: Random, label: str) -> tuple[str, ...]:
    """Return the endings of a file for a text that has none: of ham harmless, of spam half of them harmful."""
    if label == "spam" and chance(rng, 0.5):
        return _HARMFUL
    return ("zip", "ics", "vcf") if chance(rng, 0.06) else _HARMLESS


def draw_attachment(scene: Scene, ending: str, *, disguised: bool = False) -> mime.Attachment:
    """Return a file with plausible name and content. With `disguised`, the name may hide its kind."""
    rng = scene.rng
    stem = rng.choice(
        (scene.fill("item"), f"Scan_{digits(rng, 6)}", scene.fill("order").strip("#"), f"doc{digits(rng, 8)}")
    )
    if disguised and ending in (*_PAGES, *_PROGRAMS) and chance(rng, 0.35):
        stem += rng.choice((".pdf", ".pdf", ".docx", ".xlsx", ".jpg", "_pdf" + " " * 30, ".pdf" + "_" * 20))
    if ending == "jpg":
        stem = f"IMG_{digits(rng, 4)}"
    if ending == "ics":
        return mime.Attachment("invite.ics", _TYPES[ending], _calendar(scene))
    if ending in _PAGES:
        return mime.Attachment(f"{stem}.{ending}", _TYPES[ending], _smuggled(rng, ending))
    if ending == "vcf":
        card = f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{scene.writer.name}\r\nEMAIL:{scene.writer.address}\r\nEND:VCARD\r\n"
        return mime.Attachment(f"{scene.writer.local}.vcf", _TYPES[ending], card.encode())
    mime_type = _TYPES.get(ending, "application/octet-stream")
    return mime.Attachment(f"{stem}.{ending}", mime_type, mime.filler(rng, mime_type))


def body_of(
    rng: Random, page: Page, lang: str, files: Sequence[mime.Attachment], more: Sequence[mime.Part] = ()
) -> mime.Part:
    """Return the MIME tree of a page with its attachments and `more` parts.

    Both forms of the text have one charset and encoding.
    """
    charset = "utf-8" if chance(rng, 0.92) else _CHARSETS.get(lang.partition("-")[0], "iso-8859-1")
    encoding = rng.choices(("quoted-printable", "base64", "8bit"), (55, 25, 20))[0]
    texts = [_text_part(page.plain + "\n", "plain", charset, encoding)] if page.plain or not page.html else []
    if page.html:
        texts.append(_text_part(page.html + "\n", "html", charset, encoding))
    part = texts[0] if len(texts) == 1 else mime.multipart(rng, "alternative", texts)
    if not files and not more:
        return part
    return mime.multipart(rng, "mixed", [part, *more, *map(mime.attachment_part, files)])


def as_signed(rng: Random, part: mime.Part) -> mime.Part:
    """Return a part with the signature of its writer, S/MIME or PGP, as `multipart/signed` (RFC 1847)."""
    if chance(rng, 0.6):
        protocol, name, data = "application/pkcs7-signature", "smime.p7s", rng.randbytes(1200)
    else:
        lines = folded(base64(rng, 300), 64, "\n")
        block = f"-----BEGIN PGP SIGNATURE-----\n\n{lines}\n-----END PGP SIGNATURE-----\n"
        protocol, name, data = "application/pgp-signature", "signature.asc", block.encode()
    signature = mime.attachment_part(mime.Attachment(name, protocol, data))
    return mime.multipart(rng, f'signed; protocol="{protocol}"; micalg="sha-256"', [part, signature])


def _text_part(text: str, subtype: str, charset: str, encoding: str) -> mime.Part:
    """Return a text part; in UTF-8 if the charset does not have all letters."""
    try:
        data = text.encode(charset)
    except UnicodeEncodeError:
        charset, data = "utf-8", text.encode("utf-8", "replace")
    data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if encoding == "8bit" and data.isascii():
        encoding = "7bit"
    headers = (f'Content-Type: text/{subtype}; charset="{charset}"', f"Content-Transfer-Encoding: {encoding}")
    return mime.Part(headers, mime.transfer(data, encoding))


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
