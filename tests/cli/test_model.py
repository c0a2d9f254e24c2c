"""`spamlstm model`."""

import json
import os
import re
import shutil

import pytest
from tiny_bundle import SPAM, make

from spamlstm.cli.translate import run
from spamlstm.config.locations import models_dir
from spamlstm.model import registry
from spamlstm.model.bundle import seal


@pytest.fixture
def models(tmp_path, monkeypatch, tiny):
    """The folder of the user's models with 'a'; the shipped model is 'tiny'."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.delenv(registry.ENVIRONMENT, raising=False)
    monkeypatch.setattr(registry, "_SHIPPED", (tiny,))
    make(models_dir() / "a")
    return models_dir()


def test_list(models, capsys):
    """`model list` marks the model in use and the previous one, as lines and as JSON."""
    assert run(["model", "use", "a"]) == 0
    assert capsys.readouterr().out == "a is in use: tiny-1\n"
    run(["model", "list"])
    assert capsys.readouterr().out == "-\tdefault\t1\t2026-01-01\n*\ta\t1\t2026-01-01\n"
    run(["model", "list", "--json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["name"], row["in_use"], row["previous"]) for row in rows] == [
        ("default", False, True),
        ("a", True, False),
    ]


def test_a_selected_model_that_is_missing(models, tmp_path, tiny, capsys):
    """Each command that uses a model says that the shipped one replaces the selected one, and does its work."""
    (tmp_path / "one.eml").write_bytes(SPAM)
    run(["model", "use", "a"])
    shutil.rmtree(models / "a")
    commands = (["model", "list"], ["model", "show"], ["classify", str(tmp_path / "one.eml")])
    for command in (*commands, ["--quiet", *commands[2]]):
        capsys.readouterr()
        assert run(command) == 0
        out, err = capsys.readouterr()
        assert out
        assert err.count("\n") == 1
        assert "the selected model a is missing" in err
    assert run(["classify", "--model", str(tiny), str(tmp_path / "one.eml")]) == 0
    run(["model", "use", "default"])
    assert run(["model", "list"]) == 0
    assert capsys.readouterr().err == ""


def test_filter_reports_no_lost_selection(models, tmp_path, capfd):
    """Programs that deliver mail, such as getmail, may take a line on standard error for a failure."""
    models.mkdir(exist_ok=True)
    (models / registry.CURRENT).symlink_to("missing")
    (tmp_path / "one.eml").write_bytes(SPAM)
    stdin = os.dup(0)
    with (tmp_path / "one.eml").open("rb") as message:
        os.dup2(message.fileno(), 0)
    try:
        assert run(["--color", "never", "filter"]) == 0
    finally:
        os.dup2(stdin, 0)
        os.close(stdin)
    out, err = capfd.readouterr()
    assert (out.startswith("X-Spam-"), err) == (True, "")


@pytest.mark.parametrize(("key", "value"), [("text_version", 1), ("format", 1)])
def test_a_selected_model_of_an_earlier_version(models, tmp_path, capsys, key, value):
    """After an upgrade that refuses the selected model, the error names the command that selects the shipped one."""
    (tmp_path / "one.eml").write_bytes(SPAM)
    run(["model", "use", "a"])
    path = models / "a" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    assert run(["classify", str(tmp_path / "one.eml")]) == 65
    assert "'spamlstm model use default' selects the shipped one" in capsys.readouterr().err
    assert run(["model", "use", "default"]) == 0
    assert run(["classify", str(tmp_path / "one.eml")]) == 0


def test_rollback(models, capsys):
    """`rollback` returns to the previous model."""
    run(["model", "use", "a"])
    assert run(["model", "rollback"]) == 0
    assert capsys.readouterr().out.endswith("default is in use: tiny-1\n")


def test_a_damaged_model(models, capsys):
    """A damaged model is listed as damaged, and cannot be used."""
    (models / "a" / "model.onnx").write_bytes(b"")
    assert run(["model", "list"]) == 0
    assert "is damaged" in capsys.readouterr().out
    assert run(["model", "use", "a"]) == 65
    assert registry.current() == "default"


def test_show_takes_a_name(models, capsys):
    """A model is named, or its folder is given; both together are an error."""
    assert run(["model", "show", "a", "--model", str(models / "a")]) == 64
    assert run(["model", "show", "a"]) == 0
    assert str(models / "a") in capsys.readouterr().out
    assert run(["model", "show", "b"]) == 66


def hostile(path):
    """Put terminal control codes wherever a bundle has text."""
    strange = {"created": "\x1b[2J\r\n\u202e", "retrained": {"parent": "\x1b[31m\ud800", "labels": {"ham": "\x07"}}}
    (path / "README.md").write_text("# card \x1b]0;title\x07\x1b[2J\n\n[a](http://x.org/\x1b[31m) &#8238;b &#27;c\n")
    seal(path, json.loads((path / "manifest.json").read_text()))
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**manifest, **strange}))


def controls(text):
    return [c for c in text if not c.isprintable() and c not in "\n\t"]


def test_control_codes_are_escaped(models, capsys):
    """Card and manifest are shown with all control characters escaped."""
    hostile(models / "a")
    assert run(["model", "show", "a"]) == 0
    assert run(["model", "list"]) == 0
    out = capsys.readouterr().out
    assert controls(out) == []
    assert "# card \\x1b]0;title\\x07" in out
    assert "? ham and 0 spam labels on \\x1b[31m\\ud800" in out


def test_control_codes_are_escaped_on_a_terminal(models, monkeypatch, capsys):
    """Rendered Markdown, which can spell any character, contains no control codes but those of the rendering."""
    hostile(models / "a")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert run(["model", "show", "a"]) == 0
    out = capsys.readouterr().out
    assert controls(re.sub(r"\x1b\[[0-9;]*m", "", out)) == []
    assert "\\x1b]0;title" in out


@pytest.mark.parametrize("name", ["../..", "../../etc", "/etc", ".", "a/../a", "a/", "current", "\x1b[2J\n"])
def test_a_path_is_no_model_name(models, capsys, name):
    """A path is not a model name; the error repeats it without control codes."""
    for command in (["show"], ["use"]):
        assert run(["model", *command, "--", name]) == 66
        assert controls(capsys.readouterr().err) == []


def test_a_link_is_no_model(models, tmp_path, capsys):
    """A symbolic link is not listed, shown or used."""
    (models / "a").rename(tmp_path / "elsewhere")
    (models / "a").symlink_to(tmp_path / "elsewhere")
    run(["model", "list"])
    assert capsys.readouterr().out.count("\n") == 1
    for command in ("show", "use"):
        assert run(["model", command, "a"]) == 65
        assert "a is a link" in capsys.readouterr().err


def test_the_environment_takes_precedence(models, tiny, monkeypatch, capsys):
    """A note says that the environment variable selects the model."""
    monkeypatch.setenv(registry.ENVIRONMENT, str(tiny))
    run(["model", "use", "a"])
    assert "takes precedence over" in capsys.readouterr().err


def test_labels_follow_the_model(models, tmp_path, tiny, capsys):
    """Labels are rescored when the model in use changes."""
    mail = tmp_path / "spam.eml"
    mail.write_bytes(SPAM)
    make(models / "b", version="2")
    run(["label", "spam", str(mail)])
    for command, label in ((["use", "b"], "tiny-2"), (["rollback"], "tiny-1")):
        assert run(["model", *command]) == 0
        capsys.readouterr()
        run(["labels", "--json"])
        assert json.loads(capsys.readouterr().out)["model"] == label


def test_list_on_a_terminal(models, on_terminal):
    """On a terminal the models are a table with a header. These models have no origin, so there is no such column."""
    _, shown = on_terminal("model", "list", "--color", "never")
    assert shown.splitlines()[0].split() == ["name", "version", "created"]
