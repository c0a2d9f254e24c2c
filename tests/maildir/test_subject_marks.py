"""Marks of filters and gateways at the beginning of a subject are removed, and nothing else is."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from spamlstm.maildir.subject_marks import without_marks

MARKS = [
    *("[SPAM]", "[Spam?]", "[JUNK]", "[Bulk]", "[SUSPECTEDSPAM]", "[ProbableSpam]", "[Spam-Verdacht]", "[***SPAM***]"),
    *("***SPAM***", "*****SPAM*****", "***SPAM(12.3)***", "**Spam**", "##SPAM##", "[SPAM7.5]"),
    *("{Spam?}", "{DefinitelySpam?}", "{Virus?}", "{Disarmed}", "<SPAM>", "(SPAM)"),
    *("Spam:", "SPAM:", "Junkmail:", "EXTERNAL:", "External:"),
    *(
        "[EXTERN]",
        "[EXTERNAL]",
        "[EXT]",
        "[ExternalEmail]",
        "[ExternalSender]",
        "[Externe]",
        "[Phishing]",
        "***UNCHECKED***",
    ),
    *("[垃圾邮件]", "[迷惑メール]", "[外部]", "[СПАМ]"),
]
KEPT = [
    *("Re:[SPAM]hello", "AW:Spam:hello", "hello[SPAM]", "Spamfilter", "[spamassassin-users]hello", "[anti-spam]x"),
    *("[Spam7]report", "[SPAM", "***hello***", "***SPAM**hello", "(2)hello", "[7]", "Extern:Audit", "SPAM", ""),
]


@pytest.mark.parametrize("mark", MARKS)
def test_marks(mark):
    """Each mark is removed in front of a subject, in any case, also if it is the whole subject or comes twice."""
    for one in (mark, mark.lower(), mark + mark):
        assert without_marks(f"{one}hello") == "hello"
        assert without_marks(one) == ""


@pytest.mark.parametrize("subject", KEPT)
def test_other_subjects(subject):
    """Replies, names of lists, numbers and other words stay."""
    assert without_marks(subject) == subject


@given(st.lists(st.sampled_from(MARKS), max_size=4), st.text("aS*#=~[]{}()<>:!?.,1 spam") | st.text())
def test_any_subject(marks, subject):
    """Marks in front of any subject leave what the subject alone leaves, which is its end."""
    rest = without_marks(subject)

    assert without_marks("".join(marks) + subject) == rest
    assert subject.endswith(rest)
    assert without_marks(rest) == rest


def test_long_subjects():
    """A subject of the greatest length with nothing but marks, or with what may begin one, takes no long time."""
    assert without_marks("[SPAM]" * 3000) == ""
    for one in ("*", "[", "spam", "[!", "Spam(1", "(", "***SPAM-"):
        assert without_marks(one * (20_000 // len(one))) == one * (20_000 // len(one))
