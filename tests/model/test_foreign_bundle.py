"""A bundle is untrusted input: each part is bounded and read by its hash, or the bundle is refused in one sentence."""

import contextlib
import json
import os
import shutil

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from spamlstm.errors import DataError, UserError
from spamlstm.model import bundle, graph, manifest, registry
from spamlstm.model.bundle import CARD, MANIFEST, NETWORK, TOKENIZER, WEIGHTS, WIDE
from spamlstm.model.classifier import Classifier
from spamlstm.model.encoder import Encoder
from spamlstm.model.network import Network

SHIPPED = ("default", "without-trec07p")


def edit(path, change) -> None:
    """Change the manifest, as its author could."""
    manifest = json.loads((path / MANIFEST).read_text())
    change(manifest)
    (path / MANIFEST).write_text(json.dumps(manifest))


def reseal(path) -> None:
    """Give the manifest the hashes of the files as they are now."""
    bundle.seal(path, json.loads((path / MANIFEST).read_text()))


def refusal(path) -> str:
    with pytest.raises(UserError) as caught:
        registry.checked(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.model
@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_is_within_all_bounds(root, name):
    """The shipped bundles obey the same rules, and their cards have hashes."""
    shipped = registry.checked(root / "models" / name)
    assert CARD in shipped.files
    assert shipped.card().startswith("# ")


# --- its folder ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a/b", ".hidden", "..", "", "x" * 65, "\u00e9", "a\nb", "\u202ea", "a b"]
)
def test_the_names_of_files_are_plain(copy, name):
    """No name leads outside the folder, or could mislead a terminal or a header."""
    edit(copy, lambda manifest: manifest["files"].update({name: {"sha256": "0" * 64, "bytes": 1}}))
    assert "'files'" in refusal(copy)


def test_there_are_not_many_files(copy):
    """The number of files is bounded."""
    entry = {"sha256": "0" * 64, "bytes": 1}
    edit(copy, lambda manifest: manifest["files"].update({f"f{number}": entry for number in range(40)}))
    assert "32 files at most" in refusal(copy)


@pytest.mark.parametrize("name", [MANIFEST, NETWORK, TOKENIZER, CARD, WEIGHTS])
def test_a_link_is_not_followed(copy, tmp_path, name):
    """A link is refused even if its target has the right hash."""
    (copy / name).rename(tmp_path / "elsewhere")
    (copy / name).symlink_to(tmp_path / "elsewhere")
    assert f"{name} is a link" in refusal(copy)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("name", [MANIFEST, NETWORK, TOKENIZER, CARD, WEIGHTS])
def test_only_regular_files_are_read(copy, name, make):
    """A FIFO or a folder is refused, without waiting."""
    (copy / name).unlink()
    make(copy / name)
    assert f"{name} is not a regular file" in refusal(copy)


@pytest.mark.parametrize("name", [MANIFEST, NETWORK, TOKENIZER, CARD, WEIGHTS])
def test_a_file_has_bounds(copy, name):
    """A file that is too large is refused before it is read."""
    size = manifest.most_bytes(name) + 1
    if name == WEIGHTS:
        edit(copy, lambda manifest: manifest["files"][name].update(bytes=size))
        assert f"'files.{name}'" in refusal(copy)
        return
    os.truncate(copy / name, size)
    assert f"{name} is larger than" in refusal(copy)


def test_what_is_read_is_what_was_hashed(copy):
    """A file that changes after the bundle was loaded is not used."""
    loaded = bundle.load_bundle(copy)
    (copy / NETWORK).write_bytes(b"x" * (copy / NETWORK).stat().st_size)
    with pytest.raises(DataError, match="does not have the hash"):
        Network(loaded)


def test_a_card_that_is_not_listed_is_not_read(copy):
    """A card without a hash in the manifest is not shown."""
    edit(copy, lambda manifest: manifest["files"].pop(CARD))
    (copy / CARD).write_text("# Forged")
    assert bundle.load_bundle(copy).card() == ""


def test_a_card_that_was_changed_is_not_shown(copy):
    """A card that does not have the hash in the manifest is an error."""
    loaded = bundle.load_bundle(copy)
    (copy / CARD).write_text("# tiny\n\nKnows two worms.\n")
    with pytest.raises(DataError, match="does not have the hash"):
        loaded.card()


