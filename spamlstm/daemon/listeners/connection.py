"""One connection of a client: reading within bounds, asking for judgements, and counting."""

import asyncio
import contextlib
from typing import Any

from spamlstm import __version__
from spamlstm.daemon.listeners.answer_queue import AnswerQueue
from spamlstm.daemon.listeners.byte_stream import ByteStream
from spamlstm.daemon.listeners.judging import AnyRequest, JudgedMail, JudgeRequest, Judging, LabelRequestOfClient
from spamlstm.daemon.listeners.listener_counts import ListenerCounts
from spamlstm.daemon.listeners.receiving_budget import FREE_BYTES, STEP, ReceivingBudget
from spamlstm.learning.label import Label
from spamlstm.maildir.headers import tag

# Seconds in which the client must send or take further bytes, and seconds for a whole connection.
IDLE_SECONDS = 30.0
TOTAL_SECONDS = 300.0
# A client that takes longer to send its request, or to take its answer, is slow. It has a second more for each STEP of
# bytes that have passed, whatever size it announced, but no more than these seconds for the next STEP. It is dropped if
# others wait for a connection or for memory.
SLOW_SECONDS = 2.0
# The headers of a larger message are written by another thread.
_QUICK_BYTES = 1 << 20
_BUSY = "too much mail is being received; try again later"


class ConnectionRefusedByLimitError(Exception):
    """A request that exceeds a limit. The message is a phrase for the client."""


