"""The network, run by ONNX Runtime. This is the only module that imports ONNX Runtime."""

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

# Batches of 1,536 to 2,048 tokens are the fastest, because their activations fit into the cache of a core. A message
# takes a tenth more time with 4,096 tokens and with 1,024.
BATCH_TOKENS = 2048
# A .npy file with one row of int8, as NumPy writes it (numpy.lib.format).
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)"
    rb"\{'descr': '\|i1', 'fortran_order': False, 'shape': \((?P<count>[0-9]{1,10}),\), \} *\n",
    re.DOTALL,
)


def table_indices(ids: "np.ndarray", lengths: "np.ndarray", *, buckets: int, pair: tuple[int, int]) -> "np.ndarray":
    """Return the table indices of each token, and of its bigram with the next token, int32 (B, 2, T), for ids (B, T).

    The index is 0 for padding, which is behind the lengths (B,), and for the bigram of the last token of a row.
    """
    import numpy as np

    row = np.arange(ids.shape[1]) < lengths[:, None]
    indices = np.zeros((len(ids), 2, ids.shape[1]), np.int32)
    indices[:, 0] = ((ids - 1) % (buckets - 1) + 1) * row
    indices[:, 1, :-1] = ((ids[:, :-1] * pair[0] + ids[:, 1:] * pair[1]) % (buckets - 1) + 1) * row[:, 1:]
    return indices


def wide_features(ids: "np.ndarray", indices: "np.ndarray", *, buckets: int, facts: int) -> "np.ndarray":
    """Return the features of rows, int32 (B, 2T) in ascending order, for ids (B, T) and their table indices (B, 2, T).

    Ids below `facts` are facts. The feature of a token is its table index, plus `buckets` if the token is not a fact.
    A bigram of two facts, or of two other tokens, is a feature too. Each feature of a row occurs once. All other
    elements are 0.
    """
    is_text = ids >= facts
    features: np.ndarray = indices + (is_text * indices.dtype.type(buckets))[:, None]
    features[indices == 0] = 0
    features[:, 1, :-1] *= is_text[:, :-1] == is_text[:, 1:]
    features = features.reshape(len(ids), -1)
    features.sort(1)
    features[:, 1:][features[:, 1:] == features[:, :-1]] = 0
    return features


class Wide:
    """The wide part of a network: a linear model over the tokens and bigrams of a window."""

    def __init__(self, spec: WideSpec, table: "np.ndarray") -> None:
        self.spec = spec
        self.table = table

    @classmethod
    def read(cls, raw: bytes, spec: WideSpec, *, shown: str) -> Self:
        """Return the wide part from the bytes of a .npy file. `shown` is the file name for the error message.

        Only one form of header is accepted. NumPy would accept other headers and allocate any size that they state.
        Raises DataError if the file does not fit `spec`.
        """
        import numpy as np

        header = _HEADER.match(raw)
        if (
            header is None
            or header.end() != 10 + int.from_bytes(header["length"], "little")
            or (int(header["count"]), len(raw)) != (spec.buckets, header.end() + spec.buckets)
            or raw[header.end()]  # the weight of padding, with which a score would depend on the rest of the batch
        ):
            raise DataError(f"{shown} is not the table that the manifest describes; install the model again")
        return cls(spec, np.frombuffer(raw, np.int8, offset=header.end()))

    def indices(self, ids: "np.ndarray", lengths: "np.ndarray") -> "np.ndarray":
        """Return the table indices (B, 2, T) of the tokens and bigrams of rows, for ids (B, T) and lengths (B,)."""
        return table_indices(ids, lengths, buckets=self.spec.buckets, pair=self.spec.pair)

    def logits(self, ids: "np.ndarray", indices: "np.ndarray") -> "np.ndarray":
        """Return the logits (B,) for ids (B, T) and their table indices.

        The weights of the facts are added up and divided by the square root of their number, and so are those of the
        text. A logit is the sum of both, times `scale`, plus `bias`. So a long text does not dilute the facts.
        """
        import numpy as np

        buckets = self.spec.buckets
        features = wide_features(ids, indices, buckets=buckets, facts=self.spec.facts)
        is_text = features >= buckets
        parts = np.array(((features > 0) & ~is_text, is_text))  # (2, B, 2T)
        weights = self.table.take(features, mode="wrap") * parts  # a feature of the text has its index plus `buckets`
        total = weights.sum(2, dtype=np.int32 if self.table.dtype == np.int8 else np.float64)
        logits: np.ndarray = (self.spec.scale * total / np.sqrt(np.maximum(parts.sum(2), 1))).sum(0) + self.spec.bias
        return logits

    def evidence(self, indices: "np.ndarray") -> "np.ndarray":
        """Return what the deep part reads beside the ids, float32 (B, T, 2), for table indices (B, 2, T).

        It is the weight of each token, and that of the bigram of the token and the next one, times `spec.evidence`.
        """
        import numpy as np

        found = np.empty((len(indices), indices.shape[2], 2), np.float32)
        weights = self.table.take(indices).transpose(0, 2, 1)
        np.multiply(weights, np.float32(self.spec.scale * self.spec.evidence), out=found)
        return found


