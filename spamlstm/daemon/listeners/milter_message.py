"""The message and the SMTP session that an MTA describes in the packets of the milter protocol."""

import re
import time
from collections import Counter
from dataclasses import dataclass, field

from spamlstm.daemon.listeners.milter_packets import BadPacketError, MilterCommand, MilterOptions, texts
from spamlstm.maildir.headers import is_replaced

# The characters that Postfix replaces in the name that a client announces, and all that are not printable.
_NOT_IN_NAME = re.compile(rb'[ <>()\\";@]|[^!-~]')
_NOT_PRINTED = re.compile(rb"[^ -~]")
_MACROS = frozenset((b"i", b"j", b"v", b"_", b"{tls_version}", b"{auth_authen}"))
_MOST_VALUE = 1000
# Macros of these packets describe an SMTP session, or a message. Macros of other packets are ignored.
_OF_SESSION = (MilterCommand.CONNECT, MilterCommand.HELO, MilterCommand.MAIL)
_OF_MESSAGE = (
    MilterCommand.RCPT,
    MilterCommand.DATA,
    MilterCommand.HEADER,
    MilterCommand.END_OF_HEADERS,
    MilterCommand.BODY,
    MilterCommand.END_OF_BODY,
)
_WITH_MACROS = frozenset(command.value for command in (*_OF_SESSION, *_OF_MESSAGE))
# A larger MACROS packet is not kept to recognise that it is repeated.
_MOST_LATEST = 4096


@dataclass(slots=True)
class MilterSession:
    """An SMTP session, as far as the Received header of the MTA describes it.

    Macros are named values that an MTA sends before a packet. `i` is the id of the message in the queue of the MTA.
    """

    options: MilterOptions
    client: bytes = b"unknown"
    """The name and the address of the SMTP client."""

    helo: bytes = b""
    _macros: dict[bytes, dict[bytes, bytes]] = field(default_factory=dict)
    _latest: bytes = b""

    def define(self, data: bytes) -> None:
        """Set the macros of a MACROS packet. They replace the macros of an earlier packet for the same command."""
        if data == self._latest:  # Postfix sends the same macros before each header
            return
        self._latest = data if len(data) <= _MOST_LATEST else b""
        command, names = data[:1], texts(data[1:])
        pairs = zip(names[::2], names[1::2], strict=False)
        known = {name: _NOT_PRINTED.sub(b"?", value[:_MOST_VALUE]) for name, value in pairs if name in _MACROS}
        self._macros.pop(command, None)
        if known and command in _WITH_MACROS:
            self._macros[command] = known

    def macro(self, name: bytes) -> bytes:
        """Return the latest value of a macro, or an empty text."""
        return next((macros[name] for macros in reversed(self._macros.values()) if name in macros), b"")

    def forget_message(self) -> None:
        """Remove the macros of the previous message."""
        self._latest = b""
        for command in _OF_MESSAGE:
            self._macros.pop(command.value, None)

    def connect(self, data: bytes) -> None:
        """Set the client of a CONNECT packet: a name, the letter of an address family, a port of 2 bytes, an address.

        Raises BadPacketError if the packet has another form.
        """
        name, zero, rest = data.partition(b"\0")
        family, address = rest[:1], rest[3:].rstrip(b"\0")
        if not zero or not family or (family in b"46" and not address):
            raise BadPacketError
        if family == b"6" and not address.lower().startswith(b"ipv6:"):
            address = b"IPv6:" + address
        # If an MTA found no name for an address, it sends the address in brackets.
        name = b"unknown" if name.startswith(b"[") else name
        self.client = _NOT_PRINTED.sub(b"?", b"%s [%s]" % (name, address) if family in b"46" else name)[:_MOST_VALUE]

    def announce(self, data: bytes) -> None:
        """Set the name that the client announced in a HELO packet."""
        self.helo = _NOT_IN_NAME.sub(b"?", b" ".join(texts(data))[:_MOST_VALUE])


