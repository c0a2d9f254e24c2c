"""The milter protocol, for Postfix and Sendmail: headers are added to a message while it is received by SMTP.

The MTA may describe many messages in one connection, which lasts as long as its SMTP session. Bodies, senders and
recipients are never changed. Whatever fails here, the message passes. It gets a header that says why it was not
classified, or, if the connection is lost, the MTA takes its default action.
"""

import asyncio
import itertools
import logging
import re
from collections import Counter

from spamlstm import __version__
from spamlstm.config import MilterConfig
from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.daemon.listeners.connection import (
    IDLE_SECONDS,
    TOTAL_SECONDS,
    ClientConnection,
    ConnectionRefusedByLimitError,
)
from spamlstm.daemon.listeners.judging import JudgedMail, JudgingError
from spamlstm.daemon.listeners.milter_message import MilterMessage, MilterSession
from spamlstm.daemon.listeners.milter_packets import (
    CONTINUE_PACKET,
    BadPacketError,
    MilterAction,
    MilterCommand,
    MilterOptions,
    agree,
    changes,
    options_packet,
    quarantine_packet,
    reject_packet,
    take_packet,
)
from spamlstm.filtering.event_log import emit
from spamlstm.maildir.headers import headers, points, unjudged

# Seconds in which an SMTP client may send nothing, or the MTA may receive a message. libmilter has the same limit.
SESSION_SECONDS = 7210.0
# Postfix searches its file for each removed header, so thousands of removals take minutes. Further headers stay, below
# ours. No mail program writes so many.
MOST_REPLACED = 200
# After this number of packets that need no classification, other clients are served first. They take up to 5 ms.
PACKETS_AT_ONCE = 200
REJECTED = "550 5.7.1 The message was rejected because it looks like spam"
_NOT_ID = re.compile(r"[^A-Za-z0-9.-]")


async def serve_milter(client: ClientConnection, *, config: MilterConfig) -> None:
    """Answer the packets of an MTA until it closes the connection."""
    client.limit(idle=SESSION_SECONDS, total=None)
    try:
        if (first := await _packet(client)) is not None:
            options = agree(*first)
            await client.send(options_packet(options))
            await _Conversation(client, config, options).run()
    except (BadPacketError, ConnectionRefusedByLimitError):
        client.counts.refused += 1


async def _packet(client: ClientConnection) -> tuple[MilterCommand, bytes] | None:
    """Return the next packet, or None if the MTA has closed the connection."""
    while (packet := take_packet(client.received)) is None:
        if not await client.receive():
            return None
    return packet


class _Conversation:
    """One connection of an MTA, after the options were agreed."""

    def __init__(self, client: ClientConnection, config: MilterConfig, options: MilterOptions) -> None:
        self._client = client
        self._config = config
        self._session = MilterSession(options)
        self._message = MilterMessage(self._session)

    async def run(self) -> None:
        """Answer packets. Raises BadPacketError for a packet that breaks the protocol."""
        answered = self._session.options.answered
        for number in itertools.count(1):
            if number % PACKETS_AT_ONCE == 0:
                await asyncio.sleep(0)
            if self._client.is_last:
                return
            packet = take_packet(self._client.received)
            if packet is None:
                self._client.is_receiving = True
                packet = await _packet(self._client)
            if packet is None or packet[0] is MilterCommand.QUIT:
                return
            command, data = packet
            self._read(command, data)
            if command is MilterCommand.END_OF_BODY:
                await self._client.send(await self._verdict())
                self._end_message()
            elif command in answered:
                await self._client.send(CONTINUE_PACKET)

    def _read(self, command: MilterCommand, data: bytes) -> None:
        match command:
            case MilterCommand.MACROS:
                self._session.define(data)
            case MilterCommand.HEADER | MilterCommand.BODY | MilterCommand.END_OF_BODY:
                self._add(command, data)
            case MilterCommand.CONNECT:
                self._session.connect(data)
            case MilterCommand.HELO:
                self._session.announce(data)
            case MilterCommand.MAIL:
                self._end_message()
                self._session.forget_message()
                self._message.begin(data)
            case MilterCommand.RCPT:
                self._message.add_recipient(data)
            case MilterCommand.ABORT:
                self._end_message()
            case MilterCommand.QUIT_NEW_CONNECTION:
                self._session = MilterSession(self._session.options)
                self._end_message()
            case MilterCommand.OPTIONS:
                raise BadPacketError

    def _end_message(self) -> None:
        self._message = MilterMessage(self._session)
        self._client.release_room()
        self._client.limit(idle=SESSION_SECONDS, total=None)

    def _add(self, command: MilterCommand, data: bytes) -> None:
        """Add a piece of the message. The MTA has received the whole message by then, so it must not be slow."""
        message = self._message
        if not message.is_begun:
            self._client.limit(idle=IDLE_SECONDS, total=TOTAL_SECONDS)
            self._client.begin()
        if command is MilterCommand.HEADER:
            message.add_header(data)
        else:
            message.add_body(data)
        try:
            self._client.make_room(len(message.content))
        except ConnectionRefusedByLimitError:
            message.cut("busy")
        if len(message.content) > MOST_BYTES:
            message.cut("too-large")
        if message.why_cut:
            self._client.release_room()

    async def _verdict(self) -> bytes:
        """Return the answer to a whole message."""
        message, options = self._message, self._session.options
        judged = await self._judged(message)
        shown = points(judged.judgement, spam_threshold=judged.spam_threshold)
        if _is_above(shown, self._config.reject_above):
            self._log("rejected", score=f"{shown:.1f}")
            return reject_packet(REJECTED)
        added = headers(judged.judgement, version=__version__, spam_threshold=judged.spam_threshold)
        removed = _removed(message.replaced)
        if (left := message.replaced.total() - removed.total()) > 0:
            self._log("forged-headers-left", count=left)
        answer = changes(removed.items(), added, options=options)
        if _is_above(shown, self._config.quarantine_above):
            can = bool(options.actions & MilterAction.QUARANTINE)
            self._log("quarantined" if can else "no-quarantine-in-this-mail-server", score=f"{shown:.1f}")
            answer += quarantine_packet(f"spam, score {shown:.1f}") if can else b""
        return answer + CONTINUE_PACKET

    async def _judged(self, message: MilterMessage) -> JudgedMail:
        """Return the judgement of a message, or a judgement that says why the message was not classified."""
        why = message.why_cut
        if not why:
            raw = bytes(message.content)
            message.content.clear()
            try:
                return await self._client.judged(raw, message.user)
            except JudgingError:
                why = "unavailable"
        self._client.counts.refused += 1
        return JudgedMail(unjudged(why), spam_threshold=1.0)

    def _log(self, event: str, **values: object) -> None:
        """Log what the MTA does with a message, with its queue id, for a comparison with the log of the MTA."""
        identity = self._session.macro(b"i").decode("ascii")
        emit(logging.INFO, event, listener="milter", id=_NOT_ID.sub("?", identity[:64]), **values)


def _removed(replaced: Counter[bytes]) -> Counter[bytes]:
    """Return how many headers of each name are removed, the topmost ones. Names of which there are few come first."""
    removed: Counter[bytes] = Counter()
    left = MOST_REPLACED
    for name, count in reversed(replaced.most_common()):
        removed[name] = min(count, left)
        left -= removed[name]
    return removed


def _is_above(shown: float, limit: float | None) -> bool:
    return limit is not None and shown > limit
