"""Short answers to whoever connects to a socket: one thread for all clients, and none of them keeps another waiting."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from spamlstm.filtering.log import logger

# As many clients at once. One more, and the oldest of them has to go: an honest one is gone within milliseconds.
MOST_CLIENTS = 32
# After an error of accept, such as too many open files, nobody is let in for so long.
PAUSE_SECONDS = 1.0

Answer = Callable[[bytes], bytes | None]
"""From all bytes that a client has sent so far to the whole answer, or to None while the request is not complete."""


@contextlib.contextmanager
def serving(ear: socket.socket, answer: Answer, *, name: str, seconds: float) -> Iterator[None]:
    """Answer the clients of a listening socket, from a thread that sleeps until one connects.

    A client has so many seconds in all, however it spreads its bytes over them. `answer` has to bound what it takes
    for a request.
    """
    server = Server(ear, answer, seconds=seconds)
    thread = threading.Thread(target=server.run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.end()
        thread.join(timeout=2 * PAUSE_SECONDS)


@dataclass(slots=True)
class _Client:
    """One connection: until when it is waited for, what it has sent, and what of its answer is yet to be sent."""

    line: socket.socket
    until: float
    asked: bytes = b""
    answer: memoryview = field(default_factory=lambda: memoryview(b""))


class Server:
    """The loop of that thread. All but `end` is for it alone."""

    def __init__(
        self, ear: socket.socket, answer: Answer, *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ear = ear
        self._answer = answer
        self._seconds = seconds
        self._clock = clock
        self._clients: dict[int, _Client] = {}  # by descriptor, the oldest first
        self._answers: dict[bytes, bytes] = {}  # of this turn: who asks the same at once gets the same
        self._deaf_until = 0.0
        self._ends = False
        ear.settimeout(0)

    def run(self) -> None:
        """Turn until `end`."""
        try:
            while not self._ends:
                self._turn()
        finally:
            while self._clients:
                self._drop_oldest()

    def end(self) -> None:
        """Let `run` end; from any thread."""
        self._ends = True
        with contextlib.suppress(OSError):
            self._ear.shutdown(socket.SHUT_RDWR)  # wakes poll

    def _turn(self) -> None:
        for number in self._ready():
            if number == self._ear.fileno():
                self._accept_all()
            elif (client := self._clients.get(number)) is not None:
                self._serve(client)
        self._answers.clear()
        now = self._clock()
        while self._clients and next(iter(self._clients.values())).until <= now:
            self._drop_oldest()

    def _ready(self) -> list[int]:
        """Wait until somebody can be served, or until the oldest client has had its time; gives descriptors."""
        poll, now, ends = select.poll(), self._clock(), [client.until for client in self._clients.values()]
        if now < self._deaf_until:
            ends.append(self._deaf_until)
        else:
            poll.register(self._ear, select.POLLIN)
        for number, client in self._clients.items():
            poll.register(number, select.POLLOUT if client.answer else select.POLLIN)
        # Rounded up: a millisecond too early the loop would turn for nothing.
        return [number for number, _ in poll.poll(1000 * max(0.0, min(ends) - now) + 1 if ends else None)]

    def _accept_all(self) -> None:
        """Let in who waits, as many as there may be in one turn."""
        try:
            for _ in range(MOST_CLIENTS):
                self._accept(self._ear.accept()[0])
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            self._deaf_until = self._clock() + PAUSE_SECONDS

    def _accept(self, line: socket.socket) -> None:
        line.settimeout(0)
        if len(self._clients) >= MOST_CLIENTS:
            self._drop_oldest()
        client = self._clients[line.fileno()] = _Client(line, self._clock() + self._seconds)
        self._reply(client)
        if client.answer:
            self._serve(client)

    def _serve(self, client: _Client) -> None:
        """Take what the client sends, or send it what it can take; it is dropped at the end and after any error."""
        with contextlib.suppress(BlockingIOError):
            try:
                done = self._send(client) if client.answer else self._hear(client)
            except BlockingIOError:
                raise
            except OSError:
                done = True
            if done:
                self._drop(client)

    def _hear(self, client: _Client) -> bool:
        some = client.line.recv(4096)
        client.asked += some
        self._reply(client)
        return not some or (bool(client.answer) and self._send(client))

    def _send(self, client: _Client) -> bool:
        client.answer = client.answer[client.line.send(client.answer) :]
        return not client.answer

    def _reply(self, client: _Client) -> None:
        try:
            if client.asked not in self._answers:
                self._answers[client.asked] = self._answer(client.asked) or b""
            client.answer = memoryview(self._answers[client.asked])
        except Exception:  # noqa: BLE001  a bug of ours costs one answer, and not the thread
            logger.exception("bug: a client got no answer")
            client.until = self._clock()

    def _drop_oldest(self) -> None:
        self._drop(next(iter(self._clients.values())))

    def _drop(self, client: _Client) -> None:
        del self._clients[client.line.fileno()]
        client.line.close()
