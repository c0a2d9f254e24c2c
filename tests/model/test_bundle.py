"""A bundle is used if it is complete and correct, else refused with a sentence that says what is wrong."""

import json
import shutil

import pytest

from spamlstm.errors import DataError, NoInputError
from spamlstm.model import bundle
from spamlstm.verdict import logistic


def edit(path, change) -> None:
    """Change the manifest without sealing it again."""
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


def refusal(path, kind=DataError) -> str:
    with pytest.raises(kind) as caught:
        bundle.load_bundle(path)
    return str(caught.value)


def test_a_sealed_bundle_loads(tiny):
    """`load_bundle` reads what `seal` wrote."""
    loaded = bundle.load_bundle(tiny)
    assert (loaded.label, loaded.input.window_tokens, loaded.thresholds.spam) == ("tiny-1", 160, 0.98)
    bundle.verify(loaded)


def test_a_missing_folder(tmp_path):
    """A missing folder is a NoInputError that names the option."""
    assert "--model" in refusal(tmp_path / "none", NoInputError)


def test_a_file_for_a_folder(tiny):
    """For a file in place of a folder, the error asks for the folder."""
    assert "name that folder" in refusal(tiny / "model.onnx")


def test_a_foreign_folder(tmp_path):
    """A folder without a manifest is no model, as against a damaged model."""
    assert "it has no manifest.json" in refusal(tmp_path)


def test_a_cut_manifest(copy):
    """A manifest that ends too early is an error without a traceback."""
    whole = (copy / "manifest.json").read_bytes()
    (copy / "manifest.json").write_bytes(whole[: len(whole) // 2])
    assert "not valid JSON" in refusal(copy)


@pytest.mark.parametrize("content", ["[]", "{}", '"x"', "\x00\x01", "[" * 100_000])
def test_a_foreign_manifest(copy, content):
    """Any bytes in place of a manifest are refused."""
    (copy / "manifest.json").write_text(content)
    assert "manifest" in refusal(copy)


def test_another_format(copy):
    """A bundle of a later format is refused, with both format numbers."""
    edit(copy, lambda manifest: manifest.update(format=3))
    assert "of format 3 and this spamlstm reads format 2;" in refusal(copy)


@pytest.mark.parametrize("number", [1, 2])
def test_a_renamed_key(copy, number):
    """A manifest with the former name of a key is refused, and the error has the new name."""
    edit(copy, lambda manifest: manifest.update(format=number))
    edit(copy, lambda manifest: manifest["input"].update(fashion=manifest["input"].pop("style")))
    assert "'input.fashion'" in refusal(copy)
    assert "'input.style'" in refusal(copy)


def test_another_text_version(copy):
    """Contract 1: a model of another text version is never fed this version's text."""
    edit(copy, lambda manifest: manifest.update(text_version=99))
    assert "text version 99" in refusal(copy)


@pytest.mark.parametrize("name", bundle.SCORING_FILES)
def test_a_missing_file(copy, name):
    """A missing file is named."""
    (copy / name).unlink()
    assert f"{name} is missing" in refusal(copy)


def test_a_truncated_file(copy):
    """A file that was cut is found by its size."""
    whole = (copy / "model.onnx").read_bytes()
    (copy / "model.onnx").write_bytes(whole[:-10])
    assert "cut short" in refusal(copy)


def test_a_garbled_file(copy):
    """One changed byte in a file of a bundle is found."""
    whole = bytearray((copy / "model.onnx").read_bytes())
    whole[len(whole) // 2] ^= 1
    (copy / "model.onnx").write_bytes(whole)
    assert "hash" in refusal(copy)


def test_a_garbled_file_for_fine_tuning(copy):
    """`verify` checks the weights too, which scoring does not read."""
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
    """Each value that is used is checked first, and named if it is wrong."""
    edit(copy, lambda manifest: manifest.update({key: value}))
    assert f"'{key}" in refusal(copy)


def test_seal_leaves_nothing_behind(tiny, tmp_path):
    """No temporary file stays in the bundle."""
    path = shutil.copytree(tiny, tmp_path / "sealed")
    bundle.seal(path, json.loads((path / "manifest.json").read_text()))
    assert sorted(one.name for one in path.iterdir()) == sorted(one.name for one in tiny.iterdir())


def test_probability_at_the_ends():
    """No score overflows."""
    assert logistic(-1e6) == pytest.approx(0)
    assert logistic(1e6) == pytest.approx(1)
    assert logistic(0.0) == pytest.approx(0.5)
