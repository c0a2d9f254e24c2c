"""How the loop sleeps: until something happens or a time is over, without polling."""

import contextlib
import os
import select
import signal

from spamlstm.files import Closable


class Wakeup(Closable):
    """Wakes one loop from other threads and from signals. A wake-up while it is awake is kept for its next wait."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._reader, select.POLLIN)

    def wake(self) -> None:
        """Wake the loop; from any thread, and from a signal's handler."""
        # A full pipe wakes the loop already.
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"!")

    def wait(self, seconds: float) -> bool:
        """Sleep until `wake` is called, at most so long; return whether it was. Clears all wake-ups so far."""
        awake = bool(self._poll.poll(max(0.0, seconds) * 1000))
        if awake:
            with contextlib.suppress(BlockingIOError):
                while len(os.read(self._reader, 4096)) == 4096:
                    pass
        return awake

    def wake_on_signals(self) -> None:
        """Wake the loop for each signal that has a handler: Python runs handlers only when the main thread runs."""
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def close(self) -> None:
        """Close the pipe."""
        with contextlib.suppress(ValueError):  # not in the main thread, so it was never set either
            if signal.set_wakeup_fd(-1) not in (-1, self._writer):
                raise RuntimeError("signals wrote to another descriptor")
        os.close(self._reader)
        os.close(self._writer)
