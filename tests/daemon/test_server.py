"""Clients that are slow, many or wrong keep no other waiting, and take nothing that does not end."""

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


class Ear:
    """A listening socket whose `accept` fails as often as a test wants, and waits while it holds the gate."""

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
    """A server of metrics with a clock that stands still, and the clients that a test opens."""

    def __init__(self, stack):
        self.clock, self.text = Clock(), lambda: "x 1\n"
        self.ear = Ear(stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128)))
        self.server = Server(self.ear, lambda asked: prometheus.answer(asked, self.text), seconds=5.0, clock=self.clock)
        self.thread = threading.Thread(target=self.server.run)
        self._stack = stack

    def client(self, asked=b""):
        line = self._stack.enter_context(socket.create_connection(self.ear.getsockname()))
        line.settimeout(3.0)
        line.sendall(asked)
        return line

    def scrape(self, asked=REQUEST):
        with self.client(asked) as line:
            return heard(line)


@pytest.fixture
def running():
    with contextlib.ExitStack() as stack:
        one = Running(stack)
        one.thread.start()
        yield one
        one.server.end()
        one.thread.join(3.0)
        assert not one.thread.is_alive()


def heard(line):
    """All that the server says until it hangs up."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := line.recv(4096):
            parts.append(part)
    return b"".join(parts)


def test_a_slow_client_keeps_nobody_waiting(running):
    """Others are answered while one sends a byte now and then."""
    slow = running.client(b"G")
    for byte in b"ET /metrics":
        assert running.scrape().endswith(b"\r\n\r\nx 1\n")
        slow.sendall(bytes([byte]))


def test_a_client_has_its_time_in_all(running):
    """However it spreads its bytes: each byte begins no new wait."""
    slow = running.client(b"G")
    assert running.scrape()  # the slow one, who came first, has been let in
    for byte in b"ET /":
        running.clock.now += 1.3
        slow.sendall(bytes([byte]))
        assert running.scrape()
    assert heard(slow) == b""


def test_as_many_clients_as_there_may_be(running):
    """Hundreds that say nothing take no more than their share of descriptors, and the oldest make room."""
    silent = [running.client(b"G") for _ in range(3 * MOST_CLIENTS)]
    assert running.scrape().endswith(b"x 1\n")
    assert len(running.server._clients) <= MOST_CLIENTS
    assert heard(silent[0]) == b""


def test_who_does_not_read_keeps_nobody_waiting(running):
    """An answer that is larger than what the kernel holds is sent to the one who reads, beside the one who does not."""
    running.text = lambda: "x" * (32 << 20)
    deaf = running.client(REQUEST)  # let in before the next one
    assert len(running.scrape()) > 32 << 20
    running.clock.now += 6.0
    running.text = lambda: "x 1\n"
    running.scrape()
    assert len(heard(deaf)) < 32 << 20


@pytest.mark.parametrize(
    ("asked", "status"),
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
def test_each_request_has_an_answer(running, asked, status):
    """What is no request for the metrics is told so, and nothing of it is repeated."""
    line, _, body = running.scrape(asked).partition(b"\r\n")
    assert line == b"HTTP/1.0 " + status
    assert b"passwd" not in body


def test_who_asks_at_once_gets_one_answer(running):
    """Clients that wait together cost one look at the numbers; who comes later gets newer ones."""
    looks = []
    running.text = lambda: f"x {looks.append(1) or len(looks)}\n"
    with running.ear.gate:
        together = [running.client(REQUEST) for _ in range(5)]
    assert {heard(line)[-4:] for line in together} == {b"x 1\n"}
    assert len(looks) == 1
    assert running.scrape().endswith(b"x 2\n")


def test_a_bug_costs_one_answer(running, caplog):
    """The thread lives on, and the log says what happened."""

    def broken():
        raise ZeroDivisionError

    running.text = broken
    assert running.scrape() == b""
    running.text = lambda: "x 1\n"
    assert running.scrape().endswith(b"x 1\n")
    assert "got no answer" in caplog.text


def test_too_many_open_files(running, monkeypatch):
    """While nobody can be let in the loop waits; then the same client is answered."""
    monkeypatch.setattr(server, "PAUSE_SECONDS", 0.0)
    running.ear.failures = [OSError(errno.EMFILE, "Too many open files")] * 3
    assert running.scrape().endswith(b"x 1\n")
    assert running.ear.failures == []
