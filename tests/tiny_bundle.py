"""A whole bundle, made in a moment: its network adds up the weights of two words and knows no others."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from spamlstm.mail.text import MARKS, TEXT_VERSION
from spamlstm.model.bundle import NETWORK, TOKENIZER, seal
from spamlstm.model.vocabulary import PIECE

SPAMMY, HAMMY = " pills", " meeting"
WEIGHT = 6.0


def make(path: Path, *, weight: float = WEIGHT, version: str = "1") -> Path:
    """Write the bundle into the new folder `path`: each ' pills' adds 6 to the logit, each ' meeting' takes 6 away.

    Another `weight` makes another model, less sure or wrong.
    """
    path.mkdir(parents=True)
    tokenizer = _tokenizer()
    tokenizer.save(str(path / TOKENIZER))
    weights = np.zeros(tokenizer.get_vocab_size(), np.float32)
    spammy, hammy = (tokenizer.encode(word).ids[0] for word in (SPAMMY, HAMMY))
    weights[spammy], weights[hammy] = weight, -weight
    onnx.save(_network(weights), str(path / NETWORK))
    (path / "README.md").write_text("# tiny\n\nKnows two words.\n")
    (path / "weights.safetensors").write_bytes(weights.tobytes())
    rows = [[spammy, 0, spammy], [hammy]]
    seal(path, _manifest(len(weights), rows, [2 * weight, -weight], version))
    return path


def _manifest(vocabulary: int, rows: list[list[int]], logits: list[float], version: str) -> dict[str, object]:
    return {
        "name": "tiny",
        "version": version,
        "created": "2026-01-01",
        "text_version": TEXT_VERSION,
        "input": {
            "pad_id": 0,
            "header_tokens": 96,
            "fashion": True,
            "window_tokens": 160,
            "window_bytes": 400,
            "max_windows": 4,
            "vocab_size": vocabulary,
        },
        "calibration": {"scale": 1.0, "shift": 0.0},
        "thresholds": {
            "ham": 0.2,
            "spam": 0.98,
            "costs": {"false_positive": 10.0, "false_negative": 1.0, "unsure": 0.2},
        },
        "corpora": [],
        "self_test": {"ids": rows, "logits": logits, "tolerance": 1e-4},
    }


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PIECE.pattern), behavior="isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["⟦pad⟧", *MARKS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["cheap pills for the meeting today"] * 20, trainer)
    return tokenizer


def _network(weights: np.ndarray) -> onnx.ModelProto:
    constants = {
        "weights": weights,
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "axis": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["weights", "ids"], ["each"]),  # (B, T)
        helper.make_node("Shape", ["ids"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["long"]),
        helper.make_node("Range", ["zero", "long", "one"], ["places"]),  # (T,)
        helper.make_node("Unsqueeze", ["lengths", "axis"], ["ends"]),  # (B, 1)
        helper.make_node("Less", ["places", "ends"], ["inside"]),  # (B, T)
        helper.make_node("Cast", ["inside"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["each", "mask"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "axis"], ["logit"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["B", "T"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT64, ["B"]),
        ],
        [helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["B"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def mail(body: str, *, subject: str = "a plain subject line", sender: str = "ann@x.org") -> bytes:
    """A small message of plain text."""
    head = f"From: Ann <{sender}>\r\nTo: bob@y.org\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
    kind = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    return f"{head}{kind}\r\n{body}\r\n".encode()


SPAM = mail("buy cheap pills and more pills")
HAM = mail("see you at the meeting and the next meeting")
UNSURE = mail("neither of the two words stands here")
