"""The registry: one model is in use at any moment, and another replaces it completely or not at all."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_bundle import make

from spamlstm.config.locations import models_dir
from spamlstm.errors import DataError, NoInputError, OutputError, UserError
from spamlstm.model import registry
from spamlstm.model.classifier import Classifier


@pytest.fixture
def models(tmp_path, monkeypatch, tiny):
    """The user's own models 'a' and 'b', and 'tiny' in place of the shipped one."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv(registry.ENVIRONMENT, raising=False)
    monkeypatch.setattr(registry, "_SHIPPED", (tiny,))
    own = models_dir()
    for name in "ab":
        make(own / name)
    return own


def test_what_ships_is_in_use_until_another_is(models, tiny):
    """The shipped model is in use until the user chooses another."""
    assert (registry.current(), registry.previous()) == ("default", None)
    assert registry.find_bundle(None) == tiny
    assert list(registry.names()) == ["default", "a", "b"]


def test_use_and_back_again(models, tiny):
    """Each use keeps the previous model, and a rollback is a use too."""
    registry.use("a")
    assert registry.find_bundle(None) == models / "a"
    registry.use("b")
    assert (registry.current(), registry.previous()) == ("b", "a")
    registry.rollback()
    assert (registry.current(), registry.previous()) == ("a", "b")
    registry.rollback()
    registry.use("default")
    assert (registry.find_bundle(None), registry.previous()) == (tiny, "b")


@pytest.mark.parametrize("named", ["default", "~/model", "file", " "])
def test_the_environment_names_no_folder(models, tmp_path, monkeypatch, named):
    """A wrong $SPAMLSTM_MODEL is an error that names the variable, because the user may not know that it is set."""
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(registry.ENVIRONMENT, named)
    with pytest.raises(NoInputError, match=r"\$SPAMLSTM_MODEL"):
        registry.find_bundle(None)
    assert registry.stamp() is None


def test_to_use_what_is_in_use_loses_no_way_back(models):
    """To use the model that is in use already keeps the previous one."""
    registry.use("a")
    registry.use("a")
    assert (registry.current(), registry.previous()) == ("a", "default")


def test_nothing_to_go_back_to(models):
    """A rollback without a previous model is an error: what is needed is missing, and nothing is damaged."""
    with pytest.raises(NoInputError, match="no model was in use before"):
        registry.rollback()


def test_a_folder_that_cannot_be_written(models):
    """The error names the folder of the models and the model that stays in use, and not a temporary file."""
    registry.use("a")
    with pytest.MonkeyPatch.context() as patch:

        def refuse(path, target):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

        patch.setattr(Path, "symlink_to", refuse)
        with pytest.raises(OutputError) as refused:
            registry.use("b")
    assert str(refused.value) == (
        f"the folder of models {models} cannot be written (read-only file system); a stays in use"
    )
    assert registry.current() == "a"


def test_a_name_that_is_none(models):
    """An unknown name is refused with the names there are; no path outside the folder or unfinished model is used."""
    make(models / ".partial")
    for name in ("c", "../a", "current", ".partial", ""):
        with pytest.raises(NoInputError, match="the installed models are: default, a, b"):
            registry.use(name)


@pytest.mark.parametrize("file", ["model.onnx", "weights.safetensors", "manifest.json"])
def test_a_damaged_model_is_not_used(models, file):
    """A model with a damaged file is refused, also if only fine-tuning reads that file."""
    registry.use("a")
    with (models / "b" / file).open("r+b") as stream:
        stream.seek(-20, os.SEEK_END)
        stream.write(b"garbled")
    with pytest.raises(UserError):
        registry.use("b")
    assert registry.current() == "a"


def test_a_model_that_answers_otherwise_is_not_used(models):
    """A model that fails its self-test is refused though its hashes are right."""
    path = models / "b" / "manifest.json"
    path.write_text(path.read_text().replace("-6.0", "-5.0"))
    with pytest.raises(DataError, match="fails its self-test"):
        registry.use("b")
    assert registry.current() == "default"


def test_a_model_that_is_gone_gives_way_to_what_ships(models, tiny):
    """If the chosen model is removed, the shipped one is used."""
    registry.use("a")
    shutil.rmtree(models / "a")
    assert (registry.current(), registry.find_bundle(None)) == ("default", tiny)


