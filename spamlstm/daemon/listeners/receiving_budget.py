"""The memory for the requests of all clients of the listeners, and who has it."""

import asyncio
import contextlib
from typing import TYPE_CHECKING

from spamlstm.corpus.paths import MOST_BYTES

if TYPE_CHECKING:
    from spamlstm.daemon.listeners.connection import ClientConnection

# The largest number of bytes of all requests together that have not been answered. Each of them may be as large as
# MOST_BYTES.
MOST_BUFFERED = 2 * MOST_BYTES
# The first bytes of a request are not counted towards MOST_BUFFERED, so that large requests do not hinder small ones.
FREE_BYTES = 1 << 17
STEP = 1 << 20
# The largest number of clients that wait for memory. Each of them has a connection, which small requests need too.
MOST_WAITING = 64
# Seconds until a client that waits looks again whether another client is slow.
_RETRY_SECONDS = 0.5


class ReceivingBudget:
    """The memory for the large requests of all clients, in steps of STEP bytes."""

    def __init__(self) -> None:
        self.left = MOST_BUFFERED
        self._holders: dict[ClientConnection, None] = {}
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    def take(self, client: "ClientConnection", size: int) -> bool:
        """Give `size` bytes to a client if they are left, and return whether they were."""
        if self.left < size:
            return False
        self.left -= size
        self._holders[client] = None
        return True

    async def wait(self, client: "ClientConnection", size: int) -> bool:
        """Give `size` bytes to a client as soon as they are left. Clients are served in the order in which they come.

        Return False if too many clients wait.

        While a client waits, the clients that hold memory and are slow are dropped, from the oldest on.
        """
        if self._waiting >= MOST_WAITING:
            return False
        self._waiting += 1
        try:
            await self._wait(client, size)
        finally:
            self._waiting -= 1
        return True

    async def _wait(self, client: "ClientConnection", size: int) -> None:
        async with self._turn:
            while not self.take(client, size):
                slow = next((one for one in self._holders if one.is_slow()), None)
                if slow is not None:
                    slow.drop()
                    continue
                self._freed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_RETRY_SECONDS):
                        await self._freed.wait()

    def give_back(self, client: "ClientConnection", size: int) -> None:
        """Take the memory of a client back."""
        self._holders.pop(client, None)
        self.left += size
        self._freed.set()
