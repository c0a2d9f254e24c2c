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


HIGHEST_SHARE = 0.5
"""The share of the highest window in the logit of a message. The first window has the rest."""


def message_logit(windows: Sequence[float]) -> float:
    """Return the logit of a message from the logits of its windows: a weighted mean of their maximum and the first.

    With only the maximum, one unusual window would decide the verdict on a long message. With the mean of all windows
    in the place of the first, innocent text below the letter could hide spam (docs/decisions/0036-the-letter-first.md
    has the figures).
    """
    return HIGHEST_SHARE * max(windows) + (1 - HIGHEST_SHARE) * windows[0]


def table_indices(
    ids: "np.ndarray", lengths: "np.ndarray", *, buckets: int, pair: tuple[int, int]
) -> "tuple[np.ndarray, np.ndarray]":
    """Return the table indices of the tokens, int32 (B, T), and of the bigrams, int32 (B, T - 1), for ids (B, T).

    The index of padding, behind the lengths (B,), is 0.
    """
    import numpy as np

    padding = np.arange(ids.shape[1]) >= lengths[:, None]
    tokens = ((ids - 1) % (buckets - 1) + 1).astype(np.int32)
    bigrams = ((ids[:, :-1] * pair[0] + ids[:, 1:] * pair[1]) % (buckets - 1) + 1).astype(np.int32)
    tokens[padding] = 0
    bigrams[padding[:, 1:]] = 0
    return tokens, bigrams


def wide_features(ids: "np.ndarray", lengths: "np.ndarray", *, buckets: int, pair: tuple[int, int]) -> "np.ndarray":
    """Return the table indices of all tokens and bigrams, int32 (B, 2T - 1), for ids (B, T) and lengths (B,).

    Each distinct index of a row occurs once. All other elements are 0.
    """
    import numpy as np

    tokens, bigrams = table_indices(ids, lengths, buckets=buckets, pair=pair)
    indices = np.concatenate((tokens, bigrams), axis=1)
    indices.sort(1)
    repeated = indices[:, 1:] == indices[:, :-1]
    indices[:, 1:][repeated] = 0
    return indices


def split_facts(ids: "np.ndarray", lengths: "np.ndarray", *, facts: int) -> "tuple[np.ndarray, np.ndarray]":
    """Return the facts of B rows, then the text of each: ids (2B, T') padded with 0, and lengths (2B,) that may be 0.

    Ids below `facts` are facts. The arguments are ids (B, T) and lengths (B,).
    """
    import numpy as np

    row = np.arange(ids.shape[1]) < lengths[:, None]
    is_fact = row & (ids < facts)
    chosen = np.concatenate((is_fact, row & ~is_fact))
    found = np.count_nonzero(chosen, axis=1)
    rows = np.zeros((len(chosen), max(int(found.max()), 1)), ids.dtype)
    rows[np.arange(rows.shape[1]) < found[:, None]] = np.concatenate((ids[is_fact], ids[row & ~is_fact]))
    return rows, found


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

    def logits(self, ids: "np.ndarray", lengths: "np.ndarray") -> "np.ndarray":
        """Return the logits (B,) for ids (B, T) and lengths (B,).

        The weights of the facts are added up and divided by the square root of their number, and so are those of the
        text. A logit is the sum of both, times `scale`, plus `bias`. So a long text does not dilute the facts.
        """
        import numpy as np

        if self.spec.facts:
            ids, lengths = split_facts(ids, lengths, facts=self.spec.facts)
        indices = wide_features(ids, lengths, buckets=self.spec.buckets, pair=self.spec.pair)
        count = np.maximum(np.count_nonzero(indices, axis=1), 1)
        total = self.table.take(indices).sum(1, dtype=np.int32 if self.table.dtype == np.int8 else np.float64)
        sums = self.spec.scale * total / np.sqrt(count)
        logits: np.ndarray = (sums.reshape(2, -1).sum(0) if self.spec.facts else sums) + self.spec.bias
        return logits

    def evidence(self, ids: "np.ndarray", lengths: "np.ndarray") -> "np.ndarray":
        """Return what the deep part reads beside the ids (B, T), float32 (B, T, 2): the evidence of tokens and bigrams.

        It is the weight of each token, and that of the bigram of the token and the next one, times `spec.evidence`.
        The last token of a row has no bigram: its second number is 0, as are the numbers of padding.
        """
        import numpy as np

        tokens, bigrams = table_indices(ids, lengths, buckets=self.spec.buckets, pair=self.spec.pair)
        found = np.zeros((*ids.shape, 2), np.float32)
        found[..., 0] = self.table.take(tokens)
        found[:, :-1, 1] = self.table.take(bigrams)
        found *= self.spec.scale * self.spec.evidence
        return found


def graph_inputs(ids: "np.ndarray", lengths: "np.ndarray", wide: Wide | None) -> "dict[str, np.ndarray]":
    """Return the inputs of the graph of a deep part by name, for ids (B, T), lengths (B,) and its wide part."""
    inputs = {"ids": ids, "lengths": lengths}
    if wide is not None and wide.spec.evidence:
        inputs["evidence"] = wide.evidence(ids, lengths)
    return inputs


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
        logits: np.ndarray = self._session.run(["logit"], graph_inputs(ids, lengths, self._wide))[0]
        if self._wide is not None:
            logits = self._wide.logits(ids, lengths) + self._wide.spec.deep_vote * logits
        return logits


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
