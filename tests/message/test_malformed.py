"""Malformed mail is read as mail programs show it: the text of a letter does not depend on how wrongly it is packed."""

import base64
import codecs
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.features.render import BODY, render
from spamlstm.message.headers import end_of_head
from spamlstm.message.message import parse_message

TOP = b"From: Ann Lee <ann@example.org>\nTo: robin@example.com\nSubject: The prize\nMIME-Version: 1.0\n"
TEXT = (
    "Dear winner,\n\nYou have won 850,000 euros in the summer lottery.\n"
    "To claim your prize money, send your bank account to our agent today.\n"
)
QUOTED = quopri.encodestring(TEXT.encode())
BASE64 = base64.encodebytes(TEXT.encode())
PLAIN = b"Content-Type: text/plain; charset=utf-8\n"
EDGE = b'Content-Type: multipart/mixed; boundary="edge"\n'


def letter(headers: bytes, body: bytes) -> bytes:
    return TOP + headers + b"\n" + body


def body_of(raw: bytes) -> str:
    return render(parse_message(raw)).partition(BODY)[2].strip()


RIGHT = body_of(letter(PLAIN, TEXT.encode()))

TYPES = (
    "text/plain; charset=utf-8",
    "text/plain charset=utf-8",
    "text/plain\n\tcharset=utf-8",
    "text/plain, charset=utf-8",
    "text/plain. charset=utf-8",
    "text/plain: charset=utf-8",
    "text/plain;; charset=utf-8;",
    "text/plain ; charset = utf-8",
    '"text/plain"; charset=utf-8',
    "'text/plain'; charset=utf-8",
    '"text/plain; charset=utf-8"',
    "text / plain; charset=utf-8",
    "text/plain (a comment); charset=utf-8",
    "(a comment) text/plain; charset=utf-8",
    "TEXT/PLAIN; CHARSET=UTF-8",
    'text/plain; charset="utf-8" format=fixed',
    "text/plain; charset=utf-8 format=fixed",
    "text/plain; charset=utf-8, format=fixed",
    'text/plain; charset="utf-8',
    "text/plain; charset=unknown-8bit",
    "charset=utf-8",
    "text",
    "plain",
    "",
)
ENCODINGS = {
    name: (value, encoded)
    for encoded, names in (
        (BASE64, 'base64|"base64"|base64 (a comment)|base64;|base64,|base-64|x-base64|BASE64|base64 base64'),
        (
            QUOTED,
            'quoted-printable|"quoted-printable"|quoted printable|quoted_printable|quotedprintable|x-quoted-printable',
        ),
        (TEXT.encode(), "7bit|8bit|binary|none|8-bit|(nothing)|ascii"),
    )
    for name, value in ((name, name.encode()) for name in names.split("|"))
}
WHOLE = {
    "spaces below the header": TOP + PLAIN + b" \n" + TEXT.encode(),
    "a tab below the header": TOP + PLAIN + b"\t\n" + TEXT.encode(),
    "spaces below the header, base64": TOP + PLAIN + b"Content-Transfer-Encoding: base64\n   \n" + BASE64,
    "nothing below the header": TOP + PLAIN + TEXT.encode(),
    "nothing below the header, base64": TOP + PLAIN + b"Content-Transfer-Encoding: base64\n" + BASE64,
    "a line that is no field": TOP + b"this line is no field\n" + PLAIN + b"\n" + TEXT.encode(),
    "lines of a delivery protocol above the header": b"EHLO x\nDATA\n" + letter(PLAIN, TEXT.encode()),
    "spaces before the colons": letter(PLAIN, TEXT.encode()).replace(b":", b" :", 4),
    "a boundary below the header": TOP + EDGE + b"--edge\n" + PLAIN + b"\n" + TEXT.encode() + b"\n--edge--\n",
    "spaces below the header of a part": letter(EDGE, b"--edge\n" + PLAIN + b" \n" + TEXT.encode() + b"\n--edge--\n"),
    "nothing below the header of a part": letter(EDGE, b"--edge\n" + PLAIN + TEXT.encode() + b"\n--edge--\n"),
    "no end of the parts": letter(EDGE, b"--edge\n" + PLAIN + b"\n" + TEXT.encode()),
    "a multipart without semicolon": letter(
        b"Content-Type: multipart/mixed boundary=edge\n", b"--edge\n" + PLAIN + b"\n" + TEXT.encode() + b"\n--edge--\n"
    ),
    "a boundary that is not declared, below empty lines": letter(
        b"Content-Type: multipart/mixed\n",
        b"\n\n--edge\n" + PLAIN + b"\n" + TEXT.encode() + b"\n--edge--\n",
    ),
    "a boundary that is longer than declared": letter(
        EDGE, b"--edge-2\n" + PLAIN + b"Content-Transfer-Encoding: base64\n\n" + BASE64 + b"\n--edge-2--\n"
    ),
    "a multipart without a subtype": letter(
        b"Content-Type: multipart; boundary=edge\n", b"--edge\n" + PLAIN + b"\n" + TEXT.encode() + b"\n--edge--\n"
    ),
    "a second content type": letter(
        PLAIN + EDGE, b"--edge\n" + PLAIN + b"Content-Transfer-Encoding: base64\n\n" + BASE64 + b"\n--edge--\n"
    ),
    "a second content type, without parts": letter(PLAIN + EDGE, TEXT.encode()),
    "a second transfer encoding": letter(
        PLAIN + b"Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n", BASE64
    ),
    "parts behind the parts": letter(
        EDGE,
        b"--edge\n"
        + PLAIN
        + b"\n\n--edge--\n\n--edge\n"
        + PLAIN
        + b"Content-Transfer-Encoding: base64\n\n"
        + BASE64
        + b"\n--edge--\n",
    ),
    "plain text as base64": letter(PLAIN + b"Content-Transfer-Encoding: base64\n", TEXT.encode()),
    "soft line breaks with spaces": letter(
        PLAIN + b"Content-Transfer-Encoding: quoted-printable\n", TEXT.replace("lottery", "lott= \nery").encode()
    ),
    "a byte order mark": codecs.BOM_UTF8 + letter(PLAIN, TEXT.encode()),
    "a byte order mark and an mbox line": codecs.BOM_UTF8 + b"From - Sat\n" + letter(PLAIN, TEXT.encode()),
    "a zero-width space": "\u200b".encode() + letter(PLAIN, TEXT.encode()),
    "a byte order mark in the part": letter(PLAIN, codecs.BOM_UTF8 + TEXT.encode()),
    "UTF-16": letter(PLAIN, TEXT.encode()).decode().encode("utf-16"),
    "UTF-16, big end first": codecs.BOM_UTF16_BE + letter(PLAIN, TEXT.encode()).decode().encode("utf-16-be"),
    "UTF-7": letter(b"Content-Type: text/plain; charset=utf-7\n", TEXT.replace("won", "+AHcAbwBu-").encode()),
}
ENDS = (b"\n", b"\r\n", b"\r\r\n", b"\r\r\r\n", b"\r")


