"""The personal layer: what labels change in the score of other mail, and what they leave as it was."""

import random

import numpy as np
import pytest
from few_labels import MAILS
from hypothesis import given, settings
from hypothesis import strategies as st

from spamlstm.model import personal_layer
from spamlstm.model.limits import Limits
from spamlstm.model.personal_features import PersonalFeatures, runs
from spamlstm.model.personal_layer import PersonalLayer

# What all mail of one mailbox has in common; beside it each message has words of its own.
SERVER = b"Received: from relay.example.org by mx.example.org with ESMTPS for <me@example.org>; " * 6
SURE, FAIRLY = 6.0, 3.0


def mail(rng: random.Random, words: bytes) -> PersonalFeatures:
    own = b" ".join(b"%s%d" % (words, rng.randrange(400)) for _ in range(60))
    return runs(b"From: someone@example.org\nSubject: " + own[:30] + b"\nX-Way: " + SERVER + b"\n\n" + own)


def taught(labels: list[tuple[bytes, bool, float]], seed: int = 1) -> tuple[PersonalLayer, random.Random]:
    """Return a layer that learned messages, given the words in each, whether it is spam, and its base score."""
    rng, layer = random.Random(seed), PersonalLayer()
    rng.shuffle(labels)
    for words, spam, prior in labels:
        layer.learn(mail(rng, words), prior=prior, spam=spam)
    return layer, rng


@pytest.mark.parametrize(("many", "few"), [(True, False), (False, True)], ids=["much spam", "much ham"])
def test_where_the_base_was_right_many_labels_of_one_kind_do_not_turn_the_other(many, few):
    """After 400 labels of one kind and 20 of the other, the base still decides on new mail of the other kind."""
    signs = {True: SURE, False: -SURE}
    layer, rng = taught([(b"usual", many, signs[many])] * 400 + [(b"rare", few, signs[few])] * 20)
    scores = [(layer.score(mail(rng, b"else"), signs[few]) or 0) * (1 if few else -1) for _ in range(50)]
    assert min(scores) > personal_layer.SPAM_TARGET


@pytest.mark.parametrize("spam", [True, False], ids=["spam", "ham"])
def test_labels_of_one_kind_alone_leave_the_other_as_it_is(spam):
    """After 300 labels of spam alone, ham is still ham, and the other way round."""
    sign = 1 if spam else -1
    layer, rng = taught([(b"usual", spam, sign * FAIRLY)] * 300)
    scores = [-sign * (layer.score(mail(rng, b"else"), -sign * FAIRLY) or 0) for _ in range(50)]
    assert min(scores) > personal_layer.HAM_TARGET
    assert sign * (layer.score(mail(rng, b"usual"), sign * FAIRLY) or 0) > FAIRLY


def test_a_spam_verdict_is_withdrawn_only_by_what_labels_say():
    """Labels of ham withdraw the spam verdict from such ham. A hundred labels that show only errors withdraw none."""
    limits = Limits(-1.5, 4.4)
    layer, rng = taught([(b"usual", False, FAIRLY)] * 300 + [(b"rare", True, SURE)] * 100)
    assert all((layer.score(mail(rng, b"usual"), SURE, limits=limits) or 0) < limits.spam for _ in range(50))
    layer, rng = taught([(b"usual", False, SURE), (b"usual", True, SURE)] * 50)
    assert all((layer.score(mail(rng, b"usual"), SURE, limits=limits) or 0) >= limits.spam for _ in range(50))


def test_many_labels_withdraw_a_spam_verdict_without_large_weights():
    """After many labels, which show how often the base is wrong, small weights no longer keep its spam verdict."""
    limits = Limits(-1.5, 4.4)
    layer, rng = taught([(b"usual", False, SURE), (b"usual", True, SURE)] * 50)
    some = mail(rng, b"usual")
    kept = layer.score(some, SURE, limits=limits)
    layer._recent.count += 20 * personal_layer.HALF_DOUBT_LABELS
    withdrawn = layer.score(some, SURE, limits=limits)
    assert kept >= limits.spam > withdrawn


@pytest.mark.parametrize("base", [-1.0, 0.0, 2.2, 4.3])
def test_unlike_mail_becomes_spam_only_far_above_the_threshold(base):
    """Mail unlike labelled mail becomes spam if its score exceeds the threshold by a margin, and not otherwise.

    The margin is smaller the nearer the base score is to the threshold.
    """
    limits = Limits(-1.5, 4.4)
    layer, rng = taught([(b"usual", False, -SURE)] * 200 + [(b"rare", True, SURE)] * 200)
    unlike = np.union1d(mail(rng, b"rare"), np.arange(0, 1 << 20, 4001, dtype=np.uint32))
    assert layer.likeness(unlike) == 0
    weights, full = layer._weights.averaged.copy(), layer.score(unlike, base)
    layer._weights.averaged[:] = 0
    without = layer.score(unlike, base)
    margin = layer._margin() * (1 - max(base, 0) / limits.spam)
    assert layer._margin() > 1
    for beyond in (0.0, 0.9 * margin, 1.1 * margin + 0.01):
        # The score is linear in the weights.
        layer._weights.averaged[:] = weights * (limits.spam + 0.001 + beyond - without) / (full - without)
        assert (layer.score(unlike, base, limits=limits) >= limits.spam) == (beyond > margin)


