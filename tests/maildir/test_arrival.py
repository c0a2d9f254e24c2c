"""The arrival time of a message comes from its server, is never after the date of the file, and never an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.maildir.arrival import arrived

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
def test_any_bytes_have_a_date(raw):
    """Any bytes give a date near or before that of the file."""
    assert 0 < arrived(raw, stored=STORED) <= STORED + 86_400
