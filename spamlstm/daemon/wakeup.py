"""The sleep of the daemon's loop: until another thread or a signal wakes the loop, or a timeout. Without polling."""

import contextlib
import os
import select
import signal

from spamlstm.files import Closable


class Wakeup(Closable):
    """A pipe by which other threads and signals wake one loop.

    A wake-up while the loop is awake makes its next `wait` return immediately.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._reader, select.POLLIN)

    def wake(self) -> None:
        """Wake the loop. May be called from any thread and from a signal handler."""
        # If the pipe is full, the loop is woken anyway.
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"!")

    def wait(self, seconds: float) -> bool:
        """Sleep until a wake-up, at most `seconds`. Return whether there was a wake-up. Clears all earlier wake-ups."""
        awake = bool(self._poll.poll(max(0.0, seconds) * 1000))
        if awake:
            with contextlib.suppress(BlockingIOError):
                while len(os.read(self._reader, 4096)) == 4096:
                    pass
        return awake

    def wake_on_signals(self) -> None:
        """Wake the loop for each signal that has a handler.

        Python runs signal handlers only when the main thread runs, so the loop must be woken.
        """
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def close(self) -> None:
        """Close the pipe."""
        with contextlib.suppress(ValueError):  # raised outside of the main thread, where the descriptor was never set
            if signal.set_wakeup_fd(-1) not in (-1, self._writer):
                raise RuntimeError("the signal wakeup descriptor belongs to other code")
        os.close(self._reader)
        os.close(self._writer)