@pytest.mark.parametrize("threshold", [-2.0, 0.0, 2.0])
@pytest.mark.parametrize("base", [-3.0, 0.0, 1.0, None])
def test_thresholds_at_and_below_even_odds(threshold, base):
    """A user may set the spam threshold to even odds, which is 0 in log-odds, or lower."""
    limits = Limits(-3.5, threshold)
    layer, rng = taught([(b"usual", False, -SURE)] * 50 + [(b"rare", True, -FAIRLY)] * 50)
    for words in (b"usual", b"rare", b"else"):
        assert np.isfinite(layer.score(mail(rng, words), base, limits=limits) or 0.0)


def test_the_first_spam_of_history_leaves_the_margin():
    """A few spam in a history of much ham, which the weights take for ham, do not remove the margin."""
    rng, layer = random.Random(1), PersonalLayer()
    margins = []
    for spam in [False] * 200 + [True] * 5:
        layer.learn(mail(rng, b"usual"), prior=0.0, spam=spam, history=True)
        margins.append(layer._margin())
    assert margins[-1] > 0.5 * margins[199] > 3


def test_one_kind_after_the_other():
    """After a thousand labels of ham and then a thousand of spam, ham unlike either still scores nearer to ham."""
    layer, rng = taught([(b"usual", False, -FAIRLY)] * 1000)
    for _ in range(1000):
        layer.learn(mail(rng, b"rare"), prior=FAIRLY, spam=True)
    assert all((layer.score(mail(rng, b"else"), -FAIRLY) or 0) < 0 for _ in range(50))
    assert all((layer.score(mail(rng, b"usual"), -FAIRLY) or 0) < -personal_layer.HAM_TARGET for _ in range(50))
    assert all((layer.score(mail(rng, b"rare"), FAIRLY) or 0) > FAIRLY for _ in range(50))


def test_where_the_base_was_wrong_it_counts_less():
    """After 200 letters that the base takes for spam, the next is ham."""
    layer, rng = taught([(b"letter", False, SURE)] * 200 + [(b"offer", True, SURE)] * 200)
    assert all((layer.score(mail(rng, b"letter"), SURE) or 0) < -personal_layer.HAM_TARGET for _ in range(20))
    assert all((layer.score(mail(rng, b"offer"), SURE) or 0) > 0 for _ in range(20))


def test_corrections_of_one_kind_are_believed():
    """After 60 corrections of spam that the base misses, the next is spam, though no ham was labelled."""
    layer, rng = taught([(b"offer", True, -1.0)] * 60)
    assert all((layer.score(mail(rng, b"offer"), -1.0) or 0) > 0 for _ in range(20))


LIMITS = Limits(-1.4, 3.9, 0.001)
# Features of labelled mail are even numbers.
Labelled = st.sets(st.integers(0, 400), min_size=1, max_size=80).map(lambda some: np.array(sorted(some), np.uint32) * 2)
Labels = st.lists(st.tuples(Labelled, st.floats(-12, 12), st.booleans(), st.booleans()), max_size=40)


def learned(labels) -> PersonalLayer:
    layer = PersonalLayer()
    for features, prior, spam, history in labels:
        layer.learn(features, prior=prior, spam=spam, history=history)
    return layer


@given(labels=Labels, prior=st.floats(-12, 12), limits=st.sampled_from([None, LIMITS]))
@settings(max_examples=40, deadline=None)
def test_mail_with_nothing_in_common_keeps_its_score(labels, prior, limits):
    """After any labels, a message without a feature of labelled mail has exactly its base score."""
    layer = learned(labels)
    message = np.arange(1, 301, 2, dtype=np.uint32)
    assert layer.score(message, prior, limits=limits) == prior


@given(labels=Labels, message=Labelled, odd=st.sets(st.integers(0, 400)), prior=st.floats(-12, 12))
@settings(max_examples=40, deadline=None)
def test_mail_unlike_labelled_mail_keeps_its_verdict(labels, message, odd, prior):
    """After any labels, a message that is not like labelled mail is spam if and only if it was spam before."""
    layer = learned(labels)
    mixed = np.union1d(message, np.array(sorted(odd), np.uint32) * 2 + 1)
    score = layer.score(mixed, prior, limits=LIMITS)
    if layer.likeness(mixed) == 0 and layer.label(mixed) is None:
        assert (score >= LIMITS.spam) == (prior >= LIMITS.spam)
        if prior > 0:
            assert score > LIMITS.ham


