"""The MIME parser: reads the tree of the parts of a mail and their text, with limits on every quantity.

If a limit is reached, a description such as "too many parts" is added to `defects`.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from spamlstm.message.boundaries import boundary_of_parts, declared_boundary, delimiters, used_boundary
from spamlstm.message.charset import PAGE_START, decode, decode_pieces, decode_words
from spamlstm.message.content_value import ENCODED, not_multipart
from spamlstm.message.headers import MAX_VALUE, HeaderReader, Headers
from spamlstm.message.page import Page
from spamlstm.message.part_text import (
    PartKind,
    ShownText,
    calendar_page,
    calendar_text,
    card_text,
    enriched_text,
    kind_by_content,
    part_kind,
)
from spamlstm.message.signed_data import is_entity, signed_content
from spamlstm.message.transfer import decoded_pieces, without_uuencoded

if TYPE_CHECKING:
    from spamlstm.message.html_cost import Budget

# The maximum number of leaves, multiparts and forwarded messages together. It also bounds the depth of nesting. The
# rest of the mail is then read as plain text.
MAX_PARTS = 500
# The maximum size of all text parts together, in bytes. The text of further parts is not read.
MAX_TEXT = 1024 * 1024
# The most characters of an attached plain text, and of the text behind the last part.
MAX_ATTACHED_TEXT = 20_000
# The most messages in attachments, one in another or side by side, and the most bytes of them together.
MAX_MESSAGES, MAX_MESSAGE_BYTES = 10, 1024 * 1024

# At most this many characters of the name of a file are kept.
_MAX_NAME = 200
_SOFT_BREAK = re.compile(r"(?<!\n--) \r?\n(?!>)")
_LOOKS_LIKE_PAGE = re.compile(r"\s*<(?:!doctype|html|head|body|table|div|meta|style|center|p>)", re.IGNORECASE)
_PAGES = (PartKind.PAGE, PartKind.OTHER_PAGE)
# The types of parts whose pages are read as text besides the letter.
_OTHER_PAGES = {PartKind.OTHER_PAGE: PartKind.PLAIN, PartKind.CALENDAR: PartKind.CALENDAR}
# The content headers of a part without such headers.
_PLAIN = {"type": "text/plain", "disposition": ""}
# The header of a part of a digest without such a header (RFC 2046, section 5.1.5).
_IN_DIGEST = ("content-type", "message/rfc822")


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf of the MIME tree.

    `type` is in lower case. `name` is the file name, or ''. `size` is the encoded size in bytes.
    """

    type: str
    name: str
    size: int
    attached: bool


class _Multipart(NamedTuple):
    """An open multipart: the number of its multipart/alternative, and whether it is attached, and is a digest.

    `choice` is where the part of this multipart/alternative begins that contains the multipart, or None if the
    multipart is the multipart/alternative itself, of whose parts programs show one.
    `outside` has the content headers with which the text outside its parts is read, or None if no program shows it.
    """

    alternative: int
    attached: bool
    is_digest: bool
    choice: int | None
    outside: dict[str, str] | None


@dataclass(slots=True)
class _Limits:
    """The numbers of parts, characters and messages that may still be read, in a message and its attachments."""

    entities: int = 0
    alternatives: int = 0
    text: int = MAX_TEXT
    page: int = MAX_TEXT // 2
    messages: int = MAX_MESSAGES
    message_bytes: int = MAX_MESSAGE_BYTES
    page_budget: "Budget | None" = None


