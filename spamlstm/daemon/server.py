"""Serves short answers on a socket: one thread for all clients, of which none delays another."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from spamlstm.filtering.log import logger

# The most clients at once. For one more, the oldest is dropped: a well-behaved client takes milliseconds.
MOST_CLIENTS = 32
# Seconds without new clients after an error of accept, such as too many open files.
PAUSE_SECONDS = 1.0

Answer = Callable[[bytes], bytes | None]
"""Takes all bytes that a client has sent so far; returns the answer, or None if the request is incomplete."""


@contextlib.contextmanager
def serving(listener: socket.socket, answer: Answer, *, name: str, seconds: float) -> Iterator[None]:
    """Answer the clients of a listening socket from a thread during the block.

    A client has `seconds` in all, however it spreads its bytes over them. `answer` must limit the length of a
    request.
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
    """A connection: when it ends at the latest, what the client has sent, and the rest of its answer."""

    connection: socket.socket
    until: float
    request: bytes = b""
    answer: memoryview = field(default_factory=lambda: memoryview(b""))


class Server:
    """The loop that serves the clients of one socket. All methods but `end` are for its thread alone."""

    def __init__(
        self, listener: socket.socket, answer: Answer, *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._listener = listener
        self._answer = answer
        self._seconds = seconds
        self._clock = clock
        self._clients: dict[int, _Client] = {}  # by descriptor, the oldest first
        self._answers: dict[bytes, bytes] = {}  # of this turn: equal requests get the same answer
        self._accepts_from = 0.0
        self._ends = False
        listener.settimeout(0)

    def run(self) -> None:
        """Serve until `end`."""
        try:
            while not self._ends:
                self._turn()
        finally:
            while self._clients:
                self._drop_oldest()

    def end(self) -> None:
        """Make `run` return; from any thread."""
        self._ends = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes poll

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
        """Wait for events or for the end of the oldest client's time; return the descriptors with events."""
        poll, now, ends = select.poll(), self._clock(), [client.until for client in self._clients.values()]
        if now < self._accepts_from:
            ends.append(self._accepts_from)
        else:
            poll.register(self._listener, select.POLLIN)
        for number, client in self._clients.items():
            poll.register(number, select.POLLOUT if client.answer else select.POLLIN)
        # Rounded up: a millisecond too early, the loop would wake up for nothing.
        return [number for number, _ in poll.poll(1000 * max(0.0, min(ends) - now) + 1 if ends else None)]

    def _accept_all(self) -> None:
        """Accept the clients that wait, at most MOST_CLIENTS in one turn."""
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
        """Receive from the client, or send it what it can take. It is dropped at the end and after any error."""
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
        except Exception:  # noqa: BLE001  a bug costs one answer, not the thread
            logger.exception("bug: a client got no answer")
            client.until = self._clock()

    def _drop_oldest(self) -> None:
        self._drop(next(iter(self._clients.values())))

    def _drop(self, client: _Client) -> None:
        del self._clients[client.connection.fileno()]
        client.connection.close()
