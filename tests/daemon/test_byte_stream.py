"""The bytes of one client: their order, the bounds on memory and time, and the end of a connection."""

import asyncio
import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.daemon.listeners.byte_stream import BLOCK, ByteStream


@contextlib.asynccontextmanager
async def streaming():
    """A stream, and the socket of its client."""
    ours, theirs = socket.socketpair()
    for one in (ours, theirs):
        one.setblocking(False)  # noqa: FBT003  the socket's method has no keyword
    stream = ByteStream(ours, memoryview(bytearray(BLOCK)))
    with theirs:
        try:
            yield stream, theirs
        finally:
            stream.close()


async def everything(stream):
    """Return all bytes until the client closes its sending side."""
    received = b""
    while some := await stream.receive(30):
        received += some
    return received


@given(pieces=st.lists(st.binary(min_size=1, max_size=3000), max_size=8))
def test_all_bytes_arrive_in_order(pieces):
    """Whatever pieces a client sends, the same bytes arrive, and then the end."""

    async def run():
        async with streaming() as (stream, client):
            for piece in pieces:
                await asyncio.get_running_loop().sock_sendall(client, piece)
            client.shutdown(socket.SHUT_WR)
            assert await everything(stream) == b"".join(pieces)
            assert await stream.receive(30) == b""

    asyncio.run(run())


def test_bytes_that_nobody_takes_stay_with_the_client():
    """A client that sends much while its request is answered needs no memory here, and nothing is lost."""

    async def run():
        sent = bytes(range(256)) * (1 << 14)
        async with streaming() as (stream, client):
            sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(client, sent))
            received = await stream.receive(30)
            received += await stream.receive(30)
            for _ in range(100):
                await asyncio.sleep(0)
            assert stream._arrived == b""
            assert not sending.done()
            while len(received) < len(sent):
                received += await stream.receive(30)
            await sending
            assert received == sent

    asyncio.run(run())


def test_a_client_that_sends_without_end_does_not_keep_others_waiting():
    """Between two reads of one client, the asyncio loop serves the other clients."""

    async def run():
        turns = 0

        async def other():
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        async with streaming() as (stream, client):
            waiting = asyncio.create_task(other())
            for number in range(100):
                client.send(b"x")
                assert await stream.receive(30) == b"x"
                assert turns >= number
            waiting.cancel()

    asyncio.run(run())


def test_a_client_that_has_gone_has_not_ended_its_request():
    """If a connection breaks, the bytes before that are not taken for a whole request."""

    async def run():
        async with streaming() as (stream, client):
            await asyncio.get_running_loop().sock_sendall(client, b"TELL")
            assert await stream.receive(30) == b"TELL"
            stream.close()
            with pytest.raises(ConnectionResetError):
                await stream.receive(30)
            with pytest.raises(ConnectionResetError):
                await stream.send(b"x", 30)

    asyncio.run(run())


def test_a_client_has_a_time_limit_for_each_step():
    """Reading and writing end with TimeoutError if the client does nothing."""

    async def run():
        async with streaming() as (stream, _client):
            with pytest.raises(TimeoutError):
                await stream.receive(0)
            with pytest.raises(TimeoutError):
                await stream.send(bytes(8 << 20), 0)

    asyncio.run(run())


def test_an_answer_arrives_before_the_connection_is_closed():
    """A client that reads slowly gets the whole answer, and then the end."""

    async def run():
        sent = bytes(range(256)) * (1 << 14)
        async with streaming() as (stream, client):

            async def answer():
                await stream.send(sent, 30)
                stream.close()

            answering = asyncio.create_task(answer())
            received = b""
            while some := await asyncio.get_running_loop().sock_recv(client, 1 << 16):
                received += some
            await answering
            assert received == sent

    asyncio.run(run())


def test_a_client_that_sends_too_much_gets_its_answer():
    """Bytes that nobody has read do not break the connection before the client has read the answer."""

    async def run():
        async with streaming() as (stream, client):
            client.send(b"request")
            assert await stream.receive(30) == b"request"
            client.send(b"further bytes")
            await stream.send(b"answer", 30)
            stream.close()
            assert client.recv(100) == b"answer"
            assert client.recv(100) == b""

    asyncio.run(run())


def test_a_closed_connection_ends_what_waits_for_it():
    """If a connection is closed while its client is awaited, the task that waits ends with OSError."""

    async def run():
        async with streaming() as (stream, _client):
            receiving = asyncio.create_task(stream.receive(30))
            await asyncio.sleep(0)
            stream.close()
            with pytest.raises(ConnectionResetError):
                await receiving
        async with streaming() as (stream, _client):
            sending = asyncio.create_task(stream.send(bytes(8 << 20), 30))
            await asyncio.sleep(0)
            stream.close()
            with pytest.raises(ConnectionResetError):
                await sending

    asyncio.run(run())
