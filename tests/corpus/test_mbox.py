"""One mbox reader for all: where its messages begin, and what stays text."""

import io
from itertools import pairwise

import pytest

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
        b"\n>From ann@x.org Mon Jan  5 10:00:00 2026\nSubject: quoted\n",
        b"\nFrom " + b"a" * 500 + b" Mon Jan  5 10:00:00 2026\nSubject: x\n",
    ],
)
def test_text_that_is_no_separator(text):
    """A line of text that begins with From ends no message, even with a date."""
    assert split(SEPARATOR + MESSAGE + text + b"\n" + SEPARATOR + MESSAGE) == [MESSAGE + text, MESSAGE]


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


def test_quotes():
    """One '>' goes from each quoted line, and from no other line."""
    assert mbox.unquoted(b"\n>From a\n>>From b\n> From c\n x >From d\n") == b"\nFrom a\n>From b\n> From c\n x >From d\n"


def test_both_readers_agree(tmp_path):
    """Evaluation, training and the command line read the same messages from an mbox."""
    box = tmp_path / "box"
    box.write_bytes((SEPARATOR + MESSAGE + b">From the start\n\n") * 2)
    wanted = [MESSAGE + b"From the start\n"] * 2
    assert [one.read() for one in find_messages([str(box)])] == wanted
    assert [one.raw for one in read_labelled(box, "ham")] == wanted
