"""Fine-tune the network of a bundle on a user's labels; `spamlstm retrain` starts this as a process.

The labels are the targets of labelled mail. The scores of the running filter are soft targets of unlabelled mail, so
that the network takes over what the personal layer knows. The parent's own scores are soft targets of generated mail,
so that the network does not forget kinds of mail that this user's mail lacks (learning without forgetting, Li and Hoiem
2016). For the same purpose, the result is halfway between the parent and the trained network (WiSE-FT, Wortsman et al.
2022). Figures: docs/decisions/0013-retraining.md and 0044-rehearsal.md.
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
from spamlstm.model.bundle import MANIFEST, Bundle
from spamlstm.model.encoder import Vocabulary, bundle_tokenizer
from spamlstm.verdict import logistic

from . import bundle, dataset, judging, learn, run_folder, weights
from .batches import Example
from .dataset import Dataset, Limits
from .generated import Modern, is_generated
from .learn import Recipe
from .progress import silent
from .sampling import evenly, group_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .network import Network

LABELLED = "label"
"""The source of labelled mail in the index of the mail folder; every other message has a target."""
TARGETS = "targets.json"
"""Beside that index: for each id of unlabelled mail, the score in log-odds that is its target."""

SHARES = {LABELLED: 0.4, "unlabelled": 0.6}
"""The shares of labelled and unlabelled mail among the user's mail."""
REHEARSED = 0.3
"""The share of generated mail in training."""
GENERATED = 1_000
"""The number of generated messages of each of two kinds: synthetic mail, and dressed texts of this project."""
# The user's messages sampled in all: DRAWS for each label, but at least FEWEST and at most MOST, in ROUNDS epochs.
DRAWS, FEWEST, MOST = 10, 2_000, 40_000
ROUNDS = 4
STEP = 0.5
"""How far the weights of the result are on the way from the weights of the parent to the trained ones."""
# The weights are already learned, so a gradient of a few messages changes them by less than the whole rate.
WIDE_DAMPING = 1e-6
PARITY_MESSAGES = 500


@dataclass(frozen=True, slots=True)
class Task:
    """The arguments of `finetune`. `origin` goes into the manifest, beside the name of the parent."""

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
    """Train the parent's network further on a folder of mail. The complete bundle appears at `out` by one rename.

    DataError if the parent cannot be trained further, if the labels lack ham or spam, or if ONNX and PyTorch disagree.
    """
    run_folder.check_replaceable(task.out, holds=MANIFEST)
    parent = bundles.load_bundle(task.parent)
    network = weights.load(parent)
    vocabulary = Vocabulary(bundle_tokenizer(parent))
    task.say(f"reading the mail, and {2 * GENERATED:,} generated messages")
    data = dataset.load(
        [task.mail],
        limits=_limits(parent),
        first=None,
        synthetic=GENERATED,
        modern=Modern(None, GENERATED),
        seed=task.seed,
        tick=silent,
    )
    examples = _with_targets(data, data.encode(vocabulary, _limits(parent)), parent, network, task)
    draws = min(max(DRAWS * int(np.count_nonzero(data.source == LABELLED)), FEWEST), MOST)
    recipe = _recipe(task, network, per_epoch=round(draws / (1 - REHEARSED)) // ROUNDS)
    mail = learn.Mail(examples, sampling_probabilities(data))
    trained = learn.train_further(recipe, network, mail, learn.Run(say=task.say, tick=task.tick))
    made = learn.between(network, trained, STEP)
    folder = run_folder.open_run_folder(task.out, holds=MANIFEST, identity=f"{task}")
    into = run_folder.empty_folder(folder, "bundle")
    vocabulary.save(into / bundles.TOKENIZER)
    _write(parent, made, examples, recipe, task=task, into=into)
    run_folder.publish(into, task.out, folder=folder)
    return task.out


def sampling_probabilities(data: Dataset) -> NDArray[np.float64]:
    """Return the probability with which each message is sampled: by SHARES and REHEARSED, both labelled classes equal.

    Near-duplicates weigh little more than one message. DataError if the labels lack ham or spam.
    """
    probability = np.zeros(len(data))
    labelled = data.source == LABELLED
    if len(set(data.spam[labelled])) < 2:
        raise DataError("the labels need both ham and spam")
    parts = [(labelled & (data.spam == label), SHARES[LABELLED] / 2) for label in (False, True)]
    parts += [(data.source == name, share) for name, share in SHARES.items() if name != LABELLED]
    for part, share in parts:
        if part.any():
            weight, _ = group_weights(data.group[part])
            probability[part] = share * weight / weight.sum()
    probability /= probability.sum()
    generated = is_generated(data.source)
    if generated.any():
        probability *= 1 - REHEARSED
        probability[generated] = REHEARSED / np.count_nonzero(generated)
    return probability


def _with_targets(
    data: Dataset, examples: list[Example], parent: Bundle, network: Network, task: Task
) -> list[Example]:
    """Give the examples without a label their soft targets: generated mail the scores of the parent itself."""
    scores: dict[str, float] = json.loads((task.mail / TARGETS).read_text())
    generated = is_generated(data.source)
    for index in np.flatnonzero(~generated & (data.source != LABELLED)).tolist():
        logit = (scores[data.rows[index].id] - parent.calibration.shift) / parent.calibration.scale
        examples[index] = replace(examples[index], spam=logistic(logit))
    rehearsed = np.flatnonzero(generated).tolist()
    kept = judging.logits(network, [examples[index] for index in rehearsed], windows=parent.input.max_windows)
    for index, logit in zip(rehearsed, kept.tolist(), strict=True):
        examples[index] = replace(examples[index], spam=logistic(logit))
    return examples


def _recipe(task: Task, network: Network, *, per_epoch: int) -> Recipe:
    return Recipe(
        network.config,
        epochs=ROUNDS,
        per_epoch=per_epoch,
        rate=task.rate,
        decay=0.0,
        wide_rate=task.wide_rate,
        wide_damping=WIDE_DAMPING,
        average=0.99,
        synthetic=REHEARSED,
        seed=task.seed,
    )


def _limits(parent: Bundle) -> Limits:
    limits = parent.input
    return Limits(
        header=limits.header_tokens,
        window=limits.window_tokens,
        window_bytes=limits.window_bytes,
        windows=limits.max_windows,
        style=limits.style,
        piece=limits.piece_tokens,
    )


def _write(
    parent: Bundle, network: Network, examples: list[Example], recipe: Recipe, *, task: Task, into: Path
) -> None:

    exported = bundle.write_network(
        network,
        [examples[index] for index in evenly(np.arange(len(examples)), PARITY_MESSAGES)],
        calibration=parent.calibration,
        thresholds=parent.thresholds,
        slim=False,
        into=into,
    )
    inherited = {key: value for key, value in parent.manifest.items() if key != "files"}
    own = {"name": task.name, "version": task.version, "recipe": learn.describe(recipe)}
    origin = {"retrained": {"parent": parent.label, **task.origin}}
    bundle.seal(into, {**inherited, **own, **origin, **exported, **bundle.provenance("cpu")})
