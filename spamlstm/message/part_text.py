"""The text of the parts of a message: which parts mail programs show, and what each of them shows."""

import re
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple


class PartKind(Enum):
    """The form in which the text of a part is read."""

    PLAIN = "plain"
    ENRICHED = "enriched"
    PAGE = "page"
    CALENDAR = "calendar"
    MESSAGE = "message"
    UNREAD = "unread"


class ShownText(NamedTuple):
    """The text of one part. `alternative` is the number of the multipart/alternative that contains it, or 0."""

    text: str
    kind: PartKind
    alternative: int


_KINDS = {
    "text/html": PartKind.PAGE,
    "application/xhtml+xml": PartKind.PAGE,
    "image/svg+xml": PartKind.PAGE,
    "text/enriched": PartKind.ENRICHED,
    "text/richtext": PartKind.ENRICHED,
    "text/calendar": PartKind.CALENDAR,
    "application/ics": PartKind.CALENDAR,
    "message/rfc822": PartKind.MESSAGE,
    "message/global": PartKind.MESSAGE,
    "message/news": PartKind.MESSAGE,
}
# Subtypes of text that mail programs do not show, or that are read by no person.
_NOT_SHOWN = frozenset("css javascript ecmascript rtf vcard x-vcard directory rfc822-headers csv xml".split())
_KIND_BY_ENDING = {
    "html": PartKind.PAGE,
    "htm": PartKind.PAGE,
    "shtml": PartKind.PAGE,
    "xhtml": PartKind.PAGE,
    "svg": PartKind.PAGE,
    "ics": PartKind.CALENDAR,
    "eml": PartKind.MESSAGE,
    "txt": PartKind.PLAIN,
}
_FOLD = re.compile(r"\r?\n[ \t]")
_CALENDAR_LINE = re.compile(
    r"(?im)^(SUMMARY|DESCRIPTION|LOCATION|COMMENT|ORGANIZER)((?>;[^:\n\"]*+(?>\"[^\"\n]*+\")?+)*+):([^\n]*+)"
)
_COMMON_NAME = re.compile(r";CN=\"?([^\";:]++)", re.IGNORECASE)
_ESCAPED = re.compile(r"\\([nN,;\\])")
_MAX_CALENDAR_LINES = 100
_ENRICHED_TAG = re.compile(r"<param>[^<]{0,200}</param>|</?[a-z][a-z-]{0,40}>", re.IGNORECASE)
# A plain part beside a page is read if it has at least this many characters and says something else than the page:
# more than this share of its words is missing in the page.
_SHORTEST_OTHER = 40
_MOST_MISSING = 0.6
_FEWEST_COMPARED, _MOST_COMPARED, _COMPARED_TEXT = 5, 80, 8_000


def part_kind(content: dict[str, str], name: str, *, attached: bool) -> PartKind:
    """Return the form in which a part is read, given its content headers and the name of its file."""
    mime_type = content["type"]
    kind = _KINDS.get(mime_type)
    if kind is None and name and (attached or not mime_type.startswith("text/")):
        # An attached page is read too, because phishing mail sends forms as attachments.
        kind = _KIND_BY_ENDING.get(name.rpartition(".")[2].lower())
    if kind is None and mime_type.startswith("text/") and mime_type[5:] not in _NOT_SHOWN:
        return PartKind.UNREAD if attached and mime_type != "text/plain" else PartKind.PLAIN
    return kind or PartKind.UNREAD


def calendar_text(source: str) -> str:
    """Return the text of an invitation that mail programs show: title, description, place and organiser."""
    lines = []
    for match in _CALENDAR_LINE.finditer(_FOLD.sub("", source)):
        value = _ESCAPED.sub(lambda escape: "\n" if escape[1] in "nN" else escape[1], match[3].strip())
        if match[1].upper() == "ORGANIZER":
            name = _COMMON_NAME.search(match[2])
            value = f"{name[1] if name else ''} {value.partition(':')[2]}".strip()
        lines.append(value)
        if len(lines) == _MAX_CALENDAR_LINES:
            break
    return "\n".join(dict.fromkeys(lines))


def enriched_text(source: str) -> str:
    """Return a text of the type text/enriched without its commands."""
    return _ENRICHED_TAG.sub("", source).replace("<<", "<")


def shown_text(texts: Sequence[ShownText]) -> str:
    """Return the text that a reader sees.

    All parts are shown one below the other. The plain part of a multipart/alternative with a page, and an invitation,
    follow only if they say something else.
    """
    if len(texts) == 1:
        return texts[0].text
    pages: dict[int, list[str]] = {}
    for text, kind, alternative in texts:
        if alternative and kind is PartKind.PAGE and text:
            pages.setdefault(alternative, []).append(text)
    shown: list[str] = []
    more: list[str] = []
    for text, kind, alternative in texts:
        if kind is PartKind.CALENDAR:
            more.append(text)
        elif kind is PartKind.PAGE or alternative not in pages:
            if text:
                shown.append(text)
        elif len(text) >= _SHORTEST_OTHER and _says_something_else(text, "\n".join(pages[alternative])):
            more.append(text)
    for text in more:
        if not shown or _says_something_else(text, "\n".join(shown)):
            shown.append(text)
    return "\n".join(shown)


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
