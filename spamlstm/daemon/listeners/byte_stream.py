"""The bytes that one client sends and receives.

This takes the place of asyncio's transports, which begin to read only after several turns of the asyncio loop, and of
its streams, which allocate 256 KB for each read. Most connections of a mail server bring one message.
"""

import asyncio
import socket

BLOCK = 1 << 16


class ByteStream:
    """The connection of one client. `connection` is its socket, which must not block.

    Bytes are read only while `receive` waits for them. The others stay in the kernel. `block` is memory for the bytes
    of one read. All streams of a thread can share it.
    """

    def __init__(self, connection: socket.socket, block: memoryview) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = connection
        self._number = connection.fileno()
        self._block = block
        self._arrived = b""
        self._has_begun = False
        self._is_ended = False
        self._is_lost = False
        self._is_closed = False
        self._is_reading = False
        self._is_writing = False
        self._waiting: asyncio.Future[None] | None = None

    async def receive(self, seconds: float) -> bytes:
        """Return further bytes, or none if the client has closed its sending side.

        Raises OSError if the client has gone, and TimeoutError if it sends nothing for `seconds`.
        """
        if not self._has_begun:
            # Most clients have sent their request by now. Later reads wait for the asyncio loop, so that a client that
            # sends without end does not keep the others waiting.
            self._has_begun = True
            self._read()
        until = self._loop.time() + seconds
        while not (self._arrived or self._is_ended):
            if not self._is_reading:
                self._is_reading = True
                self._loop.add_reader(self._number, self._on_readable)
            await self._wait(until)
        if self._is_lost and not self._arrived:  # a client that is gone has not ended its request
            raise ConnectionResetError
        arrived, self._arrived = self._arrived, b""
        return arrived

    async def send(self, data: bytes | memoryview, seconds: float) -> None:
        """Send bytes. Waits until the kernel has taken all of them.

        Raises OSError if the client has gone, and TimeoutError if it does not take the bytes within `seconds`.
        """
        until = self._loop.time() + seconds
        rest = memoryview(data)
        while rest := rest[self._write(rest) :]:
            self._is_writing = True
            self._loop.add_writer(self._number, self._wake)
            try:
                await self._wait(until)
            finally:
                self._stop_writing()

    def end_sending(self) -> None:
        """Close the sending side. Raises OSError if the client has gone."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the connection. The kernel still delivers what was sent."""
        if self._is_closed:
            return
        self._stop_reading()
        self._stop_writing()
        self._read()  # a connection with unread bytes is reset, and the client could lose the answer
        self._arrived = b""
        self._is_ended = self._is_lost = self._is_closed = True
        self._socket.close()
        self._wake()

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

    def _on_readable(self) -> None:
        """Read the bytes that have arrived if `receive` waits for them."""
        is_wanted = self._waiting is not None and not self._arrived
        if is_wanted:
            self._read()
            self._wake()
        if not is_wanted or self._is_ended:
            self._stop_reading()

    def _read(self) -> None:
        """Read the bytes that have arrived, or the end, without waiting."""
        try:
            count = self._socket.recv_into(self._block)
        except BlockingIOError:
            return
        except OSError:
            self._is_ended = self._is_lost = True
        else:
            self._arrived += self._block[:count]
            self._is_ended = not count

    def _write(self, data: memoryview) -> int:
        """Send bytes without waiting, and return how many."""
        if self._is_lost:
            raise ConnectionResetError
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    def _stop_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._number)

    def _stop_writing(self) -> None:
        if self._is_writing:
            self._is_writing = False
            self._loop.remove_writer(self._number)


def _fail(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())
