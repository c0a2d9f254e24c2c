"""One listener: a listening socket, and the connections that it has accepted, of which there are at most 256."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from functools import partial

from spamlstm.daemon.listeners.answer_queue import AnswerQueue
from spamlstm.daemon.listeners.byte_stream import ByteStream
from spamlstm.daemon.listeners.connection import TOTAL_SECONDS, ClientConnection
from spamlstm.daemon.listeners.judging import Judging
from spamlstm.daemon.listeners.listener_counts import ListenerCounts
from spamlstm.daemon.listeners.receiving_budget import ReceivingBudget
from spamlstm.filtering.event_log import log_unexpected, logger

# The largest number of open connections of one listener. A further connection replaces the oldest whose client is slow.
# Until there is one, further clients wait in the queue of the kernel.
MOST_CONNECTIONS = 256
# The length of the queue of the kernel. The system may have a lower limit (net.core.somaxconn).
_MOST_QUEUED = 1024
# Seconds in which a client may read the answer before the connection is closed, and in which requests end at a stop.
CLOSE_SECONDS = 0.5
STOP_SECONDS = 5.0
# Seconds until the listener looks again whether a client is slow, or whether an error, such as too many open files, is
# over.
_RETRY_SECONDS = 0.5
# The largest number of clients that are accepted before other work of the thread goes on.
_ACCEPTED_TOGETHER = 32

Protocol = Callable[[ClientConnection], Awaitable[None]]


class Listener:
    """A listening socket and its connections, from the oldest to the newest.

    Must be created in the thread of the listeners, and only this thread may call the methods. `protocol` serves one
    client and may be replaced. `block` is the memory for reading (see `ByteStream`).
    """

    def __init__(
        self,
        name: str,
        opened: socket.socket,
        protocol: Protocol,
        *,
        counts: ListenerCounts,
        judging: Judging,
        answers: AnswerQueue,
        budget: ReceivingBudget,
        block: memoryview,
    ) -> None:
        self.name = name
        self.protocol = protocol
        self.counts = counts
        self.connections: dict[ClientConnection, asyncio.Task[None]] = {}
        self._loop = asyncio.get_running_loop()
        self._socket = opened
        self._connect = partial(ClientConnection, judging=judging, answers=answers, counts=counts, budget=budget)
        self._block = block
        self._is_closed = False
        self._is_paused = True
        self._timer: asyncio.Handle = self._loop.call_soon(self._resume)
        opened.setblocking(False)  # noqa: FBT003  the socket's method has no keyword
        opened.listen(_MOST_QUEUED)

    def _resume(self) -> None:
        if self._is_paused and not self._is_closed:
            self._is_paused = False
            self._loop.add_reader(self._socket, self._accept)

    def _pause(self, seconds: float) -> None:
        """Accept no client for these seconds, or until a connection ends."""
        self._is_paused = True
        self._loop.remove_reader(self._socket)
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._resume)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_TOGETHER):
            is_full = len(self.connections) >= MOST_CONNECTIONS
            slow = next((one for one in self.connections if one.is_slow()), None) if is_full else None
            if is_full and slow is None:
                self._pause(_RETRY_SECONDS)
                return
            try:
                client, _ = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                logger.error("the listener %s cannot accept a client: %s", self.name, error.strerror)
                self._pause(_RETRY_SECONDS)
                return
            if slow is not None:
                # Removed here, so that the next client does not find this client again.
                self.connections.pop(slow).cancel()
            client.setblocking(False)  # noqa: FBT003  the socket's method has no keyword
            self._begin(client)

    def _begin(self, connection: socket.socket) -> None:
        """Begin to serve a client that has connected."""
        client = self._connect(ByteStream(connection, self._block))
        self.counts.connections += 1
        task = self._loop.create_task(self._serve(client))
        # Not at the end of `_serve`, which does not run at all if the task is cancelled before its first step.
        task.add_done_callback(partial(self._forget, client))
        self.connections[client] = task
        self.counts.open = len(self.connections)

    async def _serve(self, client: ClientConnection) -> None:
        counts = self.counts
        refused = counts.refused
        try:
            client.time_limit = asyncio.timeout(TOTAL_SECONDS)
            async with client.time_limit:
                await self.protocol(client)
            await client.close(patience=CLOSE_SECONDS if counts.refused > refused else 0)
        except (TimeoutError, asyncio.CancelledError):
            counts.dropped += 1
        except OSError:
            pass  # the client has gone
        except Exception as error:  # noqa: BLE001  a bug must not stop the other connections
            counts.errors += 1
            log_unexpected(error, f"a client of the listener {self.name} got no answer")

    def _forget(self, client: ClientConnection, task: "asyncio.Task[None]") -> None:
        """Close the connection of a client that was served or dropped."""
        self.counts.dropped += task.cancelled()
        client.abort()
        self.connections.pop(client, None)
        self.counts.open = len(self.connections)
        self._resume()

    async def stop_listening(self) -> None:
        """Close the listening socket. The connections go on."""
        self.close_socket()

    def close_socket(self) -> None:
        """Close the listening socket, in the thread of the asyncio loop or after that thread has ended."""
        self._is_closed = True
        self._loop.remove_reader(self._socket)
        self._socket.close()

    async def end(self) -> None:
        """Wait for the answers to whole requests, and close the connections. Must be called after `stop_listening`."""
        for client, task in self.connections.items():
            client.is_last = True
            if client.is_receiving:
                task.cancel()
        if self.connections:
            _, late = await asyncio.wait(self.connections.values(), timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
        await asyncio.sleep(0)  # the connections are closed in the next turn of the asyncio loop
