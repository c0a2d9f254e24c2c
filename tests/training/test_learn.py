"""Training learns, is repeatable, and continues from a checkpoint."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from spamlstm.errors import DataError
from training import fit, learn
from training.learn import Mail, Run
from training.sampling import probabilities, split

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def task(three, limits, recipe, tmp_path_factory):
    """Training and validation examples, and a recipe with the size of their vocabulary."""
    part = split(three)
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.json"
    vocabulary = fit.train_vocabulary(three, part, recipe, path=path)
    examples = three.encode(vocabulary, limits)
    training, validation = ([examples[index] for index in members] for members in (part.train, part.validation))
    recipe = replace(recipe, network=replace(recipe.network, vocabulary=len(vocabulary)))
    return training, probabilities(three, part.train, synthetic=0.0), validation, recipe


def _train(task, *, recipe=None, checkpoint=None, say=lambda _: None, **more):
    training, probability, _, default = task
    return learn.train(recipe or default, Mail(training, probability), Run(checkpoint, say=say, **more))


def _same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(mine, theirs) for mine, theirs in pairs)


@pytest.mark.parametrize("average", [0.9, 0.998])
def test_training_learns(task, average):
    """The loss falls, and each part judges nearly all held letters right, with a short and a long moving average."""
    lines = []
    network = _train(task, recipe=replace(task[3], average=average), say=lines.append)
    held = task[2]

    for part in ("wide part 1", "wide part 2", "deep part"):
        losses = [float(re.search(r"loss ([\d.]+)", line)[1]) for line in lines if line.startswith(part)]
        assert len(losses) == 3
        assert losses[1] < losses[0]
    for judge in network.parts().values():
        found = learn.logits(judge, held, windows=1) > 0
        assert np.mean(found == [example.spam for example in held]) > 0.9


def test_the_wide_part_is_the_mean_of_several(task):
    """The logit of the mean weights is the mean of the logits, so the teacher is the ensemble of all its seeds."""
    training, probability, held, recipe = task
    mail, run = Mail(training, probability), Run(say=lambda _: None)
    mean = learn.train_wide(recipe, mail, run)
    each = [learn.logits(learn.train_one_wide(recipe, place, mail, run), held, windows=1) for place in (1, 2)]

    assert learn.logits(mean, held, windows=1) == pytest.approx(np.mean(each, axis=0), abs=1e-4)


def test_progress_counts_each_sampled_message(task):
    """The progress callback gets every message of every epoch of the two wide parts and of the deep part."""
    done = []
    recipe = replace(task[3], epochs=2, per_epoch=100)
    _train(task, recipe=recipe, tick=done.append)

    assert sum(done) == 600


def test_one_seed_gives_one_network(task):
    """Two trainings with one seed give the same weights to the last bit; another seed gives others."""
    recipe = replace(task[3], epochs=1, per_epoch=150)
    first = _train(task, recipe=recipe)

    assert _same(first, _train(task, recipe=recipe))
    assert not _same(first, _train(task, recipe=replace(recipe, seed=2)))


def test_a_checkpoint_of_another_recipe_is_ignored(task, tmp_path):
    """With a changed recipe, training starts from scratch."""
    recipe = replace(task[3], epochs=1, per_epoch=150)
    _train(task, recipe=recipe, checkpoint=tmp_path / "one.pt")
    lines = []
    other = replace(recipe, rate=1e-3)
    network = _train(task, recipe=other, checkpoint=tmp_path / "one.pt", say=lines.append)

    assert not any("continuing" in line for line in lines)
    assert _same(network, _train(task, recipe=other))


def test_a_diverging_training_is_an_error(task):
    """A loss that is not finite raises DataError, and no network is returned."""
    with pytest.raises(DataError, match="rate"):
        _train(task, recipe=replace(task[3], epochs=1, per_epoch=200, rate=1e30))
