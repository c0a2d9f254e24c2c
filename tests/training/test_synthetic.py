"""The generated mail is repeatable and well-formed, and its style does not give the label away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from email import message_from_bytes
from email.policy import default
from functools import cache

import pytest

from training.synthetic import Sample, generate, samples
from training.synthetic.compose import LANGUAGES
from training.synthetic.kinds import KINDS
from training.synthetic.texts import language, template


@cache
def generated() -> tuple[Sample, ...]:
    """Enough mail to compare shares; generated once."""
    return tuple(samples(seed=7, count=6000))


def test_same_seed_gives_the_same_mail() -> None:
    """Two runs with one seed give the same bytes; another seed gives other mail."""
    first = list(generate(seed=3, count=60))
    assert first == list(generate(seed=3, count=60))
    assert first != list(generate(seed=4, count=60))


def test_half_is_ham_and_half_is_spam() -> None:
    """Both labels are equally frequent, and the name of each kind starts with its label."""
    assert Counter(each.label for each in generated()) == {"ham": 3000, "spam": 3000}
    assert all(each.kind.startswith(each.label + "/") for each in generated())


def test_every_message_parses() -> None:
    """The standard library parses every message and finds From, Date, Subject and a text body."""
    for each in generated()[:1500]:
        message = message_from_bytes(each.raw, policy=default)
        assert message["From"]
        assert message["Date"].datetime is not None
        assert message["Subject"] is not None
        parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
        assert parts
        assert all(part.get_content() is not None for part in parts)


def test_no_template_mark_is_left() -> None:
    """No slot, bracket or layout mark of a template is left in a message."""
    for each in generated()[:1500]:
        message = message_from_bytes(each.raw, policy=default)
        assert not any(mark in message["Subject"] for mark in "{}|⟦"), message["Subject"]
        for part in message.walk():
            if part.get_content_type() == "text/plain":
                text = part.get_content()
                assert not any(mark in text for mark in ("{", "⟦")), text


@pytest.mark.parametrize(
    "trait",
    [
        pytest.param(lambda each: each.layout, id="layout"),
        pytest.param(lambda each: each.style, id="header style"),
        pytest.param(lambda each: each.structure, id="structure"),
        pytest.param(lambda each: each.language, id="language"),
    ],
)
def test_style_is_the_same_in_both_classes(trait: Callable[[Sample], str]) -> None:
    """Layouts, receiving servers, MIME structures and languages have the same shares in ham and in spam."""
    ham = Counter(trait(each) for each in generated() if each.label == "ham")
    spam = Counter(trait(each) for each in generated() if each.label == "spam")
    names = set(ham) | set(spam)
    # Chi-square of two samples of equal size: its mean is df, its standard deviation sqrt(2 df).
    statistic = sum((ham[name] - spam[name]) ** 2 / (ham[name] + spam[name]) for name in names)
    freedom = len(names) - 1
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5


def test_every_kind_has_words() -> None:
    """Each kind has English text, and each section of a language file belongs to a kind."""
    known = {kind.name for kind in KINDS}
    english = language("en").kinds
    assert all(any(name in english for name in (kind.texts or (kind.name,))) for kind in KINDS)
    for code in LANGUAGES.values:
        assert set(language(code).kinds) <= known


def test_every_template_is_balanced() -> None:
    """Every line of every language file parses."""
    for code in LANGUAGES.values:
        words = language(code)
        for items in words.lists.values():
            assert all(template(item) for item in items)
        for kind in words.kinds.values():
            assert all(template(line) for lines in kind.lines.values() for line in lines)
