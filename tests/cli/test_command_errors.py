"""Errors of a command: each is one sentence with its exit status."""

import errno
import os
import signal

import pytest

from spamlstm.cli import translate


@pytest.mark.parametrize(
    "arguments",
    [["classify", "--nonsense"], ["clasify"], ["classify", "--config"], ["model", "nonsense"], ["evaluate"]],
)
def test_usage(spamlstm, arguments):
    """A wrong command line is one sentence that names the help, and status 64."""
    status, out, err = spamlstm(*arguments)
    assert (status, out, err.count("\n")) == (64, "", 1)
    assert err.startswith("spamlstm: ")
    assert err.endswith("--help'\n")


@pytest.mark.parametrize(
    ("command", "option", "end"),
    [
        ("classify", "--jsn", ". Did you mean '--json'? See 'spamlstm classify --help'\n"),
        ("undo", "--model", "; see 'spamlstm undo --help'\n"),
    ],
)
def test_an_unknown_option(spamlstm, command, option, end):
    """A similar option is suggested, but never --help."""
    assert spamlstm(command, option)[::2] == (64, f"spamlstm: no such option: {option}{end}")


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["undo", "--since"], "undo"),
        (["config", "check", "--config"], "config check"),
        (["scan", "--dry-run=yes", "m"], "scan"),
    ],
)
def test_a_wrong_use_of_an_option(spamlstm, arguments, command):
    """An option without its argument, or a flag with one, names the help of the command."""
    status, _, err = spamlstm(*arguments)
    assert status == 64
    assert err.endswith(f"; see 'spamlstm {command} --help'\n")


def test_a_missing_model(spamlstm, folder):
    """A missing model is one sentence and status 66."""
    status, _, err = spamlstm("classify", "--model", folder / "none", folder)
    assert status == 66
    assert err.startswith("spamlstm: there is no model at ")


def test_a_wrong_configuration(spamlstm, folder):
    """A wrong configuration is reported with status 78."""
    (folder / "c.toml").write_text("[policy]\nalow = []")
    status, _, err = spamlstm("classify", "--config", folder / "c.toml", folder)
    assert status == 78
    assert "did you mean 'allow'" in err


def test_a_bug_is_reported_in_one_line(spamlstm, folder, monkeypatch):
    """An unexpected error is one line that says how to see more; with --verbose there is a traceback."""

    def broken(_options):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("spamlstm.cli.classify.classify_paths", broken)
    status, _, err = spamlstm("classify", folder)
    assert status == 70
    assert err.count("\n") == 1
    assert "bug" in err
    assert "Traceback" in spamlstm("classify", "--verbose", folder)[2]


def test_a_limit_of_memory_is_no_bug(spamlstm, folder, monkeypatch):
    """If the memory does not suffice, for example because of `ulimit -v`, the error says so."""

    def too_large(*_, **__):
        raise MemoryError

    monkeypatch.setattr("spamlstm.cli.classify.classify_paths", too_large)
    status, _, err = spamlstm("classify", folder)
    assert (status, err) == (
        75,
        "spamlstm: there is not enough memory; stop other programs, or raise the limit of this process (ulimit -v)\n",
    )


def test_a_limit_of_open_files_is_named(spamlstm, folder, monkeypatch):
    """If a process may not open more files, the error names the limit, not only the system's reason."""

    def too_many(*_, **__):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("spamlstm.cli.classify.classify_paths", too_many)
    status, _, err = spamlstm("classify", folder)
    assert (status, err) == (74, "spamlstm: the limit of open files is reached, see ulimit -n\n")


def test_verbose_and_quiet(spamlstm, folder):
    """--verbose reports the files in use; together with --quiet it is refused, before or after the command."""
    _, _, err = spamlstm("classify", "--verbose", folder)
    assert "spamlstm: configuration: none" in err
    assert "spamlstm: state folder: " in err
    for arguments in (("-q", "classify", "-v"), ("classify", "-q", "-v")):
        assert spamlstm(*arguments, folder)[0] == 64


def test_a_current_folder_that_was_removed(spamlstm, tmp_path, monkeypatch):
    """The error names the current folder if it is gone."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    status, _, err = spamlstm("config", "init", "--path", "x.toml")
    assert (status, err) == (74, "spamlstm: the current folder: no such file or directory\n")


def test_ctrl_c_while_loading_is_no_bug(spamlstm, monkeypatch, folder):
    """An import that fails because of Ctrl-C ends with 130, whatever it raises."""

    def interrupted(_paths, **_options):
        translate._interrupts.append(signal.SIGINT)
        raise ImportError("numpy could not be loaded")

    monkeypatch.setattr("spamlstm.cli.classify.classify_paths", interrupted)
    monkeypatch.setattr(translate, "_interrupts", [])
    status, _, err = spamlstm("classify", folder)
    assert (status, err) == (130, "spamlstm: interrupted\n")
