"""Slow, many and vanishing clients of the listeners: each is served or dropped, and harms no other."""

import contextlib
import errno
import threading

import pytest
from listener_clients import CHECK_SPAM, connected, large_request
from listening import PATIENCE, HeldWork, exchange, listening
from tiny_bundle import SPAM

from spamlstm.config import Config, SpamdConfig
from spamlstm.daemon.listeners import connection, listener, receiving_budget


def test_slow_clients_harm_nobody(spamd, running):
    """While 200 clients wait in the middle of their requests, another client gets its answer."""
    with connected(spamd, 200):
        assert exchange(spamd, CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK\r\nSpam: True ;")
        assert running.listeners.snapshot()["spamd"]["open"] >= 200


@pytest.fixture
def crowded(monkeypatch):
    """At most three connections, and every client that does not wait for the daemon is slow."""
    monkeypatch.setattr(listener, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(connection, "SLOW_SECONDS", 0.0)


@pytest.mark.usefixtures("crowded")
def test_the_oldest_unfinished_request_makes_room(spamd, running, wait):
    """Beyond the largest number of connections, the oldest client that has not sent a whole request is dropped."""
    with connected(spamd, 3) as clients:
        wait(lambda: running.listeners.snapshot()["spamd"]["open"] == 3)
        assert exchange(spamd, CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK")
        assert clients[0].recv(1) == b""
        assert running.listeners.snapshot()["spamd"]["dropped"] == 1


@pytest.mark.usefixtures("crowded")
def test_many_clients_at_once_leave_no_connection_behind(spamd, running, wait):
    """If more slow clients than permitted connect before the first is served, the oldest are disconnected."""
    held = threading.Event()
    running.listeners._thread.loop.call_soon_threadsafe(held.wait, PATIENCE)
    with connected(spamd, 20) as clients:
        held.set()
        assert [client.recv(1) for client in clients[:17]] == [b""] * 17
        wait(lambda: running.listeners.snapshot()["spamd"]["dropped"] == 17)
        assert running.listeners.snapshot()["spamd"]["open"] == 3


def test_a_client_that_sends_nothing_is_dropped(spamd, running, monkeypatch):
    """An idle client is disconnected."""
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.05)
    with connected(spamd, 1) as (client,):
        assert client.recv(1) == b""
    assert running.listeners.snapshot()["spamd"]["dropped"] == 1


def test_a_client_that_takes_no_answer_is_dropped(spamd, running, monkeypatch, wait):
    """A client that does not read its answer does not keep its connection."""
    monkeypatch.setattr(connection, "IDLE_SECONDS", 1.0)
    mail = SPAM + b"x" * (8 << 20)
    with connected(spamd, 1, b"PROCESS SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s" % (len(mail), mail)):
        wait(lambda: running.listeners.snapshot()["spamd"]["dropped"] == 1)
    assert running.listeners._budget.left == receiving_budget.MOST_BUFFERED


def test_a_large_answer_leaves_no_connection_behind(spamd, running, wait, caplog):
    """After an answer whose end was still to be sent when the connection was closed, the connection is forgotten."""
    request = large_request(2 << 20)
    with connected(spamd, 1, request) as (client,):
        wait(lambda: running.listeners.snapshot()["spamd"]["judged"] == {"spam": 1})
        answer = b""
        while block := client.recv(1 << 12):
            answer += block
    assert len(answer) > len(SPAM.ljust(2 << 20))
    wait(lambda: running.listeners.snapshot()["spamd"]["open"] == 0)
    assert caplog.text == ""


def test_connections_are_bounded_if_all_clients_wait_for_the_daemon(tmp_path, classifier, config, monkeypatch, wait):
    """Beyond the largest number of connections, clients wait in the kernel. None is dropped, and all get answers."""
    monkeypatch.setattr(listener, "MOST_CONNECTIONS", 3)
    held = HeldWork()
    with listening(tmp_path / "state", classifier, config, work=held) as one:
        with connected(f"{tmp_path}/spamd.sock", 3, CHECK_SPAM) as first:
            clients = one.listeners._listeners["spamd"].connections
            wait(lambda: [each.is_waiting for each in list(clients)] == [True] * 3)
            with connected(f"{tmp_path}/spamd.sock", 2, CHECK_SPAM) as further:
                # A later event of the thread of the listeners shows that it does not accept the further clients.
                assert exchange(str(one.state / "filter.sock"), b"\n").startswith(b"ERROR")
                assert one.listeners.snapshot()["spamd"]["open"] == 3
                held.released.set()
                for client in (*first, *further):
                    assert client.recv(9) == b"SPAMD/1.1"
        assert one.listeners.snapshot()["spamd"]["dropped"] == 0


@pytest.mark.usefixtures("crowded")
def test_a_client_that_takes_no_answer_makes_room(spamd, running, monkeypatch, wait):
    """Beyond the largest number of connections, the oldest client that does not take its answer is dropped."""
    monkeypatch.setattr(connection, "SLOW_SECONDS", 1000.0)
    with connected(spamd, 3, large_request(4 << 20)) as clients:
        wait(lambda: running.listeners.snapshot()["spamd"]["judged"] == {"spam": 3})
        monkeypatch.setattr(connection, "SLOW_SECONDS", 0.0)
        assert exchange(spamd, CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK")
        assert running.listeners.snapshot()["spamd"]["dropped"] == 1
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while block := clients[0].recv(1 << 20):
                answer += block
        assert len(answer) < 4 << 20


def test_clients_are_served_after_too_many_open_files(spamd, running, monkeypatch):
    """If a client cannot be accepted, the listener tries again soon."""
    monkeypatch.setattr(listener, "_RETRY_SECONDS", 0.01)
    one = running.listeners._listeners["spamd"]
    real, failures = one._socket, [OSError(errno.EMFILE, "Too many open files")] * 2

    class Failing:
        def fileno(self):
            return real.fileno()

        def accept(self):
            if failures:
                raise failures.pop()
            return real.accept()

    one._socket = Failing()
    try:
        assert exchange(spamd, CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK")
    finally:
        one._socket = real
    assert failures == []


def test_a_client_that_goes_before_its_answer(tmp_path, classifier, config):
    """The request of a client that has gone is classified or not, and the next client gets its answer."""
    held = HeldWork()
    with listening(tmp_path / "state", classifier, config, work=held):
        with connected(f"{tmp_path}/spamd.sock", 5, CHECK_SPAM):
            pass
        held.released.set()
        assert exchange(f"{tmp_path}/spamd.sock", CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK")


def test_the_request_of_a_dropped_client_is_not_classified(tmp_path, classifier, config, wait):
    """If a client is disconnected while its request waits, the daemon's loop skips the request."""
    held = HeldWork()
    with listening(tmp_path / "state", classifier, config, work=held) as one:
        with connected(f"{tmp_path}/spamd.sock", 1, CHECK_SPAM):
            assert held.asked.wait(PATIENCE)
            ((*_, request),) = one.requests._waiting
            (task,) = one.listeners._listeners["spamd"].connections.values()
            one.listeners._thread.loop.call_soon_threadsafe(task.cancel)
            wait(lambda: one.listeners.snapshot()["spamd"]["dropped"] == 1)
        held.released.set()
        assert exchange(f"{tmp_path}/spamd.sock", CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK")
    assert request.answer.cancelled()


def test_an_error_reaches_a_client_that_still_sends(tmp_path, classifier):
    """The error is not lost in a reset connection, although most of the request was not read."""
    config = Config(spamd=SpamdConfig(listen="127.0.0.1:17839"))
    with listening(tmp_path / "state", classifier, config):
        request = b"FROB SPAMC/1.5\r\nContent-length: 9\r\n\r\n" + b"x" * (4 << 20)
        assert exchange(("127.0.0.1", 17839), request).startswith(b"SPAMD/1.0 76 Bad header line: FROB")
