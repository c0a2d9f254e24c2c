"""A message keeps its content id whatever servers and mail programs do to it; its arrival time comes from its server.

Two messages have two content ids, and two deliveries of one message have one.
An arrival time is never after the date of the file, and never an error.
"""

from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import hypothesis.strategies as st
import pytest
from changed_mail import MAILS, WAYS
from hypothesis import example, given

from spamlstm.maildir.content_id import arrived, content_id, content_ids, former_content_ids
from spamlstm.maildir.headers import tag, untag
from spamlstm.verdict import Judgement, Verdict

MAIL = b"Received: by mx.y.org id 1\nFrom: ann@x.org\nSubject: hello\n\nA body.\n\nAnd more.\n"

pieces = st.sampled_from(
    [
        b"\n",
        b"\r\n",
        b" ",
        b"From ",
        b">From ",
        b"X-Spam: y",
        b"X-Spam-Flag: YES",
        b"Status: RO",
        b"Subject: x",
        b"a",
        b":",
    ]
)
raws = st.lists(pieces | st.binary(max_size=3), max_size=12).map(b"".join)
verdicts = st.sampled_from(list(Verdict))


@given(raws, verdicts)
@example(b"", Verdict.SPAM)
@example(b" folded\nX-Spam: y", Verdict.SPAM)
@example(b"From a\n folded\nX-Spam: y\n\nFrom b", Verdict.UNSURE)
def test_tagging_keeps_the_id(raw, verdict):
    """A tagged message and an untagged one have the id of the original, for any bytes."""
    tagged = tag(raw, Judgement(verdict, 0.9, 2.0, "score", "m 1"), version="1", spam_threshold=0.5)

    assert content_id(tagged) == content_id(raw) == content_id(untag(raw))


@given(raws)
def test_line_ends_keep_the_id(raw):
    """CRLF and LF give the same id: mbsync stores mail from IMAP with other line ends."""
    plain = raw.replace(b"\r", b"")

    assert content_id(plain.replace(b"\n", b"\r\n")) == content_id(plain)


@pytest.mark.parametrize(
    "header",
    [
        b"X-Spam-Status: Yes,\n\tscore=9",
        b"x-spam: yes",
        b"X-Spamd-Result: default",
        b"X-Rspamd-Queue-Id: 1",
        b"X-Bogosity: Spam",
        b"Status: RO",
        b"X-Keywords: a",
        b"X-Mozilla-Status2: 0",
        b"X-TUID: ab12",
        b"Content-Length: 12",
    ],
)
def test_headers_that_are_added(header):
    """Headers that filters and mail programs add keep the id, at the top or further down."""
    lines = MAIL.split(b"\n")

    assert content_id(header + b"\n" + MAIL) == content_id(MAIL)
    assert content_id(b"\n".join([*lines[:2], header, *lines[2:]])) == content_id(MAIL)


def test_an_mbox_keeps_the_id():
    """The separator before a message and the blank line after it, which mboxes add, keep the id."""
    assert content_id(b"From ann@x.org Mon Jan  1 00:00:00 2024\n" + MAIL + b"\n") == content_id(MAIL)


def test_a_separator_below_a_forged_header():
    """A forged header above an mbox separator keeps the id: `untag` removes it, and the separator is first again."""
    forged = b"X-Spam-Checker-Version: x\nFrom ann@x.org Mon Jan  1 00:00:00 2024\n" + MAIL
    assert content_id(forged) == content_id(untag(forged)) == content_id(MAIL)


@pytest.mark.parametrize("mail", MAILS)
@pytest.mark.parametrize("way", WAYS)
def test_ways_to_change_a_message(way, mail):
    """Each way in which servers and mail programs change a message keeps the id, also together with a tag."""
    changed = WAYS[way](MAILS[mail])
    verdict = Judgement(Verdict.SPAM, 0.9, 2.0, "score", "m 1")

    assert content_id(changed) == content_id(MAILS[mail])
    assert content_id(tag(changed, verdict, version="1", spam_threshold=0.5)) == content_id(MAILS[mail])


# The other functions expect LF and quoted-printable text.
SEVERAL = sorted(WAYS.keys() - {"CRLF", "text in another charset"})


@given(st.lists(st.sampled_from(SEVERAL), max_size=5, unique=True))
def test_several_changes(ways):
    """Changes by several programs, one after the other, keep the id."""
    changed = MAILS["multipart"]
    for way in ways:
        changed = WAYS[way](changed)

    assert content_id(changed) == content_id(MAILS["multipart"])


