"""The protocol of `spamlstm filter`: one message in, the same message with our headers out.

The client sends one line and the message, and the listener answers with one line and the message:

    FILTER LENGTH FORM USER          OK VERDICT LENGTH
                                     OK VERDICT LENGTH PROBLEM
                                     ERROR SENTENCE

FORM is `headers` or `bogosity`. USER is percent-encoded, or `-` for no user. PROBLEM is a `UserProblem`: the word for
why USER had no effect. Nothing follows the message.
"""

from urllib.parse import unquote

from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.daemon.listeners.connection import ClientConnection, ConnectionRefusedByLimitError
from spamlstm.daemon.listeners.judging import JudgingError

MOST_LINE = 2048


class _BadRequestError(Exception):
    """A request that breaks the protocol."""


async def serve_filter(client: ClientConnection) -> None:
    """Answer one request of `spamlstm filter`."""
    try:
        answer = await _answer(client)
    except (JudgingError, ConnectionRefusedByLimitError) as error:
        client.counts.refused += 1
        answer = f"ERROR {error}\n".encode()
    except _BadRequestError:
        client.counts.refused += 1
        answer = b"ERROR this is not a request of spamlstm filter\n"
    await client.send(answer)


async def _answer(client: ClientConnection) -> bytes:
    words = (await client.line(MOST_LINE) or b"").split()
    if len(words) != 4 or words[0] != b"FILTER" or words[2] not in (b"headers", b"bogosity"):
        raise _BadRequestError
    _, length, form, user = words
    if not length.isdigit() or len(length) > 12:
        raise _BadRequestError
    if int(length) > MOST_BYTES:
        raise ConnectionRefusedByLimitError("the message is too large")
    if not await client.receive_whole(int(length)):
        raise _BadRequestError
    if len(client.received) > int(length):
        raise _BadRequestError
    raw = client.take(int(length))
    name = "" if user == b"-" else unquote(user.decode("ascii", "replace"), errors="replace")
    judged = await client.judged(raw, name, explains_user=True)
    tagged = await client.tagged(raw, judged, bogosity=form == b"bogosity")
    problem = f" {judged.user_problem}" if judged.user_problem else ""
    return f"OK {judged.judgement.verdict} {len(tagged)}{problem}\n".encode("ascii") + tagged
