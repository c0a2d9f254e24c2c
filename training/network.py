"""The network: a deep and a wide part that read the same token ids. The logit is the sum of their outputs.

The wide part has one weight for each token and pair of neighbouring tokens. It adds them up for the facts and, apart,
for the text of a message, so a long text does not dilute the facts. It learns from the labels, and does not know the
order of words. The deep part is the bidirectional LSTM: embedding and evidence → projection → recurrent layer in both
directions → attention and max pooling → Dense(16, ReLU) → correction. The projection is a linear layer that makes the
input of the recurrent layer a fifth as wide, because the product of this input with its weights was half of the time of
scoring (docs/decisions/0006-export.md). The deep part learns to correct the wide part's logit where the order of
words tells more than their sum, as in spam behind innocent text. A small correction is mostly an error of the deep
part, so only what exceeds a margin is added. The evidence of a token is its weight in the wide part, and the weight of
its pair with the next token. With it, the deep part knows what the wide part knows of rare words
(docs/decisions/0023-distillation.md; the terms are those of Cheng et al. 2016).

The simpler networks of `compare-cells` are the same classes with another `cell`.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from spamlstm.model.network import table_indices, wide_features

from .batches import FACTS_END

Cell = Literal["lstm", "gru", "rnn", "mean"]

PAIR = (1_000_003, 7_919)
"""A pair of tokens a, b has the weight at index 1 + (a · PAIR[0] + b · PAIR[1]) mod (buckets - 1). Both are primes."""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The shape of a network, saved with its weights.

    With `cell` 'mean' there is no recurrence: a perceptron over embeddings. `buckets` is the number of weights of the
    wide part; with 0 there is only the deep part. `evidence` is the number of these weights that the deep part reads;
    with 0 it reads only embeddings. What exceeds `margin` in the correction is multiplied by `gain` and added to the
    wide part's logit, so no correction is negative (docs/decisions/0042-larger-margin.md). Ids below `facts` are facts,
    which the wide part adds up apart from the text; with 0 it does not. The linear layer before the recurrent layer has
    `projection` outputs; with 0 there is none.
    """

    vocabulary: int
    embedding: int = 64
    stride: int = 4  # neighbouring tokens per step of the recurrent layer
    hidden: int = 64
    dense: int = 16
    cell: Cell = "lstm"
    one_way: bool = False
    dropout: float = 0.1
    buckets: int = 2**22
    evidence: int = 2**22
    margin: float = 1.1
    gain: float = 1.6
    facts: int = FACTS_END
    projection: int = 48

    @property
    def step(self) -> int:
        """The width of the embeddings and the evidence of one step."""
        return self.stride * (self.embedding + (2 if self.evidence else 0))

    @property
    def input(self) -> int:
        """The input width of the recurrent layer."""
        return self.projection or self.step

    @property
    def features(self) -> int:
        """The output width of one step."""
        if self.cell == "mean":
            return self.input
        return self.hidden if self.one_way else 2 * self.hidden

    def as_dict(self) -> dict[str, Any]:
        """Return the config as plain values, for the manifest."""
        return asdict(self)


class Network(nn.Module):
    """The whole network: token ids → logit of spam."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.deep = Deep(config)
        self.wide = Wide(config) if config.buckets else None

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(B, T) ids padded with 0, (B,) lengths ≥ 1 → (B,) logits. Padding does not change a bit of them."""
        deep: Tensor = self.deep(ids, lengths)
        if self.wide is None:
            return deep
        return self.wide(ids, lengths) + self.config.gain * torch.relu(deep - self.config.margin)

    def judges(self) -> "dict[str, Judge]":
        """Return the network, and its wide part if it has one, by name. Each gives logits."""
        return {"network": self} if self.wide is None else {"network": self, "wide": self.wide}


