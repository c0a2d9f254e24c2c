"""The way of answers from the daemon's loop to the thread of the listeners."""

import asyncio
import contextlib
import threading
from collections import deque
from concurrent.futures import Future
from typing import Any

from spamlstm.daemon.listeners.judging import AnyRequest


class AnswerQueue:
    """The answers to requests on their way from the daemon's loop to the thread of the listeners.

    Several answers share one wake-up of the thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ready: deque[tuple[Future[Any], asyncio.Future[Any]]] = deque()
        self._lock = threading.Lock()

    def expect(self, request: AnyRequest) -> "asyncio.Future[Any]":
        """Return a future in the thread of the listeners that gets the answer to `request`."""
        expected = self._loop.create_future()
        request.answer.add_done_callback(lambda given: self._add(given, expected))
        return expected

    def _add(self, given: "Future[Any]", expected: "asyncio.Future[Any]") -> None:
        with self._lock:
            first = not self._ready
            self._ready.append((given, expected))
        if first:
            with contextlib.suppress(RuntimeError):  # the thread has ended
                self._loop.call_soon_threadsafe(self._hand_over)

    def _hand_over(self) -> None:
        with self._lock:
            ready, self._ready = self._ready, deque()
        for given, expected in ready:
            if expected.done():  # the client has gone
                continue
            if (error := given.exception()) is not None:
                expected.set_exception(error)
            else:
                expected.set_result(given.result())
