"""The thread of the listeners, with its asyncio loop."""

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from spamlstm.daemon.listeners.listener import STOP_SECONDS
from spamlstm.filtering.event_log import log_unexpected

# Python's switch interval in seconds, which is set for the whole process as soon as there are listeners.
SWITCH_SECONDS = 0.0002
# While the daemon's loop waits for the thread, it checks after this number of seconds whether the thread runs.
CHECK_SECONDS = 1.0

T = TypeVar("T")


class ListenerThread:
    """A thread that runs an asyncio loop until `stop`. The methods are called in another thread.

    If an error ends the thread, the thread calls `failed`, and `check`, `result` and `call` raise the error.
    """

    def __init__(self, failed: Callable[[], None]) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(_log_error)
        self._failed = failed
        self._failure: BaseException | None = None
        # While the daemon's loop reads mail, the thread of the listeners waits for the interpreter after each system
        # call, up to the switch interval. With Python's 5 ms, a mail server gets a fourth fewer messages through.
        sys.setswitchinterval(SWITCH_SECONDS)
        self._thread = threading.Thread(target=self._run, name="listeners", daemon=True)
        self._thread.start()

    @property
    def has_failed(self) -> bool:
        """Whether an error has ended the thread."""
        return self._failure is not None

    def check(self) -> None:
        """Raise the error that ended the thread, if any: MemoryError, or a bug."""
        if self._failure is not None:
            raise self._failure

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Begin to run a coroutine in the thread, and return its future result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def result(self, future: "Future[T]") -> T:
        """Wait for the result of a coroutine."""
        while not wait((future,), CHECK_SECONDS).done:
            self.check()
        return future.result()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the thread and return its result."""
        return self.result(self.begin(coroutine))

    def join(self) -> bool:
        """Wait until the thread has ended, at most STOP_SECONDS. Return whether it has ended."""
        self._thread.join(STOP_SECONDS)
        return not self._thread.is_alive()

    def stop(self) -> None:
        """End the thread, and close its loop unless a step of the loop takes too long."""
        if not self.has_failed:
            self.loop.call_soon_threadsafe(self.loop.stop)
        if self.join():
            self.loop.close()

    def _run(self) -> None:
        # asyncio handles the errors of connections. Its own loop may fail too, for example if there is no memory for an
        # event. Events may then be lost, so that going on could leave connections without an answer.
        try:
            self.loop.run_forever()
        except BaseException as error:  # noqa: BLE001  `check` raises it
            self._failure = error
            self._failed()
            # Logged here, because a daemon that is about to stop does not call `check` any more.
            log_unexpected(error, "the thread of the listeners has ended, so the daemon ends too")


def _log_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if not isinstance(error, OSError):
        log_unexpected(error, f"a listener goes on after this problem: {context.get('message')}")
