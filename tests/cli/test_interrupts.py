"""Ctrl-C at any moment after Python's own start ends a command with 130 and without a traceback."""

import signal
import subprocess
import sys

import pytest


def interrupted(module, *command, root, inside="import", before="", by="SIGINT", environment=None):
    """Run a command that is interrupted when it imports a module; returns (status, output, complaints)."""
    script = f"""
import os, signal, sys

class Ignored:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

class Finder:
    def find_spec(name, path=None, target=None):
        if name == {module!r}:
            {"Ignored()" if inside == "callback" else f"os.kill(os.getpid(), signal.{by})"}

sys.meta_path.insert(0, Finder)
sys.argv[1:] = {list(command)!r}
{before}
from spamlstm.cli import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("spamlstm.cli.translate", "model list"),
        ("spamlstm.errors", "model list"),
        ("spamlstm.cli.app", "model list"),
        ("typer", "model list"),
        ("spamlstm.cli.model", "model list"),
        ("spamlstm.model.registry", "model list"),
        ("spamlstm.cli.filter_client", "filter"),
        ("spamlstm.xdg", "filter"),
        ("spamlstm.cli.translate", "filter --bogus"),
    ],
)
def test_ctrl_c_during_an_import(root, module, command):
    """An interrupt during an import is one line and the status 130; the command does nothing more."""
    assert interrupted(module, *command.split(), root=root) == (130, b"", b"spamlstm: interrupted\n")


def test_ctrl_c_where_python_ignores_exceptions(root):
    """An interrupt in a finalizer or a callback of the import system ends the command too."""
    result = interrupted("spamlstm.cli.model", "model", "list", root=root, inside="callback")
    assert result == (130, b"", b"spamlstm: interrupted\n")


def test_an_ignored_interrupt_stays_ignored(root):
    """A background job of a shell, which starts with SIGINT ignored, is not interrupted."""
    before = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
    status, output, complaints = interrupted("spamlstm.cli.model", "model", "list", root=root, before=before)
    assert (status, complaints) == (0, b"")
    assert b"default" in output


@pytest.mark.parametrize("stopped_by", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("module", ["onnxruntime", "tokenizers"])
def test_a_daemon_that_is_stopped_while_it_starts(root, environment, tmp_path, module, stopped_by):
    """A daemon that is stopped while it loads its libraries or its model ends with 0 and without a word."""
    for part in ("new", "cur", "tmp"):
        (tmp_path / part).mkdir()
    result = interrupted(module, "run", str(tmp_path), root=root, by=stopped_by, environment=environment)
    assert result == (0, b"", b"")


def test_a_failed_start_restores_the_signal_handlers(spamlstm, tmp_path):
    """A start that fails leaves the signal handlers of the process as they were."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    assert spamlstm("run", tmp_path / "none")[0] == 66
    assert [signal.getsignal(number) for number in numbers] == before
