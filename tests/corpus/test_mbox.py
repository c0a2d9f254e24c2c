"""One mbox reader for all: where its messages begin, and what stays text."""

import contextlib
import io
import mailbox
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.corpus import mbox
from spamlstm.corpus.labelled_mail import read_labelled
from spamlstm.corpus.paths import find_messages

SEPARATOR = b"From ann@x.org Mon Jan  5 10:00:00 2026\n"
MESSAGE = b"From: Ann <ann@x.org>\nSubject: x\n\nhello\n"


def split(raw):
    """The messages of an mbox in memory."""
    return [raw[start : start + length] for start, length in mbox.spans(io.BytesIO(raw))]


@pytest.mark.parametrize(
    "line",
    [
        b"From - Sat Nov 28 09:00:00 2026",
        b"From ann@x.org Mon Jan  5 10:00 1998",
        b"From ???@??? Mon Jan 05 10:00:00 1998",
        b"From - 2026-11-28T09:00:00",
        b"From ann@x.org Thu, 1 Jan 1998 00:00:00 +0000",
        b"From " + b"a" * 300 + b"@x.org Mon Jan  5 10:00:00 2026",
        b"From ",  # Thunderbird since 2022
        b"From ann@x.org 2026-11-28",
        b"From - Sat Nov 28 2026",
        b"From 1784200000000000000@xxx Sat Nov 28 09:00:00 +0000 2026",  # Gmail
        b"From MAILER-DAEMON Mon Jan  5 10:00:00 2026",
        b"From ann Mon Jan  5 10:00:00 CET 2026 remote from relay",
        b"From ann@x.org  Mon Jan  5 10:00:00 2026",
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_separators(line, end):
    """Each form that programs write begins a message, with either line end."""
    message = MESSAGE.replace(b"\n", end)
    assert split((line + end + message + end) * 2) == [message] * 2
    assert mbox.is_mbox(line + end + message)


@pytest.mark.parametrize(
    "text",
    [
        b"We are open\nFrom Monday to Friday 10:00 until 18:00, from May 2026\nNote: no lunch.\n",
        b"\nFrom the 3rd of May 2026, 9:30 sharp, we meet at the gate. 2026\nBring boots.\n",
        b"\nFrom here on it is text.\nNote: no time.\n",
        b"log:\n\nFrom 10.0.0.1 at 10:00:00\nStatus: ok\n\nFrom noon Mon 10:00\nWhere: here\n",
        b"\nFrom May 2026 on, the following applies\nNote: a year, but no address.\n",
        b"text\nFrom \nSubject: no blank line before it\n",
        b"\n>From ann@x.org Mon Jan  5 10:00:00 2026\nSubject: quoted\n",
        b"\nFrom " + b"a" * 500 + b" Mon Jan  5 10:00:00 2026\nSubject: x\n",
    ],
)
def test_text_that_is_no_separator(text):
    """A line of text that begins with From ends no message, even with a date."""
    assert split(SEPARATOR + MESSAGE + text + b"\n" + SEPARATOR + MESSAGE) == [MESSAGE + text, MESSAGE]


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\n", b"\xef\xbb\xbf\r\n\r\n"])
def test_what_editors_write_above_the_first_separator(before):
    """A byte order mark or blank lines above the first separator are passed over."""
    assert split(before + (SEPARATOR + MESSAGE + b"\n") * 2) == [MESSAGE] * 2
    assert mbox.is_mbox(before + SEPARATOR + MESSAGE)


def test_missing_blank_line():
    """A separator with the day of the week counts without a blank line before it: some programs leave it out."""
    assert split((SEPARATOR + MESSAGE) * 3) == [MESSAGE] * 3


def test_messages_across_blocks(monkeypatch):
    """Every message is found once, wherever a block ends."""
    monkeypatch.setattr(mbox, "_BLOCK", 1500)
    messages = [MESSAGE + b"line\n" * number for number in range(300)]
    assert split(b"".join(SEPARATOR + one + b"\n" for one in messages)) == messages


def test_no_byte_is_lost():
    """Between two messages lie one separator and at most one blank line, whatever the mbox contains."""
    raw = SEPARATOR + b"X: \xff\n\n\nFrom \n\nFrom a 1:23\nX:\nFrom " + SEPARATOR * 3 + MESSAGE
    spans = list(mbox.spans(io.BytesIO(raw)))
    for (start, length), (following, _) in pairwise(spans):
        assert raw[start + length : following].removeprefix(b"\n").startswith(b"From ")
        assert raw[start + length : following].removeprefix(b"\n").count(b"\n") == 1
    assert sum(spans[-1]) == len(raw)


TEXT_LIKE_SEPARATORS = b"text\n\n" + SEPARATOR + b"Subject: quoted\n\n" + SEPARATOR + b"X: y\n"


def with_length(body, length=None, end=b"\n"):
    """A message of the formats mboxcl and mboxcl2, without its separator."""
    header = b"From: ann@x.org\nContent-Length: %d\nSubject: x\n\n" % (len(body) if length is None else length)
    return (header + body).replace(b"\n", end)


@pytest.mark.parametrize("blank", [b"", b"\n"])
@pytest.mark.parametrize("block", [64, 100, 65_536])
def test_content_length(blank, block, monkeypatch):
    """If a separator or the end of the file follows, Content-Length covers text like separators (mboxcl2)."""
    monkeypatch.setattr(mbox, "_BLOCK", block)
    messages = [with_length(TEXT_LIKE_SEPARATORS), MESSAGE, with_length(b"short\n"), with_length(TEXT_LIKE_SEPARATORS)]
    assert split(b"".join(SEPARATOR + one + blank for one in messages)) == messages


def test_content_length_without_the_last_line_end():
    """Some programs do not count the last line end of the body."""
    one = with_length(TEXT_LIKE_SEPARATORS, len(TEXT_LIKE_SEPARATORS) - 1)
    assert split(SEPARATOR + one + b"\n" + SEPARATOR + one) == [one, one]


def test_content_length_with_crlf():
    """The length counts the bytes of the file, with either line end."""
    body = TEXT_LIKE_SEPARATORS.replace(b"\n", b"\r\n")
    one = b"From: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    separator = SEPARATOR.replace(b"\n", b"\r\n")
    assert split((separator + one + b"\r\n") * 2) == [one, one]


@pytest.mark.parametrize("length", [0, 3, 17, 40, 10**6, 10**14, 10**20])
def test_content_length_that_does_not_fit(length):
    """A length after which neither a separator nor the end of the file follows is ignored."""
    one = with_length(b"some words in\nthree lines\nof text\n", length)
    assert split((SEPARATOR + one + b"\n") * 3) == [one] * 3


def test_content_length_of_another_part():
    """A Content-Length in the body is text."""
    one = MESSAGE + b"\nContent-Length: 1000\n"
    assert split((SEPARATOR + one + b"\n") * 3) == [one] * 3


def test_a_missing_last_line_end():
    """The last message may end without a line end."""
    assert split(SEPARATOR + MESSAGE + b"\n" + SEPARATOR + MESSAGE[:-1]) == [MESSAGE, MESSAGE[:-1]]
    assert split(SEPARATOR) == [b""]


LINES = st.one_of(
    st.sampled_from(
        [
            *(b"", b"Subject: x", b"X-Y: Z", b"> quoted", b"From here", b"From ", b"Content-Length: 10", b"."),
            *(SEPARATOR.rstrip(), b"From - 2026-11-28T09:00:00", b" From x Mon Jan  5 10:00:00 2026"),
        ]
    ),
    st.binary(max_size=12).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b"")),
)
# Programs that quote only 'From ' (mboxo) lose a quote that a line had before.
BODIES = st.lists(LINES.filter(lambda line: not line.lstrip(b">").startswith(b"From ") or line[:1] != b">"), max_size=8)


