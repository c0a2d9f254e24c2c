"""The packets of the milter protocol, in which a mail server (MTA) asks a filter about a message.

A packet is a length of 4 bytes, a letter, and data. Texts in the data end with a zero byte. The protocol has no
standard. The definitions are those of libmilter (`mfdef.h`) in the versions 2 to 6 of the protocol. Postfix and
Sendmail behave as their documentation of `smtpd_milters` and `smfi_negotiate` says.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntFlag

# The largest packet of an MTA. A header of Postfix has at most 100 KB, a chunk of a body 64 KB.
MOST_PACKET = 1 << 20
VERSIONS = (2, 6)
LENGTH = struct.Struct("!I")
_OPTIONS = struct.Struct("!III")


class BadPacketError(Exception):
    """A packet that breaks the protocol."""


class MilterCommand(Enum):
    """The letters of the packets of an MTA."""

    ABORT = b"A"
    BODY = b"B"
    CONNECT = b"C"
    MACROS = b"D"
    END_OF_BODY = b"E"
    HELO = b"H"
    QUIT_NEW_CONNECTION = b"K"
    """The SMTP session has ended, and the next one follows on the same connection."""
    HEADER = b"L"
    MAIL = b"M"
    END_OF_HEADERS = b"N"
    OPTIONS = b"O"
    QUIT = b"Q"
    RCPT = b"R"
    DATA = b"T"
    UNKNOWN = b"U"
    """A command of the SMTP client that the MTA does not know."""

    __hash__ = object.__hash__  # that of Enum is a function in Python, and each packet is looked up


class MilterAction(IntFlag):
    """The changes for which a filter asks at the beginning."""

    ADD_HEADERS = 1 << 0
    CHANGE_HEADERS = 1 << 4
    QUARANTINE = 1 << 5


class MilterStep(IntFlag):
    """Variations of the protocol: packets that are not sent (NO), and packets that are not answered (SILENT)."""

    NO_END_OF_HEADERS = 1 << 6
    SILENT_HEADER = 1 << 7
    NO_UNKNOWN = 1 << 8
    NO_DATA = 1 << 9
    SILENT_CONNECT = 1 << 12
    SILENT_HELO = 1 << 13
    SILENT_MAIL = 1 << 14
    SILENT_RCPT = 1 << 15
    SILENT_DATA = 1 << 16
    SILENT_UNKNOWN = 1 << 17
    SILENT_END_OF_HEADERS = 1 << 18
    SILENT_BODY = 1 << 19
    LEADING_SPACE = 1 << 20
    """The space between the colon and the value of a header is a part of the value."""


# These are of type int because the operations of IntFlag are slow.
_NEEDED_ACTIONS = (MilterAction.ADD_HEADERS | MilterAction.CHANGE_HEADERS).value
_WANTED_ACTIONS = _NEEDED_ACTIONS | MilterAction.QUARANTINE.value
_WANTED_STEPS = sum(step.value for step in MilterStep)
_LEADING_SPACE = MilterStep.LEADING_SPACE.value
_SILENT = {
    MilterCommand.BODY: MilterStep.SILENT_BODY.value,
    MilterCommand.CONNECT: MilterStep.SILENT_CONNECT.value,
    MilterCommand.DATA: MilterStep.SILENT_DATA.value,
    MilterCommand.END_OF_HEADERS: MilterStep.SILENT_END_OF_HEADERS.value,
    MilterCommand.HEADER: MilterStep.SILENT_HEADER.value,
    MilterCommand.HELO: MilterStep.SILENT_HELO.value,
    MilterCommand.MAIL: MilterStep.SILENT_MAIL.value,
    MilterCommand.RCPT: MilterStep.SILENT_RCPT.value,
    MilterCommand.UNKNOWN: MilterStep.SILENT_UNKNOWN.value,
}


_COMMANDS = {one.value[0]: one for one in MilterCommand}


@dataclass(frozen=True, slots=True)
class MilterOptions:
    """What was agreed with an MTA at the beginning: the version of the protocol, actions and steps."""

    version: int
    actions: int
    steps: int

    @property
    def has_leading_space(self) -> bool:
        """Return whether the values of headers begin behind the colon."""
        return bool(self.steps & _LEADING_SPACE)

    @property
    def answered(self) -> frozenset[MilterCommand]:
        """Return the packets for which the MTA waits for an answer, besides OPTIONS and END_OF_BODY."""
        return frozenset(command for command, step in _SILENT.items() if not self.steps & step)


def take_packet(received: bytearray) -> tuple[MilterCommand, bytes] | None:
    """Remove the first packet from the received bytes and return it, or return None if it is not complete.

    Raises BadPacketError if the packet is empty, too long or has an unknown letter.
    """
    if len(received) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack_from(received)
    if not 0 < length <= MOST_PACKET:
        raise BadPacketError
    end = LENGTH.size + length
    if len(received) < end:
        return None
    if (command := _COMMANDS.get(received[LENGTH.size])) is None:
        raise BadPacketError
    data = bytes(received[LENGTH.size + 1 : end])
    del received[:end]
    return command, data


def agree(command: MilterCommand, data: bytes) -> MilterOptions:
    """Return the options for the first packet of an MTA: as few packets and answers as the MTA offers.

    Raises BadPacketError if this is not an OPTIONS packet, if the MTA does not permit changes of headers, or if the
    version of the protocol is unknown.
    """
    if command is not MilterCommand.OPTIONS or len(data) < _OPTIONS.size:
        raise BadPacketError
    version, actions, steps = _OPTIONS.unpack_from(data)
    if version < VERSIONS[0] or actions & _NEEDED_ACTIONS != _NEEDED_ACTIONS:
        raise BadPacketError
    return MilterOptions(min(version, VERSIONS[1]), actions & _WANTED_ACTIONS, steps & _WANTED_STEPS)


def options_packet(options: MilterOptions) -> bytes:
    """Return the answer to an OPTIONS packet."""
    return _packet(b"O", _OPTIONS.pack(options.version, options.actions, options.steps))


def texts(data: bytes) -> list[bytes]:
    """Return the texts in the data of a packet. Raises BadPacketError if the last text has no end."""
    if not data:
        return []
    if data[-1]:
        raise BadPacketError
    return data[:-1].split(b"\0")


def changes(removed: Iterable[tuple[bytes, int]], added: Iterable[tuple[str, str]], *, options: MilterOptions) -> bytes:
    """Return the packets that remove headers and add headers at the top of a message.

    `removed` has the names of headers and how many of them to remove from the top. The lowest of them is removed first,
    so that the others keep their numbers.
    """
    space = b" " if options.has_leading_space else b""
    packets = [
        _packet(b"m", LENGTH.pack(number) + name + b"\0\0") for name, count in removed for number in range(count, 0, -1)
    ]
    packets += [
        _packet(b"i", LENGTH.pack(0) + name.encode("ascii") + b"\0" + space + value.encode("ascii") + b"\0")
        for name, value in reversed(tuple(added))
    ]
    return b"".join(packets)


def quarantine_packet(reason: str) -> bytes:
    """Return the packet after which the MTA keeps the message in its quarantine. `reason` is for its log."""
    return _packet(b"q", reason.encode("ascii") + b"\0")


def reject_packet(reply: str) -> bytes:
    """Return the answer after which the MTA rejects the message with an SMTP reply such as `550 5.7.1 No`."""
    return _packet(b"y", reply.encode("ascii") + b"\0")


def _packet(letter: bytes, data: bytes = b"") -> bytes:
    return LENGTH.pack(1 + len(data)) + letter + data


CONTINUE_PACKET = _packet(b"c")
