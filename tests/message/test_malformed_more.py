"""Mail that is packed in ways which only few programs write, and which people read all the same."""

import base64
import codecs
import quopri

import pytest
from hostile_text import limit

from spamlstm.features.render import BODY, render
from spamlstm.message.beginning import begins_like_mail
from spamlstm.message.message import parse_message
from spamlstm.model.reading import not_mail

TOP = b"From: Ann Lee <ann@example.org>\nTo: robin@example.com\nSubject: The prize\nMIME-Version: 1.0\n"
TEXT = (
    b"Dear winner,\n\nYou have won 850,000 euros in the summer lottery, and the whole of it is yours from today on.\n"
    b"To claim your prize money, send your bank account to our agent today.\n"
)
PAGE = b"<html><body><p>" + TEXT.replace(b"\n\n", b"<p>") + b"</body></html>\n"
BASE64 = base64.encodebytes(TEXT)
QUOTED = quopri.encodestring(TEXT)
PLAIN = b"Content-Type: text/plain; charset=utf-8\n"


def body_of(raw: bytes) -> str:
    return render(parse_message(raw)).partition(BODY)[2].strip()


RIGHT = body_of(TOP + PLAIN + b"\n" + TEXT)


def encoded(name: str, body: bytes) -> bytes:
    return TOP + PLAIN + f"Content-Transfer-Encoding: {name}\n\n".encode() + body


def two_forms(content_type: str, boundary: bytes) -> bytes:
    forms = b"--%s\n" + PLAIN + b"\n" + TEXT + b"\n--%s\nContent-Type: text/html\n\n" + PAGE + b"\n--%s--\n"
    return TOP + f"Content-Type: {content_type}\n\n".encode() + forms % (boundary, boundary, boundary)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/alternative; boundary='b2'", b"b2"),
        ("multipart/alternative; boundary='b2'", b"'b2'"),
        ("multipart/alternative; boundary: b2", b"b2"),
        ("multipart/alternative; boundary=other", b"b"),
        ("multipart/alternatives; boundary=edge", b"edge"),
        ("<multipart/alternative>; boundary=edge", b"edge"),
    ],
)
def test_two_forms(content_type, boundary):
    """A boundary that is short and wrong, or in single quotes, and a type of a wrong form leave one letter."""
    assert body_of(two_forms(content_type, boundary)) == RIGHT


def test_dashes_are_no_boundary():
    """A line of dashes above a content type is text if the multipart has no parts."""
    raw = TOP + b"Content-Type: multipart/mixed; boundary=edge\n\nNote\n----\nContent-Type: text/html\n\nis a header\n"
    assert "is a header" in parse_message(raw).text
    assert "Content-Type" in parse_message(raw).text


def test_type_in_angle_brackets():
    """A type in angle brackets is the type."""
    assert body_of(TOP + b"Content-Type: <text/html>; charset=utf-8\n\n" + PAGE) == RIGHT


@pytest.mark.parametrize(
    "name",
    ["b", "bse64", "Content-Transfer-Encoding: base64", "8bit, base64", "=?us-ascii?Q?base64?=", "mime-base64", "7bit"],
)
def test_base64_under_any_name(name):
    """A text that consists of base64 is decoded whatever the header says."""
    assert body_of(encoded(name, BASE64)) == RIGHT
    assert body_of(encoded(name, BASE64.replace(b"\n", b"\r\n"))) == RIGHT


@pytest.mark.parametrize("name", ["q", "qp", "quoted", "binary quoted-printable", "quoted-printble"])
def test_quoted_printable_under_any_name(name):
    """Soft line breaks do not split words if the header has a short or wrong name of quoted-printable."""
    assert body_of(encoded(name, QUOTED)) == RIGHT


@pytest.mark.parametrize(
    "body", [base64.encodebytes(bytes(range(256))), base64.encodebytes(b"\xf1\x82\0\x7f" * 40), b"0123456789abcdef" * 4]
)
def test_data_in_base64_is_not_decoded(body):
    """Keys, files and hashes stay as they are if the header does not declare base64."""
    assert parse_message(encoded("7bit", body)).text == body.decode()


def test_base64_of_addresses():
    """Base64 with the signs for addresses of pages is decoded."""
    text = "Grüße: 一二三四五六七八九十 ÿþýüûúùø ??>>~~ and so on, to everyone in the house".encode()
    body = base64.urlsafe_b64encode(text)
    assert b"-" in body or b"_" in body
    assert parse_message(encoded("base64", body)).text == text.decode()


def test_signs_between_lines_of_base64():
    """Signs behind the lines of base64 do not end it."""
    assert body_of(encoded("base64", BASE64.replace(b"\n", b" !-\n"))) == RIGHT


