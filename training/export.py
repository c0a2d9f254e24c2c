"""The network as an ONNX graph, written node by node, and its int8 form.

The graph is built from the weights rather than traced: ONNX's own LSTM takes the length of each row, so that padding
is masked exactly and one graph serves every batch and length (docs/decisions/0006-export.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from training.network import PAIR, Deep, Network, Wide

OPSET = 17
_KINDS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
# The order of the gates in ONNX's weights, as places in PyTorch's: LSTM i o f c from i f g o, GRU z r h from r z n.
_GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
Floats = NDArray[np.float32]


@dataclass
class _Graph:
    """The nodes and weights gathered so far."""

    nodes: list[onnx.NodeProto]
    weights: list[onnx.TensorProto]

    def weight(self, name: str, value: NDArray[np.generic]) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output


def graph(network: Network) -> onnx.ModelProto:
    """`ids` int64 (B, T) padded with 0 and `lengths` int64 (B,) → `logit` float32 (B,)."""
    made = _Graph([], [])
    for name, value in (("zero", 0), ("one", 1), ("two", 2), ("minus_one", -1), ("end", 2**62)):
        made.weight(name, np.array([value], np.int64))
    made.node("Where", [_before(made, "ids", "lengths"), "ids", "zero"], "seen")  # (B, T): what is padding, is 0
    votes = []
    if network.wide is not None:
        votes.append(_wide(made, network.wide))
    if network.deep is not None:
        votes.append(_deep(made, network.deep))
    if len(votes) == 2:
        share = made.weight("deep_vote", np.array(network.config.deep_vote, np.float32))
        votes = [votes[0], made.node("Mul", [votes[1], share], "deep_counted")]
    made.node("Sum", votes, "logit")
    return _model(made)


def _deep(made: _Graph, deep: Deep) -> str:
    stride = made.weight("stride", np.array([deep.config.stride], np.int64))
    less = made.node("Add", ["lengths", made.weight("stride_less_one", np.array([deep.config.stride - 1]))], "up")
    steps = made.node("Div", [less, stride], "steps")  # (B,)
    ids = _strides(made, deep.config.stride)  # (B, S, stride)
    states = _states(made, deep, ids)  # (B, S, F)
    mask = _before(made, states, steps)  # (B, S)
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
    return made.node("Squeeze", [_linear(made, dense, deep.out, "out"), "one"], "deep")


def _strides(made: _Graph, stride: int) -> str:
    """(B, S, stride): the ids with as many zeros behind as make whole strides."""
    longest = made.node("Slice", [made.node("Shape", ["seen"], "shape"), "one", "two"], "longest")  # (1,)
    missing = made.node("Mod", [made.node("Neg", [longest], "less_longest"), "stride"], "missing")
    pads = made.node("Concat", ["zero", "zero", "zero", missing], "pads", axis=0)
    padded = made.node("Pad", ["seen", pads], "padded")
    return made.node("Reshape", [padded, made.weight("by_stride", np.array([0, -1, stride], np.int64))], "strides")


def _states(made: _Graph, deep: Deep, ids: str) -> str:
    """(B, S, stride) ids → (B, S, F)."""
    table = made.weight("embedding", _array(deep.embedding.weight))
    together = made.weight("together", np.array([0, 0, deep.config.step], np.int64))
    if deep.ahead is None:
        return made.node("Reshape", [made.node("Gather", [table, ids], "embedded_4d"), together], "embedded")
    by_time = made.node("Transpose", [ids], "ids_by_time", perm=[1, 0, 2])
    embedded = made.node("Gather", [table, by_time], "embedded_4d")  # (S, B, stride, E)
    embedded = made.node("Reshape", [embedded, together], "embedded")  # (S, B, stride * E)
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


def _wide(made: _Graph, wide: Wide) -> str:
    """The weights of the tokens and pairs that occur, each once: sorted, so that the same stand side by side."""
    modulus = made.weight("modulus", np.array([wide.buckets - 1], np.int64))

    def bucket(value: str, name: str) -> str:
        return made.node("Add", [made.node("Mod", [value, modulus], f"{name}_mod"), "one"], f"{name}_bucket")

    def where(condition: str, value: str, name: str) -> str:
        seen = made.node("Greater", [condition, "zero"], f"{name}_seen")
        return made.node("Where", [seen, value, "zero"], name)

    first = made.node("Slice", ["seen", "zero", "minus_one", "one"], "first")  # (B, T - 1)
    second = made.node("Slice", ["seen", "one", "end", "one"], "second")
    factors = [made.weight(f"factor_{place}", np.array([factor], np.int64)) for place, factor in enumerate(PAIR)]
    mixed = [made.node("Mul", [part, by], f"{part}_mixed") for part, by in zip((first, second), factors, strict=True)]
    pairs = where(second, bucket(made.node("Add", mixed, "pair"), "pair"), "pairs")
    singles = where("seen", bucket(made.node("Sub", ["seen", "one"], "single"), "single"), "singles")
    both = made.node("Concat", [singles, pairs], "all_64", axis=1)
    every = made.node("Cast", [both], "all", to=TensorProto.INT32)
    width = made.node("Slice", [made.node("Shape", [every], "all_shape"), "one", "two"], "width")
    made.nodes.append(helper.make_node("TopK", [every, width], ["sorted", "order"], name="sort", axis=1))
    before = made.node("Slice", ["sorted", "zero", "minus_one", "one"], "before")
    behind = made.node("Slice", ["sorted", "one", "end", "one"], "behind")
    nothing = made.weight("nothing", np.array([0], np.int32))
    fresh = made.node("Where", [made.node("Equal", [before, behind], "again"), nothing, behind], "fresh")
    found = made.node(
        "Concat", [made.node("Slice", ["sorted", "zero", "one", "one"], "largest"), fresh], "found", axis=1
    )
    table = made.weight("table", _array(wide.table.weight)[:, 0])
    total = made.node("ReduceSum", [made.node("Gather", [table, found], "found_weights"), "one"], "total", keepdims=0)
    seen = made.node("Cast", [made.node("Greater", [found, nothing], "is_found")], "ones", to=TensorProto.FLOAT)
    count = made.node("ReduceSum", [seen, "one"], "count_found", keepdims=0)
    count = made.node("Max", [count, made.weight("least", np.array(1, np.float32))], "count")
    mean = made.node("Div", [total, made.node("Sqrt", [count], "root")], "scaled")
    return made.node("Add", [mean, made.weight("wide_bias", _array(wide.bias))], "wide")


def _gates(layer: nn.Module, name: str, cell: str) -> Floats:
    blocks = np.split(_array(getattr(layer, name)), len(_GATES[cell]))
    return np.concatenate([blocks[place] for place in _GATES[cell]])


def _before(made: _Graph, rows: str, lengths: str) -> str:
    """(B, T): which positions of `rows` (B, T, …) stand before the end of their row."""
    start = made.weight(f"{rows}_start", np.array(0, np.int64))
    step = made.weight(f"{rows}_step", np.array(1, np.int64))
    longest = made.node("Gather", [made.node("Shape", [rows], f"{rows}_shape"), step], f"{rows}_longest", axis=0)
    places = made.node("Range", [start, longest, step], f"{rows}_places")
    return made.node("Less", [places, made.node("Unsqueeze", [lengths, "one"], f"{rows}_lengths")], f"{rows}_mask")


def _linear(made: _Graph, value: str, layer: nn.Linear, name: str) -> str:
    weight = made.weight(f"{name}_weight", _array(layer.weight))
    return made.node("Gemm", [value, weight, made.weight(f"{name}_bias", _array(layer.bias))], name, transB=1)


def _model(made: _Graph) -> onnx.ModelProto:
    inputs = [
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["messages", "tokens"]),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, ["messages"]),
    ]
    outputs = [helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["messages"])]
    proto = helper.make_graph(made.nodes, "spamlstm", inputs, outputs, initializer=made.weights)
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    # What the quantizer would ask to be done first (inferred shapes, constants folded) has been done by hand.
    helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})
    return model


def _array(tensor: Tensor) -> Floats:
    value: Floats = tensor.detach().cpu().numpy().astype(np.float32)
    return value


def quantize(source: Path, target: Path) -> None:
    """The graph at `source` with int8 weights: a quarter of the size, and faster from about 100 tokens on."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        source,
        target,
        op_types_to_quantize=["Gather", "LSTM"],
        per_channel=True,
        weight_type=QuantType.QInt8,
    )
