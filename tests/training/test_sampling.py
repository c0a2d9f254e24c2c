"""What trains, what validates, and how often each message is drawn."""

import numpy as np
import pytest
import small_corpus

from training.dataset import SYNTHETIC, Dataset, Row
from training.sampling import split, weights


def _dataset(rng, sources=("a", "b", "c", SYNTHETIC), count=400, groups=800):
    source = np.array(rng.choice(sources, count))
    spam = rng.random(count) < 0.5
    rows = [Row(str(n), source[n], "", n, bool(spam[n]), ("",)) for n in range(count)]
    return Dataset(rows, rng.integers(0, groups, count), spam, source)


@pytest.mark.parametrize("seed", range(8))
def test_no_group_stands_on_two_sides(seed):
    """Training, validation and what is left out share no near-duplicates, and no message is in two of them."""
    data = _dataset(np.random.default_rng(seed))
    part = split(data, leave_out=["c"])

    sides = [set(data.group[side].tolist()) for side in (part.train, part.validation, part.held)]
    assert not sides[0] & sides[1]
    assert not (sides[0] | sides[1]) & sides[2]
    assert set(data.source[part.held]) == {"c"}
    assert "c" not in set(data.source[np.concatenate((part.train, part.validation))])
    assert len(part.validation) > 0


def test_validation_is_the_last_of_each_class(tmp_path, load):
    """Of a folder whose spam comes after its ham both classes validate, and the last of each."""
    data = load(small_corpus.folder(tmp_path / "mail", count=200))
    part = split(data)

    for label in (False, True):
        late, early = (side[data.spam[side] == label] for side in (part.validation, part.train))
        assert len(late) == 5
        assert late.min() > early.max()


def test_a_source_of_one_message_trains():
    """What is too little to be shared is used for training."""
    rows = [Row(str(n), "a", "", n, bool(n), ("",)) for n in range(2)]
    part = split(Dataset(rows, np.arange(2), np.array([False, True]), np.array(["a", "a"])))

    assert part.train.tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(8))
def test_classes_are_even_and_chances_sum_to_one(seed):
    """Each class is drawn half of the time, and our own mail takes just the share of each that it was given."""
    rng = np.random.default_rng(seed)
    data = _dataset(rng)
    train = np.flatnonzero(rng.random(len(data)) < 0.8)
    chance = weights(data, train, synthetic=0.15)

    spam, written = data.spam[train], data.source[train] == SYNTHETIC
    assert chance.sum() == pytest.approx(1)
    assert (chance > 0).all()
    assert chance[spam].sum() == pytest.approx(0.5)
    assert chance[spam & written].sum() == pytest.approx(0.075)
    assert chance[~spam & written].sum() == pytest.approx(0.075)


def test_a_campaign_counts_little_more_than_a_letter():
    """A hundred copies of one message are drawn less often than ten messages of their own."""
    group = np.concatenate((np.zeros(100, np.int64), np.arange(100, 110), np.arange(110, 120)))
    spam = np.arange(120) < 110
    rows = [Row(str(n), "a", "", n, bool(spam[n]), ("",)) for n in range(120)]
    chance = weights(Dataset(rows, group, spam, np.full(120, "a")), np.arange(120), synthetic=0.15)

    assert chance[:100].sum() < chance[100:110].sum()
