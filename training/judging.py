"""The logits that a network in PyTorch gives: of rows, of the messages of a batch, and of messages as in the filter."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spamlstm.model.close_reading import HIGHEST_SHARE, divide, message_logits

from .batches import Batch, Example, Ids, collate, split_by_tokens
from .network import Judge


def row_logits(network: nn.Module, batch: Batch, device: str = "cpu") -> Tensor:
    """Return (R,) the logit of each row."""
    found: Tensor = network(torch.from_numpy(batch.ids).to(device), torch.from_numpy(batch.lengths).to(device))
    return found


def batch_logits(network: nn.Module, batch: Batch, device: str) -> Tensor:
    """Return (B,) the logit of each message from those of its windows, without pieces, as `message_logit` does."""
    of_rows = row_logits(network, batch, device)
    message = torch.from_numpy(batch.message).to(device)
    empty = torch.zeros(len(batch.labels), device=device)
    highest = empty.scatter_reduce(0, message, of_rows, "amax", include_self=False)
    first = of_rows[np.flatnonzero(np.diff(batch.message, prepend=-1))]
    return HIGHEST_SHARE * highest + (1 - HIGHEST_SHARE) * first


def logits(network: Judge, examples: Sequence[Example], *, windows: int, piece: int = 0) -> NDArray[np.float64]:
    """Return (N,) the logit of each message, as the classifier would compute it from at most `windows` windows.

    A doubtful message is read in pieces of at most `piece` tokens, unless that is 0.
    """
    network.eval()
    header_and_body = [[(example.header, window) for window in example.windows[:windows]] for example in examples]

    def logits_of(rows: list[tuple[Ids, Ids]]) -> list[float]:
        return _all_row_logits(network, [np.concatenate(row) for row in rows])

    def pieces(row: tuple[Ids, Ids]) -> list[tuple[Ids, Ids]]:
        header, body = row
        return [(header, part) for part in divide(body, piece)]

    return np.array(message_logits(header_and_body, logits=logits_of, pieces=pieces))


def _all_row_logits(network: Judge, rows: list[Ids]) -> list[float]:
    """Return the logit of each row. Rows of similar length are in one batch."""
    if not rows:
        return []
    found = np.zeros(len(rows))
    order = np.argsort([len(row) for row in rows], kind="stable")
    with torch.no_grad():
        for part in split_by_tokens([[rows[index]] for index in order], 32_000):
            chosen = order[part]
            batch = collate([[rows[index]] for index in chosen], [False] * len(chosen))
            found[chosen] = row_logits(network, batch).numpy()
    values: list[float] = found.tolist()
    return values
