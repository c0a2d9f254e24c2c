"""A message keeps its content id whatever is done to its file; its arrival time comes from its server.

Two messages have two content ids. An arrival time is never after the date of the file, and never an error.
"""

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from spamlstm.maildir.content_id import arrived, content_id
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


@pytest.mark.parametrize(
    "other",
    [
        MAIL.replace(b"id 1", b"id 2"),
        MAIL.replace(b"hello", b"hullo"),
        MAIL.replace(b"And more", b"And less"),
        MAIL.replace(b"\n\nA body", b"\nA: body"),
        MAIL + b"Status: RO",
        MAIL.replace(b"From:", b"X-Statuses: a\nFrom:"),
    ],
)
def test_another_message_has_another_id(other):
    """Every other byte counts, also a header in the body and a header whose name only begins like one left out."""
    assert content_id(other) != content_id(MAIL)


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
    """The first Received header has the date, folded or not; later ones and those in the body do not count."""
    raw = (
        b"Return-Path: <a@b.org>\nReceived: " + received + b"\nReceived: by x; Thu, 10 Jan 2002 21:20:00 +0000\n\nhi\n"
    )
    assert arrived(raw, stored=STORED) == THEN
    assert arrived(raw.replace(b"\n", b"\r\n"), stored=STORED) == THEN


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