# --- its manifest ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("input", "window_bytes", 1),
        ("input", "window_bytes", 40),
        ("input", "window_bytes", 10**9),
        ("input", "max_windows", 10**9),
        ("input", "max_windows", 0),
        ("input", "window_tokens", 10**12),
        ("input", "piece_tokens", 10**9),
        ("input", "piece_tokens", -1),
        ("input", "piece_tokens", "48"),
        ("input", "header_tokens", 10**12),
        ("input", "pad_id", 10**9),
        ("input", "pad_id", -1),
        ("input", "vocab_size", 10**9),
        ("input", "style", 1),
        ("calibration", "scale", 1e308),
        ("calibration", "scale", 1e-308),
        ("calibration", "scale", 10**400),
        ("calibration", "shift", float("inf")),
        ("thresholds", "spam", 1.5),
        ("thresholds", "ham", float("nan")),
        ("thresholds", "costs", {"false_positive": 10**400}),
        ("thresholds", "costs", {"\x1b[31m": 1}),
        ("self_test", "tolerance", 1e300),
        ("self_test", "tolerance", 0.2),
        ("self_test", "tolerance", -1),
        ("self_test", "tolerance", float("nan")),
        ("self_test", "logits", [10**400, 0]),
        ("self_test", "ids", [[1] * 300_000, [1]]),
        ("self_test", "ids", [[-1], [1]]),
        ("wide", "buckets", 10**15),
        ("wide", "buckets", 1),
        ("wide", "pair", [10**40, 1]),
        ("wide", "pair", [0, 1]),
        ("wide", "pair", [True, 1]),
        ("wide", "facts", -1),
        ("wide", "facts", 10**9),
        ("wide", "facts", True),
        ("wide", "scale", 1e308),
        ("wide", "deep_vote", float("nan")),
    ],
)
def test_a_number_has_bounds(copy, table, key, value):
    """A number out of bounds is refused by its name before anything is allocated or computed with it."""
    wide = {"buckets": 8, "pair": [3, 5], "scale": 1.0, "bias": 0.0, "deep_vote": 1.0}
    edit(copy, lambda manifest: {"wide": manifest.setdefault("wide", wide), **manifest}[table].update({key: value}))
    assert f"'{table}" in refusal(copy)


def test_not_many_reference_answers(copy):
    """The number of reference inputs is bounded."""
    edit(copy, lambda manifest: manifest["self_test"].update(ids=[[1]] * 100, logits=[0.0] * 100))
    assert "64 rows at most" in refusal(copy)


@pytest.mark.parametrize("key", ["name", "version"])
@pytest.mark.parametrize("value", ["m\x1b[31m\r\nX-Evil: yes", 'a"}', "a b", "../a", "", "x" * 65, 7, "\u043c"])
def test_the_name_is_a_plain_word(copy, key, value):
    """Name and version are safe in headers, logs, metrics and tables."""
    edit(copy, lambda manifest: manifest.update({key: value}))
    assert f"'{key}'" in refusal(copy)


@pytest.mark.parametrize("value", ["\x1b[31m", [[]] * 1000, 10**4000, None, 1.5])
def test_a_strange_format(copy, value):
    """A format that is no small number is refused without being repeated."""
    edit(copy, lambda manifest: manifest.update(format=value))
    assert "of format unknown" in refusal(copy)


# --- its network -----------------------------------------------------------------------------------------------------


@pytest.fixture
def network(copy):
    """Return a function that changes the network of a copy and seals it again."""

    def change(how):
        model = onnx.load(copy / NETWORK)
        how(model)
        (copy / NETWORK).write_bytes(model.SerializeToString())
        reseal(copy)
        return copy

    return change


