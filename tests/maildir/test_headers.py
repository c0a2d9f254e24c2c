"""Tags tell what was decided, in headers that nobody else could have written, and leave the mail as it is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.maildir.headers import MOST_STARS, headers, is_tagged, points, tag, untag
from spamlstm.verdict import Judgement, Verdict

BAR = 0.98
MAIL = b"From: a@x.org\nSubject: hello\n\nX-Spam-Flag: YES\nbody\n"
OURS = ("x-spam", "x-spam-flag", "x-spam-unsure", "x-spam-status", "x-spam-level", "x-spam-checker-version")


def judged(verdict=Verdict.SPAM, p=0.9995, *, score=None, reason="score", model="default"):
    return Judgement(verdict, p, score, reason, model)


def tagged(raw=MAIL, judgement=None, *, version="1.0", required=5.0):
    return tag(raw, judgement or judged(), version=version, spam_threshold=BAR, required=required)


def by_bar(p):
    """The verdict that the policy gives, with bars of 0.2 and BAR."""
    return Verdict.SPAM if p >= BAR else Verdict.HAM if p <= 0.2 else Verdict.UNSURE


judgements = st.builds(
    Judgement,
    st.sampled_from(Verdict),
    st.none() | st.floats(),
    st.none() | st.floats(),
    st.sampled_from(["score", "allow", "deny"]) | st.text(),
    st.text(),
)
# Mail-like bytes: lines that matter to headers, in any order, ended in any way; and bytes that are nothing at all.
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
    """Spam carries what afew, OpenSMTPD, Dovecot and Thunderbird look for, above its own headers."""
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
    """Unsure is not spam to those who only know two answers, and has one header of its own for the others."""
    assert tagged(judgement=judged(Verdict.UNSURE, 0.5)).startswith(
        b"X-Spam-Unsure: YES\nX-Spam-Status: No, score=2.5 required=5.0 tests=SPAMLSTM_SCORE\nX-Spam-Level: **\n"
    )


def test_ham():
    """Ham has no flag and, below one point, no star."""
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
    """What comes in under our names goes, folded lines and all, wherever it stands in the header."""
    assert tagged(MAIL[:place] + copy + MAIL[place:]) == tagged(MAIL)


@pytest.mark.parametrize(
    "other", [b"X-Spam-Score: 3\n", b"X-Spamming: 1\n", b"Subject: X-Spam-Flag: YES\n", b"A: b\n X-Spam: c\n"]
)
def test_others_stay(other):
    """Headers that we do not write are not ours to remove, and a folded line is part of its own header."""
    assert untag(other + MAIL) == other + MAIL
    assert tagged(other + MAIL).endswith(other + MAIL)


def test_mbox_line_stays_first():
    """Our headers come behind an mbox separator, which is no header."""
    assert tagged(b"From a@x.org Mon Jan  1 10:00:00 2024\n" + MAIL).startswith(
        b"From a@x.org Mon Jan  1 10:00:00 2024\nX-Spam-Flag: YES\n"
    )


def test_line_ends_are_the_message_s():
    """A message with CRLF gets headers with CRLF."""
    crlf = MAIL.replace(b"\n", b"\r\n")

    assert tagged(crlf) == tagged().replace(b"\n", b"\r\n")


def test_a_folded_line_at_the_top_stays_its_own():
    """A line that continues nothing must not continue our last header."""
    raw = b" stray\nSubject: x\n\nbody"

    assert tagged(raw).startswith(b" stray\nX-Spam-Flag: YES\n")
    assert untag(tagged(raw)) == raw


def test_lists_say_no_more_than_the_verdict():
    """The allow list gives 0 whatever the model thinks; the deny list the bar, which no rule for high scores meets."""
    assert points(judged(Verdict.HAM, 0.99999, reason="allow"), spam_threshold=BAR) == 0.0
    assert points(judged(Verdict.SPAM, 0.001, reason="deny"), spam_threshold=BAR) == 5.0
    assert points(judged(Verdict.SPAM, None, reason="gtube"), spam_threshold=BAR) == 5.0
    assert points(judged(Verdict.UNSURE, None, reason="no-text"), spam_threshold=BAR) == 2.5


def test_stars_and_points_have_an_end():
    """A sure verdict fills no line."""
    shown = dict(headers(judged(Verdict.SPAM, 1.0, score=5000.0), version="1", spam_threshold=BAR))

    assert shown["X-Spam-Level"] == "*" * MOST_STARS
    assert "score=99.9 " in shown["X-Spam-Status"]


@given(st.floats(0, 1), st.floats(0, 1))
def test_points_grow_with_the_probability(one, other):
    """More probable spam never has fewer points."""
    low, high = (points(judged(by_bar(p), p), spam_threshold=BAR) for p in sorted((one, other)))

    assert low <= high


@given(judgements, st.floats(0, 1), st.floats(0.1, 200))
def test_points_agree_with_the_verdict(judgement, spam_threshold, required):
    """Spam if and only if the score reaches what is required, as printed; and no number is negative."""
    shown = dict(headers(judgement, version="1", spam_threshold=spam_threshold, required=required))
    numbers = re.fullmatch(r"(Yes|No), score=(\d+\.\d) required=(\d+\.\d) tests=\w+", shown["X-Spam-Status"])

    assert numbers
    assert (float(numbers[2]) >= float(numbers[3])) == (judgement.verdict is Verdict.SPAM) == (numbers[1] == "Yes")
    assert ("X-Spam-Flag" in shown) == (judgement.verdict is Verdict.SPAM)


@given(plain_mail, judgements)
def test_untag_takes_it_all_back(raw, judgement):
    """Mail without forged copies comes back to the byte."""
    assert untag(raw) == raw
    assert untag(tagged(raw, judgement)) == raw


@given(any_mail, judgements, judgements)
def test_tagging_twice_is_tagging_once(raw, judgement, other):
    """The last judgement stands, once."""
    assert tagged(tagged(raw, other), judgement) == tagged(raw, judgement)


@given(any_mail, judgements)
def test_the_body_stays(raw, judgement):
    """No byte behind the first blank line changes."""
    assert body(tagged(raw, judgement)) == body(raw)


@given(any_mail, judgements)
def test_no_forged_copy_survives(raw, judgement):
    """Each of our names stands at most once in the header of what was tagged."""
    header = re.split(rb"(?m)^\r?\n", tagged(raw, judgement), maxsplit=1)[0]

    names = re.findall(rb"(?m)^(x-spam[a-z-]*)[ \t]*:", header.lower())
    ours = [name for name in names if name.decode() in OURS]
    assert len(ours) == len(set(ours))


@given(judgements, st.text())
def test_nothing_is_injected(judgement, version):
    """Names and reasons, whatever they hold, stay on their line, in printable ASCII."""
    added = tagged(b"", judgement, version=version).decode("ascii")

    assert added.count("\n") == len(headers(judgement, version=version, spam_threshold=BAR))
    assert all(re.fullmatch(r"X-Spam-[A-Za-z-]+: [ -~]+", line) for line in added.splitlines())


def test_what_was_tagged_is_known():
    """By our own name among the headers, whatever the verdict; not another filter's, nor what a body says."""
    assert is_tagged(tagged())
    assert is_tagged(tagged(judgement=judged(Verdict.HAM)).replace(b"\n", b"\r\n"))
    assert not is_tagged(MAIL)
    assert not is_tagged(MAIL + b"X-Spam-Checker-Version: spamlstm 1.0\n")
    assert not is_tagged(b"X-Spam-Checker-Version: SpamAssassin 4.0.0 on x\n" + MAIL)
