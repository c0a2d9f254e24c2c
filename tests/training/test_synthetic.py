"""The generated mail: repeatable, well-formed, and without a fashion that gives the label away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from email import message_from_bytes
from email.policy import default
from functools import cache

import pytest

from training.synthetic import Specimen, generate, specimens
from training.synthetic.compose import LANGUAGES
from training.synthetic.kinds import KINDS
from training.synthetic.texts import language, template


@cache
def sample() -> tuple[Specimen, ...]:
    """Enough mail to compare shares with; made once."""
    return tuple(specimens(seed=7, count=6000))


def test_same_seed_gives_the_same_mail() -> None:
    """Two runs with one seed give the same bytes; another seed gives others."""
    first = list(generate(seed=3, count=60))
    assert first == list(generate(seed=3, count=60))
    assert first != list(generate(seed=4, count=60))


def test_half_is_ham_and_half_is_spam() -> None:
    """The labels come in equal numbers, and each kind carries its label in its name."""
    assert Counter(each.label for each in sample()) == {"ham": 3000, "spam": 3000}
    assert all(each.kind.startswith(each.label + "/") for each in sample())


def test_every_message_parses() -> None:
    """The standard library reads every message without an exception and finds From, Date, Subject and a body."""
    for each in sample()[:1500]:
        message = message_from_bytes(each.raw, policy=default)
        assert message["From"]
        assert message["Date"].datetime is not None
        assert message["Subject"] is not None
        parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
        assert parts
        assert all(part.get_content() is not None for part in parts)


def test_no_template_mark_is_left() -> None:
    """No slot, bracket or layout mark of ours shows in a message."""
    for each in sample()[:1500]:
        message = message_from_bytes(each.raw, policy=default)
        assert not any(mark in message["Subject"] for mark in "{}|⟦"), message["Subject"]
        for part in message.walk():
            if part.get_content_type() == "text/plain":
                text = part.get_content()
                assert not any(mark in text for mark in ("{", "⟦")), text


@pytest.mark.parametrize(
    "trait",
    [
        pytest.param(lambda each: each.shell, id="shell"),
        pytest.param(lambda each: each.style, id="header style"),
        pytest.param(lambda each: each.structure, id="structure"),
        pytest.param(lambda each: each.language, id="language"),
    ],
)
def test_fashion_is_the_same_in_both_classes(trait: Callable[[Specimen], str]) -> None:
    """Layouts, receiving servers, MIME structures and languages have the same shares in ham and in spam."""
    ham = Counter(trait(each) for each in sample() if each.label == "ham")
    spam = Counter(trait(each) for each in sample() if each.label == "spam")
    names = set(ham) | set(spam)
    # chi-square of two samples of equal size; mean is its degrees of freedom, four deviations are sqrt(2 df) * 4
    statistic = sum((ham[name] - spam[name]) ** 2 / (ham[name] + spam[name]) for name in names)
    freedom = len(names) - 1
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5


def test_every_kind_has_words() -> None:
    """Each kind is written in English at least, and no section of a language belongs to no kind."""
    known = {kind.name for kind in KINDS}
    english = language("en").kinds
    assert all(any(name in english for name in (kind.texts or (kind.name,))) for kind in KINDS)
    for code in LANGUAGES.values:
        assert set(language(code).kinds) <= known


def test_every_template_is_balanced() -> None:
    """Every line of every language parses, so that no message can fail late."""
    for code in LANGUAGES.values:
        words = language(code)
        for items in words.lists.values():
            assert all(template(item) for item in items)
        for kind in words.kinds.values():
            assert all(template(line) for lines in kind.lines.values() for line in lines)
