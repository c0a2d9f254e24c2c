"""Each metric against a slow computation by its definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.evaluation import metrics
from spamlstm.model.confidence import Z95

# Few distinct scores, so that ties are the rule.
MESSAGES = st.lists(st.tuples(st.booleans(), st.integers(-4, 4)), min_size=1, max_size=60)
BOTH = MESSAGES.filter(lambda rows: 0 < sum(spam for spam, _ in rows) < len(rows))


def columns(rows: list[tuple[bool, int]]) -> tuple[metrics.Bools, metrics.Floats]:
    return np.array([spam for spam, _ in rows]), np.array([float(score) for _, score in rows])


def within(figure: metrics.Figure | None, bottom: float, top: float) -> bool:
    return figure is not None and bottom <= figure.low <= figure.value <= figure.high <= top


@given(BOTH)
def test_roca_is_the_share_of_pairs_ranked_right(rows: list[tuple[bool, int]]) -> None:
    """Every pair of a spam and a ham counts 1, 1/2 or 0."""
    spam = [score for is_spam, score in rows if is_spam]
    ham = [score for is_spam, score in rows if not is_spam]
    pairs = [(s > h) + (s == h) / 2 for s in spam for h in ham]
    assert metrics.roca(*columns(rows)) == pytest.approx(sum(pairs) / len(pairs))
    figure = metrics.one_minus_roca_pct(*columns(rows))
    assert figure is not None
    assert figure.value == pytest.approx(100 - 100 * sum(pairs) / len(pairs))
    assert -1e-9 <= figure.low <= figure.value + 1e-9 <= figure.high + 2e-9 <= 100 + 1e-6


def test_delong_variance_is_the_one_by_placements() -> None:
    """The fast form by midranks gives the variance of the definition, pair by pair."""
    random = np.random.default_rng(3)
    spam, ham = np.round(random.normal(1, 1, 40), 1), np.round(random.normal(0, 1, 30), 1)
    right = (spam[:, None] > ham).astype(float) + (spam[:, None] == ham) / 2
    slow = right.mean(axis=1).var(ddof=1) / 40 + right.mean(axis=0).var(ddof=1) / 30
    assert metrics._delong_variance(spam, ham) == pytest.approx(slow)


@pytest.mark.parametrize("shift", [0.5, 2.0])
def test_roca_interval_holds_the_truth_19_times_of_20(shift: float) -> None:
    """On samples of two normal distributions the interval covers the known area about as often as it should."""
    random = np.random.default_rng(0)
    truth = 100 * 0.5 * math.erfc(shift / 2)  # the chance that a ham of N(0,1) is above a spam of N(shift,1)
    hits = 0
    for _ in range(300):
        scores = np.concatenate([random.normal(shift, 1, 80), random.normal(0, 1, 60)])
        figure = metrics.one_minus_roca_pct(np.arange(140) < 80, scores)
        hits += figure is not None and figure.low <= truth <= figure.high
    assert 0.91 <= hits / 300 <= 0.985


@pytest.mark.parametrize("size", [1, 2, 20, 200])
def test_perfect_ranking_still_has_an_interval(size: int) -> None:
    """No wrong pair among few messages is weak evidence, and stronger among many."""
    labels = np.arange(2 * size) < size
    perfect = metrics.one_minus_roca_pct(labels, labels.astype(float))
    larger = metrics.one_minus_roca_pct(np.arange(8 * size) < 4 * size, (np.arange(8 * size) < 4 * size).astype(float))
    assert perfect is not None
    assert larger is not None
    assert (perfect.value, perfect.low) == (0, 0)
    assert 0 < larger.high < perfect.high < 100


@given(BOTH, st.sampled_from([0.0, 0.1, 1.0, 10.0, 25.0, 50.0, 100.0]))
def test_sm_at_hm_is_the_best_threshold_that_is_allowed(rows: list[tuple[bool, int]], hm_pct: float) -> None:
    """Of all thresholds that lose at most this share of the ham, the chosen one misses the least spam."""
    labels, scores = columns(rows)
    ham, spam = scores[~labels], scores[labels]
    allowed = [
        100 * float(np.mean(spam <= threshold))
        for threshold in (-math.inf, *scores)
        if np.mean(ham > threshold) * 100 <= hm_pct + 1e-9
    ]
    assert metrics.sm_at_hm(labels, scores, hm_pct) == pytest.approx(min(allowed))
    assert within(metrics.sm_at_hm_pct(labels, scores, hm_pct), 0, 100)


def test_sm_at_hm_counts_whole_messages() -> None:
    """0.1 % of a thousand ham is one message, of 999 none; a spam with the score of a lost ham is missed."""
    labels = np.array([False] * 1000 + [True] * 4)
    scores = np.concatenate([np.arange(1000.0), [999.5, 999.0, 998.5, 998.0]])
    assert metrics.sm_at_hm(labels, scores, 0.1) == 25
    assert metrics.sm_at_hm(labels[1:], scores[1:], 0.1) == 75


def test_sm_at_hm_interval_is_that_of_a_plain_bootstrap() -> None:
    """Sampling only the order statistic gives the same spread as resampling all messages."""
    random = np.random.default_rng(5)
    ham, spam = random.normal(0, 1, 2000), random.normal(3, 1, 3000)
    resampled = []
    for _ in range(300):
        threshold = np.sort(random.choice(ham, 2000))[-1 - 20]
        resampled.append(100 * np.mean(random.choice(spam, 3000) <= threshold))
    figure = metrics.sm_at_hm_pct(np.arange(5000) >= 2000, np.concatenate([ham, spam]), 1.0)
    assert figure is not None
    low, high = np.percentile(resampled, [2.5, 97.5])
    assert (figure.low, figure.high) == (pytest.approx(low, abs=1.5), pytest.approx(high, abs=1.5))


@given(MESSAGES)
def test_one_class_has_no_figure(rows: list[tuple[bool, int]]) -> None:
    """A figure that needs both classes is None with one of them."""
    labels, scores = columns(rows)
    labels = np.ones_like(labels)
    assert metrics.roca(labels, scores) is None
    assert metrics.one_minus_roca_pct(labels, scores) is None
    assert metrics.sm_at_hm_pct(labels, scores, 1) is None
    assert metrics.lam_pct(ham_lost=0, n_ham=0, spam_missed=1, n_spam=2) is None
    assert metrics.rate_pct(0, 0) is None


@given(st.integers(0, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_rate_solves_wilsons_equation(hits_of: tuple[int, int]) -> None:
    """Each end of the interval is a rate with a normal range that just includes the observed rate."""
    hits, total = hits_of
    figure = metrics.rate_pct(hits, total)
    if figure is None:
        assert total == 0
        return
    assert within(figure, 0, 100)
    for end in (figure.low / 100, figure.high / 100):
        if 0 < end < 1:
            assert abs(hits / total - end) == pytest.approx(Z95 * math.sqrt(end * (1 - end) / total), abs=1e-9)


def test_lam_is_the_logistic_mean() -> None:
    """Equal rates give that rate (up to the half message), and no error at all is not a rate of 0."""
    figure = metrics.lam_pct(ham_lost=100, n_ham=10_000, spam_missed=100, n_spam=10_000)
    assert figure is not None
    assert figure.value == pytest.approx(100 * 100.5 / 10_001)
    assert within(figure, 0.8, 1.3)
    none = metrics.lam_pct(ham_lost=0, n_ham=100, spam_missed=0, n_spam=100)
    assert none is not None
    assert none.value == pytest.approx(100 * 0.5 / 101)


@given(MESSAGES)
def test_calibration_bins_hold_every_message_once(rows: list[tuple[bool, int]]) -> None:
    """Bins have equal counts, and counts and outcomes add up, whatever the order of the messages."""
    labels, scores = columns(rows)
    probabilities = (scores + 4) / 8
    bins = metrics.calibration_bins(labels, probabilities)
    assert sum(cell.count for cell in bins) == len(rows)
    assert sum(cell.count * cell.observed for cell in bins) == pytest.approx(labels.sum())
    assert max(cell.count for cell in bins) - min(cell.count for cell in bins) <= 1
    assert metrics.calibration_error(labels[::-1], probabilities[::-1]) == pytest.approx(
        metrics.calibration_error(labels, probabilities)
    )
    assert within(metrics.calibration_error(labels, probabilities), 0, 1)


def test_calibration_error_tells_right_from_wrong() -> None:
    """Correct probabilities have almost no error; probabilities half as certain have one."""
    random = np.random.default_rng(1)
    probabilities = random.random(20_000)
    labels = random.random(20_000) < probabilities
    good, bad = metrics.calibration_error(labels, probabilities), metrics.calibration_error(labels, probabilities / 2)
    assert good is not None
    assert good.value < 0.02
    assert bad is not None
    assert bad.value == pytest.approx(0.25, abs=0.02)


@given(BOTH)
def test_roc_points_are_the_rates_at_every_threshold(rows: list[tuple[bool, int]]) -> None:
    """There is a point for each distinct score, from nothing judged spam to everything."""
    labels, scores = columns(rows)
    lost, missed = metrics.roc_points(labels, scores)
    expected = [
        (np.mean(scores[~labels] >= threshold), np.mean(scores[labels] < threshold))
        for threshold in sorted(set(scores.tolist()), reverse=True)
    ]
    assert np.allclose(np.column_stack([lost, missed]), [(0, 1), *expected])


def test_scores_that_are_no_numbers_are_refused() -> None:
    """A NaN is refused, as it would be ranked arbitrarily."""
    with pytest.raises(ValueError, match="NaN"):
        metrics.roca(np.array([True, False]), np.array([math.nan, 0.0]))
    with pytest.raises(ValueError, match="length"):
        metrics.roca(np.array([True]), np.array([0.0, 1.0]))