def test_encoded_multipart():
    """The parts of a multipart that is encoded as a whole are read."""
    parts = b"--edge\n" + PLAIN + b"\n" + TEXT + b"\n--edge--\n"
    head = TOP + b"Content-Type: multipart/mixed; boundary=edge\nContent-Transfer-Encoding: base64\n\n"
    message = parse_message(head + base64.encodebytes(parts))
    assert message.text.strip() == TEXT.decode().strip()
    assert message.defects == ("wrong boundary", "encoded multipart")


def test_unfolded_headers():
    """Header lines of servers that have lost their white space are no text."""
    servers = b"".join(
        b"Received: from a%d.example (a%d.example [192.0.2.1])\n(using TLSv1.3 with cipher A)\nby b.example with ESMTPS"
        b" id 7\nfor <robin@example.com>; Sat, 28 Nov 2026 02:38:20 -0000\n" % (number, number)
        for number in range(4)
    )
    raw = servers + TOP + PLAIN + b"\n" + TEXT
    assert body_of(raw) == RIGHT
    assert parse_message(raw).sender == "ann@example.org"


def test_many_lines_that_are_no_fields():
    """A text of many lines without a blank line above it is text, even if it quotes headers."""
    text = b"".join(b"the line number %d of the letter\n" % number for number in range(8)) + b"From: Bob\nDate: today\n"
    assert "line number 0" in parse_message(TOP + PLAIN + text).text


@pytest.mark.parametrize(
    "raw",
    [
        (TOP + PLAIN + b"\n" + TEXT).replace(b"\n", b"\r") + b"\n",
        (TOP + PLAIN + b"\n").replace(b"\n", b"\r") + TEXT,
        TOP + PLAIN + b"\r" + TEXT,
    ],
)
def test_carriage_returns(raw):
    """Lines that end in a carriage return are lines, even if other lines end in a newline."""
    message = parse_message(raw)
    assert (message.sender, message.subject, body_of(raw)) == ("ann@example.org", "The prize", RIGHT)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_wide_characters(codec, mark):
    """Mail in UTF-16 and UTF-32 is read with and without a byte order mark."""
    raw = (mark + (TOP + PLAIN + b"\n" + TEXT).decode()).encode(codec)
    message = parse_message(raw)
    assert (message.sender, body_of(raw)) == ("ann@example.org", RIGHT)
    assert begins_like_mail(raw)
    assert not not_mail(raw)


def test_byte_order_mark_above_the_header_of_a_part():
    """A byte order mark above the header of a part does not make the header text."""
    edge = b"Content-Type: multipart/mixed; boundary=edge\n\n--edge\n"
    assert body_of(TOP + edge + codecs.BOM_UTF8 + PLAIN + b"\n" + TEXT + b"\n--edge--\n") == RIGHT


@pytest.mark.parametrize(
    "value",
    [
        "=?UTF-8?Q?Are_you_there=3F_Reply!",
        "=?UTF-8?Q?Are_you_there=3F_Reply!?",
        "=?UTF-8?Q?Are_you_ =?UTF-8?Q?there=3F_Reply!?=",
        "=?UTF-8?B?QXJlIHlvdSB0aGVyZT8gUmVwbHkh",
        "=?UTF-8?Q?=3D=3FUTF-8=3FQ=3FAre=5Fyou=5Fthere=3F=5FReply!=3F=3D?=",
        "=? UTF-8 ? Q ?Are_you_there=3F_Reply!?=",
    ],
)
def test_damaged_encoded_words(value):
    """Encoded words without an end, with spaces in their first part, or encoded twice are decoded."""
    assert parse_message(f"Subject: {value}\n\n".encode()).subject.replace("  ", " ") == "Are you there? Reply!"


def test_equals_sign_in_an_encoded_word():
    """An equals sign above a question mark does not end an encoded word."""
    assert parse_message(b"Subject: =?UTF-8?Q?Is_1+1=?_Yes!?=\n\n").subject == "Is 1+1=? Yes!"


@pytest.mark.parametrize(
    "raw",
    [
        b"Received: a\n" * 5 + b"x y\n" * 12 + b"Received: a\nx y\n" * 20_000,
        b"Subject: " + b"=?a?q?" * 40_000 + b"\n\n",
        b"Subject: " + b"=? " * 80_000 + b"\n\n",
        b"Content-Transfer-Encoding: b\n\n" + b"A" * 40 + b" " * 300_000 + b"!",
        b"Content-Transfer-Encoding: base64\n\n" + b"-" * 300_000 + b"!",
        b"A\0" * 200_000,
    ],
    ids=["headers", "words", "beginnings", "base64", "dashes", "wide"],
)
def test_time_is_bounded(raw):
    """Hostile input of these forms takes little time."""
    with limit(1.0):
        assert parse_message(raw).size == len(raw)