def graph_inputs(
    ids: "np.ndarray", lengths: "np.ndarray", wide: Wide | None, indices: "np.ndarray | None" = None
) -> "dict[str, np.ndarray]":
    """Return the inputs of the graph of a deep part by name, for ids (B, T), lengths (B,) and its wide part.

    `indices` are the table indices of the rows, for a caller that has them already.
    """
    inputs = {"ids": ids, "lengths": lengths}
    if wide is not None and wide.spec.evidence:
        inputs["evidence"] = wide.evidence(wide.indices(ids, lengths) if indices is None else indices)
    return inputs


def row_logits(
    session: "onnxruntime.InferenceSession", ids: "np.ndarray", lengths: "np.ndarray", wide: Wide | None
) -> "np.ndarray":
    """Return the logits (B,) of the graph of a deep part and of its wide part, for ids (B, T) and lengths (B,)."""
    logits: np.ndarray
    if wide is None:
        logits = session.run(["logit"], graph_inputs(ids, lengths, None))[0]
        return logits
    indices = wide.indices(ids, lengths)
    logits = session.run(["logit"], graph_inputs(ids, lengths, wide, indices))[0]
    return wide.logits(ids, indices) + wide.spec.deep_vote * logits


class Network:
    """The network of a bundle, loaded in ONNX Runtime. `logits` may be called from several threads."""

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        self._bundle = bundle
        self._session = _session(bundle, threads)
        wide, shown = bundle.wide, str(bundle.path / WIDE)
        self._wide = None if wide is None else Wide.read(bundle.read(WIDE), wide, shown=shown)

    def logits(self, rows: "Sequence[Sequence[int]]", *, beat: Callable[[], None] = lambda: None) -> "np.ndarray":
        """Return the logit of each row of token ids in order, float32 (N,). Calls `beat` before each batch.

        Rows of similar length share a batch, so there is little padding. The logit of a row does not depend on the
        other rows, except for rounding of float32.
        """
        import numpy as np

        logits = np.empty(len(rows), np.float32)
        lengths = [len(row) for row in rows]
        for batch in buckets(lengths):
            beat()
            logits[batch] = self._run([rows[index] for index in batch])
        return logits

    def self_test(self) -> None:
        """Score the reference inputs of the bundle and compare the logits.

        Raises DataError if a logit differs from that of the export by more than the tolerance.
        """
        import numpy as np

        test = self._bundle.self_test
        worst = float(np.max(np.abs(self.logits(test.ids) - np.asarray(test.logits, np.float32))))
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
        return row_logits(self._session, ids, lengths, self._wide)


def buckets(lengths: Sequence[int], *, budget: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Yield batches of row indices, grouped by similar length.

    A batch has at most `budget` padded tokens, or contains one row.
    """
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
    # ONNX Runtime would send telemetry over the network from a thread. The variable is read at import.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # OpenBLAS in numpy would start a thread for each core that spins for 30 ms, although no matrices are multiplied
    # here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The arena keeps the memory of a batch, 5 MB, for the next batch. Without the arena, the kernel would map and clear
    # this memory for each batch, which takes a third of the time of scoring.
    options.enable_cpu_mem_arena = True
    # There would be a pattern for each size of a batch.
    options.enable_mem_pattern = False
    # Spinning idle threads would occupy the cores that read the next messages.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # `check_graph` supports only this format.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        # The session is created from the same bytes that were hashed and checked.
        session = onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the C++ code has an exception class per status, without a common base class
        first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DataError(f"{path} is not a network that ONNX Runtime can open ({first}); install it again") from error
    names = {value.name for value in session.get_inputs()}, {value.name for value in session.get_outputs()}
    inputs = ["ids", "lengths", *(["evidence"] if bundle.wide is not None and bundle.wide.evidence else [])]
    if names != (set(inputs), {"logit"}):
        listed = ", ".join(map(repr, inputs))
        raise DataError(f"{path} is not a spamlstm network: its inputs must be {listed}, and its output 'logit'")
    return session
