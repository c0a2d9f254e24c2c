"""Train one network: epochs, early stopping, and checkpoints from which an interrupted run continues."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spamlstm.errors import DataError
from spamlstm.files import replacement

from .batches import Batch, Example, Hiding, Views, batches, collate, rows, split_by_tokens
from .network import Judge, Network, NetworkConfig
from .progress import silent

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recipe:
    """All hyperparameters of a training. A checkpoint of another recipe is ignored.

    With `patience` 0, the result has the weights of the last epoch instead of those of the best.
    """

    network: NetworkConfig
    epochs: int = 6
    per_epoch: int = 50_000
    patience: int = 3  # epochs without a lower validation loss that end the training; 0: none do
    batch_tokens: int = 16_000
    rate: float = 2e-3  # learning rate of AdamW, for the deep part
    decay: float = 0.01
    wide_rate: float = 0.3  # learning rate of Adagrad, for the table of the wide part
    average: float = 0.998  # decay of the moving average of the weights, which is validated and returned
    synthetic: float = 0.3  # share of generated mail in each class
    dressed: float = 0.3  # share of dressed mail in each class, if there is any
    seed: int = 1
    hiding: Hiding = field(default_factory=Hiding)


@dataclass
class _State:
    """The state of a training, saved after each epoch."""

    network: Network
    average: Network
    optimizers: tuple[torch.optim.Optimizer, ...]
    epoch: int = 0
    steps: int = 0
    best: float = float("inf")
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    since_best: int = 0


def train(
    recipe: Recipe,
    examples: Sequence[Example],
    probability: Floats,
    validation: Sequence[Example],
    *,
    checkpoint: Path | None,
    device: str,
    say: Callable[[str], None],
    tick: Callable[[int], None] = silent,
    start: Network | None = None,
) -> Network:
    """Return a trained network; `start`, if given, is trained further. Its weights are the moving average.

    `probability` is the chance of each example to be sampled. `say` gets a line per epoch, after its checkpoint is
    written; `tick` gets the number of further messages done. DataError if the loss becomes infinite or NaN.
    """
    state = _begin(recipe, device, start)
    if checkpoint is not None and checkpoint.exists():
        _resume(state, recipe, checkpoint)
        if state.epoch:
            say(f"continuing after epoch {state.epoch}")
    while state.epoch < recipe.epochs and (not recipe.patience or state.since_best < recipe.patience):
        loss = _epoch(recipe, state, examples, probability, device=device, tick=tick)
        validated = validation_loss(state.average, validation, device) if validation and math.isfinite(loss) else loss
        state.epoch += 1
        state.since_best += 1
        if validated < state.best or (not recipe.patience and math.isfinite(validated)):
            state.best, state.since_best = validated, 0
            state.best_weights = copy.deepcopy(state.average.state_dict())
        if checkpoint is not None:
            _save(state, recipe, checkpoint)
        say(f"epoch {state.epoch}/{recipe.epochs}: loss {loss:.4f}, validation {validated:.4f}")
    if not state.best_weights:
        raise DataError("the loss is not a finite number; train with a lower learning rate")
    state.average.load_state_dict(state.best_weights)
    return state.average.cpu().eval()


def logits(network: Judge, examples: Sequence[Example], *, windows: int, device: str = "cpu") -> Floats:
    """Return (N,) the logit of each message, as the classifier would compute it from at most `windows` windows."""
    network.eval()
    found = np.zeros(len(examples))
    all_rows = [rows(example, windows) for example in examples]
    order = np.argsort([max(map(len, message)) for message in all_rows], kind="stable")
    with torch.no_grad():
        for part in split_by_tokens([all_rows[index] for index in order], 32_000):
            chosen = order[part]
            batch = collate([all_rows[index] for index in chosen], [False] * len(chosen))
            found[chosen] = _message_logits(network, batch, device).cpu().numpy()
    return found


def validation_loss(network: Network, validation: Sequence[Example], device: str) -> float:
    """Return the mean cross-entropy in nats on whole messages; both classes weigh the same."""
    found = logits(network, validation, windows=2, device=device)
    spam = np.array([example.spam > 0.5 for example in validation])
    losses = np.logaddexp(0.0, np.where(spam, -found, found))
    return float(np.mean([losses[spam == label].mean() for label in (False, True) if (spam == label).any()]))


def _begin(recipe: Recipe, device: str, start: Network | None) -> _State:
    torch.manual_seed(recipe.seed)
    network = (Network(recipe.network) if start is None else copy.deepcopy(start)).to(device)
    dense = [value for name, value in network.named_parameters() if name != "wide.table.weight"]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(dense, lr=recipe.rate, weight_decay=recipe.decay)]
    if network.wide is not None:
        torch.sparse.check_sparse_tensor_invariants.disable()  # explicitly, or the gradients of Adagrad cause a warning
        # Adagrad adapts the step of each weight: a rare pair learns as much from its few messages as a common one.
        table = network.wide.table.parameters()
        optimizers.append(torch.optim.Adagrad(table, lr=recipe.wide_rate, initial_accumulator_value=1e-6))
    return _State(network, copy.deepcopy(network), tuple(optimizers))


def _epoch(
    recipe: Recipe,
    state: _State,
    examples: Sequence[Example],
    probability: Floats,
    *,
    device: str,
    tick: Callable[[int], None],
) -> float:
    # Seeded by epoch, so that a continued training gives the same result as an uninterrupted one.
    rng = np.random.default_rng((recipe.seed, state.epoch))
    torch.manual_seed(recipe.seed * 1000 + state.epoch)
    order = rng.choice(len(examples), recipe.per_epoch, p=probability)
    total, done = 0.0, 0
    state.network.train()
    for batch in batches(examples, order, tokens=recipe.batch_tokens, rng=rng, hiding=recipe.hiding):
        _set_rate(recipe, state, done)
        loss = _step(recipe, state, batch, device)
        messages = len(batch.whole.labels)
        total += loss * messages
        done += messages
        tick(messages)
    return total / done


def _set_rate(recipe: Recipe, state: _State, done: int) -> None:
    """Set the learning rates: a warm-up over the first 2 %, then linear decay to a hundredth.

    `done` is the number of messages of this epoch so far.
    """
    progress = (state.epoch + done / recipe.per_epoch) / recipe.epochs
    factor = min(1.0, (progress + 1e-3) / 0.02, max(1 - progress, 0.01))
    for optimizer, rate in zip(state.optimizers, (recipe.rate, recipe.wide_rate), strict=False):
        for parameters in optimizer.param_groups:
            parameters["lr"] = rate * factor


def _step(recipe: Recipe, state: _State, views: Views, device: str) -> float:
    """Train each part on one batch by a loss of its own, so that neither relies on the other; return the mean loss."""
    network = state.network
    losses = [
        nn.functional.binary_cross_entropy_with_logits(
            _message_logits(part, batch, device), torch.from_numpy(batch.labels).to(device)
        )
        for part, batch in ((network.deep, views.hidden), (network.wide, views.whole))
        if part is not None
    ]
    for optimizer in state.optimizers:
        optimizer.zero_grad()
    torch.stack(losses).sum().backward()
    nn.utils.clip_grad_norm_(network.deep.parameters(), 1.0)
    for optimizer in state.optimizers:
        optimizer.step()
    # At first the average covers only the last tenth of the steps; otherwise the random initial weights would make up
    # nearly half of it after 400 steps.
    share = max(1 - recipe.average, 9 / (10 + state.steps))
    state.steps += 1
    with torch.no_grad():
        for mean, value in zip(state.average.parameters(), state.network.parameters(), strict=True):
            mean.lerp_(value, share)
    return sum(loss.item() for loss in losses) / len(losses)


def _message_logits(network: Judge, batch: Batch, device: str) -> Tensor:
    """Return (B,) the logit of each message from those of its rows, as `spamlstm.model.network.message_logit` does."""
    of_rows = network(torch.from_numpy(batch.ids).to(device), torch.from_numpy(batch.lengths).to(device))  # (R,)
    message = torch.from_numpy(batch.message).to(device)
    empty = torch.zeros(len(batch.labels), device=device)
    highest = empty.scatter_reduce(0, message, of_rows, "amax", include_self=False)
    mean = empty.scatter_reduce(0, message, of_rows, "mean", include_self=False)
    return (highest + mean) / 2


def _save(state: _State, recipe: Recipe, path: Path) -> None:
    saved = {
        "recipe": repr(recipe),
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in state.optimizers],
        "best_weights": state.best_weights,
        "numbers": {"epoch": state.epoch, "steps": state.steps, "best": state.best, "since_best": state.since_best},
    }
    with replacement(path) as out:
        torch.save(saved, out)


def _resume(state: _State, recipe: Recipe, path: Path) -> None:
    saved: dict[str, Any] = torch.load(path, weights_only=True)
    if saved["recipe"] != repr(recipe):
        return
    state.network.load_state_dict(saved["network"])
    state.average.load_state_dict(saved["average"])
    for optimizer, values in zip(state.optimizers, saved["optimizers"], strict=True):
        optimizer.load_state_dict(values)
    state.best_weights = saved["best_weights"]
    for name, value in saved["numbers"].items():
        setattr(state, name, value)


def describe(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as plain values, for the manifest."""
    return asdict(recipe)
