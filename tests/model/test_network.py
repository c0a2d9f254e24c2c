"""The network: batching by length changes nothing but speed, and a foreign network is refused."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.errors import DataError
from spamlstm.model import bundle
from spamlstm.model.encoder import Encoder
from spamlstm.model.network import Network, buckets, message_logit


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 1000))
def test_buckets_hold_each_row_once(lengths, budget):
    """Each row is in one batch, and a batch is within the budget unless it is a single row."""
    groups = list(buckets(lengths, budget=budget))
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    assert all(len(group) == 1 or max(lengths[i] for i in group) * len(group) <= budget for group in groups)


def test_together_is_as_one_by_one(tiny):
    """Padding has no effect: a row has the same logit in a batch as alone."""
    loaded = bundle.load_bundle(tiny)
    scorer = Network(loaded)
    random = np.random.default_rng(7)
    rows = [random.integers(0, loaded.input.vocab_size, size).tolist() for size in random.integers(1, 200, 50)]
    alone = [scorer.logits([row])[0] for row in rows]
    np.testing.assert_allclose(scorer.logits(rows), alone, atol=1e-5)
    assert scorer.logits([]).shape == (0,)


def reseal(path, **changes) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    bundle.seal(path, {**manifest, **changes})


def test_the_self_test(tiny, copy):
    """A network whose logits differ from those of the export is refused before it judges mail."""
    Network(bundle.load_bundle(tiny)).self_test()
    reseal(copy, self_test={"ids": [[1, 2]], "logits": [3.0], "tolerance": 0.01})
    with pytest.raises(DataError, match="fails its self-test"):
        Network(bundle.load_bundle(copy)).self_test()


def test_a_network_that_is_none(copy):
    """For a file that is no network, though its hash is right, there is one sentence and no C++ message."""
    (copy / "model.onnx").write_bytes(b"no network")
    reseal(copy)
    assert hashlib.sha256(b"no network").hexdigest() in (copy / "manifest.json").read_text()
    with pytest.raises(DataError, match="not a network"):
        Network(bundle.load_bundle(copy))


def test_a_vocabulary_that_is_none(copy):
    """A file that is no vocabulary is refused with one sentence."""
    (copy / "tokenizer.json").write_text("{}")
    reseal(copy)
    with pytest.raises(DataError, match="no vocabulary of spamlstm"):
        Encoder(bundle.load_bundle(copy))


def test_a_vocabulary_of_another_network(copy):
    """Ids beyond the network's table, which would crash it, are found when the bundle is opened."""
    manifest = json.loads((copy / "manifest.json").read_text())
    reseal(copy, input={**manifest["input"], "vocab_size": 300}, self_test={**manifest["self_test"], "ids": [[1], [2]]})
    with pytest.raises(DataError, match="tokens and its network"):
        Encoder(bundle.load_bundle(copy))


def test_rows_have_bounds(tiny):
    """No text gives an empty row, or more than header_tokens and window_tokens ids."""
    encoder = Encoder(bundle.load_bundle(tiny))
    long = "word " * 5000
    assert [len(row) for row in encoder.encode(["", f"⟦body⟧ {long}", f"{long}⟦body⟧ {long}"])] == [1, 161, 256]


def test_unknown_text(tiny):
    """Text in letters that the vocabulary has never seen is unknown, text in known words is not."""
    encoder = Encoder(bundle.load_bundle(tiny))
    assert encoder.is_unknown(encoder.encode(["⟦body⟧ " + "这是一个测试" * 10]))
    assert not encoder.is_unknown(encoder.encode(["⟦body⟧ cheap pills for the meeting today and more"]))
    assert not encoder.is_unknown(encoder.encode([""]))


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=8))
def test_the_logit_of_a_message(windows):
    """The logit of one window is that of the message; that of several lies between their least and highest."""
    assert min(windows) - 1e-9 <= message_logit(windows) <= max(windows) + 1e-9
    assert message_logit([windows[0]]) == windows[0]
    assert message_logit([*windows, max(windows)]) >= message_logit(windows) - 1e-9


def test_no_telemetry_is_sent(tiny, tmp_path, root):
    """ONNX Runtime sends no telemetry, which would leave a file in the folder for temporary files."""
    script = "from spamlstm.model.classifier import Classifier; import pathlib, sys\n"
    script += "Classifier.open(pathlib.Path(sys.argv[1])); print(len(list(pathlib.Path('/proc/self/task').iterdir())))"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tiny)],
        cwd=root,
        env={**os.environ, "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"
    assert list(tmp_path.iterdir()) == []
