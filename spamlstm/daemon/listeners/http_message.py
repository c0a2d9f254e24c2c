"""HTTP/1.0 and HTTP/1.1 within bounds: reading a request, and writing an answer.

A request must be unambiguous. A request that two programs could read differently is refused: two lengths, a length
beside chunks, folded headers, line feeds alone, or control characters.
"""

import asyncio
import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.daemon.listeners.connection import ClientConnection, ConnectionRefusedByLimitError

MOST_LINE = 8192
MOST_HEADERS = 256
# The largest number of bytes of all headers, which are kept until the request is answered.
MOST_HEAD = 1 << 16
# The longest line with the size of a chunk.
MOST_CHUNK_LINE = 256
# After this number of chunks, other clients are served first. 500 chunks of one byte take 4 ms.
CHUNKS_AT_ONCE = 500
_REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) (/[!-~]*|\*) HTTP/([0-9])\.([0-9])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++):([^\0-\x08\x0a-\x1f\x7f]*+)")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*+(?>;[^\0-\x08\x0a-\x1f\x7f]*+)?+")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class HttpError(Exception):
    """A request that cannot be answered. The message is a sentence for the client, without text of the request."""

    def __init__(self, status: HTTPStatus, sentence: str, *, allow: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.allow = allow
        """For METHOD_NOT_ALLOWED, the methods that are allowed."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """The head of a request. The names of `headers` are in lower case, and a name may occur several times."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, bytes], ...]
    minor: int
    """The version of HTTP is 1.`minor`."""

    def values(self, name: str) -> list[bytes]:
        """Return the values of all headers with this name, which must be in lower case."""
        return [value for one, value in self.headers if one == name]

    def value(self, name: str) -> bytes:
        """Return the value of the first header with this name, or b'' if there is none."""
        return next(iter(self.values(name)), b"")

    def words(self, name: str) -> list[bytes]:
        """Return the words of a list, which may be divided between several headers, in lower case."""
        return [word.strip().lower() for value in self.values(name) for word in value.split(b",") if word.strip()]

    @property
    def keeps_connection(self) -> bool:
        """Return whether the client may send another request on the same connection."""
        words = self.words("connection")
        return b"close" not in words and (self.minor > 0 or b"keep-alive" in words)


async def read_request(client: ClientConnection) -> HttpRequest | None:
    """Return the head of the next request, or None if the client has closed its sending side before it.

    Raises HttpError if it is not the head of a request or has too many bytes.
    """
    line = await _line(client, MOST_LINE)
    if line == b"\r\n":  # some clients send a line end behind the body of their last request
        line = await _line(client, MOST_LINE)
    if not line:
        return None
    found = _REQUEST.fullmatch(_content(line))
    if found is None:
        raise HttpError(HTTPStatus.BAD_REQUEST, "this is not a request of HTTP/1.1")
    if found[3] != b"1" or found[4] > b"1":
        raise HttpError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "this version of HTTP is not supported")
    path, _, query = found[2].decode("ascii").partition("?")
    path = "/" + path.lstrip("/") if path != "*" else path
    return HttpRequest(found[1].decode("ascii"), path, query, await _headers(client), int(found[4]))


async def _line(client: ClientConnection, most: int) -> bytes:
    """Return the next line with its line end, or b'' if there is none. Raises HttpError if it is too long."""
    try:
        return await client.line(most) or b""
    except ConnectionRefusedByLimitError as error:
        raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, str(error)) from error


def _content(line: bytes) -> bytes:
    """Return a line without its line end. Raises HttpError if it has none, or a line feed alone.

    If the password of `rspamc -P FILE` ends with a line feed, the rest of the head would be mistaken for the message.
    """
    if line.endswith(b"\r\n"):
        return line[:-2]
    why = "a line ends without CR; is there a line end in a header, such as Password?"
    raise HttpError(HTTPStatus.BAD_REQUEST, why if line.endswith(b"\n") else "the request is incomplete")


async def _headers(client: ClientConnection) -> tuple[tuple[str, bytes], ...]:
    headers: list[tuple[str, bytes]] = []
    size = 0
    while line := _content(await _line(client, MOST_LINE)):
        size += len(line)
        found = _HEADER.fullmatch(line)
        if found is None:
            raise HttpError(HTTPStatus.BAD_REQUEST, "a header is not of the form 'Name: value'")
        headers.append((found[1].decode("ascii").lower(), found[2].strip(b" \t")))
        if len(headers) > MOST_HEADERS or size > MOST_HEAD:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "there are too many headers")
    return tuple(headers)


