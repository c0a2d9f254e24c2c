"""--help: panels, whole summaries, an example for each command; and the closed table of exit statuses."""

import os
import re
from operator import attrgetter

import pytest
import typer
from tiny_bundle import HAM, SPAM

from spamlstm import __version__, errors
from spamlstm.cli.app import app
from spamlstm.errors import ExitStatus, UserError
from spamlstm.evaluation.evaluate import FIGURES


def commands():
    """All command lines of commands, and of groups that are commands too."""

    def below(command, path):
        for name, one in getattr(command, "commands", {}).items():
            yield (*path, name)
            yield from below(one, (*path, name))

    return list(below(typer.main.get_command(app), ()))


@pytest.fixture
def help_of(spamlstm, monkeypatch):
    """Return the help of a command, as a terminal of 80 columns shows it."""
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *command: spamlstm(*command, "--help")[1]


@pytest.mark.parametrize("group", [(), ("config",), ("labels",), ("model",), ("trec-jig",)])
def test_no_summary_is_truncated(help_of, group):
    """Each command has one line of at most 80 columns."""
    text = help_of(*group)
    assert "..." not in text.replace("[ARGS]...", "")
    assert max(map(len, text.splitlines())) <= 80


def test_the_panels(help_of):
    """The commands are listed in four panels, in this order."""
    titles = [line[:-1] for line in help_of().splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles == ["Options", "Filter mail", "Learn", "Model", "Measure", "Examples", "Exit status"]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_each_command_has_an_example(help_of, command):
    """The help of a command shows an example of it, and the options of all commands."""
    text = help_of(*command)
    group = command in (("config",), ("model",), ("trec-jig",))
    assert group or f"Examples:\n  spamlstm {' '.join(command)}" in text
    assert "-v, --verbose" in text
    assert not set("{}") & set(text.splitlines()[0])


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_no_option_is_refused_before_it_is_read(command):
    """An unreadable path gives the error of what reads it, not one of usage: no parameter checks it by itself."""
    one = typer.main.get_command(app)
    for name in command:
        one = one.commands[name]
    with one.make_context("spamlstm", ["x", "x"], resilient_parsing=True) as context:
        parameters = one.get_params(context)
    assert [each.name for each in parameters if getattr(each.type, "readable", False)] == []


@pytest.mark.parametrize("command", [("classify",), ("scan",), ("run",), ("adopt",), ("retrain",)])
def test_defaults_are_real_paths(help_of, command):
    """--state, --config and --model show their defaults."""
    text = " ".join(help_of(*command).split())
    assert "~/.local/state/spamlstm]" in text
    assert "~/.config/spamlstm/config.toml, else /etc/spamlstm/config.toml]" in text
    assert "[default: the model in use" in text


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_version(spamlstm, flag):
    """-V prints the version."""
    assert spamlstm(flag)[1].startswith("spamlstm 0")


def test_a_variable_for_completion_changes_nothing(spamlstm, monkeypatch):
    """A variable that starts the completion of other programs made with typer has no effect on a command."""
    monkeypatch.setenv("_SPAMLSTM_COMPLETE", "complete_bash")
    assert spamlstm("--version")[:2] == (0, f"spamlstm {__version__}\n")


def test_the_exit_statuses_are_a_closed_table():
    """Each status has a meaning, and each error of the package has a status of the table."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, UserError)]
    assert all(status.meaning for status in ExitStatus)
    assert {kind.exit_status for kind in kinds} <= set(ExitStatus)


def test_the_guide_has_the_table_of_exit_statuses(root):
    """The guide describes the exit statuses in the words of --help and the manual page."""
    guide = (root / "docs" / "guide.md").read_text()
    rows = re.findall(
        r"^\| (\d+) \| (.+) \|$", guide.partition("\n## Exit status\n")[2].partition("\n## ")[0], re.MULTILINE
    )
    assert rows == [(str(status.value), status.meaning) for status in ExitStatus]


def test_the_guide_names_the_figures_of_evaluate(root):
    """The guide has the name of each figure that `evaluate` prints in lines and as JSON."""
    guide = (
        (root / "docs" / "guide.md")
        .read_text()
        .partition("\n## Measure it on your own mail\n")[2]
        .partition("\n## ")[0]
    )
    assert [key for key in ("n", "n_ham", "n_spam", *FIGURES) if f"`{key}`" not in guide] == []


def test_a_report_that_cannot_be_written(spamlstm, tmp_path):
    """`evaluate` checks that its files can be written before it begins; the status is 74."""
    status, _, err = spamlstm("evaluate", tmp_path, "--json", tmp_path / "missing" / "out.json")
    assert (status, "cannot be written" in err) == (74, True)


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
@pytest.mark.parametrize("options", [("--json",), ("--report",), ("--online", "--plot")])
def test_a_report_replaces_files_only(spamlstm, tmp_path, kind, options):
    """A FIFO, a link or a device such as /dev/stdout is refused (64) and not replaced by a file."""
    target = tmp_path / "out"
    {"fifo": os.mkfifo, "link": lambda path: path.symlink_to("/dev/null"), "folder": os.mkdir}[kind](target)
    identity = attrgetter("st_ino", "st_mode", "st_mtime_ns")  # not the time of the last access
    before = identity(target.lstat())
    status, _, err = spamlstm("evaluate", tmp_path, *options, target)
    assert (status, err) == (64, f"spamlstm: {target} is not a regular file; name another file\n")
    assert identity(target.lstat()) == before


def test_reports_need_files_of_their_own(spamlstm, tmp_path):
    """Two reports in one file are refused, because one would be lost."""
    status, _, err = spamlstm("evaluate", tmp_path, "--json", tmp_path / "out", "--report", f"{tmp_path}/./out")
    assert (status, err) == (64, "spamlstm: two options name the same file; give each its own file\n")


def test_a_report_is_written_before_the_table(spamlstm, tmp_path, monkeypatch):
    """If the program that reads the table exits early, the report exists."""
    for kind, raw in (("ham", HAM), ("spam", SPAM)):
        (tmp_path / "mail" / kind).mkdir(parents=True)
        (tmp_path / "mail" / kind / "1.eml").write_bytes(raw)

    def exit_early(*_):
        raise BrokenPipeError

    monkeypatch.setattr("spamlstm.evaluation.report.print_table", exit_early)
    files = [tmp_path / "out.json", tmp_path / "out.html"]
    assert spamlstm("evaluate", tmp_path / "mail", "--json", files[0], "--report", files[1])[0] == 141
    assert all(file.stat().st_size for file in files)
