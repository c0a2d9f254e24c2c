"""Training learns, is repeatable, and continues from a checkpoint."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from spamlstm.errors import DataError
from training import fit, judging, learn
from training.batches import FACTS_END, Example, with_header_of, without_facts
from training.learn import Mail, Run
from training.network import Network
from training.recombination import Recombination
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
    """The loss of the wide parts falls, and network and wide part judge nearly all held letters right.

    This holds with a short and a long moving average.
    """
    lines = []
    network = _train(task, recipe=replace(task[3], average=average), say=lines.append)
    held = task[2]

    for part in ("wide part 1", "wide part 2"):
        losses = [float(re.search(r"loss ([\d.]+)", line)[1]) for line in lines if line.startswith(part)]
        assert len(losses) == 3
        assert losses[1] < losses[0]
    for judge in network.judges().values():
        found = judging.logits(judge, held, windows=1) > 0
        assert np.mean(found == [example.spam for example in held]) > 0.9


def test_the_wide_part_is_the_mean_of_several(task):
    """The logit of the mean weights is the mean of the logits, so the teacher is the ensemble of all its seeds."""
    training, probability, held, recipe = task
    mail, run = Mail(training, probability), Run(say=lambda _: None)
    mean = learn.train_wide(recipe, mail, run)
    each = [
        judging.logits(learn.train_one_wide(recipe, mail, run, name=f"wide part {seed}", seed=seed), held, windows=1)
        for seed in (1, 2)
    ]

    assert judging.logits(mean, held, windows=1) == pytest.approx(np.mean(each, axis=0), abs=1e-4)


def test_a_reader_has_not_seen_its_half(task):
    """The halves of the mail share no group, and the reader of a half has no weights for words of that half alone."""
    recipe = replace(task[3], epochs=1, per_epoch=200)
    training = [Example(np.array([FACTS_END]), (np.array([FACTS_END + 20 + n]),), float(n % 2)) for n in range(60)]
    groups = np.arange(60) // 3
    mail = Mail(training, np.full(60, 1 / 60), groups=groups)
    first, second = (np.flatnonzero(half.probability) for half in mail.halves())
    reader = learn.train_readers(recipe, mail, Run(say=lambda _: None))[0]
    weights = reader.table.weight.detach()[FACTS_END + 20 : FACTS_END + 80, 0]

    assert not set(groups[first]) & set(groups[second])
    assert sorted((*first, *second)) == list(range(60))
    assert not weights[first].any()
    assert weights[second].any()


def test_without_training_the_deep_part_corrects_nothing(task):
    """A network whose deep part is new gives the logits of its wide part."""
    _, _, held, recipe = task
    network = Network(recipe.network)
    torch.nn.init.normal_(network.wide.table.weight)

    assert np.array_equal(judging.logits(network, held, windows=2), judging.logits(network.wide, held, windows=2))


def test_the_deep_part_corrects_padded_messages(task):
    """With the corrections, messages with innocent text behind get a logit nearer to that without this text."""
    rng = np.random.default_rng(4)
    low = FACTS_END + 20
    training = []
    for number in range(400):
        words = rng.integers(low, low + 40, 30) + 40 * (number % 2)  # the two classes share no word
        training.append(Example(np.array([FACTS_END]), (words.astype(np.uint16),), float(number % 2)))
    recipe = replace(task[3], epochs=4, per_epoch=2000, recombination=Recombination(padded=0.5, bare=0.0))
    mail = Mail(training, np.full(400, 1 / 400), groups=np.arange(400) // 2)  # each half has both classes
    network = learn.train(recipe, mail, Run(say=lambda _: None))
    spam = [one for one in training if one.spam]
    padded = [replace(one, windows=(np.concatenate((one.windows[0], training[0].windows[0])),)) for one in spam]
    plain = judging.logits(network.wide, spam, windows=1)

    def distance(judge):
        return np.abs(judging.logits(judge, padded, windows=1) - plain).mean()

    assert distance(network) < 0.5 * distance(network.wide)


def test_a_message_without_facts_keeps_its_text():
    """Without facts, a message has the words of its header sections and of its windows, in their order."""
    bare = without_facts(Example(np.array([1, FACTS_END - 1, FACTS_END, 900]), (np.array([2, 901, 902]),), spam=1.0))

    assert bare.header.tolist() == [FACTS_END, 900]
    assert [window.tolist() for window in bare.windows] == [[901, 902]]
    assert bare.spam == 1.0


def test_a_lent_header_is_whole():
    """With the header of another message, a message keeps its body and label."""
    own = Example(np.array([1, FACTS_END, 900]), (np.array([901]),), spam=1.0)
    made = with_header_of(own, Example(np.array([2, FACTS_END, 700]), (np.array([701]),), spam=0.0))

    assert made.header.tolist() == [2, FACTS_END, 700]
    assert [window.tolist() for window in made.windows] == [[901]]
    assert made.spam == 1.0


def test_only_spam_gets_the_header_of_ham(task):
    """With `lent` 1, all spam of an epoch has the facts in the header of ham, and ham keeps its own."""
    ham, spam = np.array([1, FACTS_END, 900]), np.array([2, FACTS_END, 901])
    mail = Mail([Example(ham, (ham[2:],), 0.0), Example(spam, (spam[2:],), 1.0)], np.array([0.5, 0.5]))
    recipe = replace(task[3], per_epoch=200)

    def facts(lent):
        found = {0.0: set(), 1.0: set()}
        for batch, _ in learn._messages(recipe, mail, np.random.default_rng(1), lent=lent):
            for row, message in zip(batch.ids, batch.message, strict=True):
                found[float(batch.labels[message])] |= {int(each) for each in row if 0 < each < FACTS_END}
        return found

    assert facts(0.0) == {0.0: {1}, 1.0: {2}}
    assert facts(1.0) == {0.0: {1}, 1.0: {1}}


def test_progress_counts_each_sampled_message(task):
    """The callback gets every message of two wide parts and two readers, and twice as many rows of the deep part."""
    done = []
    recipe = replace(task[3], epochs=2, per_epoch=100, deep_rows=2.0)
    _train(task, recipe=recipe, tick=done.append)

    assert sum(done) == 1200


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
