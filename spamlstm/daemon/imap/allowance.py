"""Sockets with limits for what a server may send: a number of bytes and a time for each command, and a time in all.

A server may be hostile or broken. Without limits, one answer could fill the memory or last forever, and thousands of
commands that are answered just in time could last for days.
"""

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from spamlstm.maildir.owner import IDENTITY

CONNECT_SECONDS = 30.0
# The longest time of one command, and its largest number of bytes. A server that searches a large folder for the first
# time may need a minute.
COMMAND_SECONDS = 120.0
COMMAND_BYTES = 4 << 20
# A message of 64 MB must arrive at this speed.
BYTES_PER_SECOND = 64 << 10
# The longest time of all commands between two pauses, such as a visit of all folders, or of one run of a command line.
# A server that answers each command just in time has used it up after 16 commands.
PATIENCE_SECONDS = 1800.0
# The time that each command adds to it. Servers usually answer in a tenth of this time.
EARNED_SECONDS = 2.0

S = TypeVar("S", bound=socket.socket)


class ExcessError(OSError):
    """A server sent more bytes than a command may cause."""


class PatienceError(OSError):
    """A server took too long for many commands, each of which it answered in time."""


@dataclass(slots=True)
class Allowance:
    """The bytes that the server may still send, and the time of the monotonic clock until which it may send them."""

    bytes: int = COMMAND_BYTES
    until: float = 0.0
    patience: float = field(default_factory=lambda: PATIENCE_SECONDS)
    """The seconds that the program may still wait for the server before the next pause."""
    clock: Callable[[], float] = time.monotonic

    def renew(self, expected: int = 0) -> None:
        """Begin a new command, which causes an answer of about `expected` bytes."""
        self.bytes = COMMAND_BYTES + expected
        self.until = self.clock() + COMMAND_SECONDS + expected / BYTES_PER_SECOND
        # What arrives beyond the expected bytes adds nothing, or a server would gain time by sending rubbish.
        self.patience = min(PATIENCE_SECONDS, self.patience + EARNED_SECONDS + expected / BYTES_PER_SECOND)

    def pause(self) -> None:
        """Begin a new operation after a pause, in which the program does not wait for an answer."""
        self.patience = PATIENCE_SECONDS

    def begin(self) -> tuple[float, float]:
        """Begin a read. Return the time now, and the seconds that the read may take.

        Raises TimeoutError if the command has taken too long, PatienceError if all commands have.
        """
        self._check_patience()
        now = self.clock()
        if now >= self.until:
            raise TimeoutError("the server takes too long")
        return now, min(self.until - now, self.patience)

    def end(self, began: float) -> None:
        """Subtract the time of a read. Raises PatienceError if all reads since the last pause took too long."""
        self.patience -= self.clock() - began
        self._check_patience()

    def _check_patience(self) -> None:
        if self.patience <= 0:
            raise PatienceError("the server takes too long for many commands")

    def spend(self, count: int) -> None:
        """Subtract received bytes. Raises ExcessError if there were too many."""
        self.bytes -= count
        if self.bytes < 0:
            raise ExcessError("the server sends too much")


def plain_socket(address: tuple[str, int], allowance: Allowance) -> socket.socket:
    """Return a connected socket with an allowance. Raises OSError if there is no connection."""
    allowance.until = allowance.clock() + CONNECT_SECONDS
    opened = socket.create_connection(address, timeout=CONNECT_SECONDS)
    limited = _limited(socket.socket, allowance)(opened.family, opened.type, opened.proto, fileno=opened.detach())
    limited.settimeout(CONNECT_SECONDS)
    return limited


def tls_context(allowance: Allowance) -> ssl.SSLContext:
    """Return a context whose sockets have an allowance. Certificates and names of hosts are verified."""
    # While the process acts as the owner of a Maildir, it may lack the right to read the list of certificates.
    with IDENTITY:
        context = ssl.create_default_context()
    context.sslsocket_class = _limited(ssl.SSLSocket, allowance)
    return context


def _limited(kind: type[S], allowance: Allowance) -> type[S]:
    """Return a class of sockets of this kind whose reads use up the allowance."""

    # mypy does not know a base class that is an argument.
    class LimitedSocket(kind):  # type: ignore[valid-type, misc]
        # A file of the socket, as imaplib opens one up to Python 3.13, would read by `recv_into`.
        def recv_into(self, *arguments: Any) -> int:
            count: int = self._limit(super().recv_into, arguments)
            allowance.spend(count)
            return count

        def recv(self, *arguments: Any) -> bytes:
            block: bytes = self._limit(super().recv, arguments)
            allowance.spend(len(block))
            return block

        def _limit(self, read: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
            began, seconds = allowance.begin()
            self.settimeout(seconds)
            try:
                return read(*arguments)
            finally:
                allowance.end(began)

    return LimitedSocket
