"""The network: embedding → bidirectional recurrent layer → attention and max pooling → Dense(16, ReLU) → logit.

The simpler relatives that `compare-cells` shows beside it are the same class with another `cell`.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

Cell = Literal["lstm", "gru", "rnn", "mean"]


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The shape of a network; saved with its weights. `cell` 'mean' has no recurrence: a perceptron over embeddings."""

    vocabulary: int
    embedding: int = 64
    hidden: int = 64
    dense: int = 16
    cell: Cell = "lstm"
    one_way: bool = False
    dropout: float = 0.2

    @property
    def features(self) -> int:
        """The width of one position's output."""
        if self.cell == "mean":
            return self.embedding
        return self.hidden if self.one_way else 2 * self.hidden

    def as_dict(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        return asdict(self)


class Network(nn.Module):
    """Token ids to the logit of spam."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.embedding, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=0.3)
        nn.init.zeros_(self.embedding.weight[0])
        recurrent = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}.get(config.cell)
        self.ahead = recurrent(config.embedding, config.hidden, batch_first=True) if recurrent else None
        self.back = (
            recurrent(config.embedding, config.hidden, batch_first=True) if recurrent and not config.one_way else None
        )
        self.attention = nn.Linear(config.features, 1, bias=False)
        self.dense = nn.Linear(2 * config.features, config.dense)
        self.out = nn.Linear(config.dense, 1)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(B, T) ids padded with 0, (B,) lengths ≥ 1 → (B,) logits. Padding has no influence, to the last bit."""
        place = torch.arange(ids.shape[1], device=ids.device)[None, :]  # (1, T)
        valid = place < lengths[:, None]  # (B, T)
        states = self.states(self.dropout(self.embedding(ids)), lengths, place)  # (B, T, F)
        scores = self.attention(states).squeeze(-1).masked_fill(~valid, -1e9)  # (B, T)
        attended = torch.einsum("bt,btf->bf", scores.softmax(-1), states)  # (B, F)
        highest = states.masked_fill(~valid[..., None], -1e9).amax(1)  # (B, F)
        pooled = self.dropout(torch.cat((attended, highest), -1))  # (B, 2F)
        logits: Tensor = self.out(torch.relu(self.dense(pooled))).squeeze(-1)  # (B,)
        return logits

    def states(self, embedded: Tensor, lengths: Tensor, place: Tensor) -> Tensor:
        """(B, T, E) → (B, T, F): each position with what stands before it, and behind it.

        The way back runs over each row turned round within its own length: a packed sequence would do the same, but
        takes several times as long on a CPU.
        """
        if self.ahead is None:
            return embedded
        ahead = self.ahead(embedded)[0]  # (B, T, H)
        if self.back is None:
            return ahead
        turned = torch.where(place < lengths[:, None], lengths[:, None] - 1 - place, place)[..., None]  # (B, T, 1)
        back = self.back(embedded.gather(1, turned.expand(-1, -1, embedded.shape[-1])))[0]
        return torch.cat((ahead, back.gather(1, turned.expand(-1, -1, back.shape[-1]))), -1)
