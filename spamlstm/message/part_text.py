"""The text of the parts of a message: which parts mail programs show, and what each of them shows."""

import binascii
import re
from collections.abc import Sequence
from enum import Enum
from itertools import islice
from typing import NamedTuple

from spamlstm.message.charset import decode


class PartKind(Enum):
    """The form in which the text of a part is read."""

    PLAIN = "plain"
    ENRICHED = "enriched"
    PAGE = "page"
    OTHER_PAGE = "other page"
    """A page for few programs: for Gmail, which runs AMP, or for watches. The other programs show another part."""

    CALENDAR = "calendar"
    CARD = "card"
    MESSAGE = "message"
    SIGNED = "signed"
    UNREAD = "unread"


class ShownText(NamedTuple):
    """The text of one part. `alternative` is the number of the multipart/alternative that contains it, or 0.

    `choice` is where the part of this multipart begins that contains it. Programs show the last one that they can.
    `attached` is true for the text of a file, or of a message within the message.
    """

    text: str
    kind: PartKind
    alternative: int
    choice: int = 0
    attached: bool = False


class MessageText(NamedTuple):
    """The text that a reader sees: the letter, and secondary text, which a reader does not take for the letter.

    Secondary text is the text of attachments, of messages within the message and of invitations, a plain part whose
    text differs from the page beside it, and the text that a letter quotes below the headers of another message.
    """

    letter: str
    secondary: str = ""

    @property
    def all(self) -> str:
        """The letter and the secondary text."""
        return f"{self.letter}\n{self.secondary}" if self.secondary else self.letter