class MimeReader:
    """A reader that collects the parts, texts and pages of a message in one pass over its bytes.

    Open boundaries are kept in a dict, so that deep nesting does not slow the reader down.
    """

    def __init__(self, raw: bytes, *, outer: "MimeReader | None" = None) -> None:
        """Read `raw`. What is found in an attached message is added to the lists of the reader `outer`."""
        self.raw = raw
        self.defects: dict[str, None] = outer.defects if outer else {}
        self.parts: list[Part] = outer.parts if outer else []
        self.structure: list[str] = outer.structure if outer else []
        self.plain: list[str] = outer.plain if outer else []
        self.pages: list[Page] = outer.pages if outer else []
        self.shown: list[ShownText] = outer.shown if outer else []
        self.headers = HeaderReader(raw, self.defects)
        self.limits: _Limits = outer.limits if outer else _Limits()
        # The multipart/alternative of the part that was opened last, and where the part of it begins.
        self._alternative = self._choice = 0
        # Whether what is read belongs to an attachment or to a message within the message.
        self._attached = outer is not None
        self._behind_parts = len(raw)

    def walk(self, headers: Headers, start: int) -> None:
        """Read all leaves of the entity whose body begins at `start`, in their order in the mail."""
        boundaries: dict[bytes, _Multipart] = {}
        leaf = self._open(headers, start, boundaries)
        for position, line_end, token in delimiters(self.raw, start, self.defects) if boundaries else ():
            closing = token not in boundaries and token.endswith(b"--")
            boundary = token[:-2] if closing else token
            if boundary not in boundaries:
                continue
            if leaf:
                self._leaf(leaf[0], leaf[1], position)
            while next(reversed(boundaries)) != boundary:
                boundaries.popitem()
            if closing:
                outside = boundaries.popitem()[1].outside
                leaf = (outside, line_end) if outside else None
                self._behind_parts = len(self.raw) if outside else line_end
                continue
            self._behind_parts = len(self.raw)
            inner, begin = self.headers.read(line_end)
            self._alternative, self._attached, is_digest, choice, _ = boundaries[boundary]
            self._choice = line_end if choice is None else choice
            if is_digest and not any(name == "content-type" for name, _ in inner):
                inner = (_IN_DIGEST, *inner)
            leaf = self._open(inner, begin, boundaries)
            if self.limits.entities > MAX_PARTS:
                break
        if boundaries:
            self.defects["unclosed multipart"] = None
        if leaf:
            self._leaf(leaf[0], leaf[1], len(self.raw))
        elif not self.parts:
            self._leaf(_PLAIN, start, len(self.raw))

    def _open(
        self, headers: Headers, start: int, boundaries: dict[bytes, _Multipart]
    ) -> tuple[dict[str, str], int] | None:
        """Open the entity (message or part) with these headers, whose body begins at `start`.

        For a multipart, add its boundary to `boundaries` and return None. For a leaf, return its content headers and
        the start of its body. For a forwarded message, continue with its headers. A program that follows the headers
        may see no multipart if its boundary is wrong or another type is above it. The text above its parts is then a
        leaf, and so is the text behind them.
        """
        while True:
            self.limits.entities += 1
            if self.limits.entities > MAX_PARTS:
                self.defects["too many parts"] = None
                return _PLAIN, start
            content = self.headers.content(headers)
            if multipart := content["multipart"]:
                declared = declared_boundary(content)
                boundary = used_boundary(self.raw, start, declared, self.defects)
                if boundary and (boundary == declared or boundary not in boundaries):
                    self.structure.append(multipart[10:40])
                    choice: int | None = self._choice
                    # Some programs write "alternatives".
                    if multipart.startswith("multipart/alternative"):
                        choice = None
                        self.limits.alternatives += 1
                        self._alternative = self.limits.alternatives
                    is_digest = multipart == "multipart/digest"
                    is_certain = content["type"] == multipart and boundary == declared
                    outside = None if is_certain else {**not_multipart(content), "outside": ""}
                    boundaries[boundary] = _Multipart(self._alternative, self._attached, is_digest, choice, outside)
                    return (outside, start) if outside else None
                return not_multipart(content), start
            mime_type = content["type"]
            if mime_type != "message/rfc822" or content.get("transfer") in ENCODED:
                return content, start
            self._alternative = 0
            self._attached = True
            headers, start = self._inner_headers(start)

    def _leaf(self, content: dict[str, str], start: int, end: int) -> None:
        start = min(start, end)
        if "outside" in content:
            self._alternative = 0
            if not self.raw[start:end].strip():
                return
        mime_type, name = content["type"], content.get("filename") or content.get("name") or ""
        if content.get("multipart") and content.get("transfer") in ENCODED and self._encoded_parts(content, start, end):
            return
        attached = content["disposition"] == "attachment" or (bool(name) and not mime_type.startswith("text/"))
        kind = part_kind(content, name, attached=attached)
        if kind is PartKind.CARD or (mime_type == "application/octet-stream" and not name):
            most = min(end, start + PAGE_START)
            kind = kind_by_content(kind, decoded_pieces(self.raw, start, most, content.get("transfer", ""), {})[0])
        if kind is PartKind.SIGNED and self._signed(content, name, start, end):
            return
        if kind is PartKind.SIGNED:
            mime_type = "application/pkcs7-mime"  # if only the name tells it
        self.parts.append(Part(mime_type[:100], _shortened(name), end - start, attached))
        main, _, sub = mime_type.partition("/")
        self.structure.append("attached" if attached else sub[:40] if main == "text" else main[:40])
        if kind is PartKind.MESSAGE:
            self._message(content, start, end)
        elif kind not in (PartKind.SIGNED, PartKind.UNREAD):
            within, self._attached = self._attached, self._attached or attached
            self._text(content, start, end, kind, attached=attached)
            self._attached = within

    def _inner_headers(self, start: int) -> tuple[Headers, int]:
        """Return the headers of the forwarded message at `start` and the position of its body. Its subject is text."""
        self.structure.append("message")
        headers, body = self.headers.read(start)
        subject = next((value for name, value in headers if name == "subject"), "")
        self._show(decode_words(subject[:MAX_VALUE])[:1000])
        return headers, body

    def _message(self, content: dict[str, str], start: int, end: int) -> None:
        """Read a message in an attachment, or one that is encoded."""
        if raw := self._decoded_message(content, start, end):
            inner = MimeReader(raw, outer=self)
            inner.walk(*inner._inner_headers(0))

    def _encoded_parts(self, content: dict[str, str], start: int, end: int) -> bool:
        """Read the parts of a multipart that is encoded as a whole, and return whether there are any."""
        raw = b"\n" + self._decoded_message(content, start, end)
        if boundary := used_boundary(raw, 0, declared_boundary(content), {}).decode("utf-8", "replace"):
            self.defects["encoded multipart"] = None
            inner = MimeReader(raw, outer=self)
            inner._attached = self._attached
            inner.walk((("content-type", f'{content["multipart"]}; boundary="{boundary}"'),), 0)
        return boundary != ""

    def _signed(self, content: dict[str, str], name: str, start: int, end: int) -> bool:
        """Read the content of a part that is signed as one block, and return whether there is any."""
        signed = signed_content(self._decoded_message(content, start, end))
        if signed:
            self.structure.append("signed")
            if is_entity(signed):
                # Without other text, the content is the letter.
                inner = MimeReader(signed, outer=self)
                inner._attached = bool(self.shown)
                inner.walk(*inner.headers.read(0))
            # The file is the rest beside the content: a signature, as in multipart/signed.
            self.parts.append(Part("application/pkcs7-signature", name[:200], end - start - len(signed), attached=True))
        return bool(signed)

    def _decoded_message(self, content: dict[str, str], start: int, end: int) -> bytes:
        """Return the bytes of a message in a part, or b'' if there are too many messages."""
        limits = self.limits
        if limits.messages <= 0 or limits.message_bytes <= 0:
            self.defects["too many messages"] = None
            return b""
        limits.messages -= 1
        end = min(end, start + limits.message_bytes)
        limits.message_bytes -= end - start
        return b"".join(decoded_pieces(self.raw, start, end, content.get("transfer", ""), {}))

    def _text(self, content: dict[str, str], start: int, end: int, kind: PartKind, *, attached: bool) -> None:
        if self.limits.text <= 0:
            self.defects["too much text"] = None
            return
        pieces = decoded_pieces(self.raw, start, end, content.get("transfer", ""), self.defects)
        self.limits.text -= sum(map(len, pieces))
        text, is_right = decode_pieces(pieces, content.get("charset", ""), is_page=kind is PartKind.PAGE)
        if not is_right:
            self.defects["wrong charset"] = None
        if "\0" in text:
            self.defects["NUL in text"] = None
            text = text.replace("\0", "")
        text = text.removeprefix("\ufeff")
        if "\nbegin " in text or text.startswith("begin "):
            text = self._without_files(text, content)
        if kind in _PAGES or (kind is PartKind.PLAIN and _LOOKS_LIKE_PAGE.match(text)):
            self._page(text, kind)
        elif kind is PartKind.CALENDAR:
            self._show(calendar_text(text), kind)
            if source := calendar_page(text):
                self._page(source, kind)
        elif kind is PartKind.CARD:
            self._show(card_text(text))
        elif kind is PartKind.ENRICHED:
            self._show(enriched_text(text))
        elif content.get("format", "").lower() == "flowed":
            # RFC 3676: a line that ends in a space continues in the next line, except for the signature mark. With
            # DelSp, the space was added by the sender.
            self._show(_SOFT_BREAK.sub("" if content.get("delsp", "").lower() == "yes" else " ", text))
        else:
            self._show(text[:MAX_ATTACHED_TEXT] if attached else text)

    def _show(self, text: str, kind: PartKind = PartKind.PLAIN) -> None:
        self.plain.append(text)
        self.shown.append(ShownText(text, kind, self._alternative, self._choice, self._attached))

    def _without_files(self, text: str, content: dict[str, str]) -> str:
        """Return a text with its uuencoded texts decoded, and add its other uuencoded files to `parts`."""
        text, files = without_uuencoded(text)
        for name, data in files:
            if content.get("transfer") == "uuencode" or name.lower().endswith((".txt", ".html", ".htm")):
                text += decode(data, content.get("charset", ""))[0].replace("\0", "")
            else:
                self.parts.append(Part("application/octet-stream", name[:200], len(data), attached=True))
        return text

    def read_behind_parts(self) -> None:
        """Read the text behind the last part, which few mail programs show."""
        raw = b"\n" + self.raw[self._behind_parts : self._behind_parts + MAX_ATTACHED_TEXT]
        if boundary_of_parts(raw, 0, most=len(raw)):
            self.defects["parts behind the parts"] = None
            MimeReader(raw, outer=self).walk((("content-type", "multipart/mixed"),), 0)
        elif text := decode(raw)[0].strip():
            self.defects["text behind the parts"] = None
            self._show(text.replace("\0", ""))

    def _page(self, source: str, kind: PartKind) -> None:
        if self.limits.page <= 0:
            self.defects["too much text"] = None
            return
        self.limits.page -= len(source)
        from spamlstm.message.html import read_page
        from spamlstm.message.html_cost import Budget

        self.limits.page_budget = self.limits.page_budget or Budget()
        page = read_page(source, self.limits.page_budget)
        if page.cut:
            self.defects["page cut"] = None
        if page.complex:
            self.defects["page too complex"] = None
        shown_as = _OTHER_PAGES.get(kind, PartKind.PAGE)
        if shown_as is not PartKind.PAGE:
            # As for a plain part, only its text and the targets of its links are read. Each AMP page has a script.
            page = Page(page.visible, links=page.links)
        self.pages.append(page)
        self.shown.append(ShownText(page.visible, shown_as, self._alternative, self._choice, self._attached))


def _shortened(name: str) -> str:
    """Return the beginning and the end of a long name. The ending says what the file is."""
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME // 2] + name[-(_MAX_NAME // 2) :]
