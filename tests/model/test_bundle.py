"""A bundle is used whole and right, or refused with a sentence that says what is wrong."""

import json
import shutil

import pytest

from spamlstm.errors import DataError, NoInputError
from spamlstm.model import bundle
from spamlstm.model.bundle import Calibration


def edit(path, change) -> None:
    """Change the manifest as a careless hand would, without sealing it again."""
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


def refusal(path, kind=DataError) -> str:
    with pytest.raises(kind) as caught:
        bundle.load_bundle(path)
    return str(caught.value)


def test_a_sealed_bundle_loads(tiny):
    """What `seal` wrote, `load` takes, with its values."""
    loaded = bundle.load_bundle(tiny)
    assert (loaded.label, loaded.input.window_tokens, loaded.thresholds.spam) == ("tiny-1", 160, 0.98)
    bundle.verify(loaded)


def test_a_missing_folder(tmp_path):
    """No model there is no input, and the sentence names the option."""
    assert "--model" in refusal(tmp_path / "none", NoInputError)


def test_a_file_for_a_folder(tiny):
    """Naming the network file instead of its folder is understood."""
    assert "name that folder" in refusal(tiny / "model.onnx")


def test_a_foreign_folder(tmp_path):
    """A folder of something else is told from a damaged model."""
    assert "it has no manifest.json" in refusal(tmp_path)


def test_a_cut_manifest(copy):
    """A manifest that ends too early is garbled, not a traceback."""
    whole = (copy / "manifest.json").read_bytes()
    (copy / "manifest.json").write_bytes(whole[: len(whole) // 2])
    assert "not valid JSON" in refusal(copy)


@pytest.mark.parametrize("content", ["[]", "{}", '"x"', "\x00\x01", "[" * 100_000])
def test_a_foreign_manifest(copy, content):
    """Any bytes in place of a manifest are refused."""
    (copy / "manifest.json").write_text(content)
    assert "manifest" in refusal(copy)


def test_another_format(copy):
    """A bundle of the future says that the program is too old for it."""
    edit(copy, lambda manifest: manifest.update(format=2))
    assert "format 2" in refusal(copy)


def test_another_text_version(copy):
    """Contract 1: a model of another text version is never fed this version's text."""
    edit(copy, lambda manifest: manifest.update(text_version=99))
    assert "text version 99" in refusal(copy)


@pytest.mark.parametrize("name", bundle.SCORING_FILES)
def test_a_missing_file(copy, name):
    """A file that is gone is named."""
    (copy / name).unlink()
    assert f"{name} is missing" in refusal(copy)


def test_a_truncated_file(copy):
    """A file that a copy cut short is told by its size."""
    whole = (copy / "model.onnx").read_bytes()
    (copy / "model.onnx").write_bytes(whole[:-10])
    assert "cut short" in refusal(copy)


def test_a_garbled_file(copy):
    """One changed byte is found."""
    whole = bytearray((copy / "model.onnx").read_bytes())
    whole[len(whole) // 2] ^= 1
    (copy / "model.onnx").write_bytes(whole)
    assert "hash" in refusal(copy)


def test_a_garbled_file_for_fine_tuning(copy):
    """Scoring does not read the weights, so only `verify` does."""
    (copy / "weights.safetensors").write_bytes(b"x")
    loaded = bundle.load_bundle(copy)
    with pytest.raises(DataError, match=r"weights\.safetensors"):
        bundle.verify(loaded)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", ""),
        ("input", {}),
        ("input", []),
        ("calibration", {"scale": "1", "shift": 0}),
        ("calibration", {"scale": -1, "shift": 0}),
        ("calibration", {"scale": float("nan"), "shift": 0}),
        ("thresholds", {"ham": 0.9, "spam": 0.1}),
        ("thresholds", {"ham": 0.1, "spam": 0.9, "costs": {"surprise": 1}}),
        ("self_test", {"ids": [], "logits": [], "tolerance": 1}),
        ("self_test", {"ids": [[10**9]], "logits": [0], "tolerance": 1}),
        ("files", {}),
    ],
)
def test_a_wrong_value(copy, key, value):
    """Each value that is used is checked before it is used, and named when it is wrong."""
    edit(copy, lambda manifest: manifest.update({key: value}))
    assert f"'{key}" in refusal(copy)


def test_seal_leaves_nothing_behind(tiny, tmp_path):
    """The manifest comes by a rename; no temporary file stays in the bundle."""
    path = shutil.copytree(tiny, tmp_path / "sealed")
    bundle.seal(path, json.loads((path / "manifest.json").read_text()))
    assert sorted(one.name for one in path.iterdir()) == sorted(one.name for one in tiny.iterdir())


def test_probability_at_the_ends():
    """No score overflows."""
    assert Calibration.probability(-1e6) == pytest.approx(0)
    assert Calibration.probability(1e6) == pytest.approx(1)
    assert Calibration.probability(0.0) == pytest.approx(0.5)
