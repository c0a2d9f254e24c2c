"""The normal form of a message: the bytes from which its content id is computed.

Servers and mail programs change a message when they store or move it. They add, remove, reorder, refold and recode
headers, mark subjects, encode or convert text in another way, and replace line ends and boundaries. None of these
changes alters the normal form. It consists of the values of the headers in _NAMES, then of the decoded parts without
white space. All other headers, file names and the structure of the parts are omitted.
"""

import binascii
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator

from spamlstm.maildir.subject_marks import without_marks
from spamlstm.message.charset import decode, decode_words, guess
from spamlstm.message.headers import BLOCK
from spamlstm.message.message import address
from spamlstm.message.mime import MimeReader, Part

_NAMES = ("from", "date", "subject", "message-id")
_CONTENT_NAMES = ("content-type", "content-transfer-encoding", "content-disposition")
# Letters in both cases are several times faster than re.IGNORECASE.
_ANY_NAME = "|".join(
    "".join(f"[{letter}{letter.upper()}]" if letter.isalpha() else letter for letter in name)
    for name in (*_NAMES, *_CONTENT_NAMES)
)
_WANTED = rf"(?=[cCdDfFmMsS])({_ANY_NAME})[ \t]*+:([^\n]*+(?>\n[ \t][^\n]*+)*+)"
_FIRST, _NEXT = re.compile(_WANTED.encode()), re.compile(rf"\n{_WANTED}".encode())
_FOLD = re.compile(r"\r?\n[ \t]+")
_DATE = re.compile(
    r"(\d{1,2})[ -]+([A-Za-z]{3})[a-z]*[ -]+(\d{4}|\d\d) +(\d\d?):(\d\d)(?::(\d\d))? *(?:([+-])(\d\d)(\d\d)|GMT|UTC?|Z"
    r"|([ECMP][SD]T)\b)"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# The names of time zones in old mail (RFC 5322, section 4.3), with the hours behind UTC.
_ZONES = {"EDT": 4, "EST": 5, "CDT": 5, "CST": 6, "MDT": 6, "MST": 7, "PDT": 7, "PST": 8}
_IN_BRACKETS = re.compile("<([^<>]++)>")
_MOST_VALUE = 20_000
# Letters and their accents are composed in subjects up to this length. Sorting accents takes quadratic time.
_MOST_COMPOSED = 1_000
# Parts of text up to this size are converted to UTF-8. In larger parts, the bytes of the declared charset are used.
_MOST_TEXT = 1 << 20
_WHITE = b" \t\n\r\v\f"
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
# A program that stores mail in mboxes writes `>From ` if a line of text begins with `From `.
_QUOTED_FROM = re.compile(rb"^>+(?=From )", re.MULTILINE)
_PART = Part("", "", 0, attached=False)


def header_values(raw: bytes, start: int, end: int) -> dict[str, str]:
    """Return the unfolded values of the headers that matter for the normal form, from the header block raw[start:end].

    The keys are the names in lower case. If a name occurs several times, the topmost header is used.
    """
    found: dict[str, str] = {}
    first = _FIRST.match(raw, start, end)
    for match in itertools.chain([first] if first else [], _NEXT.finditer(raw, start, end)):
        name = match[1].decode("ascii").lower()
        if name not in found:
            value = raw[match.start(2) : min(match.end(2), match.start(2) + _MOST_VALUE)]
            found[name] = _FOLD.sub(" ", value.decode("ascii") if value.isascii() else guess(value)).strip()
    return found


def header_form(values: dict[str, str]) -> bytes:
    """Return the normal form of the headers with these values. It is empty if all of them are missing or empty."""
    return _joined((name, _form(name, values[name])) for name in _NAMES if values.get(name))


def former_header_form(values: dict[str, str]) -> bytes:
    """Return the normal form of the headers as an earlier version of this program computed it."""
    return _joined((name, _former_form(name, values[name])) for name in _NAMES if values.get(name))


def _joined(forms: Iterable[tuple[str, str]]) -> bytes:
    found = [(name, value.encode("utf-8", "replace")) for name, value in forms]
    return b"".join(name.encode() + b"\0" + value + b"\0" for name, value in found if value)


def body_form(raw: bytes, start: int, values: dict[str, str]) -> Iterator[bytes]:
    """Yield the normal form of the body, which begins at `start`, in blocks.

    `values` are the results of `header_values`. The time is proportional to the size of the message. A few MB of memory
    are used, whatever the size of the message.
    """
    reader = _LeafReader(raw)
    reader.walk(tuple((name, values[name]) for name in _CONTENT_NAMES if name in values), start)
    for content, begin, end in reader.leaves:
        is_text = content["type"].startswith("text/")
        is_empty = True
        for block in _blocks(raw, begin, end, content.get("transfer", "")):
            data = block
            if is_text and end - begin <= _MOST_TEXT:
                data = decode(block, content.get("charset", ""))[0].encode("utf-8", "replace")
            if b">From " in data:
                data = _QUOTED_FROM.sub(b"", data)
            if data := data.translate(None, _WHITE):
                is_empty = False
                yield data
        if not is_empty:
            yield b"\0" + content["type"].encode("utf-8", "replace") + b"\0" if is_text else b"\0file\0"


def _form(name: str, value: str) -> str:
    if name == "date":
        return _moment(value) or "".join(value.split())
    form = _former_form(name, value)
    if name == "message-id":
        return _message_id(form)
    if name == "subject":
        is_composed = form.isascii() or len(form) > _MOST_COMPOSED
        return without_marks(form if is_composed else unicodedata.normalize("NFC", form))
    return form


def _former_form(name: str, value: str) -> str:
    if name == "from":
        value = address(value) or decode_words(value)
    elif name == "date":
        value = _moment(value, named_zones=False) or value
    elif name == "subject":
        value = decode_words(value)
    return "".join(value.split())


def _message_id(value: str) -> str:
    """Return a Message-ID in brackets and without a comment. Its domain is in lower case."""
    bracketed = _IN_BRACKETS.search(value)
    plain = bracketed[1] if bracketed else value.strip("<>")
    local, at, domain = plain.rpartition("@")
    return f"<{local}{at}{domain.lower() if at else domain}>" if plain else ""


def _moment(value: str, *, named_zones: bool = True) -> str:
    """Return the moment of a Date header as a number of seconds, or '' if the date is not of the usual form.

    Without `named_zones`, a date in a zone such as EST is not of the usual form.

    A function of our own is used because `email.utils` takes 9 ms and 1 MB to import, and `datetime` takes 10 µs.
    """
    match = _DATE.search(value[:200])
    if match is None or match[2].lower() not in _MONTHS or (match[10] and not named_zones):
        return ""
    day, month, year, hour, minute, second, sign, hours, minutes, zone = match.groups()
    century = 0 if len(year) == 4 else 2000 if year < "50" else 1900
    # Years begin in March, so that a leap day is the last day of its year.
    months = 12 * (century + int(year)) + _MONTHS.index(month.lower()) - 2
    years = months // 12
    days = 365 * years + years // 4 - years // 100 + years // 400 + (153 * (months % 12) + 2) // 5 + int(day)
    minutes_ahead = (60 * int(hours or 0) + int(minutes or 0)) * (-1 if sign == "-" else 1) - 60 * _ZONES.get(zone, 0)
    return str(((days * 24 + int(hour)) * 60 + int(minute) - minutes_ahead) * 60 + int(second or 0))


class _LeafReader(MimeReader):
    """A reader that only finds the leaves of a message. `leaves` has the content headers, start and end of each."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.leaves: list[tuple[dict[str, str], int, int]] = []

    def _leaf(self, content: dict[str, str], start: int, end: int) -> None:
        self.parts.append(_PART)
        self.leaves.append((content, min(start, end), end))


def _blocks(raw: bytes, start: int, end: int, transfer: str) -> Iterator[bytes]:
    """Yield the decoded bytes of a leaf. A leaf of at most _MOST_TEXT bytes is yielded in one block."""
    size = _MOST_TEXT if end - start <= _MOST_TEXT else BLOCK
    rest = b""
    while start < end:
        stop = min(start + size, end)
        if transfer == "quoted-printable" and stop < end:
            stop = raw.rfind(b"\n", start, stop) + 1 or stop
        block = raw[start:stop]
        start = stop
        if transfer == "base64":
            block = rest + block.translate(None, _NOT_BASE64)
            whole = len(block) // 4 * 4
            rest = block[whole:]
            yield binascii.a2b_base64(
                block[:whole] + (rest + b"=" * (4 - len(rest)) if _ends(start, end, rest) else b"")
            )
        else:
            yield binascii.a2b_qp(block) if transfer == "quoted-printable" else block


def _ends(start: int, end: int, rest: bytes) -> bool:
    """Return whether `rest` are the last characters of a base64 text, without padding. One character has no meaning."""
    return start == end and len(rest) > 1
