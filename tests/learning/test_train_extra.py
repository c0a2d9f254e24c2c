"""The command that installs what retraining needs is right for the tool that made the environment."""

import shlex
import subprocess
import sys
import tomllib

import pytest

from spamlstm.errors import UnavailableError
from spamlstm.learning.train_extra import REQUIREMENTS, check_installed, install_command


def test_the_requirements_are_those_of_the_extra(root):
    """The command installs versions that the `train` extra allows, so training works with them."""
    extra = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]["train"]
    assert set(REQUIREMENTS.values()) <= set(extra)
    assert all(requirement.startswith(f"{name}>=") for name, requirement in REQUIREMENTS.items())


def test_without_the_trainer_no_package_helps(tmp_path, monkeypatch):
    """An installation without the trainer says where to retrain, and does not name packages to install."""
    monkeypatch.setattr("spamlstm.learning.train_extra.__file__", str(tmp_path / "spamlstm" / "learning" / "x.py"))
    with pytest.raises(UnavailableError, match="install spamlstm with pip, retrain there"):
        check_installed()


@pytest.mark.parametrize(
    ("left", "command"),
    [
        ("pipx_metadata.json", ["pipx", "inject", "spamlstm"]),
        ("uv-receipt.toml", ["uv", "pip", "install", "--python", "/envs/bin/python"]),
        (None, ["/envs/bin/python", "-m", "pip", "install"]),
    ],
)
def test_the_command_of_each_tool(tmp_path, left, command):
    """Both pipx and uv mark their environments; in all others the pip of the running Python installs."""
    environment = tmp_path / "spamlstm"
    environment.mkdir()
    if left:
        (environment / left).touch()
    written = install_command(list(REQUIREMENTS.values()), environment=environment, python="/envs/bin/python")
    assert shlex.split(written) == [*command, *REQUIREMENTS.values()]


def test_without_pip_uv_installs(tmp_path, monkeypatch):
    """An environment that uv made has no pip, so the command does not name it."""
    monkeypatch.setitem(sys.modules, "pip", None)
    assert install_command(["torch"], environment=tmp_path).startswith("uv pip install --python ")


def test_pip_accepts_the_command(tmp_path):
    """The pip of this Python understands the command. It finds what is installed, so it needs no network."""
    pytest.importorskip("pip", reason="this environment has no pip")
    command = shlex.split(install_command(list(REQUIREMENTS.values()), environment=tmp_path))
    done = subprocess.run([*command, "--dry-run", "--no-index", "--quiet"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        (["torch"], "needs torch; "),
        (["onnx", "torch"], "needs onnx and torch; "),
        (["onnx", "safetensors", "torch"], "needs onnx, safetensors and torch; "),
    ],
)
def test_the_missing_packages_are_named_in_a_sentence(monkeypatch, missing, sentence):
    """The error lists the missing packages as a sentence does."""
    monkeypatch.setattr("spamlstm.learning.train_extra.is_installed", lambda name: name not in missing)
    with pytest.raises(UnavailableError, match=sentence):
        check_installed()


@pytest.mark.parametrize(
    ("version", "is_refused"),
    [("2.6.0", False), ("2.10.1+cpu", False), ("2.5.9", True), ("1.13.1", True), ("3.0.0a1", True)],
)
def test_an_unsuitable_version_is_named(monkeypatch, version, is_refused):
    """PyTorch of another version is refused with the command, before the training ends with a traceback."""
    known = {"onnx": "1.17.0", "safetensors": "0.5.3", "torch": version}
    monkeypatch.setattr("importlib.metadata.version", known.__getitem__)
    monkeypatch.setattr("spamlstm.learning.train_extra.is_installed", lambda _: True)
    if not is_refused:
        check_installed()
        return
    with pytest.raises(UnavailableError) as refused:
        check_installed()
    assert f"needs torch>=2.6,<3 ({version} is installed); to install, run: " in str(refused.value)


def test_a_damaged_installation_of_a_package(monkeypatch, tmp_path):
    """A version that is not known, because an interrupted installation left an empty folder, is not refused."""
    (tmp_path / "torch-2.6.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("spamlstm.learning.train_extra.is_installed", lambda _: True)
    check_installed()
