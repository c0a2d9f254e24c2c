"""The network: two readers of the same ids that are trained apart and vote together.

The deep one is the bidirectional LSTM, which reads words in their order: embedding → recurrent layer both ways →
attention and max pooling → Dense(16, ReLU) → logit. The wide one knows single tokens and pairs of neighbours, each
with one weight. Wide holds better on mail of other years and places, deep adds what only order tells; together they
err less than either (docs/decisions/0008-wide-and-deep.md; the words are those of Cheng et al. 2016).

The simpler relatives that `compare-cells` shows beside it are the same classes with another `cell`.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Cell = Literal["lstm", "gru", "rnn", "mean", "none"]

# A pair of tokens a, b has the weight number 1 + (a · PAIR[0] + b · PAIR[1]) mod (buckets - 1): primes, so that
# neither token alone decides.
PAIR = (1_000_003, 7_919)


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The shape of a network; saved with its weights.

    `cell` 'mean' has no recurrence: a perceptron over embeddings; 'none' is the wide part alone. `buckets` is how many
    weights the wide part has; 0 is the deep part alone.
    """

    vocabulary: int
    embedding: int = 32
    stride: int = 4  # so many neighbouring tokens make one step of the recurrent layer
    hidden: int = 32
    dense: int = 16
    cell: Cell = "lstm"
    one_way: bool = False
    dropout: float = 0.2
    buckets: int = 2**18
    deep_vote: float = 0.2  # what the deep part's logit counts beside the wide part's

    @property
    def step(self) -> int:
        """The width of what the recurrent layer reads at one step."""
        return self.stride * self.embedding

    @property
    def features(self) -> int:
        """The width of one step's output."""
        if self.cell == "mean":
            return self.step
        return self.hidden if self.one_way else 2 * self.hidden

    def as_dict(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        return asdict(self)


class Network(nn.Module):
    """Token ids to the logit of spam."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.deep = Deep(config) if config.cell != "none" else None
        self.wide = Wide(config) if config.buckets else None

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(B, T) ids padded with 0, (B,) lengths ≥ 1 → (B,) logits. Padding has no influence, to the last bit."""
        if self.deep is None or self.wide is None:
            alone: Tensor = (self.wide or self.deep)(ids, lengths)  # type: ignore[misc]  # one of them is there
            return alone
        logits: Tensor = self.wide(ids, lengths) + self.config.deep_vote * self.deep(ids, lengths)
        return logits

    def parts(self) -> "dict[str, Judge]":
        """The network, and its two parts where it has them, by name: each can judge by itself."""
        if self.deep is None or self.wide is None:
            return {"network": self}
        return {"network": self, "wide": self.wide, "deep": self.deep}


class Deep(nn.Module):
    """The reader of words in their order."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.embedding, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=0.3)
        nn.init.zeros_(self.embedding.weight[0])
        recurrent = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}.get(config.cell)
        self.ahead = recurrent(config.step, config.hidden, batch_first=True) if recurrent else None
        self.back = (
            recurrent(config.step, config.hidden, batch_first=True) if recurrent and not config.one_way else None
        )
        self.attention = nn.Linear(config.features, 1, bias=False)
        self.dense = nn.Linear(2 * config.features, config.dense)
        self.out = nn.Linear(config.dense, 1)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(B, T) ids, (B,) lengths → (B,) logits."""
        stride = self.config.stride
        ids = torch.where(_places(ids) < lengths[:, None], ids, 0)
        ids = functional.pad(ids, (0, -ids.shape[1] % stride))
        embedded = self.dropout(self.embedding(ids)).reshape(len(ids), -1, self.config.step)  # (B, S, stride * E)
        steps = (lengths + stride - 1) // stride
        place = _places(embedded[..., 0])  # (1, S)
        valid = place < steps[:, None]  # (B, S)
        states = self.states(embedded, steps, place)  # (B, S, F)
        scores = self.attention(states).squeeze(-1).masked_fill(~valid, -1e9)  # (B, S)
        attended = torch.einsum("bt,btf->bf", scores.softmax(-1), states)  # (B, F)
        highest = states.masked_fill(~valid[..., None], -1e9).amax(1)  # (B, F)
        pooled = self.dropout(torch.cat((attended, highest), -1))  # (B, 2F)
        logits: Tensor = self.out(torch.relu(self.dense(pooled))).squeeze(-1)  # (B,)
        return logits

    def states(self, embedded: Tensor, steps: Tensor, place: Tensor) -> Tensor:
        """(B, S, stride * E) → (B, S, F): each step with what stands before it, and behind it.

        The way back runs over each row turned round within its own length: a packed sequence would do the same, but
        takes several times as long on a CPU.
        """
        if self.ahead is None:
            return embedded
        ahead = self.ahead(embedded)[0]  # (B, S, H)
        if self.back is None:
            return ahead
        turned = torch.where(place < steps[:, None], steps[:, None] - 1 - place, place)[..., None]  # (B, S, 1)
        back = self.back(embedded.gather(1, turned.expand(-1, -1, embedded.shape[-1])))[0]
        return torch.cat((ahead, back.gather(1, turned.expand(-1, -1, back.shape[-1]))), -1)


class Wide(nn.Module):
    """The reader of tokens and pairs: each that occurs in a row counts once, with its own weight."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.buckets = config.buckets
        self.table = nn.Embedding(config.buckets, 1, padding_idx=0, sparse=True)
        nn.init.zeros_(self.table.weight)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(B, T) ids, (B,) lengths → (B,) logits: the sum of the weights by the root of their number."""
        found = self.features(ids, lengths)  # (B, 2T - 1)
        count = (found > 0).sum(1).clamp(min=1)
        logits: Tensor = self.table(found).squeeze(-1).sum(1) / count.sqrt() + self.bias
        return logits

    def features(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(B, T) ids, (B,) lengths → (B, 2T - 1) places in the table, each only once in a row, 0 elsewhere."""
        valid = _places(ids) < lengths[:, None]
        single = torch.where(valid, (ids - 1) % (self.buckets - 1) + 1, 0)
        pair = torch.where(valid[:, 1:], self._pairs(ids), 0)
        found = torch.cat((single, pair), 1).sort(1, descending=True)[0]
        again = functional.pad(found[:, 1:] == found[:, :-1], (1, 0))
        return found.masked_fill(again, 0)

    def _pairs(self, ids: Tensor) -> Tensor:
        return (ids[:, :-1] * PAIR[0] + ids[:, 1:] * PAIR[1]) % (self.buckets - 1) + 1


Judge = Network | Wide | Deep
"""What takes ids and lengths and gives logits."""


def _places(rows: Tensor) -> Tensor:
    """(1, T) 0, 1, 2 … for (B, T)."""
    return torch.arange(rows.shape[1], device=rows.device)[None, :]
