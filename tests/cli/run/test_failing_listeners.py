"""A daemon in which the thread of the listeners fails."""

import socket
import subprocess
import sys

import pytest
from running_daemon import PATIENCE

# The loop of asyncio fails when it wakes up for the first client.
FAILING = """
import asyncio, pathlib, sys
from spamlstm.cli.translate import run_process

once = asyncio.base_events.BaseEventLoop._run_once

def fail(loop):
    once(loop)
    if pathlib.Path(sys.argv[-1], "fail").exists():
        raise {error}

asyncio.base_events.BaseEventLoop._run_once = fail
run_process()
"""


@pytest.mark.parametrize(
    ("error", "status", "logged", "said"),
    [
        ("MemoryError", 75, "there is not enough memory", "there is not enough memory; stop other programs"),
        ("KeyError('x')", 70, "bug", "this is a bug: KeyError: 'x'; add --verbose"),
    ],
)
def test_an_error_of_the_thread_ends_the_daemon(root, environment, tmp_path, maildir, error, status, logged, said):  # noqa: PLR0917
    """The daemon does not go on without its listeners: it ends with one sentence, and can be started again."""
    state = tmp_path / "state"
    command = [sys.executable, "-c", FAILING.format(error=error), "run", str(maildir), "--state", str(state)]
    with subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while " ready " not in (line := process.stderr.readline()):
            assert line
        (state / "fail").touch()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(state / "filter.sock"))
            lines = process.stderr.read().splitlines()
        assert process.wait(PATIENCE) == status
    assert any(f"{logged}: the thread of the listeners has ended, so the daemon ends too" in line for line in lines)
    assert [line for line in lines if line.startswith("spamlstm: ")] == lines[-1:]
    assert lines[-1].startswith(f"spamlstm: {said}")
    assert not (state / "filter.sock").exists()
