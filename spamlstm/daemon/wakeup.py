"""How the loop sleeps: until something happens or a time is over, with no turn in between."""

import contextlib
import os
import select
import signal
from types import TracebackType
from typing import Self


class Wakeup:
    """A bell that threads and signals can ring and that one loop waits for. A ring while nobody waits is kept."""

    def __init__(self) -> None:
        self._ear, self._bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._ear, select.POLLIN)

    def ring(self) -> None:
        """Wake the loop; from any thread, and from a signal's handler."""
        # A full pipe rings already.
        with contextlib.suppress(BlockingIOError):
            os.write(self._bell, b"!")

    def wait(self, seconds: float) -> bool:
        """Sleep until the next ring, at most so long; whether it rang. The rings up to now are answered by this."""
        rang = bool(self._poll.poll(max(0.0, seconds) * 1000))
        if rang:
            with contextlib.suppress(BlockingIOError):
                while len(os.read(self._ear, 4096)) == 4096:
                    pass
        return rang

    def ring_at_signals(self) -> None:
        """Let each signal that has a handler ring too: Python's own handlers wait for the main thread to turn."""
        signal.set_wakeup_fd(self._bell, warn_on_full_buffer=False)

    def close(self) -> None:
        """Give the pipe back."""
        with contextlib.suppress(ValueError):  # not in the main thread, so that it was never set either
            if signal.set_wakeup_fd(-1) not in (-1, self._bell):
                raise RuntimeError("signals rang another bell")
        os.close(self._ear)
        os.close(self._bell)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
