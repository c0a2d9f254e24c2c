"""A part of rspamd's HTTP interface, for rspamc, Haraka, OpenSMTPD's filter-rspamd, and scripts with curl.

| request | answer |
|---|---|
| POST `/checkv2` or `/symbols`, a message | score, action and symbols, in the form of rspamd's `/checkv2` |
| POST `/learnspam` or `/learnham`, a message and the header `Password` | whether the label was stored |
| GET `/ping`, `/stat` | `pong`; the numbers of this listener |

The message is always the body. rspamd also reads files that headers name (`File`, `Path`, `Shm`). Here such a request
is refused, because the daemon may read files that the client may not.
"""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from spamlstm import __version__
from spamlstm.daemon.listeners.connection import TOTAL_SECONDS, ClientConnection, ConnectionRefusedByLimitError
from spamlstm.daemon.listeners.http_message import (
    HttpError,
    HttpRequest,
    http_failure,
    http_json,
    http_text,
    read_body,
    read_request,
)
from spamlstm.daemon.listeners.judging import JudgedMail, JudgingError, UnfitRequestError
from spamlstm.daemon.listeners.listener import MOST_CONNECTIONS
from spamlstm.learning.label import Label
from spamlstm.maildir.headers import REMOVED, REQUIRED, headers, points, symbol
from spamlstm.message.headers import end_of_head
from spamlstm.verdict import Verdict

# A connection is closed after an answer that is later than this, so that TOTAL_SECONDS does not interrupt a request.
KEEP_SECONDS = TOTAL_SECONDS / 2
# The Message-ID is looked for in the first bytes of the header block.
_MOST_HEAD = 1 << 16
_MESSAGE_ID = re.compile(
    rb"^message-id[ \t]*+:[ \t]*+(?:\r?\n[ \t]++)?<?([!-;=?-~]{1,250})", re.IGNORECASE | re.MULTILINE
)
# The headers of rspamd that name a file instead of a message, and those of a body that is not the message itself.
_FILES = ("file", "path", "shm")
_CODED = ("compression", "content-encoding", "key")

_Endpoint = Callable[[ClientConnection, HttpRequest], Awaitable[bytes]]


