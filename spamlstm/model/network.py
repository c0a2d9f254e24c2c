"""The network, run by ONNX Runtime: the only module that imports it."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from spamlstm.errors import DataError
from spamlstm.model import graph
from spamlstm.model.bundle import NETWORK, WIDE, Bundle
from spamlstm.model.wide import Wide

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

# Larger batches gain nothing on a CPU: a row of 320 tokens takes an int8 BiLSTM(64) 0.7 ms of one core in batches of
# 1,024 tokens and of 8,192, while the process grows by 5 MB with the former and by 40 MB with the latter.
BATCH_TOKENS = 4096


def message_logit(windows: Sequence[float]) -> float:
    """Return the logit of a message from those of its windows: the mean of their maximum and their mean.

    With the maximum alone one odd window decides on a long letter; with the mean alone spam can hide behind innocent
    text (docs/decisions/0007-windows.md has the figures).
    """
    return (max(windows) + sum(windows) / len(windows)) / 2


class Network:
    """An open session on a bundle's network. `logits` may be called from several threads."""

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        self._bundle = bundle
        self._session = _session(bundle, threads)
        self._wide = _wide(bundle)

    def logits(self, rows: "Sequence[Sequence[int]]", *, beat: Callable[[], None] = lambda: None) -> "np.ndarray":
        """Return the logit of each row of token ids, float32 (N,), in order; calls `beat` before each batch.

        Rows of similar length share a batch, so there is little padding. The result is that of running each row alone,
        up to rounding for a dynamically quantized network, whose activations share one scale in a batch.
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


def _wide(bundle: Bundle) -> Wide | None:
    if bundle.wide is None:
        return None
    return Wide.read(bundle.read(WIDE), bundle.wide, shown=str(bundle.path / WIDE))


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
