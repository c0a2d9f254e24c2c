"""The wide part of a network: a linear model with a weight for each token and each token bigram of a message.

It runs in numpy, which takes a tenth of the time of the same computation as an ONNX graph
(docs/decisions/0011-wide-and-deep.md).
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from spamlstm.errors import DataError

if TYPE_CHECKING:
    import numpy as np

# A .npy file with one row of int8, as NumPy writes it (numpy.lib.format).
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)"
    rb"\{'descr': '\|i1', 'fortran_order': False, 'shape': \((?P<count>[0-9]{1,10}),\), \} *\n",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class WideSpec:
    """The parameters of the wide part, from the manifest.

    `buckets` is the size of the weight table, `pair` the hash factors of a bigram's two ids. A weight is `scale` times
    its table entry. `deep_vote` is the weight of the logit of the network beside it.
    """

    buckets: int
    pair: tuple[int, int]
    scale: float
    bias: float
    deep_vote: float


def features(ids: "np.ndarray", lengths: "np.ndarray", *, buckets: int, pair: tuple[int, int]) -> "np.ndarray":
    """(B, T) ids, (B,) lengths → int32 (B, 2T - 1) table indices: each distinct one of a row once, 0 elsewhere."""
    import numpy as np

    padding = np.arange(ids.shape[1]) >= lengths[:, None]
    indices = np.empty((len(ids), 2 * ids.shape[1] - 1), np.int32)
    tokens, bigrams = indices[:, : ids.shape[1]], indices[:, ids.shape[1] :]
    tokens[:] = (ids - 1) % (buckets - 1) + 1
    bigrams[:] = (ids[:, :-1] * pair[0] + ids[:, 1:] * pair[1]) % (buckets - 1) + 1
    tokens[padding] = 0
    bigrams[padding[:, 1:]] = 0
    indices.sort(1)
    repeated = indices[:, 1:] == indices[:, :-1]
    indices[:, 1:][repeated] = 0
    return indices


class Wide:
    """The weights of the wide part of one network."""

    def __init__(self, spec: WideSpec, table: "np.ndarray") -> None:
        self.spec = spec
        self.table = table

    @classmethod
    def read(cls, raw: bytes, spec: WideSpec, *, shown: str) -> Self:
        """Return the table in the bytes of the .npy file `shown`; DataError if it does not fit `spec`.

        Only one form of header is accepted; NumPy would accept others, and allocate whatever size they state.
        """
        import numpy as np

        header = _HEADER.match(raw)
        if (
            header is None
            or header.end() != 10 + int.from_bytes(header["length"], "little")
            or (int(header["count"]), len(raw)) != (spec.buckets, header.end() + spec.buckets)
        ):
            raise DataError(f"{shown} is not the table that the manifest describes; install the model again")
        return cls(spec, np.frombuffer(raw, np.int8, offset=header.end()))

    def logits(self, ids: "np.ndarray", lengths: "np.ndarray") -> "np.ndarray":
        """(B, T) ids, (B,) lengths → (B,) logits: the sum of the weights divided by the root of their number."""
        import numpy as np

        indices = features(ids, lengths, buckets=self.spec.buckets, pair=self.spec.pair)
        count = np.maximum(np.count_nonzero(indices, axis=1), 1)
        total = self.table.take(indices).sum(1, dtype=np.int32 if self.table.dtype == np.int8 else np.float64)
        logits: np.ndarray = self.spec.scale * total / np.sqrt(count) + self.spec.bias
        return logits
