"""The exported network gives the logits of the trained one."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from spamlstm.model import network as scoring
from spamlstm.model.close_reading import DOUBTFUL, divide, is_doubtful, message_logit
from training import export, judging
from training.batches import Example, collate, rows
from training.network import Network, NetworkConfig, Wide, evidence_factor

SHAPES = [("lstm", False), ("lstm", True), ("gru", False), ("gru", True), ("rnn", False), ("rnn", True), ("mean", True)]
each_shape = pytest.mark.parametrize(("cell", "one_way"), SHAPES)
VOCABULARY = 300


def _network(cell, one_way):
    """A network without a wide part: only the deep part becomes an ONNX graph. WIDE gives its evidence."""
    torch.manual_seed(5)
    shape = NetworkConfig(
        VOCABULARY,
        embedding=12,
        stride=4,
        hidden=9,
        dense=7,
        cell=cell,
        one_way=one_way,
        buckets=0,
        evidence=500,
        projection=10,
    )
    network = Network(shape)
    with torch.no_grad():
        network.deep.out.weight.normal_()  # it begins as 0
    network.deep.set_evidence(WIDE)
    return network.eval()


def _wide(*, facts=0):
    torch.manual_seed(5)
    wide = Wide(NetworkConfig(VOCABULARY, buckets=500, facts=facts))
    torch.nn.init.normal_(wide.table.weight[1:])
    return wide


def _with(wide):
    """A network with a given wide part, and a deep part that reads the evidence of it."""
    network = Network(NetworkConfig(VOCABULARY, embedding=12, hidden=9, buckets=500, evidence=500, facts=wide.facts))
    network.wide = wide
    network.deep.set_evidence(wide)
    return network.eval()


WIDE = _wide()


def _examples(count=40):
    rng = np.random.default_rng(6)
    bodies = [rng.integers(1, VOCABULARY, rng.integers(0, 60)).astype(np.uint16) for _ in range(count)]
    header = np.array([3, 5, 7], np.uint16)
    return [Example(header, (body,), spam=False) for body in bodies]


def _batch():
    examples = _examples()
    return collate([rows(example, 1) for example in examples], [False] * len(examples))


def _tensors(batch):
    return torch.from_numpy(batch.ids), torch.from_numpy(batch.lengths)


def _torch_logits(network, ids, lengths):
    with torch.no_grad():
        return network(torch.from_numpy(ids), torch.from_numpy(lengths)).numpy()


def _run(path, ids, lengths, wide=WIDE):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["logit"], scoring.graph_inputs(ids, lengths, export.exact(_with(wide))))[0]


@pytest.fixture
def exported(tmp_path):
    def exported(network, *, int8=False):
        onnx.save(export.graph(network.deep), tmp_path / "plain.onnx")
        if not int8:
            return tmp_path / "plain.onnx"
        export.quantize(tmp_path / "plain.onnx", tmp_path / "int8.onnx")
        return tmp_path / "int8.onnx"

    return exported


@each_shape
def test_onnx_agrees_with_pytorch(exported, cell, one_way):
    """For every cell and direction, a batch of rows of all lengths gets PyTorch's logits."""
    network, batch = _network(cell, one_way), _batch()
    found = _run(exported(network), batch.ids, batch.lengths)

    assert found == pytest.approx(_torch_logits(network, batch.ids, batch.lengths), abs=1e-4)
    assert np.ptp(found) > 0.01


@each_shape
@pytest.mark.parametrize("int8", [False, True])
def test_one_graph_serves_every_batch_and_length(exported, cell, one_way, int8):
    """A row alone, without padding, gets the same logit as among longer rows, with int8 tables too."""
    network, batch = _network(cell, one_way), _batch()
    path = exported(network, int8=int8)
    together = _run(path, batch.ids, batch.lengths)
    alone = [_run(path, ids[None, :n], np.array([n]))[0] for ids, n in zip(batch.ids, batch.lengths, strict=True)]

    assert together == pytest.approx(np.array(alone), abs=1e-5)


def test_only_what_exceeds_the_margin_is_added_to_the_wide_part(exported):
    """The graph gives max(0, correction - margin) · gain, so the logit is PyTorch's, and small corrections are 0.

    The network has no projection, as networks of older bundles.
    """
    torch.manual_seed(5)
    shape = NetworkConfig(
        VOCABULARY, embedding=12, hidden=9, buckets=500, evidence=500, margin=0.3, gain=1.6, facts=100, projection=0
    )
    network, batch = Network(shape).eval(), _batch()
    with torch.no_grad():
        network.deep.out.weight.normal_(std=4)
        torch.nn.init.normal_(network.wide.table.weight[1:])
        network.deep.set_evidence(network.wide)
        network.deep.out.bias += 0.3 - network.deep(*_tensors(batch)).median()
    found = _run(exported(network), batch.ids, batch.lengths, network.wide)
    with torch.no_grad():
        corrections, wide = (part(*_tensors(batch)).numpy() for part in (network.deep, network.wide))

    assert found == pytest.approx(1.6 * np.maximum(corrections - 0.3, 0), abs=1e-4)
    assert wide + found == pytest.approx(_torch_logits(network, batch.ids, batch.lengths), abs=1e-4)
    assert (corrections <= 0.3).any()
    assert (corrections > 0.3).any()