@pytest.mark.parametrize("value", TYPES)
def test_types(value):
    """A content type of a wrong form does not change the text."""
    assert body_of(letter(f"Content-Type: {value}\n".encode(), TEXT.encode())) == RIGHT


@pytest.mark.parametrize("name", ENCODINGS)
def test_encodings(name):
    """A transfer encoding with quotes, comments or other additions is decoded."""
    value, encoded = ENCODINGS[name]
    assert body_of(letter(PLAIN + b"Content-Transfer-Encoding: " + value + b"\n", encoded)) == RIGHT


@pytest.mark.parametrize("name", WHOLE)
def test_whole(name):
    """A missing or damaged separator, and a byte order mark, do not change the text, the sender and the subject."""
    message = parse_message(WHOLE[name])
    assert body_of(WHOLE[name]) == RIGHT
    assert (message.sender, message.subject) == ("ann@example.org", "The prize")


@pytest.mark.parametrize("name", [name for name in WHOLE if "UTF-16" not in name])
@pytest.mark.parametrize("end", ENDS)
def test_line_ends(name, end):
    """The text does not depend on the line ends, even if a program has converted them twice."""
    assert body_of(WHOLE[name].replace(b"\n", end)) == RIGHT


@given(
    st.sampled_from(TYPES),
    st.sampled_from(sorted(ENCODINGS)),
    st.sampled_from([b"", b" ", b"\t "]),
    st.sampled_from(ENDS[:3]),
    st.tuples(st.sampled_from([b"", codecs.BOM_UTF8]), st.booleans()),
)
def test_combinations(value, name, separator, end, place):
    """All these faults together do not change the text, in the message itself and in a part."""
    encoding, encoded = ENCODINGS[name]
    mark, inner = place
    headers = f"Content-Type: {value}\n".encode() + b"Content-Transfer-Encoding: " + encoding + b"\n"
    if inner:
        raw = letter(EDGE, b"--edge\n" + headers + separator + b"\n" + encoded + b"\n--edge--\n")
    else:
        raw = TOP + headers + separator + b"\n" + encoded
    assert body_of(mark + raw.replace(b"\n", end)) == RIGHT


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        ("=?UTF-8?Q?Are_you_there?_Reply_please!?=", "Are you there? Reply please!"),
        ("=?UTF-8?Q?Tuesday??=", "Tuesday?"),
        ("=?UTF-8?Q?Can we talk=3F?=", "Can we talk?"),
        ("=?UTF-8?Q??= =?UTF-8?Q?Hello?=", "Hello"),
        ("=?UTF-8?B?SGk=?= =?UTF-8?B?IHlvdQ==?=", "Hi you"),
        ("=??Q?Hello_you?=", "Hello you"),
        ("a=?b?c =?UTF-8?Q?d=65?=", "a=?b?c de"),
    ],
)
def test_encoded_words(value, subject):
    """Encoded words with question marks and spaces are decoded, as mail programs do."""
    assert parse_message(f"Subject: {value}\n\n".encode()).subject == subject


