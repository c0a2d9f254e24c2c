"""Slow, many or malformed clients delay no other client, and use bounded resources."""

import contextlib
import errno
import socket
import threading

import pytest

from spamlstm.daemon import prometheus, server
from spamlstm.daemon.server import MOST_CLIENTS, Server

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Listener:
    """A listening socket whose `accept` raises the errors in `failures`, and waits while `gate` is held."""

    def __init__(self, real):
        self._real, self.failures, self.gate = real, [], threading.Lock()

    def __getattr__(self, name):
        return getattr(self._real, name)

    def accept(self):
        if self.failures:
            raise self.failures.pop()
        with self.gate:
            return self._real.accept()


class Running:
    """A server of metrics with a clock that the test moves, and the clients that the test opens."""

    def __init__(self, stack):
        self.clock, self.text = Clock(), lambda: "x 1\n"
        self.listener = Listener(stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128)))
        self.server = Server(
            self.listener, lambda request: prometheus.answer(request, self.text), seconds=5.0, clock=self.clock
        )
        self.thread = threading.Thread(target=self.server.run)
        self._stack = stack

    def client(self, request=b""):
        line = self._stack.enter_context(socket.create_connection(self.listener.getsockname()))
        line.settimeout(3.0)
        line.sendall(request)
        return line

    def scrape(self, request=REQUEST):
        with self.client(request) as line:
            return received(line)


@pytest.fixture
def running():
    with contextlib.ExitStack() as stack:
        one = Running(stack)
        one.thread.start()
        yield one
        one.server.end()
        one.thread.join(3.0)
        assert not one.thread.is_alive()


def received(line):
    """Return all that the server sends until it closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := line.recv(4096):
            parts.append(part)
    return b"".join(parts)


def test_a_slow_client_keeps_nobody_waiting(running):
    """While one client sends a byte at a time, the other clients are answered."""
    slow = running.client(b"G")
    for byte in b"ET /metrics":
        assert running.scrape().endswith(b"\r\n\r\nx 1\n")
        slow.sendall(bytes([byte]))


def test_a_client_has_a_time_limit_in_all(running):
    """A further byte does not extend the limit."""
    slow = running.client(b"G")
    assert running.scrape()  # by now the slow client, which came first, is accepted
    for byte in b"ET /":
        running.clock.now += 1.3
        slow.sendall(bytes([byte]))
        assert running.scrape()
    assert received(slow) == b""


def test_the_number_of_clients_is_bounded(running):
    """Of many silent clients the oldest are dropped to make room for new ones."""
    silent = [running.client(b"G") for _ in range(3 * MOST_CLIENTS)]
    assert running.scrape().endswith(b"x 1\n")
    assert len(running.server._clients) <= MOST_CLIENTS
    assert received(silent[0]) == b""


def test_a_client_that_does_not_read_delays_nobody(running):
    """A client that reads gets a large answer while another one does not read its own."""
    running.text = lambda: "x" * (32 << 20)
    idle = running.client(REQUEST)  # accepted before the next one
    assert len(running.scrape()) > 32 << 20
    running.clock.now += 6.0
    running.text = lambda: "x 1\n"
    running.scrape()
    assert len(received(idle)) < 32 << 20


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /metrics?x=1 HTTP/1.0\n\n", b"200 OK"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"GET /../../etc/passwd HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405 Method Not Allowed"),
        (b"GET /metrics\r\n\r\n", b"400 Bad Request"),
        (b"\x16\x03\x01\n\n", b"400 Bad Request"),
        (b"GET /metrics HTTP/1.1\r\n" + b"x" * 9000, b"431 Request Header Fields Too Large"),
    ],
)
def test_each_request_has_an_answer(running, request_, status):
    """Any other request gets an HTTP error that does not repeat it."""
    line, _, body = running.scrape(request_).partition(b"\r\n")
    assert line == b"HTTP/1.0 " + status
    assert b"passwd" not in body


def test_simultaneous_requests_share_one_answer(running):
    """The metrics are read once for clients that wait together, and again for later ones."""
    reads = []
    running.text = lambda: f"x {reads.append(1) or len(reads)}\n"
    with running.listener.gate:
        together = [running.client(REQUEST) for _ in range(5)]
    assert {received(line)[-4:] for line in together} == {b"x 1\n"}
    assert len(reads) == 1
    assert running.scrape().endswith(b"x 2\n")


def test_a_bug_costs_one_answer(running, caplog):
    """The thread goes on, and the error is logged."""

    def broken():
        raise ZeroDivisionError

    running.text = broken
    assert running.scrape() == b""
    running.text = lambda: "x 1\n"
    assert running.scrape().endswith(b"x 1\n")
    assert "did not get an answer" in caplog.text


def test_a_lack_of_memory_is_no_bug(running, caplog):
    """The log says in one line that memory was short, and what followed."""

    def broken():
        raise MemoryError

    running.text = broken
    assert running.scrape() == b""
    assert [record.getMessage() for record in caplog.records] == [
        "there is not enough memory: a client did not get an answer"
    ]
    assert not caplog.records[0].exc_info


def test_a_lack_of_memory_does_not_end_the_thread(running, caplog, monkeypatch):
    """If memory is short elsewhere than in an answer, open connections are closed, and later clients are served."""
    monkeypatch.setattr(server, "PAUSE_SECONDS", 0.0)
    slow = running.client(b"GET ")
    assert running.scrape().endswith(b"x 1\n")  # so the slow client is connected
    running.listener.failures = [MemoryError()]
    assert running.scrape().endswith(b"x 1\n")
    assert received(slow) == b""
    assert caplog.messages == ["there is not enough memory: all clients are disconnected"]


def test_too_many_open_files(running, monkeypatch):
    """The server waits until it can accept the client, and then answers it."""
    monkeypatch.setattr(server, "PAUSE_SECONDS", 0.0)
    running.listener.failures = [OSError(errno.EMFILE, "Too many open files")] * 3
    assert running.scrape().endswith(b"x 1\n")
    assert running.listener.failures == []