@given(labels=Labels, message=Labelled, prior=st.floats(-12, 12), spam=st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_label_moves_no_weight_the_wrong_way(labels, message, prior, spam):
    """A label of spam lowers neither the weight of a feature nor that of base scores above 0, and so for ham."""
    layer = learned(labels)
    before, trust, sign = layer._weights.averaged.copy(), layer._trust(1.0 if spam else -1.0), 1 if spam else -1
    layer.learn(message, prior=prior, spam=spam)
    assert np.all(sign * (layer._weights.averaged - before) >= 0)
    assert layer._trust(1.0 if spam else -1.0) == trust


@given(
    labels=st.lists(st.tuples(Labelled, st.floats(-12, 12)), min_size=1, max_size=20),
    spam=st.booleans(),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_the_first_labels_move_no_score_the_wrong_way(labels, spam, data):
    """After up to twenty labels of spam alone, no score is lower than without labels, and so for ham."""
    layer, sign = learned([(features, prior, spam, False) for features, prior in labels]), 1 if spam else -1
    message, prior = data.draw(Labelled), data.draw(st.floats(-15, 15))
    for limits in (None, LIMITS):
        assert sign * (layer.score(message, prior, limits=limits) - prior) >= -1e-9


def test_a_label_of_spam_does_not_make_other_spam_look_less_like_spam():
    """A base score of 11.5 was cut to 8 as soon as there was a label."""
    rng, layer = random.Random(1), PersonalLayer()
    layer.learn(mail(rng, b"offer"), prior=1.0, spam=True)
    assert layer.score(mail(rng, b"else"), 11.5) >= 11.5


def test_a_message_without_text():
    """Without a base score, a message has a score only if the user labelled it, whatever it has in common."""
    rng, layer = random.Random(1), PersonalLayer()
    empty = mail(rng, b"usual")[:200]
    layer.learn(mail(rng, b"usual"), prior=1.0, spam=True)
    assert layer.score(empty, None) is None
    layer.learn(empty, prior=None, spam=True)
    assert layer.score(empty, None) >= personal_layer.SPAM_TARGET


def test_pictures_without_text():
    """After some labels of messages without text, the next message like them has a score."""
    rng, layer = random.Random(1), PersonalLayer()
    for _ in range(60):
        assert layer.score(mail(rng, b"usual"), None) is None or layer._without_text >= 10
        layer.learn(mail(rng, b"usual"), prior=None, spam=True)
    assert sum((layer.score(mail(rng, b"usual"), None) or 0) > 0 for _ in range(20)) > 10


def test_a_layer_that_was_kept_is_the_same():
    """A layer that was dumped and loaded scores and learns as before."""
    labels = [(b"usual", False, -SURE)] * 80 + [(b"rare", True, 1.0)] * 9
    layer, rng = taught(labels)
    again = PersonalLayer()
    again.load(layer.dump())
    for one in (layer, again):
        one.learn(mail(random.Random(5), b"more"), prior=-1.0, spam=True)
    assert again.dump() == layer.dump()
    some = mail(rng, b"else")
    assert again.score(some, 0.5) == layer.score(some, 0.5)


def test_a_long_message_teaches_no_more_than_a_short_one():
    """A wrong label of a message with four times as many words changes the scores of other mail no further."""
    moved = []
    for words in (60, 240):
        rng, layer = random.Random(3), PersonalLayer()
        for _ in range(20):
            layer.learn(mail(rng, b"usual"), prior=-SURE, spam=False)
            layer.learn(mail(rng, b"rare"), prior=SURE, spam=True)
        wrong = runs(b" ".join(b"%d" % rng.randrange(10**6) for _ in range(4 * words)))
        before = layer.score(wrong, -FAIRLY)
        layer.learn(wrong, prior=-FAIRLY, spam=True)
        like = wrong[len(wrong) // 5 :]
        moved.append(
            layer._score_by_weights(layer._weights.sum_of(like), -FAIRLY, layer._weights.share_learned(like)) - before
        )
    assert moved[1] < 1.2 * moved[0]


def test_after_one_label_the_message_is_judged_so():
    """One label decides on its message, whatever the base score, and for mail of any length."""
    for raw in (*MAILS, b"", b"a", b"\n\n", np.random.default_rng(0).bytes(9000)):
        found = runs(raw)
        for spam, prior in ((True, -30.0), (False, 30.0), (True, None)):
            layer = PersonalLayer()
            layer.learn(found, prior=prior, spam=spam)
            score = layer.score(found, prior)
            assert (score >= personal_layer.SPAM_TARGET) if spam else (score <= -personal_layer.HAM_TARGET)


def test_an_empty_layer_leaves_the_base_score():
    """Without labels, the score is the base score."""
    assert PersonalLayer().score(runs(MAILS[0]), 12.5) == 12.5
