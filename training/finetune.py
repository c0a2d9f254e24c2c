"""A network taught a user's own labels, from where it stands: what `spamlstm retrain` starts as a process.

Labels say what is right. What the running filter says of the user's unlabelled mail are soft targets beside them, so
that what was known is not forgotten (learning without forgetting, Li and Hoiem 2016) and what the personal layer knows
is taken over (docs/decisions/0013-retraining.md has the figures).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spamlstm.errors import DataError
from spamlstm.model import bundle as bundles
from spamlstm.model import tokenizer
from spamlstm.model.bundle import MANIFEST, Bundle, Calibration
from spamlstm.model.vocabulary import Vocabulary

from . import bundle, dataset, learn, weights, workplace
from .batches import NOTHING, Example
from .dataset import Dataset, Limits
from .learn import Recipe
from .progress import silent
from .sampling import COPIES_POWER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .network import Network

LABELLED = "label"
"""The source, in the index of the mail, of what the user labelled; of all else there is a target."""
TARGETS = "targets.json"
"""Beside that index: by id, the score in log-odds that is to be learned."""

# What counts how much in training.
SHARES = {LABELLED: 0.4, "unlabelled": 0.6}
# Messages drawn for each label, within bounds: four looks at each.
DRAWS, FEWEST, MOST = 10, 2_000, 40_000
ROUNDS = 4
PARITY_MESSAGES = 500


@dataclass(frozen=True, slots=True)
class Task:
    """What one call of `finetune` is asked to make. `origin` is what the manifest is to say of the labels."""

    parent: Path
    mail: Path
    out: Path
    version: str
    origin: dict[str, Any]
    name: str = "retrained"
    rate: float = 5e-4
    wide_rate: float = 0.3
    seed: int = 1
    say: Callable[[str], None] = print
    tick: Callable[[int], None] = silent


def finetune(task: Task) -> Path:
    """Train the parent's network further on a folder of mail; the bundle appears at `out` by one rename.

    DataError if the parent cannot be trained on, if there are not both ham and spam among the labels, or if ONNX and
    PyTorch do not agree.
    """
    workplace.refuse(task.out, holds=MANIFEST)
    parent = bundles.load_bundle(task.parent)
    network = weights.load(parent)
    vocabulary = Vocabulary(tokenizer.of(parent))
    data = dataset.load([task.mail], limits=_limits(parent), first=None, synthetic=0, seed=task.seed, tick=silent)
    examples = _targeted(data, data.encode(vocabulary, _limits(parent)), parent.calibration, task)
    draws = min(max(DRAWS * int(np.count_nonzero(data.source == LABELLED)), FEWEST), MOST)
    recipe = _recipe(task, network, per_epoch=draws // ROUNDS)
    taught = learn.train(
        recipe, examples, chances(data), [], checkpoint=None, device="cpu", say=task.say, tick=task.tick, start=network
    )
    beside = workplace.begin(task.out, holds=MANIFEST, identity=f"{task}")
    into = workplace.fresh(beside, "bundle")
    vocabulary.save(into / bundles.TOKENIZER)
    _write(parent, taught, examples, recipe, task=task, into=into)
    workplace.finish(into, task.out, beside=beside)
    return task.out


def chances(data: Dataset) -> NDArray[np.float64]:
    """How often each message is drawn: by SHARES, the labelled classes alike, copies of one message nearly once."""
    chance = np.zeros(len(data))
    labelled = data.source == LABELLED
    if len(set(data.spam[labelled])) < 2:
        raise DataError("the labels need both ham and spam")
    parts = [(labelled & (data.spam == label), SHARES[LABELLED] / 2) for label in (False, True)]
    parts += [(data.source == name, share) for name, share in SHARES.items() if name != LABELLED]
    for part, share in parts:
        if part.any():
            _, place, copies = np.unique(data.group[part], return_inverse=True, return_counts=True)
            each = copies[place] ** (COPIES_POWER - 1)
            chance[part] = share * each / each.sum()
    normal: NDArray[np.float64] = chance / chance.sum()
    return normal


def _targeted(data: Dataset, examples: list[Example], calibration: Calibration, task: Task) -> list[Example]:
    """The examples with their soft targets where there is no label."""
    scores: dict[str, float] = json.loads((task.mail / TARGETS).read_text())
    for at, row in enumerate(data.rows):
        if row.source != LABELLED:
            logit = (scores[row.id] - calibration.shift) / calibration.scale
            examples[at] = replace(examples[at], spam=Calibration.probability(logit))
    return examples


def _recipe(task: Task, network: Network, *, per_epoch: int) -> Recipe:
    return Recipe(
        network.config,
        epochs=ROUNDS,
        per_epoch=per_epoch,
        patience=0,
        rate=task.rate,
        decay=0.0,
        wide_rate=task.wide_rate,
        average=0.99,
        synthetic=0.0,
        seed=task.seed,
        hiding=NOTHING,
    )


def _limits(parent: Bundle) -> Limits:
    given = parent.input
    return Limits(given.header_tokens, given.window_tokens, given.window_bytes, given.max_windows, given.style)


def _write(
    parent: Bundle, network: Network, examples: list[Example], recipe: Recipe, *, task: Task, into: Path
) -> None:
    evenly = np.linspace(0, len(examples) - 1, min(PARITY_MESSAGES, len(examples))).astype(int)
    exported = bundle.write_network(
        network,
        [examples[at] for at in evenly],
        calibration=parent.calibration,
        thresholds=parent.thresholds,
        slim=False,
        into=into,
    )
    inherited = {key: value for key, value in parent.manifest.items() if key != "files"}
    made = {"name": task.name, "version": task.version, "recipe": learn.describe(recipe)}
    origin = {"retrained": {"parent": parent.label, **task.origin}}
    bundle.seal(into, {**inherited, **made, **origin, **exported, **bundle.made_now("cpu")})
