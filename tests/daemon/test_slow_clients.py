"""Which clients of the listeners count as slow, with a clock of the test."""

import asyncio
import struct
from functools import partial

import pytest
from mta import CLIENT, packet

from spamlstm.config import MilterConfig
from spamlstm.daemon.listeners.connection import ClientConnection
from spamlstm.daemon.listeners.listener_counts import ListenerCounts
from spamlstm.daemon.listeners.milter import serve_milter
from spamlstm.daemon.listeners.receiving_budget import MOST_BUFFERED, ReceivingBudget
from spamlstm.daemon.listeners.rspamd import serve_rspamd

MTA = [
    packet(b"O", struct.pack("!III", 6, 0x1FF, 0x1FFFFF)) + packet(b"C", CLIENT),
    packet(b"L", b"Subject\0 a\0"),
    packet(b"B", b"text"),
]
HTTP = [
    b"GET /ping HTTP/1.1\r\n\r\n",
    b"POST /checkv2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"4\r\ntext\r\n",
]


class Stream:
    """A client that sends blocks, each this many seconds after the one before. Asks whether it is slow before each."""

    def __init__(self, blocks, seconds):
        self.blocks, self.seconds = list(zip(blocks, seconds, strict=True)), seconds
        self.clock, self.found = 0.0, []
        self.client = None
        self.sent = b""

    async def receive(self, _limit):
        if not self.blocks:
            self.found.append(self.client.is_slow())
            return bytearray()
        block, seconds = self.blocks.pop(0)
        self.clock += seconds
        self.found.append(self.client.is_slow())
        return bytearray(block)

    async def send(self, data, _limit):
        """Take an answer immediately."""
        self.sent += data


def served(protocol, blocks, seconds, *, left=MOST_BUFFERED):
    """Serve a client while there are `left` bytes of memory for large requests. Return its stream."""

    async def serve():
        asyncio.get_running_loop().time = lambda: stream.clock
        budget = ReceivingBudget()
        budget.left = left
        stream.client = ClientConnection(stream, judging=None, answers=None, counts=ListenerCounts(""), budget=budget)
        async with stream.client.time_limit:
            await protocol(stream.client)

    stream = Stream(blocks, seconds)
    asyncio.run(serve())
    return stream


def slow(protocol, blocks, seconds):
    """Return whether the client was slow when each block and the end arrived."""
    return served(protocol, blocks, seconds).found


@pytest.mark.parametrize(
    ("protocol", "blocks"),
    [(partial(serve_milter, config=MilterConfig()), MTA), (partial(serve_rspamd, password=None), HTTP)],
)
def test_a_client_may_wait_between_messages(protocol, blocks):
    """The time before a message is not time in which it is sent. An SMTP client may take long to have a message."""
    assert slow(protocol, blocks, [0, 60, 1]) == [False, True, False, False]
    assert slow(protocol, blocks, [0, 60, 9]) == [False, True, True, True]


def test_bytes_that_were_sent_quickly_give_no_time_to_stop():
    """A client that sent 30 MB and then stops is as slow as one that sends nothing: it keeps memory for no minute."""
    chunks = [b"100000\r\n" + bytes(1 << 20) + b"\r\n"] * 30
    found = slow(partial(serve_rspamd, password=None), [*HTTP[:2], *chunks, b"1\r\n"], [0, 0, *[0.5] * 30, 2.5])
    assert found == [False] * 32 + [True, True]
    assert not any(slow(partial(serve_rspamd, password=None), [*HTTP[:2], *chunks], [0, 0, *[1] * 30]))


def test_requests_that_are_sent_far_ahead_are_refused_if_the_memory_is_full():
    """A client that sends further requests before it has its answer gets an error in the form of HTTP, and no more."""
    stream = served(partial(serve_rspamd, password=None), [HTTP[0], HTTP[0] * 10_000, HTTP[0]], [0, 0, 0], left=0)
    answers = stream.sent.split(b"HTTP/1.1 ")[1:]
    assert [one[:3] for one in answers] == [b"200", b"503"]
    assert stream.client.counts.refused == 1
    assert stream.blocks == [(HTTP[0], 0)]
