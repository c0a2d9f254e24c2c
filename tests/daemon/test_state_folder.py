"""One program at a time uses a state folder, and it notices when the folder is removed or replaced."""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys

import pytest

from spamlstm.daemon.state_folder import FILES, LOCK, StateFolder, hold
from spamlstm.errors import TemporaryError


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(name)
    return folder


def test_written_files_are_the_same(state):
    """Changed content is no replacement."""
    folder = StateFolder(state)
    for name in FILES:
        (state / name).write_text("more")
    (state / "other").touch()
    folder.check()


@pytest.mark.parametrize("name", FILES)
def test_a_removed_or_replaced_file(state, name):
    """A missing file is noticed, and so is another file with the same name and content."""
    folder = StateFolder(state)
    (state / name).rename(state / "away")
    with pytest.raises(TemporaryError, match=f"{name} was removed or replaced"):
        folder.check()
    shutil.copy2(state / "away", state / name)
    with pytest.raises(TemporaryError, match=f"{name} was removed or replaced"):
        folder.check()
    (state / "away").replace(state / name)
    folder.check()


def test_a_removed_folder_or_a_link(state, tmp_path):
    """A link to the same folder is a replacement too."""
    folder = StateFolder(state)
    state.rename(tmp_path / "away")
    with pytest.raises(TemporaryError, match="state was removed or replaced"):
        folder.check()
    state.symlink_to(tmp_path / "away")
    with pytest.raises(TemporaryError, match="state was removed or replaced"):
        folder.check()


def test_a_second_program_is_refused(tmp_path):
    """The sentence names the process that holds the folder."""
    with hold(tmp_path), pytest.raises(TemporaryError, match=rf"process {os.getpid()}\) uses {tmp_path}"):  # noqa: SIM117
        with hold(tmp_path):
            pass


def test_the_lock_is_dropped_afterwards(tmp_path):
    """The folder can be held again after the block."""
    with hold(tmp_path):
        pass
    with hold(tmp_path):
        pass


def test_an_error_names_the_file(tmp_path, monkeypatch):
    """If the disk fails at the start, the error names the file."""

    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(OSError, match=f"{tmp_path}/{LOCK}"), hold(tmp_path):
        pass


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    """On a file system that gives no locks, such as NFS without its lock service, the error says what to do."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(TemporaryError, match=rf"{LOCK} cannot be locked .no locks available.; .*--state"),
        hold(tmp_path),
    ):
        pass


def test_a_killed_holder_leaves_nothing_behind(tmp_path):
    """After kill -9 the next start needs no manual repair."""
    script = "import sys, pathlib; from spamlstm.daemon.state_folder import hold\n"
    script += "with hold(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TemporaryError, match=f"process {holder.pid}"), hold(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with hold(tmp_path):
        pass


def test_the_lock_is_for_the_owner_alone(tmp_path):
    """Other users can neither read nor lock the file."""
    with hold(tmp_path):
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
