"""The status socket in the state folder: a running daemon sends its status to each client that connects."""

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
# Server and client run on the same machine. An answer has some kilobytes, or about a megabyte with 10,000 Maildirs.
TIMEOUT_SECONDS = 2.0
MOST_ANSWER = 64 << 20


@contextlib.contextmanager
def answering(state: Path, snapshot: Callable[[], dict[str, Any]]) -> Iterator[None]:
    """Send each client the status as one JSON object, from a thread, during the block. Only the owner can connect.

    `snapshot` returns the status. The caller must hold the lock of the state folder, so an existing socket file there
    was left by a dead process and is removed.
    """
    with _socket(state) as (listener, path):
        (state / NAME).unlink(missing_ok=True)
        os.fchmod(listener.fileno(), 0o600)  # on Linux, bind creates the socket file with this mode
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
    """Return the status of the daemon that uses the state folder `state`.

    Raises UnavailableError if no daemon answers.
    """
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
        raise UnavailableError(f"no spamlstm runs with the state folder {state}; start it with spamlstm run") from error


def _read_all(client: socket.socket) -> bytes:
    """Return all bytes that the server sends until it closes the connection.

    Raises TimeoutError if the answer takes longer than five times TIMEOUT_SECONDS. Raises ValueError if the answer has
    more than MOST_ANSWER bytes.
    """
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
    """Yield a Unix socket and a short path to the socket file in the state folder.

    The kernel accepts at most 107 bytes for such a path, and the path of the state folder may be longer.
    """
    folder = os.open(state, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as opened:
            yield opened, f"/proc/self/fd/{folder}/{NAME}"
    finally:
        os.close(folder)
