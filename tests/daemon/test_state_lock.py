"""One instance for each state folder."""

import os
import signal
import subprocess
import sys

import pytest

from spamlstm.daemon.state_lock import hold
from spamlstm.errors import TemporaryError


def test_a_second_one_is_told_who_is_first(tmp_path):
    """The sentence names the process, so that nobody has to search for it."""
    with hold(tmp_path), pytest.raises(TemporaryError, match=rf"process {os.getpid()}\) is at work with {tmp_path}"):  # noqa: SIM117
        with hold(tmp_path):
            pass


def test_it_is_free_again_afterwards(tmp_path):
    with hold(tmp_path):
        pass
    with hold(tmp_path):
        pass


def test_an_error_names_the_file(tmp_path, monkeypatch):
    """A disk that fails at the start: the sentence says at which file."""

    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(OSError, match=f"{tmp_path}/lock"), hold(tmp_path):
        pass


def test_a_killed_holder_leaves_nothing_behind(tmp_path):
    """After kill -9 the next start needs no hand."""
    script = "import sys, pathlib, time; from spamlstm.daemon.state_lock import hold\n"
    script += "with hold(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TemporaryError, match=f"process {holder.pid}"), hold(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with hold(tmp_path):
        pass


def test_the_lock_is_for_the_owner_alone(tmp_path):
    with hold(tmp_path):
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