@dataclass(slots=True)
class MilterMessage:
    """A message that an MTA sends in pieces. `content` has the bytes that the MTA would deliver to a Maildir.

    An MTA does not show its own Received header to a filter. This header says from where the message came. Therefore
    it is written here as Postfix writes it, so that the message has the same score as in a Maildir.
    """

    session: MilterSession
    content: bytearray = field(default_factory=bytearray)
    replaced: Counter[bytes] = field(default_factory=Counter)
    """The numbers of headers of the message that have names of headers that we write, by name."""

    is_begun: bool = False
    """Whether a piece of the message was added."""

    why_cut: str = ""
    """The reason why the content was discarded, as the name of a test in `X-Spam-Status`, or an empty text."""

    _recipient: bytes = b""
    _recipients: int = 0
    _time: float = field(default_factory=time.time)
    _is_international: bool = False
    _has_body: bool = False

    def begin(self, data: bytes) -> None:
        """Read a MAIL packet: the sender and parameters."""
        self._is_international = b"SMTPUTF8" in (word.upper() for word in texts(data)[1:])

    def add_recipient(self, data: bytes) -> None:
        """Read a RCPT packet: a recipient and parameters."""
        self._recipients += 1
        self._recipient = b"".join(texts(data)[:1])[:_MOST_VALUE].removeprefix(b"<").removesuffix(b">")

    @property
    def user(self) -> str:
        """Return the only recipient, or an empty text if there are several recipients."""
        return self._recipient.decode("utf-8", "replace") if self._recipients == 1 else ""

    def add_header(self, data: bytes) -> None:
        """Append the header of a HEADER packet. Raises BadPacketError if it has no name or follows the body."""
        name, zero, value = data.removesuffix(b"\0").partition(b"\0")
        if not zero or self._has_body:
            raise BadPacketError
        if is_replaced(name):
            self.replaced[name.lower()] += 1
        space = b"" if self.session.options.has_leading_space else b" "
        self._append(name + b":" + space + value.replace(b"\r\n", b"\n") + b"\n")

    def add_body(self, data: bytes) -> None:
        """Append a piece of the body, with the line ends of a Maildir."""
        if not self._has_body:
            self._has_body = True
            self._append(b"\n")
        # The two bytes of a line end may be in different pieces.
        if data.startswith(b"\n") and self.content.endswith(b"\r"):
            del self.content[-1]
        self._append(data.replace(b"\r\n", b"\n"))

    def cut(self, why: str) -> None:
        """Discard the content and the content that follows. Headers are still counted."""
        self.why_cut = why
        self.content = bytearray()

    def _append(self, piece: bytes) -> None:
        if not self.is_begun:
            self.is_begun = True
            self.content += self._received()
        if not self.why_cut:
            self.content += piece

    def _received(self) -> bytes:
        """Return the Received header that the MTA adds."""
        macro = self.session.macro
        protocol = b"UTF8SMTP" if self._is_international else b"ESMTP"
        protocol += b"S" if macro(b"{tls_version}") else b""
        protocol += b"A" if macro(b"{auth_authen}") else b""
        client = self.session.client
        # In this macro, Postfix has the name that it could not confirm. Sendmail writes this name into its header too.
        if macro(b"_").endswith(b" (may be forged)") and not client.startswith(b"unknown "):
            client += b" (may be forged)"
        to = b"\n\tfor <%s>" % _NOT_PRINTED.sub(b"?", self._recipient) if self._recipients == 1 else b""
        return b"Received: from %s (%s)\n\tby %s (%s) with %s id %s%s; %s\n" % (
            self.session.helo or client.partition(b" ")[0],
            client,
            macro(b"j") or b"localhost",
            macro(b"v").partition(b" ")[0] or b"MTA",
            protocol,
            macro(b"i"),
            to,
            time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(self._time)).encode("ascii"),
        )
