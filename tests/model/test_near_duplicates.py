"""Near-duplicates: what labelled messages say about mail that resembles them, and when they say nothing."""

import random

import pytest
from few_labels import random_letter
from hypothesis import given
from hypothesis import strategies as st
from invented_texts import invented_text, with_changes

from spamlstm.model import near_duplicates
from spamlstm.model.near_duplicates import HALF_TEXT_LABELS, MOST_TEXTS, NO_MATCH, NearMatch, RecentLabels
from spamlstm.model.personal_features import PersonalFeatures, joined, runs, text_sketch
from spamlstm.model.personal_layer import HAM_TARGET, SPAM_TARGET, PersonalLayer


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


# --- in a personal layer --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spam", [True, False])
def test_a_near_duplicate_follows_at_once(spam):
    """After one label, near-duplicates are judged so although the base was wrong; other mail keeps its score."""
    layer, prior = PersonalLayer(), -3.0 if spam else 3.0
    for number in range(1, 6):
        layer.learn(runs(random_letter(number)), prior=prior, spam=number == 3 if spam else number != 3)
    like, unlike = runs(random_letter(3, changed=60)), runs(random_letter(9))
    near = layer.near(like)
    assert (near.label, near.pull) == (3, 1 if spam else -1)
    assert near.share == pytest.approx(0.96, abs=0.06)
    score = layer.score(like, prior)
    assert score >= SPAM_TARGET if spam else score <= -HAM_TARGET
    assert layer.near(unlike) == NO_MATCH
    assert layer.score(unlike, prior) == pytest.approx(prior, abs=0.01)


def test_after_thousands_of_labels_too_where_the_score_only_was_not_sure_enough():
    """With many labels, one label of an unsure campaign still moves its copies, but not against the base score."""
    layer = PersonalLayer()
    for number in range(1000):
        layer.learn(runs(random_letter(number)), prior=-3.0 if number % 2 else 3.0, spam=number % 2 == 0)
    layer.learn(runs(random_letter(2000)), prior=3.0, spam=True)
    assert layer.score(runs(random_letter(2000, changed=60)), 3.0) >= SPAM_TARGET
    assert layer.score(runs(random_letter(2000, changed=60)), -3.0) < SPAM_TARGET - 1


def test_labels_that_contradict_each_other_cancel():
    """Near-duplicates with as many ham as spam labels do not move another one."""
    layer = PersonalLayer()
    for at in range(4):
        layer.learn(runs(random_letter(3, changed=at)), prior=0.0, spam=at % 2 == 0)
    assert layer.near(runs(random_letter(3, changed=5))).pull == 0


def test_the_oldest_sketches_are_replaced_and_the_rest_survives_a_dump(monkeypatch):
    """Memory is bounded, survives a dump exactly, and numbers labels from the first one learned."""
    monkeypatch.setattr(near_duplicates, "MEMORY", 4)
    layer, again = PersonalLayer(), PersonalLayer()
    for number in range(1, 8):
        layer.learn(runs(random_letter(number)), prior=0.0, spam=True)
    again.load(layer.dump())
    assert again.dump() == layer.dump()
    known = [again.near(runs(random_letter(number, changed=5))).label for number in range(1, 8)]
    assert known == [0, 0, 0, 4, 5, 6, 7]
    again.load(b"")
    assert again.dump() == PersonalLayer().dump()
