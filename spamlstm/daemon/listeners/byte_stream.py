"""The bytes that one client sends and receives.

This is asyncio's stream with less work for each connection and each read. asyncio's stream allocates 256 KB for each
read, and most connections of a mail server bring one message.
"""

import asyncio
from collections.abc import Callable
from typing import cast

BLOCK = 1 << 16
# If more bytes wait for `receive`, no further bytes are read from the client.
_MOST_AHEAD = 1 << 17


class ByteStream(asyncio.BufferedProtocol):
    """The connection of one client. `connected` is called when it begins.

    `block` is memory for the bytes of one read. All streams of a thread can share it.
    """

    def __init__(self, connected: "Callable[[ByteStream], object]", block: memoryview) -> None:
        self._loop = asyncio.get_running_loop()
        self._connected = connected
        self._block = block
        self._arrived = bytearray()
        self._is_ended = False
        self._is_paused = False
        self._is_full = False
        self._is_lost = False
        self._waiting: asyncio.Future[None] | None = None

    async def receive(self, seconds: float) -> bytearray:
        """Return further bytes, or none if the client has closed its sending side.

        Raises OSError if the client has gone, and TimeoutError if it sends nothing for `seconds`.
        """
        until = self._loop.time() + seconds
        while not (self._arrived or self._is_ended):
            await self._wait(until)
        if self._is_lost and not self._arrived:  # a client that is gone has not ended its request
            raise ConnectionResetError
        arrived, self._arrived = self._arrived, bytearray()
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        return arrived

    async def send(self, data: bytes | memoryview, seconds: float) -> None:
        """Send bytes. Waits until the client has taken most of them.

        Raises OSError if the client has gone, and TimeoutError if this takes more than `seconds`.
        """
        until = self._loop.time() + seconds
        self._transport.write(data)
        while self._is_full and not self._is_lost:
            await self._wait(until)
        if self._is_lost:
            raise ConnectionResetError

    def end_sending(self) -> None:
        """Close the sending side after the bytes that are not sent yet."""
        if self._transport.can_write_eof():
            self._transport.write_eof()

    async def close(self, seconds: float) -> None:
        """Send the remaining bytes and close the connection. Raises TimeoutError if this takes more than `seconds`."""
        until = self._loop.time() + seconds
        self._transport.close()
        while self._transport.get_write_buffer_size() and not self._is_lost:
            await self._wait(until)

    def abort(self) -> None:
        """Close the connection immediately. Unsent bytes are lost."""
        if not self._is_lost:  # asyncio fails to abort a transport that sent its last bytes after `close`
            self._transport.abort()

    async def _wait(self, until: float) -> None:
        """Wait for the next event of the connection. Raises TimeoutError if there is none until this time."""
        waiting = self._waiting = self._loop.create_future()
        timer = self._loop.call_at(until, _fail, waiting)  # takes less time than asyncio.timeout
        try:
            await waiting
        finally:
            timer.cancel()
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # The methods that asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve the client."""
        self._transport = cast("asyncio.Transport", transport)
        self._connected(self)

    def get_buffer(self, _size: int) -> memoryview:
        """Return the memory for the next read."""
        return self._block

    def buffer_updated(self, count: int) -> None:
        """Keep the bytes of a read."""
        self._arrived += self._block[:count]
        if len(self._arrived) > _MOST_AHEAD and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Record that the client has closed its sending side. It may still read answers."""
        self._is_ended = True
        self._wake()
        return True

    def pause_writing(self) -> None:
        """Record that the client takes no further bytes now."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Record that the client takes bytes again."""
        self._is_full = False
        self._wake()

    def connection_lost(self, _error: Exception | None) -> None:
        """Record that the client has gone, or that the connection was closed here."""
        self._is_ended = self._is_lost = True
        self._wake()


def _fail(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())
