"""The protocols of the listeners without a daemon: the real code serves a socket, and each answer is checked."""

import asyncio
import contextlib
import hashlib
import random
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from functools import partial

from fuzzing.findings import BrokenPromiseError, require
from imapclient import response_parser

from spamlstm.config import MilterConfig
from spamlstm.daemon.imap import answers as imap_answers
from spamlstm.daemon.listeners.answer_queue import AnswerQueue
from spamlstm.daemon.listeners.byte_stream import BLOCK, ByteStream
from spamlstm.daemon.listeners.connection import ClientConnection
from spamlstm.daemon.listeners.judging import AnyRequest, JudgedMail, JudgeRequest, JudgingError
from spamlstm.daemon.listeners.listener_counts import ListenerCounts
from spamlstm.daemon.listeners.milter import serve_milter
from spamlstm.daemon.listeners.own import serve_filter
from spamlstm.daemon.listeners.receiving_budget import MOST_BUFFERED, ReceivingBudget
from spamlstm.daemon.listeners.rspamd import serve_rspamd
from spamlstm.daemon.listeners.spamd import serve_spamd
from spamlstm.verdict import Judgement, Verdict, logit

# Seconds of wall time after which a client that has sent everything must have its answer.
PATIENCE = 300
_HTTP = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n((?:[!-9;-~]+: [^\r\n]*\r\n)*)\r\n")
_LENGTH = re.compile(rb"(?im)^content-length: (\d+)\r$")

PROTOCOLS: dict[str, Callable[[ClientConnection], Awaitable[None]]] = {
    "own": serve_filter,
    "spamd": partial(serve_spamd, allow_tell=True),
    "milter": partial(serve_milter, config=MilterConfig(quarantine_above=7.0, reject_above=9.0)),
    "http": partial(serve_rspamd, password=b"secret"),
}


class _Judge:
    """Answers each request immediately, in a way that depends on the message."""

    def submit(self, request: AnyRequest) -> None:
        """Answer a request."""
        number = hashlib.sha256(request.raw).digest()[0]
        if number < 10:
            request.answer.set_exception(JudgingError("the message cannot be classified because of a bug"))
        elif isinstance(request, JudgeRequest):
            p = (number + 1) / 258
            verdict = Verdict.SPAM if p > 0.8 else Verdict.UNSURE if p > 0.6 else Verdict.HAM
            request.answer.set_result(JudgedMail(Judgement(verdict, p, logit(p), "score", "fuzz 1"), 0.8))
        else:
            request.answer.set_result(number % 2 == 0)