async def serve_rspamd(client: ClientConnection, *, password: bytes | None) -> None:
    """Answer the requests of a client of rspamd. Clients may label messages only with `password`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + KEEP_SECONDS
    while True:
        request = None
        try:
            request = await read_request(client)
            if request is None:
                return
            is_full = client.counts.open >= MOST_CONNECTIONS  # then others may wait for a connection
            keep = request.keeps_connection and loop.time() < end and not is_full
            answer = await _answer(client, request, keep=keep, password=password)
        except HttpError as error:
            client.counts.refused += 1
            head_only = request is not None and request.method == "HEAD"
            keep, answer = False, http_failure(error, head_only=head_only)
        await client.send(answer)
        if not keep or client.is_last:
            return
        client.next_request()
        await asyncio.sleep(0)  # other clients come before requests that this client has sent already
        try:
            if not client.received and not await client.receive():
                return
        except TimeoutError:  # a client may keep a connection that it does not need
            return
        except ConnectionRefusedByLimitError as error:  # of a client that sends many requests ahead
            client.counts.refused += 1
            await client.send(http_failure(HttpError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)), head_only=False))
            return
        client.begin()


async def _answer(client: ClientConnection, request: HttpRequest, *, keep: bool, password: bytes | None) -> bytes:
    methods = {"/checkv2": "POST", "/symbols": "POST", "/learnspam": "POST", "/learnham": "POST"}
    methods |= {"/ping": "GET, HEAD", "/stat": "GET, HEAD"}
    allowed = methods.get(request.path)
    if allowed is None:
        raise HttpError(HTTPStatus.NOT_FOUND, f"there is nothing here; use one of: {', '.join(methods)}")
    if request.method not in allowed.split(", "):
        sentence = f"the method must be one of: {allowed}"
        raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, sentence, allow=allowed)
    if allowed != "POST":
        await read_body(client, request)
        return _status(client, request, keep=keep)
    label = {"/learnspam": Label.SPAM, "/learnham": Label.HAM}.get(request.path)
    if label is not None:
        _check_password(request, password)
    raw = await _message(client, request)
    try:
        if label is None:
            return http_json(_verdict(raw, await client.judged(raw, _user(request))), keep=keep)
        changed = await client.labelled(raw, _user(request), label)
    except UnfitRequestError as error:
        raise HttpError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    except JudgingError as error:
        raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
    if changed:
        return http_json({"success": True}, keep=keep)
    known = {"success": True, "error": f"the message has been already learned as {label}, ignore it"}
    return http_json(known, keep=keep, status=HTTPStatus.ALREADY_REPORTED)


def _check_password(request: HttpRequest, password: bytes | None) -> None:
    if password is None:
        raise HttpError(HTTPStatus.FORBIDDEN, "learning is not enabled, set [http] password_file")
    given = hashlib.sha256(request.value("password")).digest()
    if not hmac.compare_digest(given, hashlib.sha256(password).digest()):
        raise HttpError(HTTPStatus.UNAUTHORIZED, "Unauthorized")


async def _message(client: ClientConnection, request: HttpRequest) -> bytes:
    """Return the message in a request. Raises HttpError if the message is elsewhere or is encoded."""
    if any(request.values(name) for name in _FILES):
        raise HttpError(
            HTTPStatus.FORBIDDEN, "the headers File, Path and Shm are not honoured, send the message itself"
        )
    if any(request.values(name) for name in _CODED):
        sentence = "compressed and encrypted requests are not supported"
        raise HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, sentence)
    if request.query:
        raise HttpError(HTTPStatus.BAD_REQUEST, "parameters in the URL are not supported, use headers")
    raw = await read_body(client, request)
    if not raw:
        raise HttpError(HTTPStatus.BAD_REQUEST, "Empty body is not permitted")
    return raw


def _user(request: HttpRequest) -> str:
    """Return the name of the user whose labels apply, as rspamd chooses the user of its statistics.

    It is the address in `Deliver-To`, else the only recipient. `User` is the sender who logged in at a mail server, so
    it counts only if there are no recipients, as in scripts.
    """
    named = request.words("deliver-to") or request.words("rcpt") or [request.value("user")]
    names = {name.removeprefix(b"<").removesuffix(b">") for name in named}
    return names.pop().decode("utf-8", "replace") if len(names) == 1 else ""


def _verdict(raw: bytes, judged: JudgedMail) -> dict[str, Any]:
    """Return the answer to `/checkv2`. The headers under `milter` are those that we write into Maildirs."""
    judgement, threshold = judged.judgement, judged.spam_threshold
    shown, name = points(judgement, spam_threshold=threshold), symbol(judgement)
    found = _MESSAGE_ID.search(raw, 0, min(end_of_head(raw), _MOST_HEAD))
    return {
        "is_skipped": False,
        "score": shown,
        "required_score": REQUIRED,
        "action": "add header" if judgement.verdict is Verdict.SPAM else "no action",
        "symbols": {
            name: {
                "name": name,
                "score": shown,
                "metric_score": shown,
                "description": "the reason of the verdict",
                "options": [str(judgement.verdict)],
            }
        },
        "messages": {},
        **({"message-id": found[1].decode("ascii")} if found else {}),
        "milter": {
            "remove_headers": dict.fromkeys(REMOVED, 0),
            "add_headers": dict(headers(judgement, version=__version__, spam_threshold=threshold)),
        },
    }


def _status(client: ClientConnection, request: HttpRequest, *, keep: bool) -> bytes:
    """Return the answer to `/ping` or `/stat`."""
    head_only = request.method == "HEAD"
    if request.path == "/ping":
        return http_text(b"pong\r\n", keep=keep, head_only=head_only)
    counts = client.counts
    spam, scanned = counts.judged[Verdict.SPAM], counts.judged.total()
    numbers = {
        "version": __version__,
        "scanned": scanned,
        "spam_count": spam,
        "ham_count": scanned - spam,
        "actions": {"add header": spam, "no action": scanned - spam},
        "learned": counts.labelled,
        "total_learns": counts.labelled,
        "connections": counts.connections,
    }
    return http_json(numbers, keep=keep, head_only=head_only)
