"""The socket in the state folder at which a running daemon tells how it is."""

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from spamlstm.errors import UnavailableError

NAME = "status.sock"
# Both ends are on one machine, and the answer is some kilobytes.
PATIENCE = 2.0


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
        ear.listen()
        thread = threading.Thread(target=_answer_all, args=(ear, snapshot), name="status", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ear.shutdown(socket.SHUT_RDWR)  # wakes accept
            thread.join()
            (state / NAME).unlink(missing_ok=True)


def _answer_all(ear: socket.socket, snapshot: Callable[[], dict[str, Any]]) -> None:
    while True:
        try:
            line, _ = ear.accept()
        except OSError:
            return
        # One that connects and does not read must not keep the next waiting for long.
        with line, contextlib.suppress(OSError):
            line.settimeout(PATIENCE)
            line.sendall(json.dumps(snapshot()).encode() + b"\n")


def ask(state: Path) -> dict[str, Any]:
    """What the daemon of a state folder says; an UnavailableError if none answers."""
    try:
        with _at(state) as place, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as line:
            line.settimeout(PATIENCE)
            line.connect(place)
            with line.makefile("rb") as answer:
                told: dict[str, Any] = json.loads(answer.read())
                return told
    except PermissionError as error:
        raise UnavailableError(
            f"the daemon with the state folder {state} answers only its own user and root"
        ) from error
    except (OSError, ValueError) as error:
        raise UnavailableError(f"no spamlstm runs with the state folder {state}; spamlstm run starts one") from error


@contextlib.contextmanager
def _at(state: Path) -> Iterator[str]:
    """The socket's path in a form of few letters: the kernel takes 107, and a state folder may be deeper."""
    folder = os.open(state, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{NAME}"
    finally:
        os.close(folder)
