"""MIME that mail programs repair, and text that is not in a text part."""

import re
from base64 import b64encode
from dataclasses import replace
from html import escape

from .letter import Change, Letter, header_block, multipart, text_part, write_letter


def _page(letter: Letter) -> bytes:
    return write_letter(letter.with_page(letter.page))


def _changed(pattern: bytes, by: bytes) -> Change:
    """Return a transform of the bytes of a message that has only a page."""
    return lambda letter: re.sub(pattern, by, _page(letter))


def base64_parts(letter: Letter) -> bytes:
    return write_letter(replace(letter, encoding="base64"))


def noisy_base64(letter: Letter) -> bytes:
    """Decoders skip characters outside the alphabet (RFC 2045)."""
    head, _, body = write_letter(replace(letter.with_page(letter.page), encoding="base64", files=())).partition(b"\n\n")
    return head + b"\n\n" + body.replace(b"\n", b" *\n")


def crcrlf(letter: Letter) -> bytes:
    return write_letter(letter).replace(b"\n", b"\r\r\n")


def no_blank_line(letter: Letter) -> bytes:
    """Mail programs take the first line that is no header for the body."""
    head = header_block(letter).rstrip(b"\n")
    return head + b"\n" + letter.text.encode("utf-8", "replace") + b"\n"


def byte_order_mark(letter: Letter) -> bytes:
    return b"\xef\xbb\xbf" + write_letter(letter)


def utf16(letter: Letter) -> bytes:
    data = b64encode(letter.page.encode("utf-16"))
    lines = b"\n".join(data[at : at + 76] for at in range(0, len(data), 76))
    head = b"MIME-Version: 1.0\nContent-Type: text/html; charset=utf-16\nContent-Transfer-Encoding: base64\n\n"
    return header_block(letter) + head + lines + b"\n"


def _only_attached(head: bytes, kind: str) -> Change:
    """Return a transform that sends the page as an attachment, with a short text that says so."""

    def apply(letter: Letter) -> bytes:
        attached = head + text_part(kind, letter.page if kind == "html" else letter.text)
        note = text_part("plain", "Please see the attachment.")
        return header_block(letter) + b"MIME-Version: 1.0\n" + multipart("mixed", [note, attached], "=_f")

    return apply


def only_message(letter: Letter) -> bytes:
    inner = b"From: office@palmer-and-rowe.net\nSubject: Notice\nMIME-Version: 1.0\n" + text_part("html", letter.page)
    parts = [text_part("plain", "See below."), b"Content-Type: message/rfc822\nContent-Disposition: inline\n\n" + inner]
    return header_block(letter) + b"MIME-Version: 1.0\n" + multipart("mixed", parts, "=_m")


def only_calendar(letter: Letter) -> bytes:
    text = letter.text[:1500].replace("\\", "").replace(",", "\\,").replace("\n", "\\n")
    lines = ("BEGIN:VCALENDAR", "METHOD:REQUEST", "BEGIN:VEVENT", "SUMMARY:Notice", f"DESCRIPTION:{text}", "END:VEVENT")
    event = "\n".join((*lines, "END:VCALENDAR", ""))
    head = b"MIME-Version: 1.0\nContent-Type: text/calendar; charset=utf-8; method=REQUEST\n\n"
    return header_block(letter) + head + event.encode("utf-8", "replace")


def nested(letter: Letter) -> bytes:
    body = text_part("html", letter.page)
    for depth in range(9):
        body = multipart("mixed", [body], f"=_n{depth}")
    return header_block(letter) + b"MIME-Version: 1.0\n" + body


def open_boundary(letter: Letter) -> bytes:
    raw = write_letter(replace(letter, plain=letter.plain or letter.words, html=letter.page))
    return raw.replace(b"--=_alt--", b"").replace(b"--=_alt\n", b"--=_alt  \n")


def innocent_first_boundary(letter: Letter) -> bytes:
    """The text stands before the first boundary and once more behind the last, which some programs show."""
    parts = [text_part("plain", "Hello"), text_part("html", letter.page)]
    return header_block(letter) + b"MIME-Version: 1.0\n" + multipart("related", parts, "=_r")


def picture(letter: Letter) -> bytes:
    """The text is a picture; a program that reads no pictures sees a link."""
    link = re.search(r"https?://[^\s\"'<>)]+", letter.page)
    target = link[0] if link else "https://palmer-and-rowe.net/go"
    page = f'<html><body><a href="{target}"><img src="cid:p1@a" width="600" height="800"></a></body></html>'
    image = (
        b"Content-Type: image/png\nContent-ID: <p1@a>\nContent-Transfer-Encoding: base64\n\n"
        + b64encode(bytes(900))
        + b"\n"
    )
    return header_block(letter) + b"MIME-Version: 1.0\n" + multipart("related", [text_part("html", page), image], "=_p")


def svg_text(letter: Letter) -> bytes:
    lines = letter.words[:1200]
    rows = "".join(
        f'<text x="5" y="{20 * n + 20}">{escape(lines[at : at + 70])}</text>'
        for n, at in enumerate(range(0, len(lines), 70))
    )
    link = re.search(r"https?://[^\s\"'<>)]+", letter.page)
    target = f'<p><a href="{link[0]}">Continue</a></p>' if link else ""
    return write_letter(
        letter.with_page(f'<html><body><svg width="600" height="400">{rows}</svg>{target}</body></html>')
    )


STRUCTURE = {
    "structure: base64": base64_parts,
    "structure: base64 with noise": noisy_base64,
    "structure: no semicolon": _changed(rb"text/html; charset=utf-8", b"text/html charset=utf-8"),
    "structure: comma": _changed(rb"text/html; charset=utf-8", b"text/html, charset=utf-8"),
    "structure: comment": _changed(rb"text/html; charset=utf-8", b"text/html (page); charset=utf-8 (all letters)"),
    "structure: quoted type": _changed(rb"text/html; charset=utf-8", b'"text/html"; charset=utf-8'),
    "structure: unknown subtype": _changed(rb"text/html; charset=utf-8", b"text/x-letter; charset=utf-8"),
    "structure: quoted encoding": _changed(rb"quoted-printable", b'"quoted-printable"'),
    "structure: commented encoding": _changed(rb"quoted-printable", b"quoted-printable (safe)"),
    "structure: CR CR LF": crcrlf,
    "structure: no blank line": no_blank_line,
    "structure: byte order mark": byte_order_mark,
    "structure: UTF-16": utf16,
    "structure: nine levels": nested,
    "structure: open boundary": open_boundary,
    "structure: related": innocent_first_boundary,
    "structure: only an attached page": _only_attached(
        b'Content-Disposition: attachment; filename="notice.html"\n', "html"
    ),
    "structure: only an attached text": _only_attached(
        b'Content-Disposition: attachment; filename="notice.txt"\n', "plain"
    ),
    "structure: only a message": only_message,
    "structure: only a calendar": only_calendar,
    "structure: only a picture": picture,
    "structure: text in SVG": svg_text,
}
