"""Training learns, is repeatable, and continues from a checkpoint."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from spamlstm.errors import DataError, UserError
from training import fit, learn
from training.batches import Hiding, parse_hiding
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
    training, probability, validation, default = task
    return learn.train(
        recipe or default, training, probability, validation, checkpoint=checkpoint, device="cpu", say=say, **more
    )


def _same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(mine, theirs) for mine, theirs in pairs)


@pytest.mark.parametrize("average", [0.9, 0.998])
def test_training_learns(task, average):
    """The loss falls and nearly all validation letters are judged right, with a short and a long moving average."""
    lines = []
    network = _train(task, recipe=replace(task[3], average=average), say=lines.append)
    losses = [float(re.search(r"loss ([\d.]+)", line)[1]) for line in lines]
    held = task[2]
    found = learn.logits(network, held, windows=1) > 0

    assert losses[-1] < 0.7 * losses[0]
    assert np.mean(found == [example.spam for example in held]) > 0.9


def test_progress_counts_each_sampled_message(task):
    """The progress callback gets every message of every epoch."""
    done = []
    recipe = replace(task[3], epochs=2, per_epoch=100)
    _train(task, recipe=recipe, tick=done.append)

    assert sum(done) == 200


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


def test_patience_stops_a_training_without_improvement(task):
    """With a learning rate of 0, patience ends the training early."""
    lines = []
    _train(
        task,
        recipe=replace(task[3], epochs=9, per_epoch=100, rate=0.0, wide_rate=0.0, decay=0.0, patience=1),
        say=lines.append,
    )

    assert len(lines) == 2


def test_without_patience_all_epochs_are_trained(task, tmp_path):
    """With patience 0, every epoch is trained, even without improvement, and the last weights are returned."""
    lines = []
    recipe = replace(task[3], epochs=4, per_epoch=100, rate=0.0, wide_rate=0.3, decay=0.0, patience=0)
    network = _train(task, recipe=recipe, checkpoint=tmp_path / "one.pt", say=lines.append)
    last = torch.load(tmp_path / "one.pt", weights_only=True)["average"]

    assert len(lines) == 4
    assert all(torch.equal(value, last[name]) for name, value in network.state_dict().items())


def test_a_diverging_training_is_an_error(task):
    """A loss that is not finite raises DataError, and no network is returned."""
    with pytest.raises(DataError, match="rate"):
        _train(task, recipe=replace(task[3], epochs=1, per_epoch=200, rate=1e30))


def test_hide_options():
    """`--hide NAME=PROBABILITY` changes one probability; an unknown name or a bad number raises UserError."""
    assert parse_hiding(["style=0", "trace=0.25"]) == Hiding(style=0, trace=0.25)
    for option in ("nonsense=0.5", "style", "style=2", "style=x"):
        with pytest.raises(UserError, match="--hide"):
            parse_hiding([option])
