"""The socket in the state folder on which a running daemon answers with its status."""

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from spamlstm.daemon.server import serving
from spamlstm.errors import UnavailableError

NAME = "status.sock"
# Both ends are on one machine, and an answer has some kilobytes; with 10,000 Maildirs a megabyte.
TIMEOUT_SECONDS = 2.0
MOST_ANSWER = 64 << 20


@contextlib.contextmanager
def answering(state: Path, snapshot: Callable[[], dict[str, Any]]) -> Iterator[None]:
    """Answer each client with one JSON object, from a thread. The socket is for its owner alone.

    The caller holds the lock of the state folder, so a socket that exists there is left over from a dead process.
    """
    with _socket(state) as (listener, path):
        (state / NAME).unlink(missing_ok=True)
        os.fchmod(listener.fileno(), 0o600)  # on Linux the mode with which bind creates the file
        listener.bind(path)
        listener.listen(64)
        try:
            with serving(
                listener, lambda _: json.dumps(snapshot()).encode() + b"\n", name="status", seconds=TIMEOUT_SECONDS
            ):
                yield
        finally:
            (state / NAME).unlink(missing_ok=True)


def ask(state: Path) -> dict[str, Any]:
    """Return the status of the daemon of a state folder; an UnavailableError if none answers."""
    try:
        with _socket(state) as (client, path):
            client.settimeout(TIMEOUT_SECONDS)
            client.connect(path)
            status: dict[str, Any] = json.loads(_read_all(client))
            return status
    except PermissionError as error:
        raise UnavailableError(
            f"the daemon with the state folder {state} answers only its own user and root"
        ) from error
    except (OSError, ValueError) as error:
        raise UnavailableError(f"no spamlstm runs with the state folder {state}; spamlstm run starts one") from error


def _read_all(client: socket.socket) -> bytes:
    """Read until the other end closes. TimeoutError if that takes too long, ValueError if the answer is too large."""
    answer, end = bytearray(), time.monotonic() + 5 * TIMEOUT_SECONDS
    while some := client.recv(1 << 16):
        answer += some
        if time.monotonic() > end:
            raise TimeoutError
        if len(answer) > MOST_ANSWER:
            raise ValueError("the answer is too large")
    return bytes(answer)


@contextlib.contextmanager
def _socket(state: Path) -> Iterator[tuple[socket.socket, str]]:
    """Give a socket and a short path for it: the kernel takes 107 bytes, and a state folder may lie deeper."""
    folder = os.open(state, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as opened:
            yield opened, f"/proc/self/fd/{folder}/{NAME}"
    finally:
        os.close(folder)