def test_most_ways_change_the_message():
    """The examples do change something: at least 20 of the ways alter the plain message, and all alter the other."""
    assert sum(way(MAILS["plain"]) != MAILS["plain"] for way in WAYS.values()) >= 20
    assert all(way(MAILS["multipart"]) != MAILS["multipart"] for way in WAYS.values())


MAIL_OF_A_LIST = (
    b"From: ann@x.org\nDate: Thu, 12 Nov 2026 09:10:09 +0100\nSubject: hello\nMessage-ID: <1@x.org>\n\nA body.\n"
)


@pytest.mark.parametrize(
    "other",
    [
        MAIL_OF_A_LIST.replace(b"ann@", b"bob@"),
        MAIL_OF_A_LIST.replace(b":09 +", b":10 +"),
        MAIL_OF_A_LIST.replace(b"+0100", b"+0200"),
        MAIL_OF_A_LIST.replace(b"Thu, 12", b"Tomorrow, the 12th of"),
        MAIL_OF_A_LIST.replace(b"hello", b"hullo"),
        MAIL_OF_A_LIST.replace(b"<1@", b"<2@"),
        MAIL_OF_A_LIST.replace(b"A body", b"A buddy"),
        MAIL_OF_A_LIST.replace(b"\nMessage-ID: <1@x.org>", b""),
        MAIL_OF_A_LIST.replace(b"\n\n", b"\nContent-Type: text/html\n\n"),
        MAIL_OF_A_LIST + b"Status: RO",
        b"",
        b"\n",
    ],
)
def test_another_message_has_another_id(other):
    """From, Date, Subject, Message-ID, each word and the type of the text count."""
    assert content_id(other) != content_id(MAIL_OF_A_LIST)


@given(st.integers(86_400, 4_000_000_000), st.integers(-12 * 60, 14 * 60))
def test_dates_are_compared_as_moments(seconds, minutes):
    """A date has the id of the same moment in another time zone, and not that of another second."""

    def dated(seconds, zone):
        return content_id(f"Date: {format_datetime(datetime.fromtimestamp(seconds, zone))}\n\n".encode())

    zone = timezone(timedelta(minutes=minutes))
    assert dated(seconds, zone) == dated(seconds, UTC) != dated(seconds + 1, UTC)


@pytest.mark.parametrize("boundary", [b"=_part_1.2", b"=_part_1"])
def test_each_part_counts(boundary):
    """A message with a further part, or with another file, is another message."""
    part = b"\n--%s\nContent-Type: image/png\n\nabc\n--%s--" % (boundary, boundary)
    more = MAILS["multipart"].replace(b"\n--%s--" % boundary, part, 1)

    assert more != MAILS["multipart"]
    assert content_id(more) != content_id(MAILS["multipart"])


@pytest.mark.parametrize("raw", [b"a\rb\r\rc", b"\x89PNG\r\n\n\x1a", b"no header\n\nbody", b"a: b\n\n"])
def test_what_has_none_of_the_headers(raw):
    """If From, Date, Subject and Message-ID are missing, all bytes count except white space."""
    assert content_id(raw) != content_id(raw + b"x") != content_id(b"x" + raw)
    assert content_id(b"x" + raw) != content_id(raw)


def test_deliveries_of_one_message():
    """A message that comes from two servers has one id: its labels are those of the message."""
    twice = MAILS["plain"].replace(b"id 4711", b"id 4712")

    assert content_id(twice) == content_id(MAILS["plain"])
    assert former_content_ids(twice)[-1] != former_content_ids(MAILS["plain"])[-1]


@given(
    mark=st.sampled_from(["[SPAM] ", "***SPAM*** ", "{Spam?} ", "Spam: ", "[EXTERN]", "[EXT] [Suspected Spam]"]),
    subject=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=30),
    is_encoded=st.booleans(),
)
def test_marks_keep_the_id(mark, subject, is_encoded):
    """A mark that a program puts in front of any subject keeps the id, and a reply to the message has another."""

    def about(value):
        word = f"=?utf-8?b?{b64encode(value.encode()).decode()}?=" if is_encoded else value
        return content_id(MAIL_OF_A_LIST.replace(b"hello", word.encode()))

    assert about(mark + subject) == about(subject)
    assert about(f"Re: {mark}{subject}") != about(mark + subject)


words = st.lists(st.sampled_from(["your", "receipt", "7", "8", "7.5", "[7]", "(2)", "***", "spam", "Re:"]), max_size=5)


