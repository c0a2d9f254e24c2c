"""`spamlstm retrain` without training."""

import json
import shutil
import sys

import maildirs
import pytest
from tiny_bundle import HAM

from spamlstm.cli.translate import run


@pytest.fixture
def state(tmp_path, monkeypatch, tiny):
    """A state folder and a models folder for the test; 'tiny' is the model."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("SPAMLSTM_MODEL", str(tiny))
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


def test_with_few_labels_it_says_so(state, tmp_path, capsys):
    """With few labels the command says so, with status 0, because a timer runs it every night."""
    assert run(["retrain", "--state", str(state)]) == 0
    assert capsys.readouterr().out == "not retrained: nothing was labelled yet\n"
    (tmp_path / "ham.eml").write_bytes(HAM)
    run(["label", "ham", str(tmp_path / "ham.eml"), "--state", str(state)])
    capsys.readouterr()
    assert run(["retrain", "--now", "--json", "--state", str(state)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["promoted"], report["model"]) == (False, None)
    assert report["why"] == ["there are 1 ham and 0 spam labels; retraining needs 20 of each"]


def test_without_the_extra(state, monkeypatch, capsys):
    """Without PyTorch one sentence says how to install it for this Python, with status 69."""
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run(["retrain", "--state", str(state)]) == 69
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(" 'torch>=2.6,<3'")
    assert f" {sys.executable} " in line


def test_labels_per_maildir(state, tmp_path, capsys):
    """If each Maildir has its own labels, --maildir is needed and selects them. One Maildir has no --for-all."""
    box = tmp_path / "box"
    maildirs.make(box)
    config = tmp_path / "config.toml"
    config.write_text('[learning]\nlabels = "per-maildir"\n')
    (tmp_path / "ham.eml").write_bytes(HAM)
    where = ["--state", str(state), "--config", str(config)]
    assert run(["retrain", "--now", *where]) == 64
    assert "--maildir" in capsys.readouterr().err
    assert run(["retrain", *where]) == 0  # as the timer runs it
    assert "add --maildir DIR" in capsys.readouterr().out
    assert run(["retrain", "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)["promoted"] is False
    assert run(["label", "ham", str(tmp_path / "ham.eml"), "--maildir", str(box), *where]) == 0
    capsys.readouterr()
    assert run(["retrain", "--now", "--maildir", str(box), *where]) == 0
    assert "there are 1 ham and 0 spam" in capsys.readouterr().out
    assert run(["retrain", "--for-all", "--maildir", str(box), *where]) == 64
    assert "is the only Maildir" in capsys.readouterr().err


def test_the_labels_of_one_do_not_change_the_model_of_others_unasked(state, tmp_path, capsys):
    """With other Maildirs, the labels of one train the model only with --for-all."""
    boxes = [tmp_path / name for name in ("ann", "bob", "eve")]
    for box in boxes:
        maildirs.make(box)
    config = tmp_path / "config.toml"
    sections = "".join(f'[[maildir]]\npath = "{box}"\n' for box in boxes)
    config.write_text(f'[learning]\nlabels = "per-maildir"\n{sections}')
    where = ["retrain", "--now", "--maildir", str(boxes[0]), "--state", str(state), "--config", str(config)]
    assert run(where) == 64
    assert "would influence 2 other Maildirs and accounts; add --for-all" in capsys.readouterr().err
    assert run([*where, "--for-all"]) == 0
    assert "nothing was labelled yet" in capsys.readouterr().out


@pytest.mark.parametrize("others", [0, 1])
def test_a_maildir_that_was_removed(state, tmp_path, capsys, others):
    """Labels of a Maildir that is gone train no model: the error says so, with or without other Maildirs."""
    gone = tmp_path / "mail" / "ann"
    maildirs.make(gone)
    config = tmp_path / "config.toml"
    config.write_text(f'[learning]\nlabels = "per-maildir"\n[[maildir]]\npath = "{tmp_path}/mail/*"\n')
    (tmp_path / "ham.eml").write_bytes(HAM)
    where = ["--maildir", str(gone), "--state", str(state), "--config", str(config)]
    assert run(["label", "ham", str(tmp_path / "ham.eml"), *where]) == 0
    shutil.rmtree(gone)
    for number in range(others):
        maildirs.make(tmp_path / "mail" / str(number))
    for options in ((), ("--for-all",)):
        capsys.readouterr()
        assert run(["retrain", "--now", *options, *where]) == 66
        assert capsys.readouterr().err.startswith(
            f"spamlstm: {gone} does not exist, only its labels do; name a Maildir"
        )


def test_shared_labels_need_no_permission(state, capsys):
    """With shared labels, --for-all would be ignored, so it is refused."""
    assert run(["retrain", "--for-all", "--state", str(state)]) == 64
    assert "--for-all has no effect" in capsys.readouterr().err


def test_mail_that_is_not_there_is_an_error(state, tmp_path, capsys):
    """A mistyped --mail would train without unlabelled mail, so it is refused."""
    (tmp_path / "file").touch()
    for mail in (tmp_path / "none", tmp_path / "file"):
        assert run(["retrain", "--mail", str(mail), "--state", str(state)]) == 66
        assert f"{mail} is not a folder with mail" in capsys.readouterr().err
    maildirs.make(tmp_path / "box")
    assert run(["retrain", "--mail", str(tmp_path / "box"), "--state", str(state)]) == 0
