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

from training.network import Network

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
    one = made.weight("one", np.array([1], np.int64))
    states = _states(made, network)  # (B, T, F)
    mask = _mask(made)  # (B, T)
    low = made.weight("low", np.array(-1e9, np.float32))
    attention = made.weight("attention", _array(network.attention.weight).T)
    scores = made.node("MatMul", [states, attention], "scores_3d")  # (B, T, 1)
    scores = made.node("Squeeze", [scores, made.weight("two", np.array([2], np.int64))], "scores")
    scores = made.node("Softmax", [made.node("Where", [mask, scores, low], "masked_scores")], "shares", axis=1)
    shares = made.node("Unsqueeze", [scores, one], "shares_3d")  # (B, 1, T)
    attended = made.node("Squeeze", [made.node("MatMul", [shares, states], "attended_3d"), one], "attended")
    visible = made.node("Where", [made.node("Unsqueeze", [mask, "two"], "mask_3d"), states, low], "visible")
    highest = made.node("ReduceMax", [visible], "highest", axes=[1], keepdims=0)  # (B, F)
    pooled = made.node("Concat", [attended, highest], "pooled", axis=1)
    dense = made.node("Relu", [_linear(made, pooled, network.dense, "dense")], "dense_relu")
    made.node("Squeeze", [_linear(made, dense, network.out, "out"), one], "logit")
    return _model(made)


def _states(made: _Graph, network: Network) -> str:
    table = made.weight("embedding", _array(network.embedding.weight))
    if network.ahead is None:
        return made.node("Gather", [table, "ids"], "embedded")
    turned = made.node("Transpose", ["ids"], "ids_by_time", perm=[1, 0])
    embedded = made.node("Gather", [table, turned], "embedded")  # (T, B, E)
    layers = [layer for layer in (network.ahead, network.back) if layer is not None]
    weights = [
        made.weight(name, np.stack([_gates(layer, part, network.config.cell) for layer in layers]))
        for name, part in (("input_weights", "weight_ih_l0"), ("state_weights", "weight_hh_l0"))
    ]
    biases = np.stack(
        [
            np.concatenate([_gates(layer, f"bias_{part}_l0", network.config.cell) for part in ("ih", "hh")])
            for layer in layers
        ]
    )
    lengths = made.node("Cast", ["lengths"], "lengths_32", to=TensorProto.INT32)
    attributes: dict[str, Any] = {
        "hidden_size": network.config.hidden,
        "direction": "bidirectional" if network.back is not None else "forward",
    }
    if network.config.cell == "gru":
        attributes["linear_before_reset"] = 1
    inputs = [embedded, *weights, made.weight("biases", biases), lengths]
    output = made.node(_KINDS[network.config.cell], inputs, "recurrent", **attributes)  # (T, D, B, H)
    output = made.node("Transpose", [output], "by_message", perm=[2, 0, 1, 3])  # (B, T, D, H)
    shape = made.weight("state_shape", np.array([0, 0, network.config.features], np.int64))
    return made.node("Reshape", [output, shape], "states")


def _gates(layer: nn.Module, name: str, cell: str) -> Floats:
    blocks = np.split(_array(getattr(layer, name)), len(_GATES[cell]))
    return np.concatenate([blocks[place] for place in _GATES[cell]])


def _mask(made: _Graph) -> str:
    """(B, T): which positions are not padding."""
    made.weight("zero", np.array(0, np.int64))
    made.weight("step", np.array(1, np.int64))
    longest = made.node("Gather", [made.node("Shape", ["ids"], "shape"), "step"], "longest", axis=0)
    places = made.node("Range", ["zero", longest, "step"], "places")
    return made.node("Less", [places, made.node("Unsqueeze", ["lengths", "one"], "lengths_2d")], "mask")


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
