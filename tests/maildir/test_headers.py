"""Tags are headers with the verdict; forged copies of them go, and the rest of the message stays as it is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.maildir.headers import MOST_STARS, headers, is_tagged, points, tag, untag
from spamlstm.verdict import Judgement, Verdict

THRESHOLD = 0.98
MAIL = b"From: a@x.org\nSubject: hello\n\nX-Spam-Flag: YES\nbody\n"
OURS = ("x-spam", "x-spam-flag", "x-spam-unsure", "x-spam-status", "x-spam-level", "x-spam-checker-version")


def judged(verdict=Verdict.SPAM, p=0.9995, *, score=None, reason="score", model="default"):
    return Judgement(verdict, p, score, reason, model)


def tagged(raw=MAIL, judgement=None, *, version="1.0"):
    return tag(raw, judgement or judged(), version=version, spam_threshold=THRESHOLD)


def policy_verdict(p):
    """The verdict that the policy gives, with thresholds of 0.2 and THRESHOLD."""
    return Verdict.SPAM if p >= THRESHOLD else Verdict.HAM if p <= 0.2 else Verdict.UNSURE


judgements = st.builds(
    Judgement,
    st.sampled_from(Verdict),
    st.none() | st.floats(),
    st.none() | st.floats(),
    st.sampled_from(["score", "allow", "deny"]) | st.text(),
    st.text(),
)
# Bytes like mail: lines that concern headers, in any order, with any line ends; and any other bytes.
lines = st.sampled_from(
    [b"From x Mon Jan 1", b">From y", b"Subject: hi", b" folded", b"\tfolded", b"", b" ", b"\r", b"\xff: \x80"]
) | st.binary(max_size=12)
forged = st.sampled_from([b"X-Spam-Flag: YES", b"x-SPAM-status : No,\n score=-5", b"X-Spam:", b"X-Spam-Level:\t\n\t*"])
ends = st.sampled_from([b"\n", b"\r\n"])


def joined(some_lines):
    return st.builds(
        lambda pairs, last: b"".join(line + end for line, end in pairs) + last,
        st.lists(st.tuples(some_lines, ends), max_size=8),
        some_lines,
    )


plain_mail = joined(lines).filter(lambda raw: b"x-spam" not in raw.lower())
any_mail = joined(lines | forged) | st.binary(max_size=80)


def body(raw):
    return re.split(rb"(?m)^\r?\n", raw, maxsplit=1)[1:]


def test_spam():
    """Spam gets the headers that afew, OpenSMTPD, Dovecot and Thunderbird test, above its own headers."""
    assert (
        tagged()
        == (
            b"X-Spam-Flag: YES\n"
            b"X-Spam-Status: Yes, score=8.7 required=5.0 tests=SPAMLSTM_SCORE\n"
            b"X-Spam-Level: ********\n"
            b"X-Spam-Checker-Version: spamlstm 1.0 (default)\n"
        )
        + MAIL
    )


def test_unsure():
    """Unsure mail is not spam in the common headers, and has a header of its own."""
    assert tagged(judgement=judged(Verdict.UNSURE, 0.5)).startswith(
        b"X-Spam-Unsure: YES\nX-Spam-Status: No, score=2.5 required=5.0 tests=SPAMLSTM_SCORE\nX-Spam-Level: **\n"
    )


def test_ham():
    """Ham has no flag, and no stars below one point."""
    assert tagged(judgement=judged(Verdict.HAM, 0.01)).startswith(
        b"X-Spam-Status: No, score=0.0 required=5.0 tests=SPAMLSTM_SCORE\nX-Spam-Checker-Version:"
    )


@pytest.mark.parametrize(
    "copy",
    [
        b"X-Spam-Flag: NO\n",
        b"x-spam-flag:YES\n",
        b"X-SPAM-STATUS : No, score=-100\n",
        b"X-Spam-Status: No,\n score=-100\n\trequired=5\n \n",
        b"X-Spam: yes\n",
        b"X-Spam-Level:\n",
        b"X-Spam-Unsure: YES\n",
        b"X-Spam-Checker-Version: SpamAssassin\n",
        b"X-Spam-Flag: NO\nX-Spam-Flag: NO\n",
    ],
)
@pytest.mark.parametrize("place", [0, 14])
def test_forged_copies_go(copy, place):
    """Headers with our names are removed with their folded lines, wherever in the head they are."""
    assert tagged(MAIL[:place] + copy + MAIL[place:]) == tagged(MAIL)


@pytest.mark.parametrize(
    "other", [b"X-Spam-Score: 3\n", b"X-Spamming: 1\n", b"Subject: X-Spam-Flag: YES\n", b"A: b\n X-Spam: c\n"]
)
def test_others_stay(other):
    """Other headers stay, and a folded line belongs to its own header."""
    assert untag(other + MAIL) == other + MAIL
    assert tagged(other + MAIL).endswith(other + MAIL)


def test_mbox_line_stays_first():
    """Our headers come after an mbox separator, which is no header."""
    assert tagged(b"From a@x.org Mon Jan  1 10:00:00 2024\n" + MAIL).startswith(
        b"From a@x.org Mon Jan  1 10:00:00 2024\nX-Spam-Flag: YES\n"
    )


def test_line_ends():
    """A message with CRLF gets headers with CRLF."""
    crlf = MAIL.replace(b"\n", b"\r\n")

    assert tagged(crlf) == tagged().replace(b"\n", b"\r\n")


def test_a_folded_line_at_the_top_stays_its_own():
    """A folded line without a header does not become part of our last header."""
    raw = b" stray\nSubject: x\n\nbody"

    assert tagged(raw).startswith(b" stray\nX-Spam-Flag: YES\n")
    assert untag(tagged(raw)) == raw


def test_points_without_a_probability():
    """The allow list gives 0 whatever the model says; the deny list gives what spam needs, and no high score."""
    assert points(judged(Verdict.HAM, 0.99999, reason="allow"), spam_threshold=THRESHOLD) == 0.0
    assert points(judged(Verdict.SPAM, 0.001, reason="deny"), spam_threshold=THRESHOLD) == 5.0
    assert points(judged(Verdict.SPAM, None, reason="gtube"), spam_threshold=THRESHOLD) == 5.0
    assert points(judged(Verdict.UNSURE, None, reason="no-text"), spam_threshold=THRESHOLD) == 2.5


def test_stars_and_points_are_limited():
    """The highest score has at most 50 stars and 99.9 points."""
    shown = dict(headers(judged(Verdict.SPAM, 1.0, score=5000.0), version="1", spam_threshold=THRESHOLD))

    assert shown["X-Spam-Level"] == "*" * MOST_STARS
    assert "score=99.9 " in shown["X-Spam-Status"]


@given(st.floats(0, 1), st.floats(0, 1))
def test_points_grow_with_the_probability(one, other):
    """More probable spam never has fewer points."""
    low, high = (points(judged(policy_verdict(p), p), spam_threshold=THRESHOLD) for p in sorted((one, other)))

    assert low <= high


@given(judgements, st.floats(0, 1))
def test_points_agree_with_the_verdict(judgement, spam_threshold):
    """The printed score reaches the required one for spam and for nothing else, and is never negative."""
    shown = dict(headers(judgement, version="1", spam_threshold=spam_threshold))
    numbers = re.fullmatch(r"(Yes|No), score=(\d+\.\d) required=(\d+\.\d) tests=\w+", shown["X-Spam-Status"])

    assert numbers
    assert (float(numbers[2]) >= float(numbers[3])) == (judgement.verdict is Verdict.SPAM) == (numbers[1] == "Yes")
    assert ("X-Spam-Flag" in shown) == (judgement.verdict is Verdict.SPAM)


@given(plain_mail, judgements)
def test_untag_restores_the_message(raw, judgement):
    """Mail without forged copies is restored to the byte."""
    assert untag(raw) == raw
    assert untag(tagged(raw, judgement)) == raw


@given(any_mail, judgements, judgements)
def test_tagging_twice_is_tagging_once(raw, judgement, other):
    """Only the headers of the last judgement are there."""
    assert tagged(tagged(raw, other), judgement) == tagged(raw, judgement)


@given(any_mail, judgements)
def test_the_body_stays(raw, judgement):
    """No byte after the first blank line changes."""
    assert body(tagged(raw, judgement)) == body(raw)


@given(any_mail, judgements)
def test_no_forged_copy_survives(raw, judgement):
    """A tagged message has each of our headers at most once."""
    header = re.split(rb"(?m)^\r?\n", tagged(raw, judgement), maxsplit=1)[0]

    names = re.findall(rb"(?m)^(x-spam[a-z-]*)[ \t]*:", header.lower())
    ours = [name for name in names if name.decode() in OURS]
    assert len(ours) == len(set(ours))


@given(judgements, st.text())
def test_nothing_is_injected(judgement, version):
    """Each header is one line of printable ASCII, whatever names and reasons contain."""
    added = tagged(b"", judgement, version=version).decode("ascii")

    assert added.count("\n") == len(headers(judgement, version=version, spam_threshold=THRESHOLD))
    assert all(re.fullmatch(r"X-Spam-[A-Za-z-]+: [ -~]+", line) for line in added.splitlines())


def test_is_tagged():
    """Our name in the checker header counts, for each verdict; that of another filter or in the body does not."""
    assert is_tagged(tagged())
    assert is_tagged(tagged(judgement=judged(Verdict.HAM)).replace(b"\n", b"\r\n"))
    assert not is_tagged(MAIL)
    assert not is_tagged(MAIL + b"X-Spam-Checker-Version: spamlstm 1.0\n")
    assert not is_tagged(b"X-Spam-Checker-Version: SpamAssassin 4.0.0 on x\n" + MAIL)
