import re

from hypothesis import given
from hypothesis import strategies as st

from spamlstm.features.render import BODY, MARKS, normalise, render, windows
from spamlstm.message.message import parse_message

MARK = "⟦"


def test_one_text():
    """Facts first, then the named sections, the body last."""
    text = render(parse_message(b"From: Ann <ann@example.org>\nSubject: Beans\n\nHello there"))
    order = [text.index(f"⟦{name}⟧") for name in ("from", "subject", "trace", "hosts", "files", "body")]
    assert order == sorted(order)
    assert text.endswith("⟦body⟧ hello there")


@given(st.text(max_size=300))
def test_marks_are_ours(text):
    """No letter can write a mark: what stands in our brackets is ours."""
    raw = f"From: {text} <a@b.org>\nSubject: {text}\n\n{text} ⟦spf:pass⟧ ⟦body⟧".encode("utf-8", "replace")
    rendered = render(parse_message(raw))
    rest = rendered
    for mark in MARKS:
        rest = rest.replace(mark, "")
    assert MARK not in rest
    assert rendered.count(BODY) == 1
    assert "⟦spf:pass⟧" not in rendered


def test_marks_in_addresses():
    """Nor can an address, a type or a file name."""
    raw = "From: <a@⟦body⟧.org>\nContent-Type: ⟦own⟧/x; name=⟦same⟧.pdf\nMessage-ID: ⟦body⟧@x\n\nx".encode()
    assert render(parse_message(raw)).count(BODY) == 1
    assert "⟦own⟧" not in render(parse_message(raw))


PLAIN_LINK = re.compile(r"(?:https?|ftp)://(?:[^\s/@<>\"]*@)?([^\s/:?#<>\"')\]]+)[^\s<>\"]*")
PIECES = ["http", "https", "ftp", "s", "p", "://", ":", "/", "/", "@", "a.org", "é", ">", '"', ")", " ", "\n", "x" * 45]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_links_are_those_of_one_pattern(text):
    """What is found sign by sign, for speed, is what one pattern finds from left to right."""
    by_pattern = PLAIN_LINK.sub(lambda match: f" ⟦url⟧{match[1][:40]} ", text)
    assert normalise(text)[0].split() == normalise_rest(by_pattern).split()


def normalise_rest(text: str) -> str:
    """The same without links: their mark is hidden, as nobody else may write it."""
    return normalise(text.replace("⟦url⟧", "\x01"))[0].replace("\x01", "⟦url⟧")


@given(st.text("019-=é.\t\x02a٣", max_size=40))
def test_numbers_and_runs_are_those_of_two_patterns(text):
    """ASCII text is folded in one pass: to what it is with a letter beside it that makes two of them."""
    folded = normalise(f"é {text}")[0].partition("é")[2].split()
    assert normalise(text)[0].split() == folded


def test_normalise():
    """What names one mail is folded; disguises are folded and told."""
    assert normalise("Call  ＮＯＷ\n12345678901")[0] == "call now 00000000"
    assert normalise("write ann.b@example.org now")[0] == "write ⟦address⟧ now"
    assert normalise("see http://x@evil.example/p?q=1 now")[0] == "see ⟦url⟧evil.example now"
    assert normalise("p\u0430ypal") == ("paypal", {"confusable"})
    assert normalise("привет") == ("привет", set())
    assert normalise("v\u200bi\u200ba\u200bg\u200bra") == ("viagra", {"zerowidth"})


def test_windows():
    """A short body is one window; of a long one head and tail are always there, within the size."""
    text = render(parse_message(b"From: a@b.org\n\nhello"))
    assert windows(text, size=1000, most=4) == [text]
    long = render(parse_message(b"From: a@b.org\n\nbegin " + b"innocent words " * 600 + b" end"))
    cut = windows(long, size=1000, most=4)
    assert len(cut) == 4
    assert "begin" in cut[0]
    assert cut[-1].endswith("end")
    assert all(len(window.partition(BODY)[2].encode()) <= 1001 for window in cut)


@given(st.text(max_size=3000), st.integers(200, 600), st.integers(1, 6))
def test_windows_of_any_text(body, size, most):
    """Any text is cut into at most so many windows of at most such a size."""
    cut = windows(f"head {BODY} {body.replace(BODY, '')}", size=size, most=most)
    assert 1 <= len(cut) <= max(most, 2)
    assert all(len(window.partition(BODY)[2].encode("utf-8", "replace")) <= size + 1 for window in cut)


def test_same_text_in_every_process():
    """Oddities stand in a fixed order: Python orders a set anew in each process."""
    body = "p\u0430ypal v\u200bi\u200ba\u200bg\u200bra"
    text = render(parse_message(f"From: a@b.org\nContent-Type: text/plain; charset=utf-8\n\n{body}".encode()))
    assert text.index("⟦odd:confusable⟧") < text.index("⟦odd:zerowidth⟧")