@given(st.integers(8, 90), st.sampled_from([b"", b"\n", b"\r\n"]), st.sampled_from([b"", b"This list is open.\n"]))
def test_base64_in_pieces(length, end, footer):
    """Each piece of a text may be encoded for itself, and a plain footer may follow. Base64 is never shown as words."""
    data = TEXT.encode()
    pieces = [base64.b64encode(data[at : at + length]) for at in range(0, len(data), length)]
    raw = letter(PLAIN + b"Content-Transfer-Encoding: base64\n", end.join(pieces) + b"\n" + footer)
    assert body_of(raw) == body_of(letter(PLAIN, data + footer))


@given(st.lists(st.sampled_from(["a", "be", "=", "+/", "\n", ",", "wonderful", "="]), max_size=40).map(" ".join))
def test_text_that_is_not_base64(more):
    """Plain text that is declared as base64 is kept."""
    body = f"Hello, my dear friends\n{more}".encode()
    message = parse_message(letter(PLAIN + b"Content-Transfer-Encoding: base64\n", body))
    assert message.text == body.decode()
    assert "text not in base64" in message.defects


def test_words_above_base64():
    """Words above base64 do not hide it: it is decoded together with them, as in mail programs."""
    # 12 letters, which mail programs decode to nine bytes, so that the rest is decoded right.
    raw = letter(PLAIN + b"Content-Transfer-Encoding: base64\n", b"Here they were:\n" + BASE64)
    assert "850,000 euros in the summer lottery" in parse_message(raw).text


@given(st.lists(st.sampled_from([b"A: b", b"\r", b"\n", b"\r\n", b" ", b"x"]), max_size=12).map(b"".join))
def test_one_end_of_the_headers(tail):
    """Tags are added above the blank line that ends the headers for the parser, whatever the line ends."""
    raw = b"From: ann@example.org\nTo: b\nX-A: b" + tail
    message = parse_message(raw)
    if "no blank line after the header" not in message.defects and b"\r\r\n" not in raw:
        head = parse_message(raw[: end_of_head(raw)])
        assert message.headers == head.headers


def test_lines_above_the_header_are_a_defect():
    """No mail program writes lines above the header, so they are named among the defects."""
    raw = WHOLE["lines of a delivery protocol above the header"]
    assert parse_message(raw).defects == ("lines above the header",)
