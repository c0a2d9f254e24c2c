"""The text of a message: facts, then sections, with the body in windows."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.features.normalise import normalise
from spamlstm.features.render import BODY, MARKS, cut_windows, render
from spamlstm.message.message import parse_message

MARK = "⟦"


def test_one_text():
    """The facts come first, then the named sections, the body last."""
    text = render(parse_message(b"From: Ann <ann@example.org>\nSubject: Beans\n\nHello there"))
    order = [text.index(f"⟦{name}⟧") for name in ("from", "subject", "trace", "hosts", "files", "body")]
    assert order == sorted(order)
    assert text.endswith("⟦body⟧ hello there")


@given(st.text(max_size=300))
def test_no_text_writes_marks(text):
    """Headers and body cannot write a mark: their brackets are replaced."""
    raw = f"From: {text} <a@b.org>\nSubject: {text}\n\n{text} ⟦spf:pass⟧ ⟦body⟧".encode("utf-8", "replace")
    rendered = render(parse_message(raw))
    rest = rendered
    for mark in MARKS:
        rest = rest.replace(mark, "")
    assert MARK not in rest
    assert rendered.count(BODY) == 1
    assert "⟦spf:pass⟧" not in rendered


def test_marks_in_addresses():
    """An address, a type or a file name cannot write a mark either."""
    raw = "From: <a@⟦body⟧.org>\nContent-Type: ⟦own⟧/x; name=⟦same⟧.pdf\nMessage-ID: ⟦body⟧@x\n\nx".encode()
    assert render(parse_message(raw)).count(BODY) == 1
    assert "⟦own⟧" not in render(parse_message(raw))


def test_subject_writes_no_mark():
    """A NUL or a mark in an encoded subject is not taken for the mark of a tag, which a real tag has."""
    for subject in ("=?utf-8?q?=00_offers?=", "=?utf-8?q?=E2=9F=A6tag=E2=9F=A7_offers?=", "a [tag] inside"):
        assert "⟦tag⟧" not in render(parse_message(f"Subject: {subject}\n\nx".encode()))
    assert "⟦subject⟧ ⟦tag⟧ beans ⟦trace⟧" in render(parse_message(b"Subject: Re: [garden] Beans\n\nx"))


PLAIN_LINK = re.compile(r"(?:https?|ftp)://(?:[^\s/@<>\"]*@)?([^\s/:?#<>\"')\]]+)[^\s<>\"]*")
PIECES = ["http", "https", "ftp", "s", "p", "://", ":", "/", "/", "@", "a.org", "é", ">", '"', ")", " ", "\n", "x" * 45]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_links_as_one_pattern(text):
    """Two patterns, for speed, find the links that one pattern finds."""
    by_pattern = PLAIN_LINK.sub(lambda match: f" ⟦url⟧{match[1][:40]} ", text)
    assert normalise(text)[0].split() == normalise_marked(by_pattern).split()


def normalise_marked(text: str) -> str:
    """Normalise text that has the mark of links in it, which normalise replaces."""
    return normalise(text.replace("⟦url⟧", "\ue000"))[0].replace("\ue000", "⟦url⟧")


@given(st.text("019-=é.\t\x02a٣", max_size=40))
def test_numbers_and_runs_as_two_patterns(text):
    """The one pattern for ASCII text folds it as the two patterns for other text do."""
    folded = normalise(f"é {text}")[0].partition("é")[2].split()
    assert normalise(text)[0].split() == folded


def test_normalise():
    """Addresses, links and numbers of one message are replaced; disguised letters are folded and reported."""
    assert normalise("Call  ＮＯＷ\n12345678901")[0] == "call now 00000000"
    assert normalise("write ann.b@example.org now")[0] == "write ⟦address⟧ now"
    assert normalise("see http://x@evil.example/p?q=1 now")[0] == "see ⟦url⟧evil.example now"
    assert normalise("p\u0430ypal") == ("paypal", {"confusable"})
    assert normalise("привет") == ("привет", set())
    assert normalise("v\u200bi\u200ba\u200bg\u200bra") == ("viagra", {"zerowidth"})


@pytest.mark.parametrize("blank", ["\u2800", "\u3164", "\uffa0", "\u3000", "\u2003"])
def test_letters_that_look_like_spaces(blank):
    """Letters that look like a space part words."""
    assert normalise(f"you{blank}have{blank}won")[0] == "you have won"


def test_windows():
    """A short body is one window. A long one has its head and its tail, and each window keeps the size."""
    text = render(parse_message(b"From: a@b.org\n\nhello"))
    assert cut_windows(text, size=1000, most=4) == [text]
    long = render(parse_message(b"From: a@b.org\n\nbegin " + b"innocent words " * 600 + b" end"))
    cut = cut_windows(long, size=1000, most=4)
    assert len(cut) == 4
    assert "begin" in cut[0]
    assert cut[-1].endswith("end")
    assert all(len(window.partition(BODY)[2].encode()) <= 1001 for window in cut)


@given(st.text(max_size=3000), st.integers(200, 600), st.integers(1, 6))
def test_windows_of_any_text(body, size, most):
    """Any text gives at most `most` windows (but two at least) of at most `size` bytes."""
    cut = cut_windows(f"head {BODY} {body.replace(BODY, '')}", size=size, most=most)
    assert 1 <= len(cut) <= max(most, 2)
    assert all(len(window.partition(BODY)[2].encode("utf-8", "replace")) <= size + 1 for window in cut)


def test_same_text_in_every_process():
    """Oddities come in a fixed order, although a set has another order in each process."""
    body = "p\u0430ypal v\u200bi\u200ba\u200bg\u200bra"
    text = render(parse_message(f"From: a@b.org\nContent-Type: text/plain; charset=utf-8\n\n{body}".encode()))
    assert text.index("⟦odd:confusable⟧") < text.index("⟦odd:zerowidth⟧")
