"""imaplib's client with limits for what the server may send, and with its own buffer for received bytes.

imaplib documents that a subclass may override `open`, `read`, `readline`, `send` and `shutdown`. How imaplib itself
buffers is not documented and differs: up to Python 3.13 by a file, and from 3.14 on by a list.
"""

import contextlib
import imaplib
import socket

from spamlstm.config import ImapConfig, TlsMode
from spamlstm.daemon.imap.allowance import Allowance, ExcessError, plain_socket, tls_context

_BLOCK = 1 << 16
_MOST_LINE = 1_000_000
"""The largest number of bytes of a line, as in imaplib."""


class LimitedImap(imaplib.IMAP4):
    """A connection to the server of an account, whose reads use up an allowance."""

    def __init__(self, account: ImapConfig, allowance: Allowance) -> None:
        self._account = account
        self._allowance = allowance
        self._received = bytearray()
        super().__init__(account.host, account.tcp_port)

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        """Connect to the server of the account."""
        del timeout
        self.host, self.port = host, port
        opened = plain_socket((host, port), self._allowance)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # imapclient sends the end of a line by itself, which would otherwise wait for the server.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._account.tls is TlsMode.TLS:
            opened = tls_context(self._allowance).wrap_socket(opened, server_hostname=host)
        self.sock = self._source = opened

    def read(self, size: int) -> bytes:
        """Return `size` bytes, or fewer if the server has closed the connection."""
        received = self._buffer()
        if size > self._allowance.bytes + len(received):  # otherwise memory of this size would be used
            raise ExcessError("the server sends too much")
        while len(received) < size and self._receive():
            pass
        return self._take(size)

    def readline(self) -> bytes:
        """Return the next line with its line end. A line that is too long, or the last one, has no line end."""
        received, searched = self._buffer(), 0
        while (end := received.find(b"\n", searched)) < 0 and len(received) <= _MOST_LINE:
            searched = len(received)
            if not self._receive():
                break
        return self._take(end + 1 if 0 <= end < _MOST_LINE else _MOST_LINE + 1)

    def has_received(self) -> bool:
        """Return whether bytes were received that are not yet read. The socket would not report them."""
        pending = getattr(self.sock, "pending", lambda: 0)()
        return bool(self._buffer() or pending)

    def shutdown(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def _buffer(self) -> bytearray:
        """Return the bytes that were received from the present socket and not yet read.

        STARTTLS replaces the socket. What was received before was not encrypted, and may be anybody's.
        """
        if self.sock is not self._source:
            self._received.clear()
            self._source = self.sock
        return self._received

    def _receive(self) -> bool:
        """Receive further bytes. Return False if the server has closed the connection."""
        block = self.sock.recv(_BLOCK)
        self._received += block
        return bool(block)

    def _take(self, size: int) -> bytes:
        taken = bytes(memoryview(self._received)[:size])
        del self._received[:size]
        return taken