async def read_body(client: ClientConnection, request: HttpRequest) -> bytes:
    """Return the body of a request, which is empty if the request has neither a length nor chunks.

    Raises HttpError if the body is incomplete, ambiguous or too large.
    """
    lengths, codings = set(request.values("content-length")), request.words("transfer-encoding")
    if len(lengths) + bool(codings) > 1:
        raise HttpError(HTTPStatus.BAD_REQUEST, "the length of the body is ambiguous")
    if codings and (codings != [b"chunked"] or request.minor == 0):
        raise HttpError(HTTPStatus.NOT_IMPLEMENTED, "this Transfer-Encoding is not supported")
    length = lengths.pop() if lengths else b"0"
    if not length.isdigit():
        raise HttpError(HTTPStatus.BAD_REQUEST, "the Content-Length is not a number")
    if len(length) > 12 or int(length) > MOST_BYTES:
        raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {MOST_BYTES} bytes")
    if request.minor > 0 and b"100-continue" in request.words("expect") and not client.received:
        await client.send(_CONTINUE)
        client.is_receiving = True
    try:
        if codings:
            return await _chunks(client)
        if not await client.receive_whole(int(length)):
            raise HttpError(HTTPStatus.BAD_REQUEST, "the body is incomplete")
        return client.take(int(length))
    except ConnectionRefusedByLimitError as error:
        raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error


async def _chunks(client: ClientConnection) -> bytes:
    body = bytearray()
    number = 0
    while size := await _chunk_size(client):
        number += 1
        if number % CHUNKS_AT_ONCE == 0:
            await asyncio.sleep(0)
        if len(body) + size > MOST_BYTES:
            raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {MOST_BYTES} bytes")
        end = len(body) + size
        while len(body) < end:
            if not client.received and not await client.receive():
                raise HttpError(HTTPStatus.BAD_REQUEST, "the body is incomplete")
            body += client.take(min(end - len(body), len(client.received)))
            client.make_room(len(body))
        if _content(await _line(client, MOST_CHUNK_LINE)):
            raise HttpError(HTTPStatus.BAD_REQUEST, "a chunk is longer than its size")
    await _headers(client)  # trailers are ignored
    return bytes(body)


async def _chunk_size(client: ClientConnection) -> int:
    found = _CHUNK.fullmatch(_content(await _line(client, MOST_CHUNK_LINE)))
    if found is None:
        raise HttpError(HTTPStatus.BAD_REQUEST, "the size of a chunk is not a number")
    return int(found[1], 16)


def http_text(text: bytes, *, keep: bool, head_only: bool) -> bytes:
    """Return an answer with plain text. `head_only` leaves out the text."""
    return _answer(HTTPStatus.OK, text, kind="text/plain", keep=keep, head_only=head_only)


def http_json(
    value: dict[str, Any], *, keep: bool, head_only: bool = False, status: HTTPStatus = HTTPStatus.OK
) -> bytes:
    """Return an answer with a JSON object. `head_only` leaves out the object."""
    return _answer(status, _json(value), kind="application/json", keep=keep, head_only=head_only)


def http_failure(error: HttpError, *, head_only: bool) -> bytes:
    """Return the answer for an error, after which the connection is closed. Its form is that of rspamd.

    The sentence is also the phrase of the status line, because rspamc shows only the phrase.
    """
    body, phrase = _json({"error": str(error)}), str(error)
    return _answer(error.status, body, kind="application/json", head_only=head_only, phrase=phrase, allow=error.allow)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode("ascii")


def _answer(
    status: HTTPStatus,
    body: bytes,
    *,
    kind: str,
    keep: bool = False,
    head_only: bool = False,
    phrase: str = "",
    allow: str = "",
) -> bytes:
    lines = (
        f"HTTP/1.1 {status} {phrase or status.phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        *([f"Allow: {allow}"] if allow else []),
        f"Connection: {'keep-alive' if keep else 'close'}",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii") + (b"" if head_only else body)
