"""The split into training and validation, and how often each message is sampled."""

import numpy as np
import pytest
import small_corpus

from training.dataset import Dataset, Row
from training.generated import SYNTHETIC, collapsed
from training.sampling import probabilities, split


def _dataset(rng, sources=("a", "b", "c", SYNTHETIC), count=400, groups=800):
    source = np.array(rng.choice(sources, count))
    spam = rng.random(count) < 0.5
    rows = [Row(str(n), source[n], "", n, bool(spam[n]), ("",)) for n in range(count)]
    return Dataset(rows, rng.integers(0, groups, count), spam, source)


@pytest.mark.parametrize("seed", range(8))
def test_no_group_is_in_two_parts(seed):
    """Training, validation and left-out mail share no message and no near-duplicate."""
    data = _dataset(np.random.default_rng(seed))
    part = split(data, leave_out=["c"])

    sides = [set(data.group[side].tolist()) for side in (part.train, part.validation, part.held)]
    assert not sides[0] & sides[1]
    assert not (sides[0] | sides[1]) & sides[2]
    assert set(data.source[part.held]) == {"c"}
    assert "c" not in set(data.source[np.concatenate((part.train, part.validation))])
    assert len(part.validation) > 0


def test_validation_is_the_last_of_each_class(tmp_path, load):
    """In a folder whose spam follows its ham, the last messages of both classes validate."""
    data = load(small_corpus.folder(tmp_path / "mail", count=200))
    part = split(data)

    for label in (False, True):
        late, early = (side[data.spam[side] == label] for side in (part.validation, part.train))
        assert len(late) == 5
        assert late.min() > early.max()


def test_a_source_of_one_message_trains():
    """A source that is too small to be split is used for training."""
    rows = [Row(str(n), "a", "", n, bool(n), ("",)) for n in range(2)]
    part = split(Dataset(rows, np.arange(2), np.array([False, True]), np.array(["a", "a"])))

    assert part.train.tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(8))
def test_classes_are_equal_and_probabilities_sum_to_one(seed):
    """Each class is sampled half of the time, and generated mail has exactly the given share of each."""
    rng = np.random.default_rng(seed)
    data = _dataset(rng)
    train = np.flatnonzero(rng.random(len(data)) < 0.8)
    probability = probabilities(data, train, synthetic=0.15)

    spam, generated = data.spam[train], data.source[train] == SYNTHETIC
    assert probability.sum() == pytest.approx(1)
    assert (probability > 0).all()
    assert probability[spam].sum() == pytest.approx(0.5)
    assert probability[spam & generated].sum() == pytest.approx(0.075)
    assert probability[~spam & generated].sum() == pytest.approx(0.075)


def test_a_campaign_weighs_little_more_than_one_message():
    """A hundred copies of one message are sampled less often than ten different messages."""
    group = np.concatenate((np.zeros(100, np.int64), np.arange(100, 110), np.arange(110, 120)))
    spam = np.arange(120) < 110
    rows = [Row(str(n), "a", "", n, bool(spam[n]), ("",)) for n in range(120)]
    probability = probabilities(Dataset(rows, group, spam, np.full(120, "a")), np.arange(120), synthetic=0.15)

    assert probability[:100].sum() < probability[100:110].sum()


def test_dressed_mail_has_its_own_share():
    """Dressed mail has exactly its share of each class, its messages are sampled evenly, and real mail has the rest."""
    sources = np.array(["a", "b", SYNTHETIC, "app:One", "app:Two", "own:callback"] * 40)
    spam = np.arange(240) % 12 < 6
    rows = [Row(str(n), sources[n], "", n, bool(spam[n]), ("",)) for n in range(240)]
    data = Dataset(rows, np.arange(240), spam, sources)
    probability = probabilities(data, np.arange(240), synthetic=0.2, dressed=0.3)

    modern = np.char.find(sources, ":") > 0
    for label in (False, True):
        assert probability[modern & (spam == label)].sum() == pytest.approx(0.15)
        assert probability[(sources == SYNTHETIC) & (spam == label)].sum() == pytest.approx(0.1)
        assert len(set(np.round(probability[modern & (spam == label)], 12))) == 1
    assert probability.sum() == pytest.approx(1)


def test_a_weight_multiplies_the_share_of_a_source():
    """A source with weight 3 is sampled three times as often beside the same other real mail; classes stay equal."""
    sources = np.array(["a", "b", SYNTHETIC] * 40)
    spam = np.arange(120) % 6 < 3
    rows = [Row(str(n), sources[n], "", n, bool(spam[n]), ("",)) for n in range(120)]
    data = Dataset(rows, np.arange(120), spam, sources)
    probability = probabilities(data, np.arange(120), synthetic=0.2, weights={"a": 3.0})

    assert probability[sources == "a"].sum() == pytest.approx(3 * probability[sources == "b"].sum())
    assert probability[sources == SYNTHETIC].sum() == pytest.approx(0.2)
    assert probability[spam].sum() == pytest.approx(0.5)


def test_lists_of_sources_are_short():
    """In lists of what a model was trained on, all applications are one source; so are newsletters, and own texts."""
    found = collapsed(np.array(["trec07p", "app:One", "app:Two", "news:Letter", "own:callback", SYNTHETIC]))

    assert found.tolist() == ["trec07p", "app", "app", "news", "own", SYNTHETIC]
