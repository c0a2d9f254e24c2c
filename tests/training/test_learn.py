"""A network learns what there is to learn, and the same thing each time."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from spamlstm.errors import DataError, UserError
from training import fit, learn
from training.batches import Hiding, hiding
from training.sampling import split, weights

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def task(three, limits, recipe, tmp_path_factory):
    """Examples that train and that validate, and the recipe that fits their vocabulary."""
    part = split(three)
    known = fit.words(three, part, recipe, path=tmp_path_factory.mktemp("words") / "vocabulary.json")
    examples = three.encode(known, limits)
    training, validation = ([examples[index] for index in side] for side in (part.train, part.validation))
    recipe = replace(recipe, network=replace(recipe.network, vocabulary=len(known)))
    return training, weights(three, part.train, synthetic=0.0), validation, recipe


def _train(task, *, recipe=None, checkpoint=None, say=lambda _: None, **more):
    training, chance, validation, usual = task
    return learn.train(
        recipe or usual, training, chance, validation, checkpoint=checkpoint, device="cpu", say=say, **more
    )


def _same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(mine, theirs) for mine, theirs in pairs)


@pytest.mark.parametrize("average", [0.9, 0.998])
def test_training_learns(task, average):
    """The loss falls, and nearly every held-out letter is judged right, however long a memory the average has."""
    lines = []
    network = _train(task, recipe=replace(task[3], average=average), say=lines.append)
    losses = [float(re.search(r"loss ([\d.]+)", line)[1]) for line in lines]
    held = task[2]
    found = learn.logits(network, held, windows=1) > 0

    assert losses[-1] < 0.7 * losses[0]
    assert np.mean(found == [example.spam for example in held]) > 0.9


def test_each_message_drawn_is_counted(task):
    """Who watches is told of each message of each epoch."""
    done = []
    recipe = replace(task[3], epochs=2, per_epoch=100)
    _train(task, recipe=recipe, tick=done.append)

    assert sum(done) == 200


def test_one_seed_gives_one_network(task):
    """Two trainings of one seed end with the same weights to the last bit; another seed's are others."""
    recipe = replace(task[3], epochs=1, per_epoch=150)
    first = _train(task, recipe=recipe)

    assert _same(first, _train(task, recipe=recipe))
    assert not _same(first, _train(task, recipe=replace(recipe, seed=2)))


def test_a_checkpoint_of_another_recipe_is_not_gone_on_from(task, tmp_path):
    """A changed recipe starts anew instead of mixing two trainings."""
    recipe = replace(task[3], epochs=1, per_epoch=150)
    _train(task, recipe=recipe, checkpoint=tmp_path / "one.pt")
    lines = []
    other = replace(recipe, rate=1e-3)
    network = _train(task, recipe=other, checkpoint=tmp_path / "one.pt", say=lines.append)

    assert not any("going on" in line for line in lines)
    assert _same(network, _train(task, recipe=other))


def test_it_stops_when_it_gets_no_better(task):
    """With no rate to learn at, patience ends the training early."""
    lines = []
    _train(
        task,
        recipe=replace(task[3], epochs=9, per_epoch=100, rate=0.0, wide_rate=0.0, decay=0.0, patience=1),
        say=lines.append,
    )

    assert len(lines) == 2


def test_without_patience_it_goes_to_the_end(task, tmp_path):
    """Patience 0 trains every epoch, though the mean loss of none is better, and gives the weights of the last."""
    lines = []
    recipe = replace(task[3], epochs=4, per_epoch=100, rate=0.0, wide_rate=0.3, decay=0.0, patience=0)
    network = _train(task, recipe=recipe, checkpoint=tmp_path / "one.pt", say=lines.append)
    last = torch.load(tmp_path / "one.pt", weights_only=True)["average"]

    assert len(lines) == 4
    assert all(torch.equal(value, last[name]) for name, value in network.state_dict().items())


def test_a_loss_that_is_no_number_is_said(task):
    """A training that blew up gives a sentence, and no network."""
    with pytest.raises(DataError, match="rate"):
        _train(task, recipe=replace(task[3], epochs=1, per_epoch=200, rate=1e30))


def test_hiding_in_words():
    """`--hide NAME=CHANCE` changes that chance alone; an unknown name or no chance is a sentence."""
    assert hiding(["style=0", "trace=0.25"]) == Hiding(style=0, trace=0.25)
    for options in ("nonsense=0.5", "style", "style=2", "style=x"):
        with pytest.raises(UserError, match="--hide"):
            hiding([options])
