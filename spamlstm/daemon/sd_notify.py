"""Messages to systemd about the state of the daemon: ready, alive, reloading, stopping (sd_notify(3)).

Without systemd, no messages are sent.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping


class Notifier:
    """A sender of messages to the service manager that $NOTIFY_SOCKET names, if any.

    `interval` is the time in seconds between two watchdog messages: half of the unit's WatchdogSec, or None without a
    watchdog. Errors in sending are ignored, so that they do not stop the daemon.
    """

    def __init__(self, environment: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the null byte at the start of an abstract socket address.
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self._clock = clock
        self._last = -float("inf")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        wait = environment.get("WATCHDOG_USEC", "")
        self.interval = int(wait) / 2e6 if mine and wait.isdecimal() and int(wait) and name else None

    def ready(self, status: str) -> None:
        """Report that the start or reload is complete, and set the line that `systemctl status` shows."""
        self._send("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._send(f"STATUS={status}")

    def reloading(self) -> None:
        """Report that a reload begins.

        The message contains the current time. With Type=notify-reload, systemd compares this time with the time of its
        reload signal.
        """
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Report that the daemon is about to end."""
        self._send("STOPPING=1")

    def beat(self) -> None:
        """Report that the loop is alive, at most once per `interval`. Must be called in each turn of the loop."""
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
            out.settimeout(0)  # a full queue of the service manager must not delay the mail
            out.sendto("\n".join(lines).encode(), self._address)
