"""The commands that print passwords and tokens of IMAP accounts."""

import os
import sys
import threading

import pytest

from spamlstm.daemon.imap.credentials import CredentialsError, secret_of


def python(code: str) -> tuple[str, ...]:
    return sys.executable, "-S", "-c", code


def test_the_first_line_is_the_password():
    """Further lines, such as those of pass, are ignored."""
    assert secret_of(python("print('geheim ß'); print('user: ann')"), setting="password_command") == "geheim ß"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("/does/not/exist",), "cannot be started (no such file"),
        (python("print('secret'); raise SystemExit(3)"), "failed with status 3"),
        (python(""), "printed no password"),
        (python("print('x' * 100000)"), "printed no password"),
        (python("import sys; sys.stdout.buffer.write(b'\\xff\\n')"), "printed no password"),
    ],
)
def test_a_command_that_fails_is_a_sentence_without_the_secret(command, words):
    """The error says what happened and never what was printed."""
    with pytest.raises(CredentialsError) as caught:
        secret_of(command, setting="password_command")
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_command_that_waits_is_ended():
    """A command that asks a person does not stop the account forever."""
    with pytest.raises(CredentialsError, match="did not end"):
        secret_of(python("import time; time.sleep(60)"), setting="password_command", seconds=0.2)


@pytest.mark.parametrize("is_woken", [True, False], ids=["stop", "too-late"])
def test_the_processes_of_a_command_that_waits_are_ended(tmp_path, wait, is_woken):
    """A stop ends the command at once. The processes that a shell has started end too, or each try would add some."""
    wake = os.eventfd(0, os.EFD_CLOEXEC)
    command = "sh", "-c", f"sleep 600 & echo $! > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; wait"
    seconds = 600 if is_woken else 2
    caught = []

    def ask():
        with pytest.raises(CredentialsError) as error:
            secret_of(command, setting="password_command", seconds=seconds, wake=wake)
        caught.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    wait((tmp_path / "pid").exists)
    if is_woken:
        os.eventfd_write(wake, 1)
    thread.join(30)
    os.close(wake)
    assert caught
    wait(lambda: not is_running(int((tmp_path / "pid").read_text())))


def is_running(process):
    """Return whether a process runs. One that has ended may wait for its parent."""
    try:
        with open(f"/proc/{process}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