class Clients:
    """Clients of the listeners, one after the other. Each gets a new connection."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._block = memoryview(bytearray(BLOCK))
        self._counts = {name: ListenerCounts("memory") for name in PROTOCOLS}
        self._budget = ReceivingBudget()

    def close(self) -> None:
        """End the loop in which the listeners run."""
        self._runner.close()

    def case(self, name: str, request: bytes, chance: random.Random) -> None:
        """Send a request in pieces, and check the answer. Raises whatever the listener raises."""
        answer = self._runner.run(self._exchange(name, request, chance))
        require(self._budget.left == MOST_BUFFERED, f"{name}: memory stays reserved")
        CHECKS[name](request, answer)

    async def _exchange(self, name: str, request: bytes, chance: random.Random) -> bytes:
        ours, theirs = socket.socketpair()
        for one in (ours, theirs):
            one.setblocking(False)  # noqa: FBT003  the socket's method has no keyword
        client = ClientConnection(
            ByteStream(ours, self._block),
            judging=_Judge(),
            answers=AnswerQueue(asyncio.get_running_loop()),
            counts=self._counts[name],
            budget=self._budget,
        )
        with theirs:
            serving = asyncio.create_task(self._serve(name, client))
            sending = asyncio.create_task(_send(theirs, request, chance))
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await _received(theirs)
                    await asyncio.gather(serving, sending)
            except TimeoutError:
                raise BrokenPromiseError(f"{name}: no end") from None
        return answer

    async def _serve(self, name: str, client: ClientConnection) -> None:
        client.time_limit = asyncio.timeout(None)
        try:
            async with client.time_limit:
                await PROTOCOLS[name](client)
            await client.close(patience=0)
        finally:
            client.abort()


async def _send(client: socket.socket, request: bytes, chance: random.Random) -> None:
    """Send a request in pieces, and close the sending side."""
    at = 0
    with contextlib.suppress(ConnectionError):  # the listener has answered before the end
        while at < len(request):
            piece = request[at : at + min(BLOCK, chance.choice((1, 7, 100, 5000, BLOCK)))]
            await asyncio.get_running_loop().sock_sendall(client, piece)
            at += len(piece)
            if chance.random() < 0.3:
                await asyncio.sleep(0)
        client.shutdown(socket.SHUT_WR)


async def _received(client: socket.socket) -> bytes:
    """Return what the listener sends until it closes the connection."""
    answer = bytearray()
    with contextlib.suppress(ConnectionResetError):  # it has not read everything
        while block := await asyncio.get_running_loop().sock_recv(client, BLOCK):
            answer += block
    return bytes(answer)


# --- answers -------------------------------------------------------------------------------------------------------


def _check_own(_request: bytes, answer: bytes) -> None:
    first, _, rest = answer.partition(b"\n")
    words = first.split(b" ")
    is_message = words[0] == b"OK" and words[1] in (b"ham", b"unsure", b"spam") and int(words[2]) == len(rest)
    require(is_message or (words[0] == b"ERROR" and not rest), "own: the answer has another form", answer)


def _check_spamd(request: bytes, answer: bytes) -> None:
    if not answer:
        require(request.startswith(b"SKIP SPAMC/"), "spamd: no answer", request)
        return
    require(re.match(rb"SPAMD/1\.[015] \d+ ", answer) is not None, "spamd: the answer has another form", answer)
    head, blank, body = answer.partition(b"\r\n\r\n")
    # In the first version of the protocol, the message follows the first line.
    is_mail = answer.startswith(b"SPAMD/1.0 0 ")
    if blank and not is_mail and (length := _LENGTH.search(head + b"\r\n")):
        require(int(length[1]) == len(body), "spamd: the length of the answer is wrong", answer)


def _check_milter(_request: bytes, answer: bytes) -> None:
    while answer:
        require(len(answer) >= 5, "milter: a part of a packet", answer)
        (length,) = struct.unpack_from("!I", answer)
        require(length < len(answer) - 3 and answer[4:5] in b"Ocmiyq", "milter: the packet has another form", answer)
        answer = answer[4 + length :]


def _check_http(request: bytes, answer: bytes) -> None:
    # A client that sends nothing, or only a line end, gets no answer.
    require(bool(answer) or request in (b"", b"\r\n"), "http: no answer", request)
    is_head_only = b"HEAD" in request
    while answer:
        found = _HTTP.match(answer)
        require(found is not None, "http: the answer has another form", answer)
        length = _LENGTH.search(found[2])
        size = 0 if length is None or is_head_only else int(length[1])
        require(len(answer) >= found.end() + size, "http: the length of the answer is wrong", answer)
        answer = answer[found.end() + size :]
        if is_head_only and not answer.startswith(b"HTTP/"):
            return


CHECKS = {"own": _check_own, "spamd": _check_spamd, "milter": _check_milter, "http": _check_http}


def imap_case(answer: bytes) -> None:
    """Read the answer of an IMAP server as the account does. Only errors with a sentence may leave it."""
    try:
        with imap_answers.explained("imap.example.org"):
            if answer.startswith(b"COPYUID"):
                imap_answers.copied_uids([answer])
                return
            for items in response_parser.parse_fetch_response([answer]).values():
                imap_answers.flags_from_items(items)
                imap_answers.modseq_from(items)
                imap_answers.uid_from(items.get(b"UID", 1))
            _, numbers = response_parser.parse_response([answer])[:2]
            imap_answers.numbers_from(dict(zip(numbers[::2], numbers[1::2], strict=False)))
    except imap_answers.AccountUnavailableError as error:
        require("\n" not in str(error) and len(str(error)) < 200, "imap: the sentence has text of the server", error)
