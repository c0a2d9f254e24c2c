"""The network and its wide part: batching changes nothing but speed, and files that do not fit are refused."""

import hashlib
import io
import itertools
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
from spamlstm.model.manifest import WideSpec
from spamlstm.model.network import Network, Wide, buckets, table_indices, wide_features


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
    """A network with other logits than at its export is refused before it judges mail."""
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
    with pytest.raises(DataError, match="not a vocabulary of spamlstm"):
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
    """Text in letters that the vocabulary lacks is unknown, text in known words is not."""
    encoder = Encoder(bundle.load_bundle(tiny))
    assert encoder.is_unknown(encoder.encode(["⟦body⟧ " + "这是一个测试" * 10]))
    assert not encoder.is_unknown(encoder.encode(["⟦body⟧ cheap pills for the meeting today and more"]))
    assert not encoder.is_unknown(encoder.encode([""]))


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


BUCKETS, PAIR = 97, (31, 7)
ROWS = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=12), min_size=1, max_size=5)


def padded(rows):
    lengths = np.array([len(row) for row in rows])
    ids = np.full((len(rows), lengths.max()), 9)  # what stands behind the end must not matter
    for line, row in zip(ids, rows, strict=True):
        line[: len(row)] = row
    return ids, lengths


def expected(row, facts=0):
    """The features of a row: of its tokens, and of its bigrams of two facts or of two other tokens."""

    def feature(hashed, token):
        return hashed % (BUCKETS - 1) + 1 + (BUCKETS if token >= facts else 0)

    pairs = [(one, other) for one, other in itertools.pairwise(row) if (one < facts) == (other < facts)]
    return {feature(one - 1, one) for one in row} | {
        feature(one * PAIR[0] + other * PAIR[1], one) for one, other in pairs
    }


@given(ROWS, st.integers(0, 42))
def test_what_occurs_counts_once(rows, facts):
    """The features of a row are those of its tokens and bigrams, each once, with zeros for the rest and for padding."""
    ids, lengths = padded(rows)
    indices = table_indices(ids, lengths, buckets=BUCKETS, pair=PAIR)
    for row, found in zip(rows, wide_features(ids, indices, buckets=BUCKETS, facts=facts), strict=True):
        assert found[found > 0].tolist() == sorted(expected(row, facts))


@given(ROWS, st.integers(0, 42))
def test_a_long_text_does_not_dilute_the_facts(rows, facts):
    """The logit of a row is the sum for its facts and that for its text, each by the root of its number of features.

    It is the same in a batch and alone.
    """
    table = (np.arange(BUCKETS) * 37 % 255 - 127).astype(np.int8)
    table[0] = 0
    wide = Wide(WideSpec(BUCKETS, PAIR, scale=0.25, bias=-1.0, deep_vote=0.5, facts=facts), table)

    def wanted(row):
        features = expected(row, facts)
        parts = [one for one in features if one < BUCKETS], [one - BUCKETS for one in features if one > BUCKETS]
        return sum(0.25 * sum(int(table[one]) for one in part) / len(part) ** 0.5 for part in parts if part) - 1

    ids, lengths = padded(rows)
    found = wide.logits(ids, wide.indices(ids, lengths))
    np.testing.assert_allclose(found, list(map(wanted, rows)), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("table", [np.zeros(3, np.int8), np.zeros(BUCKETS), np.zeros((BUCKETS, 1), np.int8)])
def test_a_table_that_does_not_fit_is_refused(table):
    """A table of another size, type or shape than in the manifest is refused with one sentence."""
    with pytest.raises(DataError, match="not the table"):
        read(saved(table))


def saved(table, **how) -> bytes:
    out = io.BytesIO()
    np.save(out, table, **how)
    return out.getvalue()


def read(raw):
    return Wide.read(raw, WideSpec(BUCKETS, PAIR, 1.0, 0.0, 1.0), shown="wide.npy")


def test_what_was_saved_is_read():
    """A table saved by NumPy is read."""
    table = np.arange(BUCKETS).astype(np.int8)
    np.testing.assert_array_equal(read(saved(table)).table, table)


def test_padding_has_no_weight():
    """A table that weighs padding is refused, because a message would get another score beside longer messages."""
    with pytest.raises(DataError, match="not the table"):
        read(saved(np.ones(BUCKETS, np.int8)))


def test_a_table_of_objects_is_not_made():
    """A pickle in the file is never run."""

    class Trap:
        def __reduce__(self):
            return exec, ("raise SystemExit('the pickle ran')",)

    with pytest.raises(DataError, match="not the table"):
        read(saved(np.array([Trap()] * BUCKETS, object), allow_pickle=True))


@pytest.mark.parametrize("count", [10**15, BUCKETS + 1, BUCKETS - 1])
def test_a_header_that_lies_about_the_size_is_refused(count):
    """A wrong size in the header is refused before memory is allocated."""
    raw = saved(np.zeros(BUCKETS, np.int8))
    lie = f"'shape': ({count},), }}".encode()
    start = raw.index(b"'shape'")
    with pytest.raises(DataError, match="not the table"):
        read(raw[:start] + lie + raw[start + len(lie) :])


@pytest.mark.parametrize("raw", [b"", b"no array", b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 70_000])
def test_what_is_no_table_is_refused(raw):
    """Any other file is refused."""
    with pytest.raises(DataError, match="not the table"):
        read(raw)