@given(bodies=st.lists(BODIES, min_size=1, max_size=5), crlf=st.booleans(), block=st.sampled_from([32, 65_536]))
def test_what_python_writes_is_read(tmp_path_factory, bodies, crlf, block):
    """Messages that the standard library writes are found, each with its text."""
    messages = [b"From: ann@x.org\nSubject: x\n\n" + b"\n".join([*body, b""]) for body in bodies]
    path = tmp_path_factory.mktemp("mbox") / "box"
    with contextlib.closing(mailbox.mbox(path)) as box:
        for one in messages:
            box.add(one)
    end = b"\r\n" if crlf else b"\n"
    raw = path.read_bytes().replace(b"\n", end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mbox, "_BLOCK", block)
        assert [mbox.unquoted(one) for one in split(raw)] == [one.replace(b"\n", end) for one in messages]


@given(st.lists(st.sampled_from([b"\n", b"\r\n", b"From ", SEPARATOR, b"Content-Length: 7\n", b"X: y\n", b"a"])))
def test_any_text_is_split_without_loss(pieces):
    """Whatever a file contains, each message lies behind the one before it, and the last one ends the file."""
    raw = SEPARATOR + b"".join(pieces)
    spans = list(mbox.spans(io.BytesIO(raw)))
    for (start, length), (following, _) in pairwise(spans):
        assert start + length < following
    assert len(raw) - sum(spans[-1]) <= 2


def test_quotes():
    """One '>' goes from each quoted line, and from no other line."""
    assert mbox.unquoted(b"\n>From a\n>>From b\n> From c\n x >From d\n") == b"\nFrom a\n>From b\n> From c\n x >From d\n"


def test_both_readers_agree(tmp_path):
    """Evaluation, training and the command line read the same messages from an mbox."""
    box = tmp_path / "box"
    box.write_bytes((SEPARATOR + MESSAGE + b">From the start\n\n") * 2)
    wanted = [MESSAGE + b"From the start\n"] * 2
    assert [one.read() for one in find_messages([str(box)])] == wanted
    assert [one.raw for one in read_labelled(box.with_name("box:ham"))] == wanted


class CountingStream(io.BytesIO):
    """A file that counts the bytes that are read from it."""

    count = 0

    def read(self, size=-1):
        block = super().read(size)
        self.count += len(block)
        return block


def test_headers_that_no_blank_line_ends():
    """Messages that are only headers are found, and the file is not read again for each of them."""
    content = b"From a@b Mon Jan  1 00:00:00 2024\nA: b\n" * 10_000
    stream = CountingStream(content)
    assert len(list(mbox.spans(stream))) == 10_000
    assert stream.count < 3 * len(content)
