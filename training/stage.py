"""One stage of a training: epochs with a falling learning rate, and checkpoints from which it continues."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spamlstm.errors import DataError
from spamlstm.files import replacement

from .progress import silent


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a training: a module, its data and its optimizers.

    `optimizers` are pairs of an optimizer and its highest learning rate. `batches` yields the batches of one epoch,
    each with its number of messages. The result is the moving average of the weights with the decay `average`. A
    checkpoint of another `identity` is ignored.
    """

    name: str
    module: nn.Module
    optimizers: tuple[tuple[torch.optim.Optimizer, float], ...]
    batches: Callable[[np.random.Generator], Iterator[tuple[Any, int]]]
    loss: Callable[[Any], Tensor]
    epochs: int
    per_epoch: int
    average: float
    seed: int
    identity: str


@dataclass(slots=True)
class _State:
    average: nn.Module
    epoch: int = 0
    steps: int = 0


def train_stage(
    stage: Stage,
    *,
    checkpoint: Path | None,
    say: Callable[[str], None],
    tick: Callable[[int], None] = silent,
) -> None:
    """Train `stage.module` in place. At the end its weights are the moving average.

    `say` gets a line per epoch, after its checkpoint is written; `tick` gets the number of further messages done.
    Raises DataError if the loss becomes infinite or NaN.
    """
    state = _State(copy.deepcopy(stage.module))
    if checkpoint is not None and checkpoint.exists():
        _resume(stage, state, checkpoint)
        if 0 < state.epoch < stage.epochs:
            say(f"{stage.name}: continuing after epoch {state.epoch}/{stage.epochs}")
    while state.epoch < stage.epochs:
        loss = _epoch(stage, state, tick)
        if not math.isfinite(loss):
            raise DataError("the loss is not a finite number; train with a lower learning rate")
        if checkpoint is not None:
            _save(stage, state, checkpoint)
        say(f"{stage.name}: epoch {state.epoch}/{stage.epochs}, loss {loss:.4f}")
    stage.module.load_state_dict(state.average.state_dict())
    stage.module.eval()


def _epoch(stage: Stage, state: _State, tick: Callable[[int], None]) -> float:
    """Train one epoch and return the mean loss."""
    # Seeded by epoch, so that a continued training gives the same result as an uninterrupted one.
    rng = np.random.default_rng((stage.seed, state.epoch))
    torch.manual_seed(stage.seed * 1000 + state.epoch)
    total, done = 0.0, 0
    stage.module.train()
    for batch, messages in stage.batches(rng):
        progress = (state.epoch + done / stage.per_epoch) / stage.epochs
        total += _step(stage, state, batch, progress) * messages
        done += messages
        tick(messages)
    state.epoch += 1
    return total / done


def _step(stage: Stage, state: _State, batch: Any, progress: float) -> float:
    """Train on one batch and return its loss.

    The learning rate rises during the first 2 % and then falls linearly to a hundredth.
    """
    for optimizer, rate in stage.optimizers:
        for parameters in optimizer.param_groups:
            parameters["lr"] = rate * min(1.0, (progress + 1e-3) / 0.02, max(1 - progress, 0.01))
        optimizer.zero_grad()
    loss = stage.loss(batch)
    loss.backward()
    nn.utils.clip_grad_norm_([value for name, value in stage.module.named_parameters() if "table" not in name], 1.0)
    for optimizer, _ in stage.optimizers:
        optimizer.step()
    # At first the average covers only the last tenth of the steps; otherwise the random initial weights would make up
    # nearly half of it after 400 steps.
    share = max(1 - stage.average, 9 / (10 + state.steps))
    state.steps += 1
    with torch.no_grad():
        for mean, value in zip(state.average.parameters(), stage.module.parameters(), strict=True):
            mean.lerp_(value, share)
    return loss.item()


def _save(stage: Stage, state: _State, path: Path) -> None:
    saved = {
        "identity": stage.identity,
        "module": stage.module.state_dict(),
        "average": state.average.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer, _ in stage.optimizers],
        "epoch": state.epoch,
        "steps": state.steps,
    }
    with replacement(path) as out:
        torch.save(saved, out)


def _resume(stage: Stage, state: _State, path: Path) -> None:
    saved: dict[str, Any] = torch.load(path, weights_only=True)
    if saved["identity"] != stage.identity:
        return
    stage.module.load_state_dict(saved["module"])
    state.average.load_state_dict(saved["average"])
    for (optimizer, _), values in zip(stage.optimizers, saved["optimizers"], strict=True):
        optimizer.load_state_dict(values)
    state.epoch, state.steps = saved["epoch"], saved["steps"]
