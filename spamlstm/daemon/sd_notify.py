"""What systemd is told (sd_notify(3)): ready, alive, reloading, stopping. Elsewhere nothing happens."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping


class Notifier:
    """Speaks to the service manager that the environment names, if there is one.

    `interval` is how often `beat` wants to be called, in seconds: half of what the unit's WatchdogSec allows, None
    where nobody listens for it. A manager that cannot be reached is no reason to stop filtering mail.
    """

    def __init__(self, environment: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the null byte of the abstract name space.
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self._clock = clock
        self._last = -float("inf")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        wait = environment.get("WATCHDOG_USEC", "")
        self.interval = int(wait) / 2e6 if mine and wait.isdecimal() and int(wait) and name else None

    def ready(self, status: str) -> None:
        """The start, or a reload, is over."""
        self._send("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={status}")

    def reloading(self) -> None:
        """A reload begins; Type=notify-reload compares the time with that of its signal."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The end begins."""
        self._send("STOPPING=1")

    def beat(self) -> None:
        """Still alive. Call it from the loop itself, as often as it turns; it is sent once an `interval`."""
        if self.interval is not None and self._clock() - self._last >= self.interval:
            self._last = self._clock()
            self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.settimeout(0)  # a full queue of the manager must not stop the mail
            out.sendto("\n".join(lines).encode(), self._address)