@pytest.mark.parametrize("location", ["inside.bin", "../outside.bin", "absolute", "link.bin"])
def test_weights_in_another_file_are_refused(network, copy, tmp_path, monkeypatch, location):
    """No file without a hash is read, in the bundle or in the current folder."""
    monkeypatch.chdir(copy)

    def outward(model):
        weights = model.graph.initializer[0]
        (tmp_path / "outside.bin").write_bytes(weights.raw_data)
        (copy / "inside.bin").write_bytes(weights.raw_data)
        (copy / "link.bin").symlink_to(tmp_path / "outside.bin")
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        entry = weights.external_data.add()
        entry.key, entry.value = "location", str(tmp_path / "outside.bin") if location == "absolute" else location

    with pytest.raises(DataError, match="weights in another file"):
        Network(bundle.load_bundle(network(outward)))


def test_external_weights_in_a_constant_are_refused(network):
    """Weights in another file are refused for a tensor that is an attribute of a node, too."""

    def hide(model):
        tensor = helper.make_tensor("t", TensorProto.FLOAT, [1], [1.0])
        tensor.external_data.add().key = "location"
        model.graph.node[0].attribute.append(helper.make_attribute("value", tensor))

    assert "weights in another file" in refusal(network(hide))


@pytest.mark.parametrize("domain", ["", "com.microsoft", "custom"])
@pytest.mark.parametrize(
    "kind",
    ["Loop", "If", "Scan", "ConstantOfShape", "Expand", "Tile", "RandomNormal", "Evil\x1b", "DynamicQuantizeLSTM"],
)
def test_only_operators_that_we_write(network, kind, domain):
    """Other operators are refused: loops may run without end, others use much memory or mix the rows of a batch."""
    node = helper.make_node(kind, ["ids"], ["more"], domain=domain)
    assert "the operator" in refusal(network(lambda model: model.graph.node.append(node)))


def test_no_subgraphs(network):
    """Subgraphs are refused under any operator."""

    def nest(model):
        inner = helper.make_graph([], "inner", [], [])
        model.graph.node[0].attribute.append(helper.make_attribute("body", inner))

    assert "a subgraph" in refusal(network(nest))


def test_no_functions(network):
    """Functions are refused."""
    function = helper.make_function("", "Add", ["a"], ["b"], [], [helper.make_opsetid("", 17)])
    assert "functions" in refusal(network(lambda model: model.functions.append(function)))


def test_not_many_fields():
    """The number of fields is bounded, because many small ones take long to check."""
    with pytest.raises(ValueError, match="too many fields"):
        graph.check_graph(b"\x08\x01" * 60_000)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_checked(raw):
    """For any bytes the check ends, with its own error or with none."""
    with contextlib.suppress(ValueError):
        graph.check_graph(raw)


# --- its wide part ---------------------------------------------------------------------------------------------------


@pytest.fixture
def wide(copy):
    """A copy with a wide part of eight weights."""
    np.save(copy / WIDE, np.arange(8, dtype=np.int8))
    spec = {"buckets": 8, "pair": [3, 5], "scale": 0.0, "bias": 0.0, "deep_vote": 1.0}
    edit(copy, lambda manifest: manifest.update(wide=spec))
    reseal(copy)
    return copy


def test_a_wide_part_is_read_by_its_hash(wide):
    """A changed weight table is refused."""
    registry.checked(wide)
    (wide / WIDE).write_bytes((wide / WIDE).read_bytes()[:-1] + b"\x55")
    assert "does not have the hash" in refusal(wide)


def test_a_wide_part_that_is_a_link(wide, tmp_path):
    """A weight table that is a link is refused."""
    shutil.move(wide / WIDE, tmp_path / "w")
    (wide / WIDE).symlink_to(tmp_path / "w")
    with pytest.raises(DataError, match="is a link"):
        Classifier.open(wide)


# --- its vocabulary: the rest is in test_encoder --------------------------------------------------------------------


def test_ids_have_no_gaps(copy):
    """An id without a row in the network is found before the model is put in use."""
    whole = json.loads((copy / TOKENIZER).read_text())
    last = max(whole["model"]["vocab"], key=whole["model"]["vocab"].get)
    whole["model"]["vocab"][last] = 10**9
    (copy / TOKENIZER).write_text(json.dumps(whole, ensure_ascii=False))
    reseal(copy)
    Encoder(bundle.load_bundle(copy))
    assert "the ids in the tokenizer.json" in refusal(copy)
