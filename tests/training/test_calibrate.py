"""Probabilities and thresholds that hold for left-out sources."""

import numpy as np
import pytest

from spamlstm.config import Costs
from spamlstm.model.policy import Calibration, thresholds_from_costs
from spamlstm.verdict import logistic
from training.calibrate import HIGHEST, LeftOut, calibrate, distinct, join, thresholds

COSTS = Costs()


def _left(source, spam, logits, group=None, mislabelled=()):
    """Return left-out mail without near-duplicates, unless `group` says otherwise."""
    group = np.arange(len(spam)) if group is None else np.array(group)
    return LeftOut(source, spam, logits, group, np.isin(np.arange(len(spam)), mislabelled))


def _simulated(rng, *, scale, shift, count=40_000, source="a"):
    """Return logits with equally many of each class, drawn from the probabilities of a line, and the right shift."""
    logits = rng.normal(0, 3, 3 * count)
    spam = rng.random(3 * count) < 1 / (1 + np.exp(-(scale * logits + shift)))
    half = count // 2
    chosen = np.concatenate((np.flatnonzero(spam)[:half], np.flatnonzero(~spam)[:half]))
    # Balancing the classes shifts the log-odds.
    offset = np.log((~spam).mean() / spam.mean())
    return _left(np.full(len(chosen), source), spam[chosen], logits[chosen]), shift + offset


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.4, 1.5), (2.5, -2.0)])
def test_it_recovers_the_true_line(scale, shift):
    """If the log-odds are a known line in the logits, Platt scaling finds that line."""
    left, expected = _simulated(np.random.default_rng(3), scale=scale, shift=shift)
    found = calibrate(left)

    assert found.scale == pytest.approx(scale, rel=0.05)
    assert found.shift == pytest.approx(expected, abs=0.08)


def test_separable_logits_give_a_finite_scale():
    """If no ham is above any spam, the scale stays finite."""
    spam = np.arange(20) >= 10
    found = calibrate(_left(np.full(20, "a"), spam, np.where(spam, 2.0, -2.0)))

    assert 0.5 < found.scale < 5
    assert abs(found.shift) < 0.01


@pytest.mark.parametrize("spam", [True, False])
def test_one_class_gives_the_identity(spam):
    """With one class only, the logits stay as they are."""
    left = _left(np.full(5, "a"), np.full(5, spam), np.arange(5.0))

    assert calibrate(left) == Calibration(1.0, 0.0)


@pytest.mark.parametrize("seed", range(6))
def test_no_source_loses_more_than_one_percent_of_its_ham(seed):
    """For each source with enough ham, 99 % of it stay below the spam threshold, whatever the costs."""
    rng = np.random.default_rng(seed)
    left = join([_simulated(rng, scale=0.6, shift=bias, count=2400, source=str(bias))[0] for bias in (-4.0, 0.0, 1.0)])
    calibration = calibrate(left)
    found = thresholds(left, calibration, COSTS)

    probability = np.array([logistic(calibration.score(logit)) for logit in left.logits])
    for source in np.unique(left.source):
        ham = probability[(left.source == source) & ~left.spam]
        assert np.mean(ham >= found.spam) <= 0.01
    assert 0 <= found.ham <= found.spam <= HIGHEST


def test_counted_thresholds_agree_with_exact_probabilities():
    """If the probabilities are exact, the counted thresholds are those that follow from the costs."""
    left, _ = _simulated(np.random.default_rng(5), scale=1.5, shift=0.0, count=200_000)
    found, expected = thresholds(left, calibrate(left), COSTS), thresholds_from_costs(COSTS)

    assert found.spam == pytest.approx(expected.spam, abs=0.01)
    assert found.ham == pytest.approx(expected.ham, abs=0.04)


def test_counting_separates_crowded_logits():
    """With ham up to 3, a logit of 4 is spam, whatever probability Platt scaling gives it."""
    rng = np.random.default_rng(1)
    ham, spam = np.minimum(rng.normal(-2, 2, 5000), 3.0), np.minimum(rng.normal(3, 2, 5000), 4.0)
    left = _left(np.full(10_000, "a"), np.arange(10_000) >= 5000, np.concatenate((ham, spam)))
    line = calibrate(left)

    assert thresholds(left, line, COSTS).spam <= logistic(line.score(4.0))


