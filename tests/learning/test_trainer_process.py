"""The trainer's process: the trainer that belongs to this program, whatever lies in the current folder."""

import os
import subprocess
import sys

import pytest
from hostile_folder import HostileFolder

from spamlstm.learning.trainer_process import trainer_command

RUN = """
import os, sys
from spamlstm.learning.trainer_process import run_trainer, trainer_command

with open(os.devnull, "rb") as lock:
    run_trainer([*trainer_command(), *sys.argv[1:]], lock=lock.fileno())
"""


def test_modules_in_the_current_folder_are_not_executed(tmp_path, root):
    """Retraining in a folder of somebody else's starts the trainer beside spamlstm, and executes no file there."""
    folder = HostileFolder(tmp_path)
    done = folder.run(RUN, "--help", root=root)
    assert done.returncode == 0, done.stderr
    assert "--mail" in done.stdout
    assert folder.marks() == []


@pytest.mark.train
def test_torch_in_the_current_folder_is_not_executed(tmp_path, root, tiny):
    """Nor where the trainer goes on to load torch: this bundle cannot be trained on, which takes torch to find out."""
    folder = HostileFolder(tmp_path)
    options = {"--from": tiny, "--mail": tmp_path, "--out": tmp_path / "out", "--version": "1", "--origin": "{}"}
    done = folder.run(RUN, *(word for pair in options.items() for word in pair), root=root)
    assert "the training ended with status" in done.stderr
    assert "hostile" not in done.stderr.replace(str(folder.path), "")
    assert folder.marks() == []


def test_a_folder_on_the_path_is_searched(tmp_path, root):
    """The current folder counts where PYTHONPATH names it, as for a trainer in a checkout."""
    (tmp_path / "asked_for.py").write_text("print('found')\n")
    script = """
import os, sys
from spamlstm.learning.trainer_process import run_trainer

with open(os.devnull, "rb") as lock:
    run_trainer([sys.executable, "-P", "-m", "asked_for"], lock=lock.fileno())
"""
    for named, status in ((str(tmp_path), 0), ("", 1)):
        path = os.pathsep.join([str(root), named]) if named else str(root)
        command = [sys.executable, "-c", script]
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stderr


@pytest.mark.parametrize(("beside", "module"), [([], "training"), (["spamlstm_training"], "spamlstm_training")])
def test_the_trainer_of_an_installation(tmp_path, monkeypatch, beside, module):
    """A wheel installs the trainer beside spamlstm by another name than a checkout has."""
    for name in beside:
        (tmp_path / name).mkdir()
    monkeypatch.setattr("spamlstm.learning.trainer_process.__file__", str(tmp_path / "spamlstm" / "learning" / "x.py"))
    assert trainer_command() == (sys.executable, "-P", "-m", module, "finetune")
