"""The commands about installed models."""

import json

import pytest
from tiny_bundle import SPAM, make

from spamlstm.cli.translate import run
from spamlstm.config.places import models_dir
from spamlstm.model import registry


@pytest.fixture
def models(tmp_path, monkeypatch, tiny):
    """'a', and 'tiny' in the place of the shipped one."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.delenv(registry.ENVIRONMENT, raising=False)
    monkeypatch.setattr(registry, "_SHIPPED", (tiny,))
    make(models_dir() / "a")
    return models_dir()


def test_the_list_marks_what_is_in_use(models, capsys):
    """As lines for people and as JSON."""
    assert run(["model", "use", "a"]) == 0
    assert capsys.readouterr().out == "a is in use: tiny-1\n"
    run(["model", "list"])
    assert capsys.readouterr().out == "-\tdefault\t1\t2026-01-01\n*\ta\t1\t2026-01-01\n"
    run(["model", "list", "--json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["name"], row["in_use"], row["before"]) for row in rows] == [
        ("default", False, True),
        ("a", True, False),
    ]


def test_back(models, capsys):
    run(["model", "use", "a"])
    assert run(["model", "rollback"]) == 0
    assert capsys.readouterr().out.endswith("default is in use: tiny-1\n")


def test_a_damaged_one_is_listed_as_such(models, capsys):
    (models / "a" / "model.onnx").write_bytes(b"")
    assert run(["model", "list"]) == 0
    assert "is damaged" in capsys.readouterr().out
    assert run(["model", "use", "a"]) == 65
    assert registry.current() == "default"


def test_show_takes_a_name(models, capsys):
    assert run(["model", "show", "a"]) == 0
    assert str(models / "a") in capsys.readouterr().out
    assert run(["model", "show", "b"]) == 66


def test_the_environment_goes_first_and_that_is_said(models, tiny, monkeypatch, capsys):
    monkeypatch.setenv(registry.ENVIRONMENT, str(tiny))
    run(["model", "use", "a"])
    assert "goes before" in capsys.readouterr().err


def test_the_labels_follow(models, tmp_path, tiny, capsys):
    """What was learned rests on the model in use, at once."""
    mail = tmp_path / "spam.eml"
    mail.write_bytes(SPAM)
    make(models / "b", version="2")
    run(["label", "spam", str(mail)])
    for command, label in ((["use", "b"], "tiny-2"), (["rollback"], "tiny-1")):
        assert run(["model", *command]) == 0
        capsys.readouterr()
        run(["labels", "--json"])
        assert json.loads(capsys.readouterr().out)["model"] == label