def test_one_message_of_a_small_source_moves_the_threshold_little():
    """The share of lost ham follows from the tail of the ham, not from the highest logit of one message."""
    rng = np.random.default_rng(2)
    logits = np.concatenate((rng.normal(-3, 1.5, 5000), rng.normal(3, 2, 5000), rng.normal(-2, 1, 79), [0.0]))
    spam = (np.arange(10_080) >= 5000) & (np.arange(10_080) < 10_000)
    source = np.array(["a"] * 10_000 + ["b"] * 80)
    found = []
    for highest in (0.0, 5.0):
        logits[-1] = highest
        threshold = thresholds(_left(source, spam, logits), Calibration(1.0, 0.0), COSTS).spam
        found.append(np.log(threshold / (1 - threshold)))

    assert found[0] < found[1] < found[0] + 0.5


def test_a_source_of_a_hundred_ham_messages_loses_one_at_most():
    """One message may be lost, whatever its logit, and no second one."""
    rng = np.random.default_rng(3)
    logits = np.concatenate((rng.normal(-3, 1, 3000), rng.normal(3, 1, 3000), rng.normal(-2, 1, 98)))
    logits[-3:] = 2.5, 2.8, 2.9
    spam = (np.arange(6098) >= 3000) & (np.arange(6098) < 6000)
    source = np.array(["a"] * 6000 + ["b"] * 98)
    line = Calibration(1.0, 0.0)
    found = []
    for highest in (2.9, 30.0):
        logits[-1] = highest
        found.append(thresholds(_left(source, spam, logits), line, COSTS).spam)

    assert found == [pytest.approx(logistic(2.8), abs=1e-9)] * 2
    assert found[0] > logistic(2.8)


def test_tied_ham_stays_below_the_threshold():
    """A hundred ham messages with equal scores are not lost to a threshold at that score."""
    logits = np.concatenate((np.full(100, 3.0), np.full(100, 4.0)))
    left = _left(np.full(200, "a"), np.arange(200) >= 100, logits)
    line = Calibration(scale=2.0, shift=0.0)

    assert thresholds(left, line, COSTS).spam > logistic(line.score(3.0))


def test_weakly_labelled_spam_does_not_lower_the_ham_threshold():
    """Spam of `lists` that looks like ham does not change which logits are ham; the same spam of a sure source does."""
    rng = np.random.default_rng(4)
    sure, _ = _simulated(rng, scale=1.5, shift=0.0, count=4000)
    doubtful = [
        _left(np.full(4000, source), np.repeat([False, True], 2000), rng.normal(-2, 1, 4000))
        for source in "lists b".split()
    ]
    calibration = calibrate(sure)
    alone, lists, other = (
        thresholds(join([sure, *more]), calibration, COSTS).ham for more in ((), doubtful[:1], doubtful[1:])
    )

    assert lists == pytest.approx(alone, rel=0.2)
    assert other < 0.5 * alone


@pytest.mark.parametrize(("count", "counts"), [(40, False), (1200, True)])
def test_a_source_with_little_ham_is_ignored(count, counts):
    """One percent of 40 messages cannot be measured, one percent of 1,200 can."""
    odd = np.where(np.arange(count) % 40 == 0, 3.5, -3.0)
    logits = np.concatenate((np.full(4000, -3.0), np.full(4000, 3.0), odd))
    spam = (np.arange(8000 + count) >= 4000) & (np.arange(8000 + count) < 8000)
    source = np.array(["a"] * 8000 + ["b"] * count)
    line = Calibration(1.0, 0.0)
    found = thresholds(_left(source, spam, logits), line, COSTS)

    assert (found.spam > logistic(line.score(3.5))) == counts


def test_a_newsletter_that_two_archives_share_counts_once():
    """Of near-duplicates of one class the first counts; ham and spam of one wording both count."""
    left = _left(np.array(list("aabb")), np.array([False, True, False, False]), np.arange(4.0), group=[7, 7, 7, 8])

    assert distinct(left).logits.tolist() == [0.0, 1.0, 3.0]
    assert distinct(left).source.tolist() == list("aab")


def test_a_wrong_label_does_not_count():
    """A message with a wrong label is left out; its near-duplicate with the right label counts."""
    left = _left(np.array(list("aaa")), np.zeros(3, bool), np.arange(3.0), group=[1, 1, 2], mislabelled=[0])

    assert distinct(left).logits.tolist() == [1.0, 2.0]
