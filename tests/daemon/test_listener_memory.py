"""The memory that requests of all listeners may take: which wait, which are refused, and who loses it."""

import asyncio
import contextlib
import random
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from listener_clients import CHECK_SPAM, announcement, connected, large_request
from listening import PATIENCE, exchange
from tiny_bundle import SPAM

from spamlstm.daemon.listeners import connection, receiving_budget


def test_a_compressed_bomb_is_refused(spamd, running):
    """A request of some kilobytes that becomes gigabytes is refused, and its memory is free again."""
    data = zlib.compress(bytes(65 << 20), 9)
    request = b"CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: %d\r\n\r\n%s" % (len(data), data)
    assert exchange(spamd, request).startswith(b"SPAMD/1.0 69 Service Unavailable: zlib: the message is above")
    assert exchange(spamd, CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK")
    assert running.listeners._budget.left == receiving_budget.MOST_BUFFERED


def test_the_memory_of_compressed_mail_is_counted(spamd, running):
    """A request counts with its compressed and its plain bytes, because both are in memory."""
    mail = SPAM + random.Random(1).randbytes(2 << 20)
    data = zlib.compress(mail)
    request = b"CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: %d\r\n\r\n%s" % (len(data), data)
    running.listeners._budget.left = 3 << 20
    assert b"too much mail is being received" in exchange(spamd, request)
    running.listeners._budget.left = 5 << 20
    assert exchange(spamd, request).startswith(b"SPAMD/1.1 0 EX_OK")


def test_large_requests_wait_for_memory(spamd, running):
    """If requests fill the memory for them, a further large request waits until it is free. Small ones do not wait."""
    running.listeners._budget.left = 3 << 20
    first = large_request(3 << 20)
    with connected(spamd, 1, first[:-1]) as (client,), ThreadPoolExecutor() as pool:
        second = pool.submit(exchange, spamd, large_request(2 << 20))
        assert exchange(spamd, CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK")
        assert not second.done()
        client.sendall(first[-1:])
        assert client.recv(9) == b"SPAMD/1.1"
        while client.recv(1 << 16):
            pass
        assert second.result(PATIENCE).startswith(b"SPAMD/1.1 0 EX_OK")
    assert running.listeners._budget.left == 3 << 20


@pytest.mark.parametrize("reads", [False, True])
def test_a_slow_client_does_not_keep_the_memory(spamd, running, monkeypatch, reads, wait):
    """A client that does not send its large request, or does not take its answer, is dropped if others wait."""
    monkeypatch.setattr(connection, "SLOW_SECONDS", 0.2)
    running.listeners._budget.left = 3 << 20
    request = large_request(3 << 20)
    with connected(spamd, 1, request[:-1] if reads else request):
        if not reads:
            wait(lambda: running.listeners.snapshot()["spamd"]["judged"] == {"spam": 1})
        assert exchange(spamd, request).startswith(b"SPAMD/1.1 0 EX_OK")
        assert running.listeners.snapshot()["spamd"]["dropped"] == 1
    assert running.listeners._budget.left == 3 << 20


@pytest.mark.parametrize("sent", [b"", SPAM])
def test_announced_bytes_keep_no_memory(spamd, running, monkeypatch, sent):
    """A client that announces the largest message and sends little is dropped as soon as any other if others wait."""
    monkeypatch.setattr(connection, "SLOW_SECONDS", 0.2)
    running.listeners._budget.left = 64 << 20
    with connected(spamd, 1, announcement(64 << 20) + sent) as (client,):
        assert exchange(spamd, large_request(2 << 20)).startswith(b"SPAMD/1.1 0 EX_OK")
        assert client.recv(1) == b""
    assert running.listeners.snapshot()["spamd"]["dropped"] == 1


def test_announced_bytes_keep_no_memory_from_requests_that_cannot_wait(spamd, running, monkeypatch, wait):
    """A slow client is also dropped if a request of unknown length needs its memory, which is refused otherwise."""
    running.listeners._budget.left = 64 << 20
    request = b"CHECK SPAMC/1.2\r\n\r\n" + SPAM.ljust(2 << 20)
    with connected(spamd, 1, announcement(64 << 20)) as (client,):
        wait(lambda: running.listeners._budget.left == 0)
        assert b"too much mail is being received" in exchange(spamd, request)
        monkeypatch.setattr(connection, "SLOW_SECONDS", -1.0)
        assert exchange(spamd, request).startswith(b"SPAMD/1.1 0 EX_OK")
        assert client.recv(1) == b""
    assert running.listeners.snapshot()["spamd"]["dropped"] == 1


def test_announced_bytes_leave_memory_for_requests_that_cannot_wait(spamd, running, wait):
    """Clients that announce the largest messages again and again, before they are slow, do not get all memory."""
    request = b"CHECK SPAMC/1.2\r\n\r\n" + SPAM.ljust(2 << 20)
    with connected(spamd, 3, announcement(64 << 20)):
        wait(lambda: len(running.listeners._budget._queue) == 2)
        assert exchange(spamd, request).startswith(b"SPAMD/1.1 0 EX_OK")
    wait(lambda: running.listeners._budget.left == receiving_budget.MOST_BUFFERED)
    assert running.listeners._budget._announced == 0


def test_the_wait_for_memory_does_not_make_a_client_slow():
    """The time of a client begins anew when it gets memory, or the next client that waits would have it dropped."""

    async def is_slow_after_wait():
        counts, budget = connection.ListenerCounts("unix:/s"), receiving_budget.ReceivingBudget()
        client = connection.ClientConnection(None, judging=None, answers=None, counts=counts, budget=budget)
        client._since -= connection.TOTAL_SECONDS
        before = client.is_slow()
        await client.wait_for_room(2 << 20)
        return before, client.is_slow()

    assert asyncio.run(is_slow_after_wait()) == (True, False)


def test_a_large_request_of_unknown_length_is_refused(spamd, running):
    """If requests fill the memory, a client whose request has no length could wait for ever, so it is told to go."""
    running.listeners._budget.left = 0
    request = b"CHECK SPAMC/1.2\r\n\r\n" + b"x" * (2 << 20)
    assert exchange(spamd, request) == (
        b"SPAMD/1.0 76 Bad header line: (too much mail is being received; try again later)\r\n"
    )


def test_few_large_requests_wait_for_memory(spamd, running, monkeypatch, wait):
    """If many clients wait for memory already, a further large request is refused, and small ones get answers."""
    monkeypatch.setattr(receiving_budget, "MOST_WAITING", 1)
    running.listeners._budget.left = 0
    with connected(spamd, 1, large_request(2 << 20)[:99]):
        wait(lambda: len(running.listeners._budget._queue) == 1)
        assert b"too much mail is being received" in exchange(spamd, large_request(2 << 20))
        assert exchange(spamd, CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK")


def test_smaller_requests_get_memory_first(spamd, running, monkeypatch, wait):
    """A request that came later but is smaller does not wait for large ones, which may be announcements only.

    All requests that fit into the memory get it when it becomes free, without a look at the clock.
    """
    monkeypatch.setattr(receiving_budget, "_RETRY_SECONDS", 1000.0)
    running.listeners._budget.left = 3 << 20
    first = large_request(3 << 20)
    with connected(spamd, 1, first[:-1]) as (client,), connected(spamd, 3, announcement(64 << 20)):
        wait(lambda: len(running.listeners._budget._queue) == 3)
        with ThreadPoolExecutor() as pool, contextlib.ExitStack() as stack:
            later = pool.submit(exchange, spamd, large_request(2 << 20))
            wait(lambda: len(running.listeners._budget._queue) == 4)
            stack.enter_context(connected(spamd, 1, announcement(1 << 20)))
            wait(lambda: len(running.listeners._budget._queue) == 5)
            client.sendall(first[-1:])
            while client.recv(1 << 16):
                pass
            assert later.result(PATIENCE).startswith(b"SPAMD/1.1 0 EX_OK")
        assert len(running.listeners._budget._queue) == 3


def test_the_largest_request_is_refused_if_many_wait(spamd, running, monkeypatch, wait):
    """Clients that announce large messages do not keep out those with smaller ones. The refusal comes immediately."""
    monkeypatch.setattr(receiving_budget, "_RETRY_SECONDS", 1000.0)
    monkeypatch.setattr(receiving_budget, "MOST_WAITING", 2)
    running.listeners._budget.left = 0
    with (
        connected(spamd, 1, announcement(32 << 20)),
        connected(spamd, 1, announcement(64 << 20)) as (largest,),
        ThreadPoolExecutor() as pool,
    ):
        wait(lambda: len(running.listeners._budget._queue) == 2)
        later = pool.submit(exchange, spamd, large_request(2 << 20))
        assert b"too much mail is being received" in largest.recv(1 << 10)
        assert len(running.listeners._budget._queue) == 2
        running.listeners._thread.loop.call_soon_threadsafe(running.listeners._budget.give_back, None, 2 << 20)
        assert later.result(PATIENCE).startswith(b"SPAMD/1.1 0 EX_OK")
