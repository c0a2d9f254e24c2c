"""The protocol of SpamAssassin's spamd, for spamc, Exim and other clients.

A request is a line, headers, a blank line and a message. The answers have the form of those of spamd 4.0.1, which were
recorded (`tests/peers/spamd_wire`). A message that is spam gets headers and is not wrapped into a report, as with
SpamAssassin's setting `report_safe 0`.
"""

import asyncio
import re
import zlib
from dataclasses import dataclass

from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.daemon.listeners.connection import ClientConnection, ConnectionRefusedByLimitError
from spamlstm.daemon.listeners.judging import JudgedMail, JudgingError
from spamlstm.daemon.listeners.receiving_budget import STEP
from spamlstm.daemon.listeners.report import report_text
from spamlstm.learning.label import Label
from spamlstm.maildir.headers import REQUIRED, points, symbol
from spamlstm.message.headers import end_of_head
from spamlstm.verdict import Verdict

MOST_LINE = 8192
MOST_HEADERS = 256
_COMMAND = re.compile(
    rb"(CHECK|SYMBOLS|REPORT|REPORT_IFSPAM|SKIP|PING|PROCESS|HEADERS|TELL) SPAMC/([0-9]{1,4}(?:\.[0-9]{1,4})?)\s*+"
)

_PROTOCOL, _UNAVAILABLE = 76, 69


class _ProtocolError(Exception):
    """A request that breaks the protocol. The message is a phrase for the client, as bytes."""

    def __init__(self, phrase: bytes) -> None:
        super().__init__()
        self.phrase = phrase


class _UnavailableError(Exception):
    """A request that cannot be carried out. The message is a sentence for the client."""


@dataclass(slots=True)
class _Request:
    """The command and the headers of a request."""

    command: str
    version: tuple[int, int]
    user: str = ""
    length: int | None = None
    is_compressed: bool = False
    label: Label | None = None
    set_local: bool = False
    remove_local: bool = False


async def serve_spamd(client: ClientConnection, *, allow_tell: bool) -> None:
    """Answer one request of a client of spamd. The client may label messages only with `allow_tell`."""
    try:
        answer = await _answer(client, allow_tell=allow_tell)
    except _ProtocolError as error:
        client.counts.refused += 1
        answer = b"SPAMD/1.0 %d Bad header line: %s\r\n" % (_PROTOCOL, error.phrase)
    except ConnectionRefusedByLimitError as error:
        client.counts.refused += 1
        answer = b"SPAMD/1.0 %d Bad header line: (%s)\r\n" % (_PROTOCOL, str(error).encode())
    except (JudgingError, _UnavailableError) as error:
        client.counts.refused += 1
        # Without a blank line, spamc reports a failure. With one, it would say that the message was learned before.
        answer = b"SPAMD/1.0 %d Service Unavailable: %s\r\n" % (_UNAVAILABLE, str(error).encode())
    await client.send(answer)


async def _answer(client: ClientConnection, *, allow_tell: bool) -> bytes:
    request = await _command(client)
    match request.command:
        case "PING":
            if request.version >= (1, 5):  # before, as in monit, the request is this line only
                await _read_headers(client, request)
            return b"SPAMD/1.5 0 PONG\r\n"
        case "SKIP":
            return b""
    # Clients of version 1.0 send no headers, so everything that they send is the message.
    if request.version > (1, 0):
        await _read_headers(client, request)
    if request.command == "TELL" and not allow_tell:
        raise _UnavailableError("TELL commands are not enabled, set [spamd] allow_tell = true")
    raw = await _message(client, request)
    if request.command == "TELL":
        return await _tell(client, request, raw)
    judged = await client.judged(raw, request.user)
    return await _judgement(client, request, raw, judged)


async def _command(client: ClientConnection) -> _Request:
    line = await client.line(MOST_LINE)
    if line is None:
        raise _ProtocolError(b"(closed before headers)")
    found = _COMMAND.fullmatch(line)
    if found is None:
        raise _ProtocolError(line.removesuffix(b"\n").removesuffix(b"\r"))
    major, _, minor = found[2].partition(b".")
    return _Request(found[1].decode("ascii"), (int(major), int(minor or b"0")))


async def _read_headers(client: ClientConnection, request: _Request) -> None:
    for _ in range(MOST_HEADERS):
        line = await client.line(MOST_LINE)
        if line is None:
            raise _ProtocolError(b"(EOF during headers)")
        if line == b"\r\n":
            return
        name, colon, value = line.partition(b":")
        if not colon:
            raise _ProtocolError(b"(header not in 'Name: value' format)")
        _read_header(request, name.strip().lower(), value.strip())
    raise _ProtocolError(b"(too many headers)")