_KINDS = {
    "text/html": PartKind.PAGE,
    "application/xhtml+xml": PartKind.PAGE,
    "image/svg+xml": PartKind.PAGE,
    "text/x-amp-html": PartKind.OTHER_PAGE,
    "text/watch-html": PartKind.OTHER_PAGE,
    "text/enriched": PartKind.ENRICHED,
    "text/richtext": PartKind.ENRICHED,
    "text/calendar": PartKind.CALENDAR,
    "text/x-vcalendar": PartKind.CALENDAR,
    "application/ics": PartKind.CALENDAR,
    "text/vcard": PartKind.CARD,
    "text/x-vcard": PartKind.CARD,
    "message/rfc822": PartKind.MESSAGE,
    "message/global": PartKind.MESSAGE,
    "message/news": PartKind.MESSAGE,
    "application/pkcs7-mime": PartKind.SIGNED,
    "application/x-pkcs7-mime": PartKind.SIGNED,
    "message/partial": PartKind.MESSAGE,
}
# Subtypes of text that mail programs do not show, or that are read by no person.
_NOT_SHOWN = frozenset("css javascript ecmascript rtf vcard x-vcard directory rfc822-headers csv xml".split())
_KIND_BY_ENDING = {
    "html": PartKind.PAGE,
    "htm": PartKind.PAGE,
    "shtml": PartKind.PAGE,
    "xhtml": PartKind.PAGE,
    "xht": PartKind.PAGE,
    "svg": PartKind.PAGE,
    "ics": PartKind.CALENDAR,
    "eml": PartKind.MESSAGE,
    "mht": PartKind.MESSAGE,
    "mhtml": PartKind.MESSAGE,
    "txt": PartKind.PLAIN,
}
_FOLD = re.compile(r"\r?\n[ \t]")
_CALENDAR_LINE = re.compile(
    r"(?im)^(SUMMARY|DESCRIPTION|LOCATION|COMMENT|ORGANIZER|URL|ATTACH)((?>;[^:\n\"]*+(?>\"[^\"\n]*+\")?+)*+):([^\n]*+)"
)
# The description as a page, which Outlook shows instead of the plain one.
_CALENDAR_PAGE = re.compile(r"(?im)^(?:X-ALT-DESC|STYLED-DESCRIPTION)(?>;[^:\n]*+)?+:(\s*+<[^\n]*+)")
_CARD_NOTE = re.compile(rb"(?i)\nNOTE(?>;[^:\n]*+)?+:[^\n]{60}")
# Data with at least this many words is text, unless it has control characters or is a block of PGP, a key or a PDF.
_FEWEST_OF_DATA = 10
_NOT_TEXT = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]|\A\s*+(?:-----BEGIN|%PDF|%!PS|\{\\rtf)")
_DATA_PAGE = re.compile(rb"\s*+<(?:!doctype html|html|head|body|table|div|meta|p)(?![^\s>])", re.IGNORECASE)
_COMMON_NAME = re.compile(r";CN=\"?([^\";:]++)", re.IGNORECASE)
_ESCAPED = re.compile(r"\\([nN,;\\])")
_MAX_CALENDAR_LINES = 100
# A property of vCalendar 1.0 in quoted-printable, whose line ends are folded behind a `=`.
_QUOTED_PRINTABLE = re.compile(
    r"(?im)^([A-Z-]++)(?=;)(?=[^:\n]*+:)(?=[^:\n]*?\bQUOTED-PRINTABLE\b)([^:\n]*+):((?>[^\n]*=\r?\n)*+[^\n]*+)"
)
_SOFT_FOLD = re.compile(r"=\r?\n[ \t]")
_CHARSET = re.compile(r";CHARSET=\"?([\w.:-]++)", re.IGNORECASE)
_ENRICHED_TAG = re.compile(r"<param>[^<]{0,200}</param>|</?[a-z][a-z-]{0,40}>", re.IGNORECASE)
# The fewest words of a letter beside which other text is secondary. With fewer, a spammer would need only a sentence
# above an attachment with the spam (docs/decisions/0036-the-letter-first.md).
FEWEST_LETTER_WORDS = 40
# The names of From in the headers that mail programs write above a forwarded message, in some thirty languages.
_FROM_NAMES = (
    "From|De|Von|Da|Van|Od|Från|Fra|Lähettäjä|Feladó|Від|От|От кого|Từ|Kimden|Gönderen|Από|من|מאת|จาก|Dari|Pengirim"
    "|Expéditeur|Absender|Remitente|Remetente|Mittente|Afzender|Nadawca|Odesílatel"
    "|发件人|寄件者|寄件人|差出人|送信元|보낸 사람"
)
# A pattern that begins with a line end is found five times as fast as one that begins with ^.
_FROM_LINE = re.compile(
    rf"\n(?:[ \t]*+-{{3,}}+[^\n]{{0,80}}\n(?>[ \t\r]*+\n){{0,4}}+)?"
    rf"[ \t>*|]{{0,8}}+(?:{_FROM_NAMES})\*?\s?[:：]\*?[ \t][^\n]{{1,200}}\n(?>[ \t>\r]*+\n){{0,4}}+"
    r"[ \t>*|]{0,8}[^\W\d_][\w .-]{1,24}\*?\s?[:：]\*?[ \t]"
)
# A word of at least two letters. Two characters of a script that is written without spaces are a word.
_WORD = re.compile(r"[^\W\d_\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]{2,}|[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]{2}")
# At most this number of invitations and plain parts beside pages is read, because each is compared with all other text.
MOST_OTHER = 20
# A plain part beside a page is read if it has at least this many characters and more than this share of its words is
# missing in the page.
_SHORTEST_OTHER = 40
_MOST_MISSING = 0.6
_FEWEST_COMPARED, _MOST_COMPARED, _COMPARED_TEXT = 5, 80, 8_000


def part_kind(content: dict[str, str], name: str, *, attached: bool) -> PartKind:
    """Return the form in which a part is read, given its content headers and the name of its file."""
    mime_type = content["type"]
    kind = _KINDS.get(mime_type)
    if mime_type == "application/octet-stream" and name.lower() == "smime.p7m":
        kind = PartKind.SIGNED
    if kind is None and name and (attached or not mime_type.startswith("text/")):
        # An attached page is read too, because phishing mail sends forms as attachments.
        kind = _KIND_BY_ENDING.get(file_ending(name))
    if kind is None and mime_type.startswith("text/") and mime_type[5:] not in _NOT_SHOWN:
        return PartKind.UNREAD if attached and mime_type != "text/plain" else PartKind.PLAIN
    return kind or PartKind.UNREAD


def file_ending(name: str) -> str:
    """Return the ending of the name of a file, in lower case."""
    return split_name(name)[1]


def split_name(name: str) -> tuple[str, str]:
    """Return the name of a file without its ending, and the ending in lower case. A name without a dot is an ending.

    Windows ignores dots and spaces at the end of a name.
    """
    stem, _, ending = name.rstrip(". ").rpartition(".")
    return stem, ending.lower()


def calendar_text(source: str) -> str:
    """Return the text of an invitation that mail programs show: title, description, place, organiser and links."""
    lines = []
    is_quoted = "quoted-printable" in source.lower()
    source = _FOLD.sub("", _SOFT_FOLD.sub("=\n", source) if is_quoted else source)
    if is_quoted:
        source = _QUOTED_PRINTABLE.sub(_unquoted, source)
    for match in _CALENDAR_LINE.finditer(source):
        name, value = match[1].upper(), _unescaped(match[3].strip())
        if name == "ORGANIZER":
            common_name = _COMMON_NAME.search(match[2])
            value = f"{common_name[1] if common_name else ''} {value.partition(':')[2]}".strip()
        elif name in ("URL", "ATTACH") and not value.lower().startswith("http"):
            continue
        lines.append(value)
        if len(lines) == _MAX_CALENDAR_LINES:
            break
    return "\n".join(dict.fromkeys(lines))


def _unquoted(line: re.Match[str]) -> str:
    """Return a property of vCalendar 1.0 without the encoding of its value."""
    name, parameters, value = line.groups()
    charset = _CHARSET.search(parameters)
    text, _ = decode(binascii.a2b_qp(value.encode("utf-8", "replace")), charset[1] if charset else "utf-8")
    return f"{name}:" + text.replace("\r", "").replace("\n", "\\n")


def calendar_page(source: str) -> str:
    """Return the descriptions of an invitation that are pages, or ''."""
    if "x-alt-desc" not in (low := source.lower()) and "styled-description" not in low:
        return ""
    found = islice(_CALENDAR_PAGE.finditer(_FOLD.sub("", source)), _MAX_CALENDAR_LINES)
    return "\n".join(dict.fromkeys(_unescaped(match[1]) for match in found))


def _unescaped(value: str) -> str:
    return _ESCAPED.sub(lambda escape: "\n" if escape[1] in "nN" else escape[1], value)


def card_text(source: str) -> str:
    """Return the notes of a visiting card."""
    lines = _FOLD.sub("", source).split("\n")
    return "\n".join(_unescaped(line.partition(":")[2].strip()) for line in lines if line[:4].upper() == "NOTE")


def kind_by_content(kind: PartKind, start: bytes) -> PartKind:
    """Return the form in which a visiting card, or data of no known type and without a name, is read.

    `start` is the beginning of its content. A card without a long note is not read: names are no letter.
    """
    if kind is PartKind.CARD:
        return kind if _CARD_NOTE.search(start) else PartKind.UNREAD
    if kind is not PartKind.UNREAD:
        return kind
    if len(start.split(None, _FEWEST_OF_DATA)) <= _FEWEST_OF_DATA or _NOT_TEXT.search(start):
        return PartKind.UNREAD
    return PartKind.PAGE if _DATA_PAGE.match(start) else PartKind.PLAIN


def enriched_text(source: str) -> str:
    """Return a text of the type text/enriched without its commands."""
    return _ENRICHED_TAG.sub("", source).replace("<<", "<")


def shown_text(texts: Sequence[ShownText]) -> MessageText:
    """Return the text that a reader sees.

    The parts of a multipart/alternative that programs do not show, such as the plain part beside a page, and an
    invitation, are secondary text, and are left out unless they say something else. A letter of fewer than
    FEWEST_LETTER_WORDS words has no secondary text: all text is the letter then.
    """
    if len(texts) == 1:
        return _divided(texts[0].text, [])
    # What programs show of each multipart/alternative: the last page, or without a page the last other text.
    chosen: dict[int, tuple[bool, int]] = {}
    for text, kind, alternative, choice, is_attached in texts:
        is_page = kind is PartKind.PAGE
        if alternative and text.strip() and (is_page or not (is_attached or kind is PartKind.CALENDAR)):
            chosen[alternative] = max(chosen.get(alternative, (False, 0)), (is_page, choice))
    shown: dict[int, list[str]] = {}
    for text, kind, alternative, choice, _ in texts:
        if chosen.get(alternative) == (kind is PartKind.PAGE, choice):
            shown.setdefault(alternative, []).append(text)
    letter: list[str] = []
    attached: list[str] = []
    more: list[str] = []
    compared = 0
    for text, kind, alternative, choice, is_attached in texts:
        if kind is PartKind.CALENDAR:
            more.append(text)
        elif chosen.get(alternative) in (None, (kind is PartKind.PAGE, choice)):
            if text:
                (attached if is_attached else letter).append(text)
        elif len(text) >= _SHORTEST_OTHER and (compared := compared + 1) <= MOST_OTHER:
            more += [text] * _says_something_else(text, "\n".join(shown[alternative]))
    for text in more[:MOST_OTHER]:
        if not (letter or attached) or _says_something_else(text, "\n".join((*letter, *attached))):
            attached.append(text)
    return _divided("\n".join(letter), attached)


def _divided(letter: str, attached: Sequence[str]) -> MessageText:
    """Return the text of a message, in which the letter ends where it quotes the headers of another message."""
    # Most messages are one letter. Counting their words takes longer than the search for quoted headers.
    if not attached and quoted_headers(letter) is None:
        return MessageText(letter)
    begin = _end_of_fewest_words(letter)
    end = len(letter) if begin is None else quoted_headers(letter, begin) or len(letter)
    secondary = "\n".join((*((letter[end:],) if end < len(letter) else ()), *attached))
    letter = letter[:end]
    if begin is None or not _WORD.search(secondary):
        return MessageText("\n".join(filter(None, (letter, secondary))))
    return MessageText(letter, secondary)


def _end_of_fewest_words(letter: str) -> int | None:
    """Return the end of the first FEWEST_LETTER_WORDS words of a letter, or None if it has fewer."""
    word = next(islice(_WORD.finditer(letter), FEWEST_LETTER_WORDS - 1, None), None)
    return None if word is None else word.end()


def quoted_headers(text: str, start: int = 0) -> int | None:
    """Return the position of the first headers of another message from `start` on, such as a forwarded one, or None.

    They are lines such as `From: Ann`, in several languages, followed by a line that also looks like a header.
    """
    match = _FROM_LINE.search(text, start)
    return match.start() + 1 if match else None


def _says_something_else(text: str, shown: str) -> bool:
    """Return whether most words of `text` are missing in `shown`. A sample of the words is compared."""
    words = list(filter(str.isalpha, text[:_COMPARED_TEXT].split()))
    if not text.isascii():
        words = list(filter(str.isascii, words))
    if len(words) < _FEWEST_COMPARED:
        # Text of few words, or without spaces between words. Its letters are compared, without white space.
        text, shown = "".join(text[:_COMPARED_TEXT].split()), "".join(shown.split())
        words = [text[at : at + 6] for at in range(0, len(text), max(6, len(text) // _MOST_COMPARED))]
        missing = sum(word not in shown for word in words[:_MOST_COMPARED])
        return missing > _MOST_MISSING * len(words[:_MOST_COMPARED])
    words = words[:: -(-len(words) // _MOST_COMPARED)]
    known = set(shown.split())
    return sum(word not in known for word in words) > _MOST_MISSING * len(words)