def test_a_lost_selection_is_said(models, tmp_path, monkeypatch):
    """If the shipped model replaces the selected one, a sentence says why and what to do; otherwise there is none."""
    assert registry.lost_selection(None) == ""
    registry.use("a")
    assert registry.lost_selection(None) == ""
    (models / "a").rename(tmp_path / "a")
    why = registry.lost_selection(None)
    assert f"the selected model a is missing from {models}" in why
    assert "spamlstm model use" in why
    assert registry.lost_selection(tmp_path / "a") == ""
    monkeypatch.setenv(registry.ENVIRONMENT, str(tmp_path / "a"))
    assert registry.lost_selection(None) == ""
    monkeypatch.delenv(registry.ENVIRONMENT)
    registry.use("default")
    assert registry.lost_selection(None) == ""
    models.rename(tmp_path / "models")
    models.symlink_to(models)
    assert "current cannot be read (too many levels of symbolic links)" in registry.lost_selection(None)


def test_a_copied_selection_is_no_selection(models):
    """A backup that replaced the link by a folder is reported, and another selection says what to do first."""
    registry.use("a")
    (models / "current").unlink()
    shutil.copytree(models / "a", models / "current")
    assert f"{models / 'current'} is not a link" in registry.lost_selection(None)
    with pytest.raises(DataError, match="current is a folder, and must be a link; move it away"):
        registry.use("b")
    assert registry.current() == "default"
    assert sorted(path.name for path in models.iterdir()) == ["a", "b", "current", "previous"]


def test_the_stamp_tells_when_another_is_in_use(models, tmp_path):
    """The stamp stays equal while nothing changes, and changes with each use and when a bundle is replaced."""
    stamps = [registry.stamp()]
    assert registry.stamp() == stamps[0]
    for name in ("a", "b"):
        registry.use(name)
        stamps.append(registry.stamp())
    make(tmp_path / "new")
    shutil.rmtree(models / "b")
    (tmp_path / "new").rename(models / "b")
    stamps.append(registry.stamp())
    assert len(set(stamps)) == 4
    assert registry.stamp(tmp_path / "none") is None


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "tokenizer.json", "wide.npy"])
def test_the_stamp_tells_when_a_file_is_copied(models, name):
    """While a bundle is copied over the one in use, each file changes the stamp, so that the daemon tries it again."""
    registry.use("a")
    (models / "a" / name).touch()
    before = registry.stamp()
    shutil.copy(models / "a" / name, models / "a" / "copied")
    (models / "a" / "copied").rename(models / "a" / name)
    assert registry.stamp() != before


def test_the_stamp_of_a_model_that_became_a_link(models, tmp_path):
    """A link in the place of the model in use is another stamp, so that loading it reports once that it is refused."""
    registry.use("a")
    before = registry.stamp()
    (models / "a").rename(tmp_path / "elsewhere")
    (models / "a").symlink_to(tmp_path / "elsewhere")
    assert registry.stamp() not in (None, before)
    assert registry.stamp() == registry.stamp()
    with pytest.raises(DataError, match="is a link"):
        Classifier.open()


USE = """
import os, signal, sys
from pathlib import Path
from spamlstm.model import registry

registry._SHIPPED = (Path(sys.argv[1]),)
left = int(sys.argv[2])

def hook(event, args):
    global left
    if event in ("os.symlink", "os.rename", "os.remove") and (left := left - 1) < 0:
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
registry.use("b")
"""


@pytest.mark.parametrize("steps", range(7))
def test_a_kill_leaves_a_model_in_use(models, tiny, root, steps):
    """After a kill before any change in the folder, the old or the new model is in use, and another can be used."""
    registry.use("a")
    done = subprocess.run([sys.executable, "-c", USE, str(tiny), str(steps)], cwd=root, check=False)
    assert done.returncode == (-signal.SIGKILL if steps < 6 else 0)
    assert registry.current() == ("a" if steps < 6 else "b")
    assert registry.previous() in {"default", "a"}
    Classifier.open(None)
    registry.use("b")
    assert registry.rollback().path == models / "a"