class ClientConnection:
    """The connection of one client, with the bytes received so far.

    Reading raises TimeoutError if the client sends nothing for IDLE_SECONDS (see `limit`). It raises
    ConnectionRefusedByLimitError if the unfinished requests of all clients have too many bytes.
    """

    def __init__(
        self,
        stream: ByteStream,
        *,
        judging: Judging,
        answers: AnswerQueue,
        counts: ListenerCounts,
        budget: ReceivingBudget,
    ) -> None:
        self.counts = counts
        self.is_receiving = True
        """Whether the client has not yet sent a whole request."""
        self.is_waiting = False
        """Whether the client waits for the daemon: for memory, or for an answer."""
        self.is_last = False
        """Whether the connection must be closed after the current request, because the listener ends."""
        self.time_limit = asyncio.timeout(None)
        """The time at which the connection is closed. The server enters it."""
        self._idle_seconds = IDLE_SECONDS
        self._stream = stream
        self._judging = judging
        self._answers = answers
        self._budget = budget
        self._reserved = 0
        self._since = asyncio.get_running_loop().time()
        """The time of the latest call of `begin`, or of the connection."""
        self._progress = 0
        """The number of bytes that the client has sent or taken since then."""
        self._latest = self._since
        """The time at which the latest STEP of these bytes was complete, or that of `_since`."""
        self.received = bytearray()
        self.is_ended = False
        """Whether the client has closed its sending side."""

    def next_request(self) -> None:
        """Expect a further request on this connection."""
        self.release_room()
        self.is_receiving = True
        self.begin()

    def limit(self, *, idle: float, total: float | None) -> None:
        """Set the seconds in which the client must send further bytes, and those until the connection is closed.

        Without a call of this method, the limits are IDLE_SECONDS and TOTAL_SECONDS.
        """
        self._idle_seconds = idle
        if total is not None or self.time_limit.when() is not None:
            self.time_limit.reschedule(None if total is None else asyncio.get_running_loop().time() + total)

    async def receive(self) -> bool:
        """Append further bytes to `received`. Return False if the client has closed its sending side."""
        if self.is_ended:
            return False
        block = await self._stream.receive(self._idle_seconds)
        if not block:
            self.is_ended = True
            return False
        self.received += block
        self._advance(len(block))
        self.make_room(len(self.received))
        return True

    def make_room(self, size: int) -> None:
        """Reserve memory for a request of `size` bytes, until `release_room` is called or the connection is closed.

        Raises ConnectionRefusedByLimitError if the requests of all clients have too many bytes. A client whose request
        has a known size waits instead (see `wait_for_room`). Others cannot, as they could wait for each other.
        """
        missing = self._missing(size)
        if missing and not self._budget.take(self, missing):
            raise ConnectionRefusedByLimitError(_BUSY)
        self._reserved += missing

    async def wait_for_room(self, size: int) -> None:
        """Reserve memory for a whole request of `size` bytes as soon as there is enough. Must be called before reading.

        Otherwise as `make_room`. Raises ConnectionRefusedByLimitError if too many clients wait.
        """
        missing = self._missing(size)
        if missing:
            self.is_waiting = True
            is_given = await self._budget.wait(self, missing)
            self.is_waiting = False
            if not is_given:
                raise ConnectionRefusedByLimitError(_BUSY)
            self._reserved += missing
            self.begin()

    def _missing(self, size: int) -> int:
        """Return the number of bytes, in whole steps, to reserve for a request of `size` bytes."""
        return max(0, -(-(size - FREE_BYTES - self._reserved) // STEP)) * STEP

    def begin(self) -> None:
        """Begin to measure how fast the client sends or takes bytes. Before, it may have had nothing to send."""
        self._since = self._latest = asyncio.get_running_loop().time()
        self._progress = 0

    def _advance(self, count: int) -> None:
        """Record that the client has sent or taken bytes."""
        steps = self._progress // STEP
        self._progress += count
        if self._progress // STEP > steps:
            self._latest = asyncio.get_running_loop().time()

    def is_slow(self) -> bool:
        """Return whether the client takes long to send its request or to take its answer."""
        now = asyncio.get_running_loop().time()
        is_late = now - self._since > SLOW_SECONDS + self._progress // STEP or now - self._latest > SLOW_SECONDS
        return not self.is_waiting and is_late

    async def line(self, most: int) -> bytes | None:
        """Remove and return the first line with its line end, or the rest if the client has closed its sending side.

        Returns None if the client sent nothing more. Raises ConnectionRefusedByLimitError if the line has more than
        `most` bytes.
        """
        searched = 0
        while (end := self.received.find(b"\n", searched)) < 0:
            searched = len(self.received)
            if searched > most:
                break
            if not await self.receive():
                return self.take(len(self.received)) or None
        if end >= most or end < 0:
            raise ConnectionRefusedByLimitError("a line is too long")
        return self.take(end + 1)

    def take(self, size: int) -> bytes:
        """Remove and return the first `size` received bytes."""
        taken = bytes(memoryview(self.received)[:size])
        del self.received[:size]
        return taken

    async def receive_whole(self, size: int) -> bool:
        """Receive until `received` has `size` bytes. Return False if the client closes its sending side before."""
        await self.wait_for_room(size)
        while len(self.received) < size:
            if not await self.receive():
                return False
        return True

    async def rest(self, most: int) -> bytes:
        """Return all bytes that the client sends. Raises ConnectionRefusedByLimitError for more than `most` bytes."""
        while await self.receive():
            if len(self.received) > most:
                raise ConnectionRefusedByLimitError("the message is too large")
        return self.take(len(self.received))

    async def judged(self, raw: bytes, user: str, *, explains_user: bool = False) -> JudgedMail:
        """Return the judgement of a message, and if `explains_user`, why naming the user has no effect.

        Raises JudgingError if the daemon cannot classify it.
        """
        judged: JudgedMail = await self._answer(JudgeRequest(raw, user, explains_user=explains_user))
        self.counts.judged[str(judged.judgement.verdict)] += 1
        return judged

    async def labelled(self, raw: bytes, user: str, label: Label | None) -> bool:
        """Store a label, or remove it if `label` is None. Return whether this changed the stored label.

        Raises JudgingError if the labels cannot be changed.
        """
        changed: bool = await self._answer(LabelRequestOfClient(raw, user, label=label))
        self.counts.labelled += changed
        return changed

    async def _answer(self, request: AnyRequest) -> Any:
        self.is_receiving, self.is_waiting = False, True
        answer = self._answers.expect(request)
        self._judging.submit(request)
        try:
            return await answer
        finally:
            request.answer.cancel()  # if the client was dropped, the daemon's loop skips its request

    async def tagged(self, raw: bytes, judged: JudgedMail, *, bogosity: bool = False) -> bytes:
        """Return the message with our headers."""

        def result() -> bytes:
            return tag(
                raw,
                judged.judgement,
                version=__version__,
                spam_threshold=judged.spam_threshold,
                bogosity=bogosity,
            )

        # In a large message, the removal of crafted headers takes seconds. Other clients must not wait for it.
        return result() if len(raw) <= _QUICK_BYTES else await asyncio.to_thread(result)

    async def send(self, answer: bytes) -> None:
        """Send an answer. Raises OSError if the client has gone, and TimeoutError if it does not take the bytes."""
        self.is_receiving = self.is_waiting = False
        self.begin()
        for start in range(0, len(answer), FREE_BYTES):
            await self._stream.send(memoryview(answer)[start : start + FREE_BYTES], IDLE_SECONDS)
            self._advance(FREE_BYTES)

    def drop(self) -> None:
        """Close the connection of a slow client immediately."""
        self.counts.dropped += 1
        self.abort()

    def abort(self) -> None:
        """Close the connection immediately. The rest of an answer that is being sent is lost."""
        self.release_room()
        self._stream.close()

    async def close(self, *, patience: float) -> None:
        """Close the connection.

        If the client is still sending, its bytes are first discarded for `patience` seconds, because a connection with
        unread bytes is reset and the client could lose the answer.
        """
        self.release_room()
        if patience and not self.is_ended:
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(patience):
                    self._stream.end_sending()
                    while await self._stream.receive(patience):
                        pass
        self._stream.close()

    def release_room(self) -> None:
        """Release the memory that was reserved for a request."""
        if self._reserved:
            self._budget.give_back(self, self._reserved)
            self._reserved = 0
