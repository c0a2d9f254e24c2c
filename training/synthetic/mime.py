"""MIME parts, transfer encodings and multipart trees."""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from random import Random

from .headers import encoded
from .tokens import Weighted, alnum, base64, digits, hexes

_WESTERN = ("en", "de", "fr", "es", "it", "pt", "nl", "sv")
_NATIVE = {"ja": "iso-2022-jp", "zh": "gb2312", "ru": "koi8-r", "pl": "iso-8859-2"}
_ENCODING = Weighted({"quoted-printable": 55, "base64": 25, "8bit": 20})


@dataclass(frozen=True)
class Attachment:
    """A file attached to a message."""

    name: str
    mime: str
    data: bytes
    inline_id: str = ""


@dataclass(frozen=True)
class Part:
    """A complete MIME entity: header lines and body."""

    headers: tuple[str, ...]
    body: bytes


def charset(rng: Random, language: str) -> str:
    """Draw a charset in use for a language, mostly UTF-8."""
    draw = rng.random()
    if draw < 0.78:
        return "utf-8" if draw < 0.5 else "UTF-8"
    if language in _WESTERN:
        return "iso-8859-1" if draw < 0.9 else "windows-1252"
    return _NATIVE[language] if draw < 0.9 else "utf-8"


def text_part(rng: Random, text: str, subtype: str, language: str) -> Part:
    """Return a text part in a charset and transfer encoding that can represent it."""
    name = charset(rng, language)
    try:
        data = text.encode(name)
    except UnicodeEncodeError:
        name, data = "utf-8", text.encode("utf-8", "replace")
    data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    encoding = (
        "7bit"
        if data.isascii() and max(map(len, data.split(b"\r\n"))) < 900 and rng.random() < 0.5
        else _ENCODING.draw(rng)
    )
    quote = rng.choice(("", '"'))
    extra = "; format=flowed" if subtype == "plain" and rng.random() < 0.08 else ""
    return Part(
        (
            f"Content-Type: text/{subtype}; charset={quote}{name}{quote}{extra}",
            f"Content-Transfer-Encoding: {encoding}",
        ),
        transfer(data, encoding),
    )


def transfer(data: bytes, encoding: str) -> bytes:
    """Return the bytes in a transfer encoding."""
    if encoding == "base64":
        return base64_lines(data)
    if encoding == "quoted-printable":
        return binascii.b2a_qp(data, istext=True)
    return data


def base64_lines(data: bytes) -> bytes:
    """Return base64 in lines of 76 characters."""
    line = binascii.b2a_base64(data, newline=False)
    return b"\r\n".join(line[i : i + 76] for i in range(0, len(line), 76))


def attachment_part(attachment: Attachment) -> Part:
    """Return the part of an attached or inline file."""
    name = encoded(attachment.name)
    place = "inline" if attachment.inline_id else "attachment"
    headers = [
        f'Content-Type: {attachment.mime}; name="{name}"',
        f'Content-Disposition: {place}; filename="{name}"',
        "Content-Transfer-Encoding: base64",
    ]
    if attachment.inline_id:
        headers.append(f"Content-ID: <{attachment.inline_id}>")
    return Part(tuple(headers), base64_lines(attachment.data))


def multipart(rng: Random, subtype: str, parts: list[Part]) -> Part:
    """Return several parts as one multipart entity."""
    boundary = rng.choice(
        (
            f"----=_Part_{digits(rng, 6)}_{digits(rng, 9)}",
            f"b1_{hexes(rng, 32)}",
            f"--==_mimepart_{hexes(rng, 14)}",
            hexes(rng, 28),
            f"_000_{alnum(rng, 30)}_",
            f"Apple-Mail-{hexes(rng, 12).upper()}",
        )
    )
    mark = b"--" + boundary.encode()
    pieces = [mark + b"\r\n" + "\r\n".join(part.headers).encode() + b"\r\n\r\n" + part.body for part in parts]
    return Part(
        (f'Content-Type: multipart/{subtype};\r\n\tboundary="{boundary}"',),
        b"\r\n".join(pieces) + b"\r\n" + mark + b"--\r\n",
    )


def filler(rng: Random, mime: str) -> bytes:
    """Return bytes with the magic number of a file type, followed by noise."""
    start = {
        "application/pdf": b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n",
        "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01",
        "image/png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        "application/zip": b"PK\x03\x04\x14\x00\x00\x00\x08\x00",
    }.get(mime, b"")
    return start + rng.randbytes(rng.randrange(300, 1500))


def inline_id(rng: Random) -> str:
    """Draw a Content-ID in the form of some mail program."""
    return rng.choice(
        (
            f"image001.png@01D{hexes(rng, 5).upper()}.{hexes(rng, 8).upper()}",
            f"ii_{alnum(rng, 12).lower()}",
            base64(rng, 9).replace("/", "x"),
        )
    )
