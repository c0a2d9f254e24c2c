"""The memory for the requests of all clients of the listeners, and the clients that hold it."""

import asyncio
import bisect
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spamlstm.corpus.paths import MOST_BYTES

if TYPE_CHECKING:
    from spamlstm.daemon.listeners.connection import ClientConnection

# The largest number of bytes of all unanswered requests together. A single request may have MOST_BYTES.
MOST_BUFFERED = 2 * MOST_BYTES
# The largest part of these bytes for requests whose clients announced a size, and which may not have been sent yet. The
# rest is for requests of unknown size, whose clients cannot wait for memory.
MOST_ANNOUNCED = 3 * MOST_BUFFERED // 4
# The first bytes of a request are not counted towards MOST_BUFFERED, so that large requests do not hinder small ones.
FREE_BYTES = 1 << 17
STEP = 1 << 20
# The largest number of clients that wait for memory. Each of them has a connection, which small requests need too.
MOST_WAITING = 64
# Seconds until a client that waits looks again whether another client is slow.
_RETRY_SECONDS = 0.5


@dataclass(slots=True, eq=False)
class _Waiting:
    """A client that waits for `size` bytes."""

    size: int
    is_refused: bool = False


class ReceivingBudget:
    """The memory for the large requests of all clients, in steps of STEP bytes."""

    def __init__(self) -> None:
        self.left = MOST_BUFFERED
        self._announced = 0
        self._holders: dict[ClientConnection, int] = {}
        """The clients that hold memory, the oldest first, with the bytes that they got because they announced them."""
        self._queue: list[_Waiting] = []
        """The waiting clients, the smallest request first, and of requests of one size the oldest."""
        self._freed = asyncio.Event()

    def take(self, client: "ClientConnection", size: int, *, announced: bool = False) -> bool:
        """Give `size` bytes to a client if they are left, and return whether they were.

        For this, other clients that hold memory and are slow are dropped, from the oldest on.
        """
        while self.left < size or (announced and self._announced + size > MOST_ANNOUNCED):
            slow = next((one for one in self._holders if one is not client and one.is_slow()), None)
            if slow is None:
                return False
            slow.drop()
        self.left -= size
        self._announced += size * announced
        self._holders[client] = self._holders.get(client, 0) + size * announced
        return True

    async def wait(self, client: "ClientConnection", size: int) -> bool:
        """Give the `size` bytes that a client announced as soon as they are left. Smaller requests are served first.

        Return False if too many clients wait whose requests are not larger. Thus clients that announce large messages
        do not hinder those with messages of usual sizes.
        """
        if not self._queue and self.take(client, size, announced=True):
            return True
        one = _Waiting(size)
        bisect.insort(self._queue, one, key=lambda other: other.size)
        if len(self._queue) > MOST_WAITING:
            self._queue.pop().is_refused = True
            self._freed.set()
        try:
            while not (one.is_refused or (self._queue[0] is one and self.take(client, size, announced=True))):
                await self._change()
        finally:
            if not one.is_refused:
                self._queue.remove(one)
            self._freed.set()
        return not one.is_refused

    async def _change(self) -> None:
        """Wait until memory was freed or the queue has changed, for at most _RETRY_SECONDS."""
        self._freed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RETRY_SECONDS):
                await self._freed.wait()

    def give_back(self, client: "ClientConnection", size: int) -> None:
        """Take the memory of a client back."""
        self._announced -= self._holders.pop(client, 0)
        self.left += size
        self._freed.set()
