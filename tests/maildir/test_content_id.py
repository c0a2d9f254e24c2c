"""A message keeps its content id whatever is done to its file; two messages have two."""

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from spamlstm.maildir.content_id import content_id
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
