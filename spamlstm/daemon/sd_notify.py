"""Tells systemd the state of the daemon (sd_notify(3)): ready, alive, reloading, stopping. Does nothing elsewhere."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping


class Notifier:
    """Sends messages to the service manager that the environment names, if there is one.

    `interval` is the time between two calls of `beat` in seconds: half of the unit's WatchdogSec, or None without a
    watchdog. A manager that cannot be reached does not stop the daemon.
    """

    def __init__(self, environment: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the null byte of an abstract socket.
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self._clock = clock
        self._last = -float("inf")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        wait = environment.get("WATCHDOG_USEC", "")
        self.interval = int(wait) / 2e6 if mine and wait.isdecimal() and int(wait) and name else None

    def ready(self, status: str) -> None:
        """Tell that the start, or a reload, is complete."""
        self._send("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._send(f"STATUS={status}")

    def reloading(self) -> None:
        """Tell that a reload begins; Type=notify-reload compares the time with that of its signal."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Tell that the daemon is about to end."""
        self._send("STOPPING=1")

    def beat(self) -> None:
        """Tell that the loop is alive. To be called in each turn of the loop; sends one message per `interval`."""
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
