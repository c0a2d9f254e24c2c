"""Near-duplicates: what labelled messages say about mail that resembles them, and when they say nothing."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented_texts import invented_text, with_changes

from spamlstm.model.near_duplicates import HALF_TEXT_LABELS, MOST_TEXTS, NO_MATCH, NearMatch, RecentLabels
from spamlstm.model.personal_features import PersonalFeatures, joined, runs, text_sketch


def _message(words: str, number: int, *, sender: str) -> PersonalFeatures:
    """Return the features of a message with its own headers, so that only its text can be similar to others."""
    path = "".join(random.Random(number).choices("abcdefghijklmnopqrstuvwxyz", k=3000))
    raw = f"From: {sender}\nX-Path: {path}\n\n{words}".encode()
    return joined(runs(raw), text_sketch([f"⟦body⟧ {words}"], sender=sender))


def _learned(*labels: tuple[str, str, bool]) -> RecentLabels:
    """Return the labels of messages, each of a text, a sender and whether it is spam."""
    recent = RecentLabels()
    for number, (words, sender, spam) in enumerate(labels):
        recent.add(_message(words, number, sender=sender), 1.0 if spam else -1.0)
    return recent


TEXT = invented_text(random.Random(1))


@pytest.mark.parametrize("spam", [True, False])
def test_one_text_from_two_senders_is_certain_and_from_one_is_not(spam):
    """Labels of two senders on one text are full evidence about the third; one sender is a quarter, however often."""
    sign = 1 if spam else -1
    third = _message(TEXT, 99, sender="eve@z.org")
    assert _learned((TEXT, "ann@x.org", spam)).nearest(third).text_pull == pytest.approx(sign * 0.25)
    assert _learned(*[(TEXT, "ann@x.org", spam)] * 5).nearest(third).text_pull == pytest.approx(sign * 0.25)
    near = _learned((TEXT, "ann@x.org", spam), (TEXT, "bob@y.org", spam)).nearest(third)
    assert (near.text_pull, near.pull, near.share, near.label) == (pytest.approx(sign), 0, 1, 2)


def test_a_disguised_copy_is_near():
    """A copy with every tenth word replaced and numbers added is recognised."""
    rng = random.Random(2)
    labels = [(with_changes(TEXT, rng, 12), f"{name}@x.org", True) for name in ("ann", "bob")]
    copy = with_changes(TEXT, rng, 12).replace(" ", " 4711 ")
    assert _learned(*labels).nearest(_message(copy, 99, sender="eve@z.org")).text_pull > 0.8


@pytest.mark.parametrize("words", ["hi, see the attached file, regards", "", "您好,请查收附件。"])
def test_a_short_text_is_nothing_in_common(words):
    """Phrases that everybody sends do not make messages near-duplicates."""
    recent = _learned((words, "ann@x.org", True), (words, "bob@y.org", True))
    assert recent.nearest(_message(words, 99, sender="eve@z.org")) == NO_MATCH


def test_a_shell_is_not_a_text():
    """Two messages with one long footer but different contents have too little in common."""
    footer = invented_text(random.Random(3), 40)
    one, other, new = (f"{invented_text(random.Random(number))} {footer}" for number in (4, 5, 6))
    recent = _learned((one, "ann@x.org", True), (other, "bob@y.org", True))
    assert recent.nearest(_message(new, 99, sender="eve@z.org")) == NO_MATCH


def test_labels_that_contradict_each_other_on_a_text_cancel():
    """Two senders' ham and two senders' spam labels on one text say nothing."""
    recent = _learned(*[(TEXT, f"{name}@x.org", name < "c") for name in "abcd"])
    assert recent.nearest(_message(TEXT, 99, sender="eve@z.org")).text_pull == 0


def test_equal_headers_with_another_text_are_not_near():
    """Mail of one machine has equal headers; only messages with the same text follow its label."""

    def notice(words: str) -> PersonalFeatures:
        raw = f"From: root@store.example.org\nX-Path: {invented_text(random.Random(7), 300)}\n\n{words}".encode()
        return joined(runs(raw), text_sketch([f"⟦body⟧ {words}"], sender="root@store.example.org"))

    recent = RecentLabels()
    recent.add(notice("some files vanished before they could be transferred"), 1.0)
    assert recent.nearest(notice("write failed, no space left on device")) == NO_MATCH
    assert recent.nearest(notice("some files vanished before they were transferred")).pull == 1


def test_many_similar_texts_are_bounded_and_the_latest_count():
    """Of a large campaign only the latest labels count, so an earlier mistake is forgotten."""
    before = [(TEXT, f"a{number}@x.org", False) for number in range(MOST_TEXTS)]
    recent = _learned(*before, *((TEXT, f"b{number}@x.org", True) for number in range(MOST_TEXTS)))
    assert recent.nearest(_message(TEXT, 999, sender="eve@z.org")).text_pull == 1


def test_many_labels_say_more_than_a_text_of_several_senders():
    """With many labels, a text that two senders sent as spam moves a score less, unless it is likely spam anyway."""
    near = NearMatch(0.0, 0.9, 1, text_pull=1.0)
    assert near.shifted(-3.0, labels=2, ham=2.0, spam=5.0) == 5.0
    assert near.shifted(-3.0, labels=20 * HALF_TEXT_LABELS, ham=2.0, spam=5.0) < -2.0
    assert near.shifted(2.5, labels=20 * HALF_TEXT_LABELS, ham=2.0, spam=5.0) == 5.0


@pytest.mark.parametrize(
    "near", [NearMatch(1.0, 0.9, 1), NearMatch(-1.0, 0.9, 1), NearMatch(0.0, 0.9, 1, -1.0), NO_MATCH]
)
@given(score=st.floats(-30, 30), labels=st.integers(0, 10_000))
def test_a_shift_ends_at_the_target(near, score, labels):
    """A shift moves a score only towards the label, and not past its target. Without a match nothing moves."""
    shifted = near.shifted(score, labels=labels, ham=2.0, spam=5.0)
    if near.pull > 0:
        assert score <= shifted <= max(score, 5.0)
    elif near == NO_MATCH:
        assert shifted == score
    else:
        assert min(score, -2.0) <= shifted <= score
