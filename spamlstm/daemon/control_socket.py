"""The socket in the state folder at which a running daemon tells how it is."""

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
# Both ends are on one machine, and the answer is some kilobytes.
PATIENCE = 2.0
# Of 10,000 Maildirs a megabyte.
MOST_ANSWER = 64 << 20


@contextlib.contextmanager
def answering(state: Path, snapshot: Callable[[], dict[str, Any]]) -> Iterator[None]:
    """Answer each who connects with one JSON object, from a thread that sleeps until then. For the owner alone.

    Whoever calls this holds the lock of the state folder, so that a socket that lies there is a dead one's.
    """
    with _at(state) as place, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as ear:
        with contextlib.suppress(FileNotFoundError):
            (state / NAME).unlink()
        os.fchmod(ear.fileno(), 0o600)  # on Linux the mode with which bind makes the file
        ear.bind(place)
        ear.listen(64)
        try:
            with serving(ear, lambda _: json.dumps(snapshot()).encode() + b"\n", name="status", seconds=PATIENCE):
                yield
        finally:
            (state / NAME).unlink(missing_ok=True)


def ask(state: Path) -> dict[str, Any]:
    """What the daemon of a state folder says; an UnavailableError if none answers."""
    try:
        with _at(state) as place, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as line:
            line.settimeout(PATIENCE)
            line.connect(place)
            told: dict[str, Any] = json.loads(_all_of(line))
            return told
    except PermissionError as error:
        raise UnavailableError(
            f"the daemon with the state folder {state} answers only its own user and root"
        ) from error
    except (OSError, ValueError) as error:
        raise UnavailableError(f"no spamlstm runs with the state folder {state}; spamlstm run starts one") from error


def _all_of(line: socket.socket) -> bytes:
    """What the other end says until it closes. TimeoutError if that takes too long, ValueError if it is too much."""
    answer, end = bytearray(), time.monotonic() + 5 * PATIENCE
    while some := line.recv(1 << 16):
        answer += some
        if time.monotonic() > end:
            raise TimeoutError
        if len(answer) > MOST_ANSWER:
            raise ValueError("no daemon says so much")
    return bytes(answer)


@contextlib.contextmanager
def _at(state: Path) -> Iterator[str]:
    """The socket's path in a form of few letters: the kernel takes 107, and a state folder may be deeper."""
    folder = os.open(state, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{NAME}"
    finally:
        os.close(folder)
