"""Commands to an IMAP server and its answers, with limits for what the server may send."""

import contextlib
import select
import socket
from collections.abc import Container, Iterator, Sequence
from typing import Any

from spamlstm.daemon.imap.allowance import Allowance
from spamlstm.daemon.imap.answers import CommandRefusedError, explained, uid_from

NEW, FLAGS = "EXISTS", "FETCH"
LEFT = frozenset(("EXPUNGE", "VANISHED"))
"""The kinds of changes that messages arrived, changed their flags, or left the folder."""
_EVENTS = (NEW, FLAGS, *sorted(LEFT))
SELECTED = "SELECTED"
"""The kind of change that a folder was selected, so that its other changes are not known."""
# imaplib looks for READ-ONLY before each command.
_KEPT = (*_EVENTS, "READ-ONLY")
_MARKER = b"1 ()"
"""What is kept of responses about changes of flags."""


class ImapExchange:
    """Commands of a client of imapclient that is logged in. Only one thread may use it, except `shut`.

    All methods raise AccountUnavailableError if the connection is lost or the server breaks the protocol, and
    CommandRefusedError if the server refuses the command.
    """

    def __init__(self, client: Any, allowance: Allowance) -> None:
        self._client = client
        self._imap = client._imap  # noqa: SLF001  imapclient has no limits and no IDLE that can be woken
        self._allowance = allowance
        self._is_new = False  # whether a folder was selected since the last call of `take_events`

    def close(self) -> None:
        """Close the connection without waiting for the server."""
        with contextlib.suppress(Exception):
            self._client.shutdown()

    def shut(self) -> None:
        """Shut the connection. A command of another thread ends with an error."""
        with contextlib.suppress(OSError):
            self._imap.socket().shutdown(socket.SHUT_RDWR)

    def take_events(self) -> set[str]:
        """Return the kinds of changes since the last call: those that the server reported, and SELECTED."""
        untagged = self._imap.untagged_responses
        found = {name for name in _EVENTS if untagged.pop(name, None)} | ({SELECTED} if self._is_new else set())
        self._is_new = False
        return found

    @property
    def has_events(self) -> bool:
        """Return whether the server has reported a change that `take_events` has not returned yet."""
        return any(name in self._imap.untagged_responses for name in _EVENTS)

    def idle(self, seconds: float, wake: int) -> None:
        """Wait until the selected folder changes, the descriptor `wake` is readable, or `seconds` are over."""
        with self._command():
            tag = self._imap._command("IDLE")  # noqa: SLF001
            while self._imap._get_response() is not None:  # noqa: SLF001
                if self._imap.tagged_commands[tag]:
                    raise CommandRefusedError("the server refused IDLE")
        if not self.has_events:
            self.wait(seconds, wake)
        with self._command():
            self._imap.send(b"DONE\r\n")
            while not self._imap.tagged_commands[tag]:
                self._imap._get_response()  # noqa: SLF001
            status, data = self._imap.tagged_commands.pop(tag)
            self._client._checkok("IDLE", status, data)  # noqa: SLF001

    def wait(self, seconds: float, wake: int) -> None:
        """Wait until the server sends or closes, the descriptor `wake` is readable, or `seconds` are over."""
        self._allowance.pause()
        if not self._imap.has_received():
            poll = select.poll()
            poll.register(self._imap.socket(), select.POLLIN)
            poll.register(wake, select.POLLIN)
            poll.poll(1000 * seconds)

    def _has(self, capability: str) -> bool:
        return bool(self._client.has_capability(capability))

    @contextlib.contextmanager
    def _fetched(
        self, uids: str, items: str, *more: str, key: bytes, expected: int = 0
    ) -> Iterator[dict[int, dict[bytes, Any]]]:
        """Yield the answer to FETCH by UID. Errors of the block that reads the answer are errors of the server.

        Each response of the answer has the item `key`. Responses without this item report changes by other clients,
        which become events. If `key` is FLAGS, the answer itself is what an event would ask for.
        """
        with self._command(expected):
            if key == b"FLAGS":
                self._imap.untagged_responses.pop(FLAGS, None)
            status, data = self._imap.uid("FETCH", uids, items, *more)
            self._client._checkok("FETCH", status, data)  # noqa: SLF001
            found: dict[int, dict[bytes, Any]] = {}
            for response in _parsed(data):
                if b"UID" in response and key in response:
                    found.setdefault(uid_from(response[b"UID"]), {}).update(response)
                else:
                    self._keep_change()
            yield found

    def _change(self, command: str, *arguments: str, ours: Container[int] = ()) -> None:
        """Send a command that changes messages. Responses about changes by other clients become events.

        The server may tell that the messages with the UIDs `ours` have a new modseq.
        """
        data = self._client._command_and_check(command, *arguments, uid=True)  # noqa: SLF001
        for response in _parsed(data):
            if b"FLAGS" in response or response.get(b"UID") not in ours:
                self._keep_change()

    def _keep_change(self) -> None:
        """Let `take_events` return FLAGS. imaplib takes all responses about messages for the answer to a command."""
        self._imap.untagged_responses[FLAGS] = [_MARKER]

    @contextlib.contextmanager
    def _command(self, expected: int = 0, *, command: str = "a command") -> Iterator[None]:
        """Begin a command, and replace errors as `explained` does."""
        self._allowance.renew(expected)
        self._shorten_untagged()
        with explained("the server", command=command):
            yield

    def _shorten_untagged(self) -> None:
        """Discard what the server sent without being asked, except one entry for each kind of change.

        imaplib keeps such responses until they are used. Otherwise a server could fill the memory over many commands.
        """
        untagged = self._imap.untagged_responses
        for name in [name for name in untagged if name not in _KEPT]:
            del untagged[name]
        for name, responses in untagged.items():
            responses[:] = [_MARKER if name == FLAGS else responses[0]]


def _parsed(data: Sequence[Any]) -> Iterator[dict[bytes, Any]]:
    """Yield the items of each response about a message."""
    from imapclient.response_parser import parse_fetch_response

    for parts in responses(data):
        yield from parse_fetch_response(parts, False, False).values()  # noqa: FBT003


def responses(data: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield the parts of each response. A response ends with a part that is not a literal."""
    parts: list[Any] = []
    for one in data:
        parts.append(one)
        if isinstance(one, bytes):
            yield parts
            parts = []
    if parts and parts != [None]:
        raise ValueError("a response without an end")