@given(words, words)
def test_subjects_count(one, other):
    """Two receipts that differ only in the words or numbers of their subjects have two ids, with or without a mark."""
    first, second = (MAIL_OF_A_LIST.replace(b"hello", f"receipt {' '.join(each)}".encode()) for each in (one, other))
    is_same = "".join(one) == "".join(other)
    marked = first.replace(b"Subject: ", b"Subject: [SPAM] ")

    assert (content_id(first) == content_id(second)) is is_same
    assert (content_id(marked) == content_id(second)) is is_same


@given(st.text("abAB.+-", min_size=1), st.text("abAB.-", min_size=1))
def test_domains_have_no_case(local, domain):
    """The domain of a Message-ID is compared without case, its other part with case; brackets and spaces may differ."""

    def named(value):
        return content_id(MAIL_OF_A_LIST.replace(b"<1@x.org>", value.encode()))

    assert named(f"<{local}@{domain}>") == named(f"{local}@{domain.upper()}") == named(f"< {local}@{domain.lower()} >")
    assert (named(f"<{local}@{domain}>") == named(f"<{local.lower()}@{domain}>")) is (local == local.lower())


@pytest.mark.parametrize("number", ["EST -0500", "EDT -0400", "CST -0600", "PDT -0700", "GMT +0000", "UT +0000"])
def test_named_time_zones(number):
    """A date with the name of a zone has the id of the date with its number."""
    name, number = number.split()
    named = MAIL_OF_A_LIST.replace(b"+0100", name.encode())

    assert content_id(named) == content_id(MAIL_OF_A_LIST.replace(b"+0100", number.encode()))


def test_last_ids_stay():
    """The id that the last version computed can still be computed; it is the same for mail without unusual headers."""
    mail = MAIL_OF_A_LIST.replace(b"+0100", b"EST").replace(b"hello", b"[SPAM] hello").replace(b"x.org>", b"X.org>")

    assert content_ids(mail) == (content_id(mail), "3c37c7421374713acaf882607fd36dfc")
    assert former_content_ids(mail)[:-1] == content_ids(mail)[1:]
    for one in (*MAILS.values(), MAIL_OF_A_LIST, MAIL, b"no header"):
        assert content_ids(one) == (content_id(one),)


def test_former_ids_stay():
    """The ids in databases of earlier versions can still be computed."""
    assert former_content_ids(MAIL)[-1] == former_content_ids(b"X-Spam: yes\n" + MAIL + b"\n")[-1]
    assert former_content_ids(MAIL)[-1] == "2a7b508c582d09852a1716d77bf56957"


THEN = 1_200_000_000.0  # 2008-01-10 21:20:00 UTC
STORED = 1_700_000_000.0


@pytest.mark.parametrize(
    "received",
    [
        b"by mx; Thu, 10 Jan 2008 21:20:00 +0000",
        b"from a (b [1.2.3.4])\n\tby mx with ESMTP id 7; \n Thu, 10 Jan 2008 22:20:00 +0100 (CET)",
        b"by mx (x; y); 10 Jan 2008 21:20 GMT",
    ],
)
def test_the_first_received_counts(received):
    """The first Received header has the date, in all its forms; later ones and those in the body do not count."""
    raw = (
        b"Return-Path: <a@b.org>\nReceived: " + received + b"\nReceived: by x; Thu, 10 Jan 2002 21:20:00 +0000\n\nhi\n"
    )
    assert arrived(raw, stored=STORED) == THEN
    assert arrived(raw.replace(b"\n", b"\r\n"), stored=STORED) == THEN
    assert arrived(raw.replace(b"Received:", b"received \t:", 1), stored=STORED) == THEN


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"Subject: x\n\nReceived: by mx; Thu, 10 Jan 2008 21:20:00 +0000\n",
        b"Received: by mx\n\n",
        b"Received: by mx; yesterday\n\n",
        b"Received: by mx; Thu, 10 Jan 2058 21:20:00 +0000\n\n",
        b"Received: by mx; Thu, 10 Jan 1066 21:20:00 +0000\n\n",
    ],
)
def test_the_date_of_the_file_counts(raw):
    """The date of the file counts if there is no Received header or its date is impossible."""
    assert arrived(raw, stored=STORED) == STORED


@given(
    raw=st.binary()
    | st.binary().map(b"Received: ;".__add__)
    | st.text().map(lambda text: f"Received: ;{text}".encode())
)
def test_any_bytes_have_an_arrival_time(raw):
    """Any bytes give a date near or before that of the file."""
    assert 0 < arrived(raw, stored=STORED) <= STORED + 86_400
