"""Fixtures of the command-line tests: a tiny model, some mail, and functions that run a command line."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from listening import listening
from tiny_bundle import HAM, SPAM, UNSURE

from spamlstm.cli import translate


@pytest.fixture
def state(tmp_path_factory) -> Path:
    """The state folder of the test, which does not exist yet."""
    return tmp_path_factory.mktemp("state") / "new"


@pytest.fixture
def spamlstm(tiny, state, capfd, monkeypatch, tmp_path_factory):
    """Run a command line in this process, with its own state and models; gives (status, output, complaints)."""
    monkeypatch.setenv("SPAMLSTM_MODEL", str(tiny))
    monkeypatch.setenv("STATE_DIRECTORY", str(state))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))

    def run(*arguments):
        capfd.readouterr()
        status = translate.run([str(one) for one in arguments])
        return status, *capfd.readouterr()

    return run


@pytest.fixture
def on_terminal(spamlstm):
    """Run a command line with a terminal as standard input and output; gives (status, what the terminal shows)."""

    def run(*arguments, answer=b"", columns=200):
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "spamlstm", *map(str, arguments)]
        environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
            os.close(theirs)
            os.write(ours, answer)
            shown = b""
            try:
                while block := os.read(ours, 4096):
                    shown += block
            except OSError:
                pass  # Linux reports the end of a terminal so
        os.close(ours)
        return process.returncode, shown.decode().replace("\r\n", "\n")

    return run


@pytest.fixture
def message(tmp_path):
    path = tmp_path / "message.eml"
    path.write_bytes(UNSURE)
    return path


@pytest.fixture
def folder(tmp_path):
    """A ham, a spam and an unsure message."""
    for name, raw in {"a-ham.eml": HAM, "b-spam.eml": SPAM, "c-unsure.eml": UNSURE}.items():
        (tmp_path / name).write_bytes(raw)
    return tmp_path


@pytest.fixture
def environment(tiny, state):
    return {**os.environ, "SPAMLSTM_MODEL": str(tiny), "STATE_DIRECTORY": str(state)}


@pytest.fixture
def filtered(root, environment):
    """Run the command on a message; gives (status, output, complaints)."""

    def run(mail, *arguments, **settings):
        command = [sys.executable, "-m", "spamlstm", "filter", *map(str, arguments)]
        settings = {"env": environment, "cwd": root, "capture_output": True, **settings}
        done = subprocess.run(command, input=mail, check=False, **settings)
        return done.returncode, done.stdout, done.stderr.decode()

    return run


@pytest.fixture(params=["daemon", "no daemon"])
def daemon(request, state, classifier):
    """Run the test once with a daemon and once without."""
    if request.param == "no daemon":
        yield None
        return
    with listening(state, classifier) as running:
        yield running
