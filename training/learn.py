"""Train a network in stages: several wide parts on the labels, then the deep part, which corrects their mean.

The mean of linear models is again a linear model: it has the mean weights and costs nothing more.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from .batches import Batch, Example, batches, with_header_of, without_facts
from .judging import batch_logits, row_logits
from .network import Deep, Network, NetworkConfig, Wide
from .progress import silent
from .recombination import Lessons, Recombination, lessons
from .stage import Stage, train_stage

Floats = NDArray[np.float64]
_Optimizer = tuple[torch.optim.Optimizer, float]


@dataclass(frozen=True, slots=True)
class Recipe:
    """All hyperparameters of a training. A checkpoint of another recipe is ignored."""

    network: NetworkConfig
    epochs: int = 6
    per_epoch: int = 50_000  # messages of an epoch, for each linear model
    deep_rows: float = 2.0  # rows of an epoch of the deep part for each of these messages
    wide_parts: int = 4  # of different seeds; the network has their mean
    batch_tokens: int = 16_000  # of a batch of messages
    batch_rows: int = 96  # of a batch of recombined rows
    rate: float = 3e-3  # learning rate of AdamW, for the deep part
    decay: float = 0.01
    wide_rate: float = 0.2  # learning rate of Adagrad, for the table of the wide part
    wide_damping: float = 0.0  # first sum of squared gradients; with 0, the first step of a weight is the whole rate
    average: float = 0.995  # decay of the moving average of the weights, which is returned
    synthetic: float = 0.3  # share of generated mail in each class
    dressed: float = 0.3  # share of modern mail (see synthetic.modern) in each class, if there is any
    disguised: float = 0.06  # share of disguised copies in each class, if there are any
    weights: tuple[tuple[str, float], ...] = ()  # of the real mail of sources; 1 for all others
    bare: float = 0.3  # share of messages of which the wide parts see only the text
    lent: float = 0.2  # share of the spam that the wide parts see with the header of a ham message
    smoothing: float = 0.03  # the targets of the wide parts are this far from 0 and 1
    seed: int = 1
    recombination: Recombination = field(default_factory=Recombination)

    @property
    def deep_epoch(self) -> int:
        """The number of rows of an epoch of the deep part."""
        return round(self.deep_rows * self.per_epoch)


@dataclass(frozen=True, slots=True)
class Mail:
    """The examples to train on, and the probability with which each is sampled.

    `groups` numbers the groups of near-duplicates; without it, each example is a group.
    """

    examples: Sequence[Example]
    probability: Floats
    groups: NDArray[np.int64] | None = None

    def halves(self) -> "list[Mail]":
        """Return the mail with probabilities for each half of the groups; the other half has the probability 0.

        With one group, both have all mail.
        """
        groups = np.arange(len(self.examples)) if self.groups is None else self.groups
        _, number = np.unique(groups, return_inverse=True)
        halves = [np.where(number % 2 == half, self.probability, 0.0) for half in range(2)]
        return [replace(self, probability=half / half.sum() if half.any() else self.probability) for half in halves]


@dataclass(frozen=True, slots=True)
class Run:
    """The device, the checkpoints and the reports of one training.

    The checkpoints of the stages are files whose names begin with the stem of `checkpoint`. Without `checkpoint`, none
    are written. `say` is called with a line for each epoch, after its checkpoint is written. `tick` is called with the
    number of further messages done.
    """

    checkpoint: Path | None = None
    device: str = "cpu"
    say: Callable[[str], None] = print
    tick: Callable[[int], None] = silent

    def train(self, stage: Stage) -> None:
        """Train one stage, or continue its training."""
        name = stage.name.replace(" ", "-")
        path = None if self.checkpoint is None else self.checkpoint.with_suffix(f".{name}.pt")
        train_stage(stage, checkpoint=path, say=self.say, tick=self.tick)


def train(recipe: Recipe, mail: Mail, run: Run) -> Network:
    """Return a trained network. DataError if the loss becomes infinite or NaN."""
    if not recipe.network.buckets:
        raise ValueError("a network is trained with a wide part, which its deep part corrects")
    wide = train_wide(recipe, mail, run)
    readers = train_readers(recipe, mail, run)
    network = Network(recipe.network)
    network.wide, network.deep = wide, train_deep(recipe, wide, readers, mail, run)
    return network.cpu().eval()


def train_wide(recipe: Recipe, mail: Mail, run: Run) -> Wide:
    """Return the mean of several wide parts of different seeds, each trained on the labels."""
    parts = [
        train_one_wide(recipe, mail, run, name=f"wide part {place}", seed=place)
        for place in range(1, recipe.wide_parts + 1)
    ]
    mean = copy.deepcopy(parts[0])
    with torch.no_grad():
        for values in zip(mean.parameters(), *(part.parameters() for part in parts), strict=True):
            values[0].copy_(torch.stack(values[1:]).mean(0))
    return mean


def train_readers(recipe: Recipe, mail: Mail, run: Run) -> list[Wide]:
    """Return, for each half of the mail, a wide part that was trained on the other half.

    A wide part is surer of mail that it was trained on than of other mail. The deep part must learn to correct it on
    other mail.
    """
    first, second = mail.halves()
    return [
        train_one_wide(recipe, half, run, name=f"reader {place}", seed=place)
        for place, half in enumerate((second, first), 1)
    ]


def train_one_wide(recipe: Recipe, mail: Mail, run: Run, *, name: str, seed: int) -> Wide:
    """Return one wide part, trained on the labels."""
    part = Wide(recipe.network).to(run.device)

    def loss(batch: Batch) -> Tensor:
        return _cross_entropy(part, batch, run.device, smoothing=recipe.smoothing)

    _train_stage(
        recipe,
        run,
        name=name,
        module=part,
        optimizers=_wide_optimizers(part, recipe),
        batches=lambda rng: _messages(recipe, mail, rng, bare=recipe.bare, lent=recipe.lent),
        loss=loss,
        seed=1000 * recipe.seed + seed,
    )
    return part


def train_deep(
    recipe: Recipe, wide: Wide, readers: Sequence[Wide], mail: Mail, run: Run, *, name: str = "deep part"
) -> Deep:
    """Return a deep part that corrects the logits of `wide` on padded rows. It sees no labels.

    It learns to correct the reader of each half of the mail (see `train_readers`). The target is the logit of the
    reader on the original row.
    """
    torch.manual_seed(recipe.seed)
    deep = Deep(recipe.network).to(run.device)

    def loss(lesson: tuple[Lessons, Wide]) -> Tensor:
        batch, reader = lesson
        deep.set_evidence(reader)
        with torch.no_grad():
            missing = row_logits(reader, batch.originals, run.device) - row_logits(reader, batch.rows, run.device)
        return functional.smooth_l1_loss(row_logits(deep, batch.rows, run.device), missing)

    _train_stage(
        recipe,
        run,
        name=name,
        module=deep,
        optimizers=(_deep_optimizer(deep, recipe),),
        batches=lambda rng: _lessons(recipe, mail, readers, rng),
        loss=loss,
        seed=recipe.seed,
        per_epoch=recipe.deep_epoch,
    )
    deep.set_evidence(wide)
    return deep


def train_further(recipe: Recipe, network: Network, mail: Mail, run: Run) -> Network:
    """Return `network`, trained further on the labels or soft targets of whole messages.

    The wide part also has a loss of its own, so that it does not rely on corrections.
    """
    network = copy.deepcopy(network).to(run.device)
    judges = network.judges().values()

    def loss(batch: Batch) -> Tensor:
        return torch.stack([_cross_entropy(judge, batch, run.device) for judge in judges]).sum()

    _train_stage(
        recipe,
        run,
        name="training further",
        module=network,
        optimizers=(
            _deep_optimizer(network.deep, recipe),
            *(() if network.wide is None else _wide_optimizers(network.wide, recipe)),
        ),
        batches=lambda rng: _messages(recipe, mail, rng),
        loss=loss,
        seed=recipe.seed,
    )
    if network.wide is not None:
        network.deep.set_evidence(network.wide)
    return network.cpu().eval()


def between(start: Network, trained: Network, share: float) -> Network:
    """Return a network whose weights are the given share of the way from those of `start` to those of `trained`."""
    found = copy.deepcopy(start)
    with torch.no_grad():
        for value, goal in zip(found.parameters(), trained.parameters(), strict=True):
            value.lerp_(goal, share)
    if found.wide is not None:
        found.deep.set_evidence(found.wide)
    return found


def _train_stage(
    recipe: Recipe,
    run: Run,
    *,
    name: str,
    module: nn.Module,
    optimizers: tuple[_Optimizer, ...],
    batches: Callable[[np.random.Generator], Iterator[tuple[Any, int]]],
    loss: Callable[[Any], Tensor],
    seed: int,
    per_epoch: int | None = None,
) -> None:
    """Train `module` in place by `recipe`, with `per_epoch` messages or rows instead of `recipe.per_epoch`."""
    stage = Stage(
        name=name,
        module=module,
        optimizers=optimizers,
        batches=batches,
        loss=loss,
        epochs=recipe.epochs,
        per_epoch=recipe.per_epoch if per_epoch is None else per_epoch,
        average=recipe.average,
        seed=seed,
        identity=repr(recipe),
    )
    run.train(stage)


def _deep_optimizer(part: Deep, recipe: Recipe) -> _Optimizer:
    return torch.optim.AdamW(part.parameters(), lr=recipe.rate, weight_decay=recipe.decay), recipe.rate


def _wide_optimizers(part: Wide, recipe: Recipe) -> tuple[_Optimizer, ...]:
    torch.sparse.check_sparse_tensor_invariants.disable()  # explicitly, or the gradients of Adagrad cause a warning
    # Adagrad adapts the step of each weight: a rare pair learns as much from its few messages as a common one.
    rate, damping = recipe.wide_rate, recipe.wide_damping
    table = torch.optim.Adagrad(part.table.parameters(), lr=rate, initial_accumulator_value=damping)
    bias = torch.optim.AdamW([part.bias], lr=recipe.rate, weight_decay=recipe.decay)
    return (table, rate), (bias, recipe.rate)


def _messages(
    recipe: Recipe, mail: Mail, rng: np.random.Generator, *, bare: float = 0.0, lent: float = 0.0
) -> Iterator[tuple[Batch, int]]:
    """Yield batches of messages for one epoch.

    A share `bare` of the messages has no facts. A share `lent` of the spam has the header of a ham message of the
    epoch: a spammer can set up a new domain so that all relations are right, and write any other header.
    """
    order = rng.choice(len(mail.examples), recipe.per_epoch, p=mail.probability)
    chosen = [mail.examples[index] for index in order.tolist()]
    ham = [example for example in chosen if example.spam < 0.5]
    if ham and lent:
        chosen = [
            with_header_of(example, ham[rng.integers(len(ham))])
            if example.spam > 0.5 and rng.random() < lent
            else example
            for example in chosen
        ]
    if bare:
        chosen = [without_facts(example) if rng.random() < bare else example for example in chosen]
    for batch in batches(chosen, tokens=recipe.batch_tokens, rng=rng):
        yield batch, len(batch.labels)


def _lessons(
    recipe: Recipe, mail: Mail, readers: Sequence[Wide], rng: np.random.Generator
) -> Iterator[tuple[tuple[Lessons, Wide], int]]:
    """Yield the lessons of one epoch, from both halves of the mail in turn, each with the reader of its half."""
    count = recipe.deep_epoch
    counts = (count // 2, count - count // 2)
    made = [
        lessons(
            half.examples,
            half.probability,
            count=count,
            size=recipe.batch_rows,
            rng=rng,
            how=recipe.recombination,
        )
        for half, count in zip(mail.halves(), counts, strict=True)
    ]
    for batches_of_both in zip_longest(*made):
        for batch, reader in zip(batches_of_both, readers, strict=True):
            if batch is not None:
                yield (batch, reader), len(batch.rows.lengths)


def _cross_entropy(part: nn.Module, batch: Batch, device: str, *, smoothing: float = 0.0) -> Tensor:
    labels = torch.from_numpy(batch.labels).to(device) * (1 - 2 * smoothing) + smoothing
    return functional.binary_cross_entropy_with_logits(batch_logits(part, batch, device), labels)


def describe(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as plain values, for the manifest."""
    return asdict(recipe)
