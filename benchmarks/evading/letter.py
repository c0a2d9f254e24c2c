"""A message in parts that transforms can change, and its bytes."""

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from email import message_from_bytes
from email.message import Message
from functools import cached_property
from html import escape, unescape

_BODY = re.compile(r"<body[^>]*>", re.IGNORECASE)
_SKIPPED = re.compile(r"<!--.*?-->|<(style|script|head|title)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_NODE = re.compile(
    r"(<!--.*?-->|<(?:style|script|title)\b.*?</(?:style|script|title)\s*>|<[^>]*>|&#?\w+;)", re.DOTALL | re.IGNORECASE
)
_TAG = re.compile(r"<[^>]*>")
LINK = re.compile(r"https?://[^\s\"'<>)]+")
HREF = re.compile(r"href=([\"'])\s*(https?://[^\"']+)\1", re.IGNORECASE)
_DROPPED = ("content-", "mime-version")


@dataclass(frozen=True)
class Letter:
    """The header lines of a message, its plain text, its page, and the bytes of its other parts."""

    headers: tuple[tuple[str, str], ...]
    plain: str
    html: str
    files: tuple[bytes, ...] = ()
    encoding: str = "quoted-printable"

    def get(self, name: str) -> str:
        """Return the first value of a header; empty if there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def with_header(self, name: str, value: str) -> "Letter":
        """Return the letter with one header replaced, or added below."""
        kept = [(key, old) for key, old in self.headers if key.lower() != name.lower()]
        return replace(self, headers=(*kept, (name, value)))

    def with_page(self, html: str) -> "Letter":
        """Return the letter as a page alone, without the plain text."""
        return replace(self, html=html, plain="")

    @cached_property
    def page(self) -> str:
        """The page, or the plain text as a page."""
        if self.html:
            return self.html if _BODY.search(self.html) else f"<html><body>{self.html}</body></html>"
        lines = LINK.sub(lambda link: f'<a href="{link[0]}">{link[0]}</a>', escape(self.plain, quote=False))
        return f"<html><body><p>{lines.strip().replace(chr(10), '<br>' + chr(10))}</p></body></html>"

    @cached_property
    def words(self) -> str:
        """The text that a person reads."""
        if not self.html:
            return self.plain
        return " ".join(unescape(_TAG.sub(" ", _SKIPPED.sub(" ", self.html))).split())

    @cached_property
    def text(self) -> str:
        """The message as plain text. The links of the page stand below it unless the plain text has links."""
        text = self.plain or self.words
        links = () if LINK.search(text) else dict.fromkeys(unescape(link[2]) for link in HREF.finditer(self.html))
        return "\n".join((text, *links))


Change = Callable[[Letter], Letter | bytes | None]
"""A transform. None if it does not apply to the letter."""


def read_letter(raw: bytes) -> Letter:
    """Return a message in parts. Its first plain text and first page are its text; attachments stay bytes."""
    message = message_from_bytes(raw)
    plain, html, files = "", "", []
    for part in message.walk():
        if part.is_multipart():
            continue
        kind, named = part.get_content_type(), part.get_filename() or part.get_content_disposition() == "attachment"
        if kind == "text/plain" and not plain and not named:
            plain = _text(part)
        elif kind == "text/html" and not html and not named:
            html = _text(part)
        elif part is not message:
            files.append(part.as_bytes())
    headers = [
        (name, str(value).encode("utf-8", "replace").decode("utf-8", "replace"))
        for name, value in message.raw_items()
        if not name.lower().startswith(_DROPPED)
    ]
    return Letter(tuple(headers), plain, html, tuple(files))


def _text(part: Message) -> str:
    data = part.get_payload(decode=True)
    try:
        return data.decode(part.get_content_charset() or "utf-8", "replace") if isinstance(data, bytes) else ""
    except LookupError:
        return data.decode("utf-8", "replace") if isinstance(data, bytes) else ""


def write_letter(letter: Letter) -> bytes:
    """Return the bytes of a message, as a usual mail program would write it."""
    texts = [(kind, text) for kind, text in (("plain", letter.plain), ("html", letter.html)) if text]
    parts = [text_part(kind, text, letter.encoding) for kind, text in texts or [("plain", "")]]
    body = parts[0] if len(parts) == 1 else multipart("alternative", parts, "=_alt")
    if letter.files:
        body = multipart("mixed", [body, *letter.files], "=_mix")
    return header_block(letter) + b"MIME-Version: 1.0\n" + body


def header_block(letter: Letter) -> bytes:
    """Return the header lines of a letter, without those of MIME."""
    return "".join(f"{name}: {value}\n" for name, value in letter.headers).encode("utf-8", "replace")


def text_part(kind: str, text: str, encoding: str = "quoted-printable") -> bytes:
    """Return a text part in UTF-8."""
    data = text.encode("utf-8", "replace")
    if encoding == "base64":
        line = binascii.b2a_base64(data, newline=False)
        coded = b"\n".join(line[at : at + 76] for at in range(0, len(line), 76))
    else:
        coded = binascii.b2a_qp(data, istext=True)
    head = f"Content-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: {encoding}\n\n"
    return head.encode() + coded + b"\n"


def multipart(subtype: str, parts: list[bytes], boundary: str) -> bytes:
    """Return several parts as one."""
    mark = b"--" + boundary.encode()
    inner = b"".join(mark + b"\n" + part + b"\n" for part in parts)
    return f'Content-Type: multipart/{subtype}; boundary="{boundary}"\n\n'.encode() + inner + mark + b"--\n"


def at_start(html: str, fragment: str) -> str:
    """Return a page with a fragment at the start of its body."""
    return _BODY.sub(lambda body: body[0] + fragment, html, count=1)


def at_end(html: str, fragment: str) -> str:
    """Return a page with a fragment at the end of its body."""
    head, mark, tail = html.rpartition("</body>")
    return head + fragment + mark + tail if mark else html + fragment


def in_head(html: str, fragment: str) -> str:
    """Return a page with a fragment before its body."""
    return _BODY.sub(lambda body: fragment + body[0], html, count=1)


def change_text(html: str, change: Callable[[str], str]) -> str:
    """Return a page with `change` applied to the text between the tags."""
    return "".join(part if number % 2 else change(part) for number, part in enumerate(_NODE.split(html)))