def _read_header(request: _Request, name: bytes, value: bytes) -> None:
    match name:
        case b"content-length":
            if not value.isdigit() or len(value) > 12:
                raise _ProtocolError(b"(Content-Length contains non-numeric bytes)")
            request.length = int(value)
            if request.length > MOST_BYTES:
                raise _ProtocolError(b"(Content-Length is above %d bytes)" % MOST_BYTES)
        case b"user":
            request.user = value.decode("utf-8", "replace")
        case b"compress":
            if value.lower() != b"zlib":
                raise _ProtocolError(b"(compression type not supported: %s)" % value)
            request.is_compressed = True
        case b"message-class":
            word = value.lower()
            request.label = Label(word.decode("ascii")) if word in (b"spam", b"ham") else None
        case b"set":
            request.set_local = b"local" in value.lower().replace(b",", b" ").split()
        case b"remove":
            request.remove_local = b"local" in value.lower().replace(b",", b" ").split()


async def _message(client: ClientConnection, request: _Request) -> bytes:
    if request.length is None or request.version == (1, 0):
        raw = await client.rest(MOST_BYTES)
    else:
        raw = await _counted(client, request.length)
    return await _decompressed(client, raw) if request.is_compressed else raw


async def _counted(client: ClientConnection, length: int) -> bytes:
    """Return the message of a stated length.

    As spamd reads whole lines, bytes after the message are an error only in the last line of the message.
    """
    if not await client.receive_whole(length):
        raise _length_error(length, len(client.received))
    raw = client.received
    if 0 < length < len(raw) and raw[length - 1] != 0x0A:
        end = raw.find(b"\n", length)
        raise _length_error(length, len(raw) if end < 0 else end + 1)
    return client.take(length)


def _length_error(expected: int, got: int) -> _ProtocolError:
    return _ProtocolError(b"(Content-Length mismatch: Expected %d bytes, got %d bytes)" % (expected, got))


async def _decompressed(client: ClientConnection, raw: bytes) -> bytes:
    """Return the decompressed message. Both are in memory, and a small request may describe a large message."""
    decompressor, plain = zlib.decompressobj(), bytearray()
    start, piece = 0, b""
    while not decompressor.eof:
        client.make_room(len(raw) + len(plain))
        if not piece:
            piece = raw[start : start + STEP]
            start += STEP
        try:
            block = decompressor.decompress(piece, STEP)
        except zlib.error as error:
            raise _UnavailableError("zlib: the data are damaged") from error
        piece = decompressor.unconsumed_tail
        if not block and not piece and start >= len(raw) and not decompressor.eof:
            raise _UnavailableError("zlib: failed to find end of zlib stream\n")
        plain += block
        if len(plain) > MOST_BYTES:
            raise _UnavailableError(f"zlib: the message is above {MOST_BYTES} bytes")
        await asyncio.sleep(0)  # other clients are served between two blocks
    return bytes(plain)


async def _tell(client: ClientConnection, request: _Request, raw: bytes) -> bytes:
    """Return the answer to TELL. It names what was changed, and has two blank lines, as that of spamd."""
    if request.set_local and request.label is not None:
        did = b"DidSet: local\r\n" if await client.labelled(raw, request.user, request.label) else b""
    elif request.remove_local:
        did = b"DidRemove: local\r\n" if await client.labelled(raw, request.user, None) else b""
    else:
        did = b""
    return b"SPAMD/1.1 0 EX_OK\r\n" + did + b"\r\n\r\n"


async def _judgement(client: ClientConnection, request: _Request, raw: bytes, judged: JudgedMail) -> bytes:
    judgement, threshold = judged.judgement, judged.spam_threshold
    is_spam = judgement.verdict is Verdict.SPAM
    shown = f"{points(judgement, spam_threshold=threshold):.1f} / {REQUIRED:.1f}"
    word = str(is_spam)
    match request.command:
        case "CHECK":
            return f"SPAMD/1.1 0 EX_OK\r\nSpam: {word} ; {shown}\r\n\r\n".encode("ascii")
        case "SYMBOLS":
            body = symbol(judgement).encode("ascii")
        case "REPORT":
            body = await asyncio.to_thread(report_text, raw, judged)
        case "REPORT_IFSPAM":
            body = await asyncio.to_thread(report_text, raw, judged) if is_spam else b""
            word = "Yes" if is_spam else "No"
        case "HEADERS":
            tagged = await client.tagged(raw, judged)
            end = end_of_head(tagged)
            blank = 2 if tagged.startswith(b"\r\n", end) else 1
            body = tagged[: end + blank]
        case _:
            body = await client.tagged(raw, judged)
    status = f"Spam: {word} ; {shown}\r\n".encode("ascii")
    has_mail = request.command in ("PROCESS", "HEADERS")
    if request.version >= (1, 3):
        return b"SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\n%s\r\n%s" % (len(body), status, body)
    if not has_mail:  # Exim asks in this version
        body += b"\r\n" if request.command == "SYMBOLS" else b""
        return b"SPAMD/1.1 0 EX_OK\r\n%s\r\n%s" % (status, body)
    if request.version >= (1, 2):
        return b"SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\n\r\n%s" % (len(body), body)
    return b"SPAMD/1.0 0 EX_OK\r\n" + body