@each_shape
def test_padding_has_no_influence(exported, cell, one_way):
    """The ids behind the end of a row do not change a bit of the logit, in ONNX and in PyTorch."""
    network, batch = _network(cell, one_way), _batch()
    path = exported(network)
    padding = np.arange(batch.ids.shape[1])[None, :] >= batch.lengths[:, None]
    other = np.where(padding, np.random.default_rng(7).integers(1, VOCABULARY, batch.ids.shape), batch.ids)

    assert padding.any()
    assert (_run(path, other, batch.lengths) == _run(path, batch.ids, batch.lengths)).all()
    same = _torch_logits(network, other, batch.lengths) == _torch_logits(network, batch.ids, batch.lengths)
    assert same.all()


@each_shape
def test_int8_is_close(exported, cell, one_way):
    """int8 tables change logits by a few hundredths of their range, and correlate with the exact ones."""
    network, batch = _network(cell, one_way), _batch()
    found = _run(exported(network, int8=True), batch.ids, batch.lengths)
    exact = _torch_logits(network, batch.ids, batch.lengths)

    assert np.abs(found - exact).mean() < 0.05 * np.ptp(exact)
    assert np.corrcoef(found, exact)[0, 1] > 0.99


@pytest.mark.parametrize("facts", [0, 100])
@pytest.mark.parametrize("int8", [False, True])
def test_the_wide_part_without_pytorch_agrees_with_it(int8, facts):
    """The filter computes the logit of the wide part as the trainer does; int8 weights change it little."""
    part, batch = _wide(facts=facts), _batch()
    exact = _torch_logits(part, batch.ids, batch.lengths)
    judge = scoring.Wide(*reversed(export.table(_with(part)))) if int8 else export.exact(_with(part))

    indices = judge.indices(batch.ids, batch.lengths)
    assert judge.logits(batch.ids, indices) == pytest.approx(exact, abs=0.05 if int8 else 1e-4)
    assert np.ptp(exact) > 1


@pytest.mark.parametrize("facts", [0, 100])
def test_the_evidence_without_pytorch_is_what_the_deep_part_was_trained_on(facts):
    """The filter looks up the evidence of tokens and pairs in the order of the row; padding and no pair have 0."""
    network, batch = _with(_wide(facts=facts)), _batch()
    wide = export.exact(network)
    found = wide.evidence(wide.indices(batch.ids, batch.lengths))
    ids = np.where(np.arange(batch.ids.shape[1]) < batch.lengths[:, None], batch.ids, 0)
    expected = network.deep._evidence_of(torch.from_numpy(ids), network.deep.evidence).numpy()

    assert found == pytest.approx(expected, abs=1e-5)
    assert not found[ids == 0].any()
    assert np.std(found[ids > 0]) > 0.5


def test_a_loaded_network_is_exported_as_it_was():
    """The weights of a bundle are rounded, but the deep part still reads them by the factor of its training."""
    network = _with(_wide())
    weights = network.wide.table.weight.detach()[:, 0]
    network.deep.evidence.copy_(weights * 0.9 * evidence_factor(weights))
    assert export.exact(network).spec.evidence == pytest.approx(0.9 * evidence_factor(weights), rel=1e-5)


def test_a_message_of_several_windows_gets_the_logit_of_the_classifier():
    """The trainer and the classifier combine the logits of windows by the same rule."""
    network = _network("lstm", one_way=False)
    parts = _examples(6)
    whole = Example(parts[0].header, tuple(part.windows[0] for part in parts), spam=False)
    each = judging.logits(network, parts, windows=1)

    assert judging.logits(network, [whole], windows=6)[0] == pytest.approx(message_logit(each.tolist()), abs=1e-5)
    assert judging.logits(network, [whole], windows=2)[0] == pytest.approx(message_logit(each[:2].tolist()), abs=1e-5)


def test_the_trainer_reads_doubtful_messages_in_pieces():
    """The pieces of a doubtful message are scored as the classifier scores them; other messages are not divided."""
    network = _network("lstm", one_way=False)
    examples = _examples(40)
    middle = float(np.median(judging.logits(network, examples, windows=1)))
    with torch.no_grad():
        network.deep.out.bias += DOUBTFUL[0] - middle  # half of the messages are doubtful
    for example in examples:
        (window,) = judging.logits(network, [example], windows=1)
        parts = [Example(example.header, (part,), spam=False) for part in divide(example.windows[0], 5)]
        pieces = judging.logits(network, parts, windows=1).tolist() if is_doubtful([window]) else ()
        (found,) = judging.logits(network, [example], windows=1, piece=5)
        assert found == pytest.approx(message_logit([window], pieces), abs=1e-5)