class Deep(nn.Module):
    """The recurrent part, which uses the order of tokens. Untrained, its output is 0."""

    evidence: Tensor | None

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.embedding, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=0.3)
        nn.init.zeros_(self.embedding.weight[0])
        self.register_buffer("evidence", torch.zeros(config.evidence) if config.evidence else None)
        self.projection = nn.Linear(config.step, config.projection, bias=False) if config.projection else None
        recurrent = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}.get(config.cell)
        self.ahead = recurrent(config.input, config.hidden, batch_first=True) if recurrent else None
        self.back = (
            recurrent(config.input, config.hidden, batch_first=True) if recurrent and not config.one_way else None
        )
        self.attention = nn.Linear(config.features, 1, bias=False)
        self.dense = nn.Linear(2 * config.features, config.dense)
        self.out = nn.Linear(config.dense, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(B, T) ids, (B,) lengths → (B,) corrections of the wide part's logits, before `margin` and `gain`."""
        stride = self.config.stride
        ids = torch.where(_positions(ids) < lengths[:, None], ids, 0)
        ids = functional.pad(ids, (0, -ids.shape[1] % stride))
        embedded = self.dropout(self.embedding(ids))  # (B, P, E)
        if self.evidence is not None:
            embedded = torch.cat((embedded, self._evidence_of(ids, self.evidence)), -1)
        embedded = embedded.reshape(len(ids), -1, self.config.step)  # (B, S, stride * E)
        if self.projection is not None:
            embedded = self.projection(embedded)  # (B, S, I)
        steps = (lengths + stride - 1) // stride
        position = _positions(embedded[..., 0])  # (1, S)
        valid = position < steps[:, None]  # (B, S)
        states = self.states(embedded, steps, position)  # (B, S, F)
        scores = self.attention(states).squeeze(-1).masked_fill(~valid, -1e9)  # (B, S)
        attended = torch.einsum("bt,btf->bf", scores.softmax(-1), states)  # (B, F)
        highest = states.masked_fill(~valid[..., None], -1e9).amax(1)  # (B, F)
        pooled = self.dropout(torch.cat((attended, highest), -1))  # (B, 2F)
        corrections: Tensor = self.out(torch.relu(self.dense(pooled))).squeeze(-1)  # (B,)
        return corrections

    def set_evidence(self, wide: "Wide") -> None:
        """Take the weights of `wide`, scaled to a standard deviation of 1, as the evidence of tokens and pairs.

        Raises ValueError if `wide` has another number of weights.
        """
        if self.evidence is None:
            return
        weights = wide.table.weight.detach()[:, 0]
        if len(weights) != len(self.evidence):
            raise ValueError(f"the wide part has {len(weights)} weights, and the deep part reads {len(self.evidence)}")
        self.evidence.copy_(weights * evidence_factor(weights))

    @staticmethod
    def _evidence_of(ids: Tensor, evidence: Tensor) -> Tensor:
        """(B, P) ids → (B, P, 2), the evidence of each token, and of its pair with the next token (0 at the end)."""
        following = functional.pad(ids[:, 1:], (0, 1))
        pairs = (ids * PAIR[0] + following * PAIR[1]) % (len(evidence) - 1) + 1
        pairs = torch.where(ids * following > 0, pairs, 0)
        return evidence[torch.stack((ids, pairs), -1)]

    def states(self, embedded: Tensor, steps: Tensor, position: Tensor) -> Tensor:
        """(B, S, I) → (B, S, F), the states of the forward and the backward layer.

        For the backward layer, each row is reversed within its own length. A packed sequence gives the same result but
        takes several times as long on a CPU.
        """
        if self.ahead is None:
            return embedded
        ahead = self.ahead(embedded)[0]  # (B, S, H)
        if self.back is None:
            return ahead
        last = steps[:, None] - 1
        reverse = torch.where(position <= last, last - position, position)[..., None]  # (B, S, 1)
        back = self.back(embedded.gather(1, reverse.expand(-1, -1, embedded.shape[-1])))[0]
        return torch.cat((ahead, back.gather(1, reverse.expand(-1, -1, back.shape[-1]))), -1)


def evidence_factor(weights: Tensor) -> float:
    """Return the factor by which the weights of a wide part (F,) have a standard deviation of 1, without those of 0."""
    used = weights[weights != 0]
    return float(1 / used.std()) if len(used) > 1 else 1.0


class Wide(nn.Module):
    """The part with a weight for each token and pair of tokens; those that occur more than once in a row count once."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.buckets, self.facts = config.buckets, config.facts
        self.table = nn.Embedding(config.buckets, 1, padding_idx=0, sparse=True)
        nn.init.zeros_(self.table.weight)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(B, T) ids, (B,) lengths → (B,) logits, computed from the weights as `spamlstm.model.network.Wide` does."""
        found = self.features(ids, lengths)
        count = (found > 0).sum(1).clamp(min=1)
        sums = self.table(found).squeeze(-1).sum(1) / count.sqrt()
        logits: Tensor = (sums.reshape(2, -1).sum(0) if self.facts else sums) + self.bias
        return logits

    def features(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(B, T) ids, (B,) lengths → (2B, F) indices into the table, for the facts of the rows and then for their text.

        Without `facts`, (B, F) indices for whole rows.
        """
        rows = ids.cpu().numpy()
        indices = table_indices(rows, lengths.cpu().numpy(), buckets=self.buckets, pair=PAIR)
        features = wide_features(rows, indices, buckets=self.buckets, facts=self.facts)
        found = np.maximum(features - self.buckets, 0)  # the text
        if self.facts:
            found = np.concatenate((np.where(features < self.buckets, features, 0), found))
        return torch.from_numpy(found).to(ids.device)


Judge = Network | Wide
"""A module that takes ids and lengths and returns logits."""


def _positions(rows: Tensor) -> Tensor:
    """(B, T) → (1, T): 0, 1, 2 …"""
    return torch.arange(rows.shape[1], device=rows.device)[None, :]
