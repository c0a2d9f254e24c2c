"""A user with a Maildir, and commands and daemons that this user runs as processes."""

import json
import os
import signal
import subprocess
import sys

import maildirs
import pytest


@pytest.fixture
def maildir(tmp_path):
    maildirs.make(tmp_path / "Maildir")
    return tmp_path / "Maildir"


@pytest.fixture
def environment(tmp_path, tiny):
    """A user without configuration, models or state."""
    return {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "SPAMLSTM_MODEL": str(tiny),
    }


@pytest.fixture
def spamlstm(root, environment):
    """Run a command to its end; return its exit status, output and error output."""

    def run(*arguments):
        command = [sys.executable, "-m", "spamlstm", *map(str, arguments)]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def daemon(root, environment):
    """Start `spamlstm run`; return the process and a function that reads its log up to a word."""
    started = []

    def start(*arguments, within=()):
        command = [*within, sys.executable, "-m", "spamlstm", "run", *map(str, arguments)]
        process = subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.PIPE, text=True)
        started.append(process)

        def log_until(word):
            lines = []
            for line in process.stderr:
                lines.append(line)
                if word in line:
                    return "".join(lines)
            raise AssertionError(f"it ended without {word!r}: {''.join(lines)}")

        return process, log_until

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def visited(spamlstm, wait):
    """Make the daemon visit all folders and wait for that; return the learning part of its status."""

    def visit(process):
        def learning():
            return json.loads(spamlstm("status", "--json")[1])["learning"]

        before = learning()["rounds"]
        process.send_signal(signal.SIGHUP)
        wait(lambda: learning()["rounds"] > before)
        return learning()

    return visit
