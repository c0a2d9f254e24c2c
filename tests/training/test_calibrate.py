"""Probabilities and bars that hold for sources never seen."""

import numpy as np
import pytest

from spamlstm.config import Costs
from spamlstm.model.bundle import Calibration
from spamlstm.model.policy import thresholds_from_costs
from training.calibrate import HIGHEST, LeftOut, calibrate, join, thresholds

COSTS = Costs()


def _simulated(rng, *, scale, shift, count=40_000, source="a"):
    """Logits whose class is drawn with the chance that the line gives, and as many of each class."""
    logits = rng.normal(0, 3, 3 * count)
    spam = rng.random(3 * count) < 1 / (1 + np.exp(-(scale * logits + shift)))
    half = count // 2
    chosen = np.concatenate((np.flatnonzero(spam)[:half], np.flatnonzero(~spam)[:half]))
    # Even classes move the odds by those that there were.
    moved = np.log((~spam).mean() / spam.mean())
    return LeftOut(np.full(len(chosen), source), spam[chosen], logits[chosen]), shift + moved


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.4, 1.5), (2.5, -2.0)])
def test_it_recovers_the_line_that_made_the_classes(scale, shift):
    """Given logits whose odds are a known line, Platt scaling finds that line."""
    left, expected = _simulated(np.random.default_rng(3), scale=scale, shift=shift)
    found = calibrate(left)

    assert found.scale == pytest.approx(scale, rel=0.05)
    assert found.shift == pytest.approx(expected, abs=0.08)


def test_perfect_logits_ask_for_no_infinite_scale():
    """Where no ham is above any spam the line stays finite, and says so with the certainty of the count."""
    spam = np.arange(20) >= 10
    found = calibrate(LeftOut(np.full(20, "a"), spam, np.where(spam, 2.0, -2.0)))

    assert 0.5 < found.scale < 5
    assert abs(found.shift) < 0.01


@pytest.mark.parametrize("spam", [True, False])
def test_one_class_alone_teaches_nothing(spam):
    """Then the logits are taken as they are."""
    left = LeftOut(np.full(5, "a"), np.full(5, spam), np.arange(5.0))

    assert calibrate(left) == Calibration(1.0, 0.0)


@pytest.mark.parametrize("seed", range(6))
def test_no_source_loses_more_than_one_percent_of_its_ham(seed):
    """Whatever the costs ask for: of each source that has ham enough to tell, 99 % stay below the bar of spam."""
    rng = np.random.default_rng(seed)
    left = join([_simulated(rng, scale=0.6, shift=bias, count=900, source=str(bias))[0] for bias in (-4.0, 0.0, 1.0)])
    calibration = calibrate(left)
    found = thresholds(left, calibration, COSTS)

    chance = np.array([calibration.probability(calibration.score(logit)) for logit in left.logits])
    for source in np.unique(left.source):
        ham = chance[(left.source == source) & ~left.spam]
        assert np.mean(ham >= found.spam) <= 0.01
    assert 0 <= found.ham <= found.spam <= HIGHEST


def test_counting_agrees_with_right_probabilities():
    """Where the probabilities are right, the bars found by counting are those that follow from the costs."""
    left, _ = _simulated(np.random.default_rng(5), scale=1.5, shift=0.0, count=200_000)
    found, expected = thresholds(left, calibrate(left), COSTS), thresholds_from_costs(COSTS)

    assert found.spam == pytest.approx(expected.spam, abs=0.01)
    assert found.ham == pytest.approx(expected.ham, abs=0.04)


def test_crowded_logits_are_told_apart_by_counting():
    """Spam at 4 and ham up to 3: whatever probability Platt's line gives to 4, it is spam, as no ham lies there."""
    rng = np.random.default_rng(1)
    ham, spam = np.minimum(rng.normal(-2, 2, 5000), 3.0), np.minimum(rng.normal(3, 2, 5000), 4.0)
    left = LeftOut(np.full(10_000, "a"), np.arange(10_000) >= 5000, np.concatenate((ham, spam)))
    line = calibrate(left)

    assert thresholds(left, line, COSTS).spam <= line.probability(line.score(4.0))


def test_ties_at_the_bar_are_kept():
    """A hundred ham of one and the same score are not lost for the bar that lies just there."""
    logits = np.concatenate((np.full(100, 3.0), np.full(100, 4.0)))
    left = LeftOut(np.full(200, "a"), np.arange(200) >= 100, logits)
    line = Calibration(scale=2.0, shift=0.0)

    assert thresholds(left, line, COSTS).spam > line.probability(line.score(3.0))


@pytest.mark.parametrize(("count", "heard"), [(40, False), (400, True)])
def test_a_source_with_little_ham_has_no_say(count, heard):
    """One percent of forty messages is nothing that could be measured; of four hundred it is."""
    odd = np.where(np.arange(count) % 40 == 0, 3.5, -3.0)
    logits = np.concatenate((np.full(4000, -3.0), np.full(4000, 3.0), odd))
    spam = (np.arange(8000 + count) >= 4000) & (np.arange(8000 + count) < 8000)
    source = np.array(["a"] * 8000 + ["b"] * count)
    line = Calibration(1.0, 0.0)
    found = thresholds(LeftOut(source, spam, logits), line, COSTS)

    assert (found.spam > line.probability(line.score(3.5))) == heard
