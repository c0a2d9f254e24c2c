"""A server of short answers on a socket, and the status socket of a running daemon.

One thread serves all clients, and a slow client does not delay the other clients.
"""

import contextlib
import json
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spamlstm.errors import UnavailableError
from spamlstm.filtering.event_log import log_unexpected

# The largest number of connected clients. A further client replaces the oldest. A normal client takes milliseconds.
MOST_CLIENTS = 32
# Seconds in which no clients are accepted after an error of accept, for example too many open files.
PAUSE_SECONDS = 1.0

STATUS_SOCKET = "status.sock"
# Server and client run on the same machine. An answer has some kilobytes, or about a megabyte with 10,000 Maildirs.
STATUS_SECONDS = 2.0
MOST_ANSWER = 64 << 20

Answer = Callable[[bytes], bytes | None]
"""A function that takes all bytes of a client so far and returns the answer, or None if the request is incomplete."""


@contextlib.contextmanager
def serving(listener: socket.socket, answer: Answer, *, name: str, seconds: float) -> Iterator[None]:
    """Answer the clients of a listening socket, from a thread, during the `with` block.

    A client is disconnected `seconds` after it connected, even if the client is still sending. `answer` must limit the
    length of a request.
    """
    server = Server(listener, answer, seconds=seconds)
    thread = threading.Thread(target=server.run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.end()
        thread.join(timeout=2 * PAUSE_SECONDS)


@dataclass(slots=True)
class _Client:
    """A connection to a client, the time of its end, the received bytes, and the unsent rest of the answer."""

    connection: socket.socket
    until: float
    request: bytes = b""
    answer: memoryview = field(default_factory=lambda: memoryview(b""))


class Server:
    """The loop that serves the clients of one socket. Only the thread of `run` may call methods other than `end`."""

    def __init__(
        self, listener: socket.socket, answer: Answer, *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._listener = listener
        self._answer = answer
        self._seconds = seconds
        self._clock = clock
        self._clients: dict[int, _Client] = {}  # by descriptor, the oldest first
        self._answers: dict[bytes, bytes] = {}  # by request; equal requests in one turn get the same answer
        self._accepts_from = 0.0
        self._ends = False
        listener.settimeout(0)

    def run(self) -> None:
        """Serve clients until `end` is called."""
        try:
            while not self._ends:
                try:
                    self._turn()
                except MemoryError as error:  # this must not end the thread
                    self._drop_all()
                    self._accepts_from = self._clock() + PAUSE_SECONDS
                    log_unexpected(error, "all clients are disconnected")
        finally:
            self._drop_all()

    def end(self) -> None:
        """Make `run` return. May be called from any thread."""
        self._ends = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # makes the poll in `_ready` return

    def _turn(self) -> None:
        for number in self._ready():
            if number == self._listener.fileno():
                self._accept_all()
            elif (client := self._clients.get(number)) is not None:
                self._serve(client)
        self._answers.clear()
        now = self._clock()
        while self._clients and next(iter(self._clients.values())).until <= now:
            self._drop_oldest()

    def _ready(self) -> list[int]:
        """Return the descriptors with events. Wait until there is an event or the oldest client must be dropped.

        After an error of `accept`, the wait also ends when clients may be accepted again.
        """
        poll, now, ends = select.poll(), self._clock(), [client.until for client in self._clients.values()]
        if now < self._accepts_from:
            ends.append(self._accepts_from)
        else:
            poll.register(self._listener, select.POLLIN)
        for number, client in self._clients.items():
            poll.register(number, select.POLLOUT if client.answer else select.POLLIN)
        # One millisecond is added, so that the loop does not wake up too early.
        return [number for number, _ in poll.poll(1000 * max(0.0, min(ends) - now) + 1 if ends else None)]

    def _accept_all(self) -> None:
        """Accept the waiting clients, at most MOST_CLIENTS in one turn."""
        try:
            for _ in range(MOST_CLIENTS):
                self._accept(self._listener.accept()[0])
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            self._accepts_from = self._clock() + PAUSE_SECONDS

    def _accept(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        if len(self._clients) >= MOST_CLIENTS:
            self._drop_oldest()
        client = self._clients[connection.fileno()] = _Client(connection, self._clock() + self._seconds)
        self._reply(client)
        if client.answer:
            self._serve(client)

    def _serve(self, client: _Client) -> None:
        """Receive bytes from the client or send it a part of the answer. Drop the client at the end or on an error."""
        with contextlib.suppress(BlockingIOError):
            try:
                done = self._send(client) if client.answer else self._receive(client)
            except BlockingIOError:
                raise
            except OSError:
                done = True
            if done:
                self._drop(client)

    def _receive(self, client: _Client) -> bool:
        some = client.connection.recv(4096)
        client.request += some
        self._reply(client)
        return not some or (bool(client.answer) and self._send(client))

    def _send(self, client: _Client) -> bool:
        client.answer = client.answer[client.connection.send(client.answer) :]
        return not client.answer

    def _reply(self, client: _Client) -> None:
        try:
            if client.request not in self._answers:
                self._answers[client.request] = self._answer(client.request) or b""
            client.answer = memoryview(self._answers[client.request])
        except Exception as error:  # noqa: BLE001  a bug must not end the thread
            log_unexpected(error, "a client did not get an answer")
            client.until = self._clock()

    def _drop_all(self) -> None:
        self._answers.clear()
        while self._clients:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._drop(next(iter(self._clients.values())))

    def _drop(self, client: _Client) -> None:
        del self._clients[client.connection.fileno()]
        client.connection.close()


# --- the socket in the state folder, on which a running daemon answers with its status -----------------------------


@contextlib.contextmanager
def answering(state: Path, snapshot: Callable[[], dict[str, Any]]) -> Iterator[None]:
    """Send each client the status as one JSON object, from a thread, during the `with` block.

    Only this user and root can connect. `snapshot` returns the status. The caller must hold the lock of the state
    folder. An existing socket file was therefore left by a process that has ended, and is removed.
    """
    with _socket(state) as (listener, path):
        (state / STATUS_SOCKET).unlink(missing_ok=True)
        os.fchmod(listener.fileno(), 0o600)  # on Linux, bind creates the socket file with this mode
        listener.bind(path)
        listener.listen(64)
        try:
            with serving(
                listener, lambda _: json.dumps(snapshot()).encode() + b"\n", name="status", seconds=STATUS_SECONDS
            ):
                yield
        finally:
            (state / STATUS_SOCKET).unlink(missing_ok=True)


def ask(state: Path) -> dict[str, Any]:
    """Return the status of the daemon that uses the state folder `state`.

    Raises UnavailableError if no daemon answers.
    """
    try:
        with _socket(state) as (client, path):
            client.settimeout(STATUS_SECONDS)
            client.connect(path)
            status: dict[str, Any] = json.loads(_read_all(client))
            return status
    except PermissionError as error:
        raise UnavailableError(
            f"the daemon with the state folder {state} answers only its own user and root"
        ) from error
    except NotADirectoryError as error:
        raise UnavailableError(f"the state folder {state} is not a folder; check --state") from error
    except (OSError, ValueError) as error:
        raise UnavailableError(
            f"no spamlstm runs with the state folder {state}; start it with 'spamlstm run'"
        ) from error


def _read_all(client: socket.socket) -> bytes:
    """Return all bytes that the server sends until it closes the connection.

    Raises TimeoutError if the answer takes longer than five times STATUS_SECONDS. Raises ValueError if the answer has
    more than MOST_ANSWER bytes.
    """
    answer, end = bytearray(), time.monotonic() + 5 * STATUS_SECONDS
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
            yield opened, f"/proc/self/fd/{folder}/{STATUS_SOCKET}"
    finally:
        os.close(folder)
