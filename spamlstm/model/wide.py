"""The wide part of a network: a weight for each token and each pair of neighbours, whatever their order.

It needs no ONNX: numpy sorts and adds up a row in a tenth of the time that the same takes as a graph
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
    """How the weights are found and counted; stands in the manifest.

    `pair` are the factors of a pair's two ids; weights are `scale` times what is in the table.
    """

    buckets: int
    pair: tuple[int, int]
    scale: float
    bias: float
    deep_vote: float
    """What the logit of the network beside it counts."""


def features(ids: "np.ndarray", lengths: "np.ndarray", *, buckets: int, pair: tuple[int, int]) -> "np.ndarray":
    """(B, T) ids, (B,) lengths → int32 (B, 2T - 1) places in the table: each of a row's once, 0 elsewhere."""
    import numpy as np

    beyond = np.arange(ids.shape[1]) >= lengths[:, None]
    found = np.empty((len(ids), 2 * ids.shape[1] - 1), np.int32)
    single, double = found[:, : ids.shape[1]], found[:, ids.shape[1] :]
    single[:] = (ids - 1) % (buckets - 1) + 1
    double[:] = (ids[:, :-1] * pair[0] + ids[:, 1:] * pair[1]) % (buckets - 1) + 1
    single[beyond] = 0
    double[beyond[:, 1:]] = 0
    found.sort(1)
    again = found[:, 1:] == found[:, :-1]
    found[:, 1:][again] = 0
    return found


class Wide:
    """The weights of one network, ready to judge."""

    def __init__(self, spec: WideSpec, table: "np.ndarray") -> None:
        self.spec = spec
        self.table = table

    @classmethod
    def read(cls, raw: bytes, spec: WideSpec, *, shown: str) -> Self:
        """The table in the bytes of a .npy file that is `shown` so; DataError if it is none that fits.

        One form of header is known here; NumPy would take others too, and allocate whatever they speak of.
        """
        import numpy as np

        header = _HEADER.match(raw)
        if (
            header is None
            or header.end() != 10 + int.from_bytes(header["length"], "little")
            or (int(header["count"]), len(raw)) != (spec.buckets, header.end() + spec.buckets)
        ):
            raise DataError(f"{shown} is not the table that the model speaks of; install the model again")
        return cls(spec, np.frombuffer(raw, np.int8, offset=header.end()))

    def logits(self, ids: "np.ndarray", lengths: "np.ndarray") -> "np.ndarray":
        """(B, T) ids, (B,) lengths → (B,) logits: the sum of the weights by the root of their number."""
        import numpy as np

        found = features(ids, lengths, buckets=self.spec.buckets, pair=self.spec.pair)
        count = np.maximum(np.count_nonzero(found, axis=1), 1)
        total = self.table.take(found).sum(1, dtype=np.int32 if self.table.dtype == np.int8 else np.float64)
        logits: np.ndarray = self.spec.scale * total / np.sqrt(count) + self.spec.bias
        return logits
