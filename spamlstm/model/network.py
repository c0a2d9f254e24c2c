"""The network of a bundle: an ONNX session, and a wide part in numpy whose logits are added.

The wide part is a linear model with a weight for each token and each token bigram of a message. In numpy it takes a
tenth of the time of the same computation in the ONNX graph (docs/decisions/0011-wide-and-deep.md). Only this module
imports ONNX Runtime.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Self

from spamlstm.errors import DataError
from spamlstm.model import graph
from spamlstm.model.bundle import NETWORK, WIDE, Bundle
from spamlstm.model.manifest import WideSpec

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

# Larger batches gain nothing on a CPU: a row of 320 tokens takes an int8 BiLSTM(64) 0.7 ms of one core in batches of
# 1,024 tokens and of 8,192, while the process grows by 5 MB with the former and by 40 MB with the latter.
BATCH_TOKENS = 4096
# A .npy file with one row of int8, as NumPy writes it (numpy.lib.format).
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)"
    rb"\{'descr': '\|i1', 'fortran_order': False, 'shape': \((?P<count>[0-9]{1,10}),\), \} *\n",
    re.DOTALL,
)


def message_logit(windows: Sequence[float]) -> float:
    """Return the logit of a message from those of its windows: the mean of their maximum and their mean.

    With the maximum alone, one odd window would decide on a long letter; with the mean alone, spam could hide in
    innocent text (docs/decisions/0007-windows.md has the figures).
    """
    return (max(windows) + sum(windows) / len(windows)) / 2


def wide_features(ids: "np.ndarray", lengths: "np.ndarray", *, buckets: int, pair: tuple[int, int]) -> "np.ndarray":
    """(B, T) ids, (B,) lengths → int32 (B, 2T - 1) table indices: the distinct ones of each row, and 0 elsewhere."""
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

        Only one form of header is accepted, because NumPy would allocate any size that a header states.
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

        indices = wide_features(ids, lengths, buckets=self.spec.buckets, pair=self.spec.pair)
        count = np.maximum(np.count_nonzero(indices, axis=1), 1)
        total = self.table.take(indices).sum(1, dtype=np.int32 if self.table.dtype == np.int8 else np.float64)
        logits: np.ndarray = self.spec.scale * total / np.sqrt(count) + self.spec.bias
        return logits


class Network:
    """An open session on a bundle's network. `logits` may be called from several threads."""

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        self._bundle = bundle
        self._session = _session(bundle, threads)
        wide, shown = bundle.wide, str(bundle.path / WIDE)
        self._wide = None if wide is None else Wide.read(bundle.read(WIDE), wide, shown=shown)

    def logits(self, rows: "Sequence[Sequence[int]]", *, beat: Callable[[], None] = lambda: None) -> "np.ndarray":
        """Return the logit of each row of token ids, float32 (N,), in order. Calls `beat` before each batch.

        Rows of similar length share a batch, so there is little padding. A row gets the same logit as alone, up to
        rounding: in a dynamically quantized network the activations of a batch share one scale.
        """
        import numpy as np

        logits = np.empty(len(rows), np.float32)
        for batch in buckets([len(row) for row in rows]):
            beat()
            logits[batch] = self._run([rows[index] for index in batch])
        return logits

    def self_test(self) -> None:
        """Score the bundle's reference inputs, each alone; DataError if the logits are not those of the export."""
        import numpy as np

        test = self._bundle.self_test
        found = np.array([self._run([row])[0] for row in test.ids])
        worst = float(np.max(np.abs(found - np.asarray(test.logits, np.float32))))
        if not worst <= test.tolerance:
            raise DataError(
                f"the model {self._bundle.path} fails its self-test on this machine (logits differ by "
                f"{worst:.3g}, allowed is {test.tolerance:.3g}); upgrade onnxruntime or use another model"
            )

    def _run(self, rows: Sequence[Sequence[int]]) -> "np.ndarray":
        import numpy as np

        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        ids = np.full((len(rows), int(lengths.max())), self._bundle.input.pad_id, np.int64)  # (B, T)
        for line, row in zip(ids, rows, strict=True):
            line[: len(row)] = row
        logits: np.ndarray = self._session.run(["logit"], {"ids": ids, "lengths": lengths})[0]
        if self._wide is not None:
            logits = self._wide.logits(ids, lengths) + self._wide.spec.deep_vote * logits
        return logits


def buckets(lengths: Sequence[int], *, budget: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Group row indices by similar length into batches of at most `budget` padded tokens, or one row."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[index] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _session(bundle: Bundle, threads: int) -> "onnxruntime.InferenceSession":
    path, raw = bundle.path / NETWORK, bundle.read(NETWORK)
    try:
        graph.check_graph(raw)
    except ValueError as error:
        raise DataError(f"{path} is not a network that spamlstm runs: it has {error}; use another model") from error
    # ONNX Runtime would send telemetry over the network, from a thread; it reads this variable while it is loaded.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # numpy's OpenBLAS would start a thread for each core that spins for 30 ms; nothing here multiplies matrices.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The arena never returns memory, for each thread; scoring is as fast without it.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    # Idle threads would spin on the cores that read the next messages.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # check_graph knows only this format.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        # The same bytes that were hashed and checked.
        session = onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the C++ side has an exception class for each status, with no common parent
        first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DataError(f"{path} is not a network that ONNX Runtime can open ({first}); install it again") from error
    names = {value.name for value in session.get_inputs()}, {value.name for value in session.get_outputs()}
    if names != ({"ids", "lengths"}, {"logit"}):
        raise DataError(f"{path} is no network of spamlstm: its inputs must be 'ids' and 'lengths', its output 'logit'")
    return session
