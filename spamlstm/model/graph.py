"""A check of the ONNX file of a network: only operators that our trainer writes, and no weights in other files.

An ONNX file is a program, and a bundle is untrusted input. A file of external weights would not be hashed and could be
any file that the user can read. Loops and subgraphs would let a small file run endlessly. This module parses only the
protobuf fields that are needed to refuse such networks (onnx.proto defines the field numbers).
"""

from collections.abc import Iterator

# The operators of ONNX itself. Operators that quantize activations are not among them: with those, the logit of a row
# would depend on the other rows of its batch.
OPERATORS = frozenset(
    "Add Cast Concat DequantizeLinear Div GRU Gather Gemm LSTM Less MatMul Mod Mul Neg Pad RNN Range ReduceMax"
    " ReduceSum Relu Reshape Shape Slice Softmax Squeeze Transpose Unsqueeze Where".split()
)
# The maximum number of fields. Our networks have about 1,000 fields. Reading 50,000 fields takes 0.1 s.
MOST_FIELDS = 50_000

# The fields of ModelProto, GraphProto, NodeProto, AttributeProto and TensorProto that are followed, and the fields that
# are refused, with descriptions of their content.
_GRAPH, _MODEL_REFUSED = 7, {20: "a training graph", 25: "functions"}
_NODE, _INITIALIZER, _GRAPH_REFUSED = 1, 5, {15: "sparse weights"}
_OPERATOR, _ATTRIBUTE, _DOMAIN = 4, 5, 7
_TENSOR, _ATTRIBUTE_REFUSED = (
    5,
    {6: "a subgraph", 10: "lists of weights", 11: "subgraphs", 22: "sparse weights", 23: "sparse weights"},
)
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14

Value = memoryview | int


def check_graph(raw: bytes) -> None:
    """Check that the network in `raw` may be run.

    Raises ValueError if the network is refused. The error message completes a sentence that begins with 'it has'.
    """
    _Reader().model(memoryview(raw))


class _Reader:
    """One pass over the file that reads at most MOST_FIELDS fields."""

    def __init__(self) -> None:
        self._left = MOST_FIELDS

    def model(self, data: memoryview) -> None:
        for number, value in self._fields(data, _MODEL_REFUSED):
            if number == _GRAPH:
                self._graph(_bytes(value))

    def _graph(self, data: memoryview) -> None:
        for number, value in self._fields(data, _GRAPH_REFUSED):
            if number == _NODE:
                self._node(_bytes(value))
            elif number == _INITIALIZER:
                self._tensor(_bytes(value))

    def _node(self, data: memoryview) -> None:
        operator = domain = ""
        for number, value in self._fields(data, {}):
            if number == _OPERATOR:
                operator = _text(value)
            elif number == _DOMAIN:
                domain = _text(value)
            elif number == _ATTRIBUTE:
                for part, tensor in self._fields(_bytes(value), _ATTRIBUTE_REFUSED):
                    if part == _TENSOR:
                        self._tensor(_bytes(tensor))
        if domain or operator not in OPERATORS:
            raise ValueError(f"the operator {operator[:40]!r}, which spamlstm does not write")

    def _tensor(self, data: memoryview) -> None:
        for number, value in self._fields(data, {}):
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0):
                raise ValueError("weights in another file, which does not have a hash")

    def _fields(self, data: memoryview, refused: dict[int, str]) -> Iterator[tuple[int, Value]]:
        at = 0
        while at < len(data):
            self._left -= 1
            if self._left < 0:
                raise ValueError("too many fields")
            key, at = _varint(data, at)
            number, kind = key >> 3, key & 7
            if number in refused:
                raise ValueError(refused[number])
            if kind == 2:
                size, at = _varint(data, at)
            elif kind == 0:
                value, at = _varint(data, at)
                yield number, value
                continue
            elif kind in (1, 5):
                size = 8 if kind == 1 else 4
            else:
                raise ValueError("invalid protobuf data")
            if at + size > len(data):
                raise ValueError("a field that extends beyond the end of the file")
            yield number, data[at : at + size]
            at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the base-128 varint at the position `at`, and the position after it."""
    value = shift = 0
    while shift < 70 and at < len(data):
        byte = data[at]
        at += 1
        if byte < 0x80:
            return value | byte << shift, at
        value |= (byte & 0x7F) << shift
        shift += 7
    raise ValueError("invalid protobuf data")


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("invalid protobuf data")  # noqa: TRY004  the file is wrong, not the caller
    return value


def _text(value: Value) -> str:
    return bytes(_bytes(value)).decode("utf-8", "replace")
