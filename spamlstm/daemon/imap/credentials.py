"""The password or the access token of an account, which a command of the user prints."""

import contextlib
import os
import selectors
import signal
import subprocess
import time

from spamlstm.config import AuthMethod, ImapConfig
from spamlstm.errors import reason_of
from spamlstm.maildir.owner import IDENTITY
from spamlstm.xdg import with_home

# A command may ask a token server. A command that waits for a person never ends in a daemon.
COMMAND_TIMEOUT = 60.0
MOST_SECRET = 16 << 10


class CredentialsError(Exception):
    """An error for a command that prints no password or token. The message never contains what the command printed."""


def secret_of_account(account: ImapConfig, *, wake: int | None = None) -> str:
    """Return the password or the access token of an account. `wake` and the errors are those of `secret_of`."""
    is_plain = account.auth is AuthMethod.PLAIN
    command = account.password_command if is_plain else account.token_command
    return secret_of(command or (), setting="password_command" if is_plain else "token_command", wake=wake)


def secret_of(
    command: tuple[str, ...], *, setting: str, seconds: float = COMMAND_TIMEOUT, wake: int | None = None
) -> str:
    """Return the first line that `command` prints. Its error output goes to the log of the service.

    `setting` is the name of the command in the configuration. Raises CredentialsError if the command fails, takes
    longer than `seconds` or prints nothing. If the descriptor `wake` becomes readable, the command is ended at once.
    """
    try:
        # While the process acts as the owner of a Maildir, the command would run as that user.
        with IDENTITY:
            process = subprocess.Popen(  # noqa: S603  the user chose the command
                [*map(with_home, command[:1]), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
    except (OSError, ValueError) as error:
        why = reason_of(error) if isinstance(error, OSError) else "it is not a command"
        raise CredentialsError(f"{setting} cannot be started ({why})") from error
    with process:
        try:
            printed = _output(process, seconds, wake)
            if printed is None:
                with contextlib.suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)  # a shell waits for other processes, which would stay
        finally:
            process.kill()
    if printed is None:
        raise CredentialsError(f"{setting} did not end within {seconds:g} s")
    if process.returncode and len(printed) <= MOST_SECRET:
        raise CredentialsError(f"{setting} failed with status {process.returncode}; run it by hand to see why")
    line = printed.partition(b"\n")[0].strip(b"\r")
    secret = line.decode("utf-8", "replace") if len(printed) <= MOST_SECRET else ""
    if not secret.isprintable() or not secret or "\ufffd" in secret:
        raise CredentialsError(f"{setting} printed no password or token")
    return secret


def _output(process: "subprocess.Popen[bytes]", seconds: float, wake: int | None) -> bytes | None:
    """Return what a process prints until its output ends, at most MOST_SECRET + 1 bytes.

    Returns None if it takes too long, or if `wake` becomes readable.
    """
    until, found = time.monotonic() + seconds, b""
    assert process.stdout is not None  # noqa: S101  it is a pipe
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        if wake is not None:
            waiting.register(wake, selectors.EVENT_READ)
        while len(found) <= MOST_SECRET:
            ready = waiting.select(max(0.0, until - time.monotonic()))
            if not ready or any(key.fd == wake for key, _ in ready):
                return None
            block = os.read(process.stdout.fileno(), 4096)
            if not block:
                break
            found += block
    if len(found) > MOST_SECRET:
        process.kill()
    try:
        process.wait(max(0.1, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None
    return found
