"""Every option of every command has an effect, or is refused."""

import subprocess
import sys

import maildirs
import pytest
import typer
from tiny_bundle import UNSURE

from spamlstm.cli.app import app

# The options of each command. If you add one, consider each combination with the others: where it has no effect, refuse
# it (REFUSED below), and else say in its help what it does.
OPTIONS = {
    "classify": "config exit_code explain json maildir model paths state",
    "scan": "config dry_run json maildir model state",
    "run": "config dry_run maildirs model state",
    "status": "json state",
    "undo": "config dry_run json message since state",
    "config init": "group path",
    "config check": "config",
    "filter": "bogofilter config exit_code model socket state tempfail user",
    "config show": "config",
    "label": "config label maildir model paths state yes",
    "forget": "config maildir paths state",
    "labels": "config json maildir state",
    "labels export": "config file maildir state",
    "labels import": "config dry_run file maildir state",
    "labels purge": "config maildir state yes",
    "adopt": "config dry_run json mailbox model state undo",
    "retrain": "config for_all json mail maildir model now state",
    "model list": "json",
    "model show": "model name",
    "model use": "name state",
    "model rollback": "state",
    "evaluate": "corpora feedback json model online plot report",
    "trec-jig initialize": "state",
    "trec-jig classify": "file model state",
    "trec-jig train": "file label model state",
    "trec-jig finalize": "state",
}
app_command = typer.main.get_command(app)
COMMON = {"help", "verbose", "quiet", "color"}  # progress, notes and colours, for each command that has them
# Combinations without an effect. PATH is a message, BOX a Maildir; all Maildirs share their labels.
REFUSED = [
    *(
        f"{command} --maildir BOX"
        for command in ("classify PATH", "label ham PATH", "forget PATH", "labels", "labels purge --yes", "retrain")
    ),
    *("labels export x.gz --maildir BOX", "labels import PATH --maildir BOX"),
    *("labels --json purge --yes", "labels --state BOX export x.gz", "labels --maildir BOX import PATH"),
    "model show default --model BOX",
    "retrain --for-all",
    *("evaluate BOX --feedback mistakes", "evaluate BOX --plot x.svg", "evaluate BOX --online --report x.html"),
    *("classify - -", "label ham - -", "forget - -"),
    *("classify -v -q PATH", "classify --color sometimes PATH"),
    *("filter --exit-code --bogofilter", "filter --socket PATH --model BOX", "filter --socket PATH --config PATH"),
    "undo --since yesterday",
]


def commands(command, path=()):
    """All commands with their parameters, by the words of their command line."""
    below = getattr(command, "commands", {})
    if path and (not below or command.invoke_without_command):
        yield " ".join(path), {one.name for one in command.params}
    for name, one in below.items():
        yield from commands(one, (*path, name))


def values(command, path=()):
    """Command lines with one empty value, for each argument and option that has a value, and what the value is of."""
    below = getattr(command, "commands", {})
    required = [one for one in command.params if one.param_type_name == "argument" and one.required]
    for one in command.params if path and (not below or command.invoke_without_command) else ():
        if one.param_type_name == "argument":
            before = required[: required.index(one)] if one in required else required
            after = required[len(before) + 1 :]
            yield [*path, *("x" for _ in before), "", *("x" for _ in after)], one.metavar.strip("[.]")
        elif not one.is_flag and one.name != "user":
            yield [*path, *("x" for _ in required), one.opts[0], ""], one.opts[0]
    for name, one in below.items():
        yield from values(one, (*path, name))


@pytest.mark.parametrize(("line", "name"), [pytest.param(*one, id=" ".join(one[0])) for one in values(app_command)])
def test_an_empty_value_is_refused(spamlstm, tmp_path, monkeypatch, line, name):
    """An empty value is no path to the current folder and no default: an error (64) that names it, and no change."""
    monkeypatch.chdir(tmp_path)
    status, output, err = spamlstm(*line)
    assert (status, output, err.count("\n")) == (64, "", 1)
    assert name in err
    assert "empty" in err or "not ''" in err
    assert not list(tmp_path.iterdir())


def test_an_empty_user_is_no_user():
    """A delivery with an empty variable for the user is filtered as one without a user."""
    command = [sys.executable, "-m", "spamlstm", "filter", "--user", ""]
    result = subprocess.run(command, input=b"", capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")


def test_every_option_was_considered():
    """A new option must be added to the table above, by somebody who has thought of its combinations."""
    found = dict(commands(app_command))
    assert {name: " ".join(sorted(options - COMMON)) for name, options in found.items()} == OPTIONS


@pytest.mark.parametrize("line", REFUSED)
def test_an_option_without_effect_is_refused(spamlstm, tmp_path, monkeypatch, line):
    """An option that would have no effect is an error (64) of one sentence."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "PATH").write_bytes(UNSURE)
    maildirs.make(tmp_path / "BOX")
    status, _, err = spamlstm(*line.split())
    assert (status, err.count("\n")) == (64, 1)
    assert "bug" not in err


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("filter message.eml", "run: spamlstm filter < message.eml"),
        ("config check c.toml", "spamlstm config check --config FILE"),
        ("config show c.toml", "spamlstm config show --config FILE"),
        ("config init c.toml", "spamlstm config init --path FILE"),
        ("label spam", "mail files, folders, Maildirs or mboxes, or - for standard input; see 'spamlstm label --help'"),
        ("adopt", "missing argument 'MAILBOX': a Maildir that"),
    ],
)
def test_an_argument_too_many_or_too_few_says_what_to_do(spamlstm, line, remedy):
    """A file where a command takes none, and a missing argument, are usage errors that name the right form."""
    status, output, err = spamlstm(*line.split())
    assert (status, output, err.count("\n")) == (64, "", 1)
    assert remedy in err


def test_each_required_argument_is_described():
    """The error about a missing argument shows its description, so each one has a description."""

    def arguments(command):
        yield from (one for one in command.params if one.param_type_name == "argument" and one.required)
        for below in getattr(command, "commands", {}).values():
            yield from arguments(below)

    assert [one.name for one in arguments(app_command) if not one.help] == []
