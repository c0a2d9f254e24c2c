"""Export the network: the deep part as an ONNX graph, the wide part as an array. Tables of tokens are int8.

The array is also the evidence of tokens and pairs: the filter looks it up and gives it to the graph as an input.

The graph is built node by node from the weights, not traced: ONNX's LSTM takes the length of each row, so that padding
is masked exactly and one graph serves every batch size and length (docs/decisions/0006-export.md).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from spamlstm.model import network as scoring
from spamlstm.model.manifest import WideSpec

from .network import PAIR, Deep, Network, Wide

if TYPE_CHECKING:
    import onnxruntime

OPSET = 17
_KINDS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
# For each gate in ONNX's order, its index in PyTorch's: LSTM i o f c from i f g o, GRU z r h from r z n.
GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
Floats = NDArray[np.float32]


@dataclass
class _Graph:
    """The nodes and weights so far."""

    nodes: list[onnx.NodeProto]
    weights: list[onnx.TensorProto]

    def weight(self, name: str, value: NDArray[np.generic]) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output


def graph(deep: Deep) -> onnx.ModelProto:
    """Return the graph of the deep part: int64 `ids` (B, T) padded with 0 and `lengths` (B,) → float32 `logit` (B,).

    A deep part with evidence has a third input, float32 `evidence` (B, T, 2), which `scoring.Wide.evidence` gives.
    Here `logit` is what is added to the wide part's logit. Without a wide part it is the logit itself.
    """
    made = _Graph([], [])
    for name, value in (("zero", 0), ("one", 1), ("two", 2)):
        made.weight(name, np.array([value], np.int64))
    made.node(
        "Where", [_within(made, "ids", "lengths"), "ids", "zero"], "seen"
    )  # (B, T), 0 as padding; the name is that in shipped models
    _deep(made, deep)
    return _model(made, has_evidence=deep.evidence is not None)


def exact(network: Network) -> scoring.Wide | None:
    """Return the wide part of a network without PyTorch, with its exact weights; None if it has none."""
    if network.wide is None:
        return None
    return scoring.Wide(_spec(network, network.wide, scale=1.0), _array(network.wide.table.weight)[:, 0])


def table(network: Network) -> tuple[NDArray[np.int8], WideSpec] | None:
    """Return the weights of the wide part as int8, and the spec of its logit; None if there is no wide part."""
    if network.wide is None:
        return None
    weights = _array(network.wide.table.weight)[:, 0]
    scale = float(np.abs(weights).max()) / 127 or 1.0
    return np.round(weights / scale).astype(np.int8), _spec(network, network.wide, scale=scale)


def _spec(network: Network, wide: Wide, *, scale: float) -> WideSpec:
    """Return the spec for a table in which a weight is `scale`."""
    return WideSpec(
        buckets=wide.buckets,
        pair=PAIR,
        scale=scale,
        bias=float(wide.bias.item()),
        deep_vote=1.0,
        facts=wide.facts,
        evidence=0.0 if network.deep.evidence is None else _evidence_factor(network.deep.evidence, wide),
    )


def _evidence_factor(evidence: Tensor, wide: Wide) -> float:
    """Return the factor by which the deep part reads the weights of `wide`.

    It is not computed as in training, because the weights of a loaded bundle are rounded and deviate less or more.
    """
    weights = wide.table.weight.detach()[:, 0].double()
    square = weights @ weights
    return float(evidence.double() @ weights / square) if square else 1.0


def _deep(made: _Graph, deep: Deep) -> None:
    stride = made.weight("stride", np.array([deep.config.stride], np.int64))
    less = made.node("Add", ["lengths", made.weight("stride_less_one", np.array([deep.config.stride - 1]))], "up")
    steps = made.node("Div", [less, stride], "steps")  # (B,)
    ids = _strides(made, deep.config.stride)  # (B, S, stride)
    states = _states(made, deep, ids)  # (B, S, F)
    mask = _within(made, states, steps)  # (B, S)
    low = made.weight("low", np.array(-1e9, np.float32))
    attention = made.weight("attention", _array(deep.attention.weight).T)
    scores = made.node("MatMul", [states, attention], "scores_3d")  # (B, S, 1)
    scores = made.node("Squeeze", [scores, "two"], "scores")
    scores = made.node("Softmax", [made.node("Where", [mask, scores, low], "masked_scores")], "shares", axis=1)
    shares = made.node("Unsqueeze", [scores, "one"], "shares_3d")  # (B, 1, S)
    attended = made.node("Squeeze", [made.node("MatMul", [shares, states], "attended_3d"), "one"], "attended")
    visible = made.node("Where", [made.node("Unsqueeze", [mask, "two"], "mask_3d"), states, low], "visible")
    highest = made.node("ReduceMax", [visible], "highest", axes=[1], keepdims=0)  # (B, F)
    pooled = made.node("Concat", [attended, highest], "pooled", axis=1)
    dense = made.node("Relu", [_linear(made, pooled, deep.dense, "dense")], "dense_relu")
    has_wide = bool(deep.config.buckets)
    correction = made.node(
        "Squeeze", [_linear(made, dense, deep.out, "out"), "one"], "correction" if has_wide else "logit"
    )
    if not has_wide:
        return
    below = made.weight("less_margin", np.array(-deep.config.margin, np.float32))
    gain = made.weight("gain", np.array(deep.config.gain, np.float32))
    above = made.node("Relu", [made.node("Add", [correction, below], "exceeding")], "above_margin")
    made.node("Mul", [above, gain], "logit")


def _strides(made: _Graph, stride: int) -> str:
    """(B, S, stride): the ids, padded with zeros to whole strides."""
    longest = made.node("Slice", [made.node("Shape", ["seen"], "shape"), "one", "two"], "longest")  # (1,)
    missing = made.node("Mod", [made.node("Neg", [longest], "less_longest"), "stride"], "missing")
    pads = made.node("Concat", ["zero", "zero", "zero", missing], "pads", axis=0)
    padded = made.node("Pad", ["seen", pads], "padded")
    return made.node("Reshape", [padded, made.weight("by_stride", np.array([0, -1, stride], np.int64))], "strides")


def _evidence(made: _Graph, deep: Deep) -> str:
    """(S, B, stride, 2): the evidence of each token and of its pair with the next token."""
    pads = made.node("Concat", ["zero", "zero", "zero", "zero", "missing", "zero"], "evidence_pads", axis=0)
    padded = made.node("Pad", ["evidence", pads], "padded_evidence")
    shape = made.weight("evidence_shape", np.array([0, -1, deep.config.stride, 2], np.int64))
    together = made.node("Reshape", [padded, shape], "evidence_by_message")  # (B, S, stride, 2)
    return made.node("Transpose", [together], "evidence_by_time", perm=[1, 0, 2, 3])


def _states(made: _Graph, deep: Deep, ids: str) -> str:
    """(B, S, stride) ids → (B, S, F)."""
    table = made.weight("embedding", _array(deep.embedding.weight))
    together = made.weight("together", np.array([0, 0, deep.config.step], np.int64))
    by_time = made.node("Transpose", [ids], "ids_by_time", perm=[1, 0, 2])
    embedded = made.node("Gather", [table, by_time], "embedded_4d")  # (S, B, stride, E)
    if deep.evidence is not None:
        embedded = made.node("Concat", [embedded, _evidence(made, deep)], "with_evidence", axis=3)
    embedded = made.node("Reshape", [embedded, together], "embedded")  # (S, B, stride * E)
    if deep.projection is not None:
        projection = made.weight("projection", _array(deep.projection.weight).T)
        embedded = made.node("MatMul", [embedded, projection], "projected")  # (S, B, I)
    if deep.ahead is None:
        return made.node("Transpose", [embedded], "states", perm=[1, 0, 2])
    layers = [layer for layer in (deep.ahead, deep.back) if layer is not None]
    weights = [
        made.weight(name, np.stack([_gates(layer, part, deep.config.cell) for layer in layers]))
        for name, part in (("input_weights", "weight_ih_l0"), ("state_weights", "weight_hh_l0"))
    ]
    biases = np.stack(
        [
            np.concatenate([_gates(layer, f"bias_{part}_l0", deep.config.cell) for part in ("ih", "hh")])
            for layer in layers
        ]
    )
    lengths = made.node("Cast", ["steps"], "steps_32", to=TensorProto.INT32)
    attributes: dict[str, Any] = {
        "hidden_size": deep.config.hidden,
        "direction": "bidirectional" if deep.back is not None else "forward",
    }
    if deep.config.cell == "gru":
        attributes["linear_before_reset"] = 1
    inputs = [embedded, *weights, made.weight("biases", biases), lengths]
    output = made.node(_KINDS[deep.config.cell], inputs, "recurrent", **attributes)  # (S, D, B, H)
    output = made.node("Transpose", [output], "by_message", perm=[2, 0, 1, 3])  # (B, S, D, H)
    shape = made.weight("state_shape", np.array([0, 0, deep.config.features], np.int64))
    return made.node("Reshape", [output, shape], "states")


def _gates(layer: nn.Module, name: str, cell: str) -> Floats:
    blocks = np.split(_array(getattr(layer, name)), len(GATES[cell]))
    return np.concatenate([blocks[place] for place in GATES[cell]])


def _within(made: _Graph, rows: str, lengths: str) -> str:
    """(B, T): a mask of the positions of `rows` (B, T, …) that are within the length of their row."""
    start = made.weight(f"{rows}_start", np.array(0, np.int64))
    step = made.weight(f"{rows}_step", np.array(1, np.int64))
    longest = made.node("Gather", [made.node("Shape", [rows], f"{rows}_shape"), step], f"{rows}_longest", axis=0)
    places = made.node("Range", [start, longest, step], f"{rows}_places")
    return made.node("Less", [places, made.node("Unsqueeze", [lengths, "one"], f"{rows}_lengths")], f"{rows}_mask")


def _linear(made: _Graph, value: str, layer: nn.Linear, name: str) -> str:
    weight = made.weight(f"{name}_weight", _array(layer.weight))
    return made.node("Gemm", [value, weight, made.weight(f"{name}_bias", _array(layer.bias))], name, transB=1)


def _model(made: _Graph, *, has_evidence: bool) -> onnx.ModelProto:
    inputs = [
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["messages", "tokens"]),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, ["messages"]),
    ]
    if has_evidence:
        inputs.append(helper.make_tensor_value_info("evidence", TensorProto.FLOAT, ["messages", "tokens", 2]))
    outputs = [helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["messages"])]
    proto = helper.make_graph(made.nodes, "spamlstm", inputs, outputs, initializer=made.weights)
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    # Tells the quantizer that shapes are inferred and constants folded; otherwise it asks for a pre-processing step.
    helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})
    return model


def _array(tensor: Tensor) -> Floats:
    value: Floats = tensor.detach().cpu().numpy().astype(np.float32)
    return value


def session(path: Path, *, threads: int = 0) -> onnxruntime.InferenceSession:
    """Load an exported graph, to run on `threads` threads (0: one per core)."""
    # ONNX Runtime sends usage data unless this is set before it is imported.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = min(threads, 1)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def quantize(source: Path, target: Path) -> None:
    """Write the graph at `source` with an int8 embedding, a third of the size.

    The weights of the cell stay float32. An int8 cell would quantize its activations with one scale for the whole
    batch, so the logit of a row would depend on the other rows of the batch (docs/decisions/0006-export.md).
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, op_types_to_quantize=["Gather"], weight_type=QuantType.QInt8)
