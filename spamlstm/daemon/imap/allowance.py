"""Sockets with limits for what a server may send: a number of bytes and a time for each command.

A server may be hostile or broken. Without limits, one answer could fill the memory or last forever.
"""

import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any, TypeVar

CONNECT_SECONDS = 30.0
# For one command. A server that searches a large folder for the first time may need a minute.
COMMAND_SECONDS = 120.0
COMMAND_BYTES = 4 << 20
# A message of 64 MB must arrive at this speed.
BYTES_PER_SECOND = 64 << 10

S = TypeVar("S", bound=socket.socket)


class ExcessError(OSError):
    """A server sent more bytes than a command may cause."""


@dataclass(slots=True)
class Allowance:
    """The bytes that the server may still send, and the time of the monotonic clock until which it may send them."""

    bytes: int = COMMAND_BYTES
    until: float = 0.0

    def renew(self, expected: int = 0) -> None:
        """Begin a new command, which causes an answer of about `expected` bytes."""
        self.bytes = COMMAND_BYTES + expected
        self.until = time.monotonic() + COMMAND_SECONDS + expected / BYTES_PER_SECOND

    def seconds(self) -> float:
        """Return the time that is left. Raises TimeoutError if there is none."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the server takes too long")
        return left

    def spend(self, count: int) -> None:
        """Subtract received bytes. Raises ExcessError if there were too many."""
        self.bytes -= count
        if self.bytes < 0:
            raise ExcessError("the server sends too much")


def plain_socket(address: tuple[str, int], allowance: Allowance) -> socket.socket:
    """Return a connected socket with an allowance. Raises OSError if there is no connection."""
    allowance.until = time.monotonic() + CONNECT_SECONDS
    opened = socket.create_connection(address, timeout=CONNECT_SECONDS)
    limited = _limited(socket.socket, allowance)(opened.family, opened.type, opened.proto, fileno=opened.detach())
    limited.settimeout(CONNECT_SECONDS)
    return limited


def tls_context(allowance: Allowance) -> ssl.SSLContext:
    """Return a context whose sockets have an allowance. Certificates and names of hosts are verified."""
    context = ssl.create_default_context()
    context.sslsocket_class = _limited(ssl.SSLSocket, allowance)
    return context


def _limited(kind: type[S], allowance: Allowance) -> type[S]:
    """Return a class of sockets of this kind whose reads use up the allowance."""

    # mypy does not know a base class that is an argument.
    class LimitedSocket(kind):  # type: ignore[valid-type, misc]
        # A file of the socket, as imaplib opens one up to Python 3.13, would read by `recv_into`.
        def recv_into(self, *arguments: Any) -> int:
            self.settimeout(allowance.seconds())
            count: int = super().recv_into(*arguments)
            allowance.spend(count)
            return count

        def recv(self, *arguments: Any) -> bytes:
            self.settimeout(allowance.seconds())
            block: bytes = super().recv(*arguments)
            allowance.spend(len(block))
            return block

    return LimitedSocket
