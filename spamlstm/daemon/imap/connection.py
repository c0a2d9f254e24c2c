"""A connection to an IMAP server: folders and messages. Messages are never marked as read."""

import contextlib
import imaplib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

from spamlstm.config import ImapConfig
from spamlstm.daemon.imap.allowance import Allowance
from spamlstm.daemon.imap.answers import (
    AccountUnavailableError,
    CommandRefusedError,
    FolderNumbers,
    ListedFolder,
    ListedMessage,
    ReadState,
    RemoteFlag,
    copied_uids,
    explained,
    flags_from_items,
    letters_from_items,
    limit_from,
    marks_from_items,
    modseq_from,
    numbers_from,
    uid_from,
    uid_set,
    whole_number,
)
from spamlstm.daemon.imap.exchange import ImapExchange, responses
from spamlstm.daemon.imap.login import logged_in

MOST_NAME = 1000
"""The largest number of characters of a folder's name."""
MOST_LISTED = 5000
"""The largest number of folders that are read from a list."""
MOST_FOUND = 2_000_000
"""The largest number of messages of a folder. Their UIDs take about 150 MB of memory."""
MOST_HEAD = 64 << 10
"""The largest number of bytes of headers that are read without the message."""
# The number of messages in one FETCH, and of message numbers (UIDs) in one SEARCH, whose answer is one line.
_CHUNK = 500
_SEARCH = 50_000
_MOST_SEARCHES = 1000


class ImapConnection(ImapExchange):
    """A connection that is logged in, with the commands for folders and messages. Only one thread may use it.

    All methods raise AccountUnavailableError if the connection is lost or the server breaks the protocol, and
    CommandRefusedError if the server refuses the command.
    """

    def __init__(self, client: Any, allowance: Allowance) -> None:
        super().__init__(client, allowance)
        self._selected: tuple[str, bool] | None = None
        self._numbers = FolderNumbers(0, 0)
        self.last_read = ReadState()
        """The state of the messages that `bodies` returned last."""
        self.can_move = client.has_capability("MOVE")
        self.can_expunge = client.has_capability("UIDPLUS")
        self.can_idle = bool(client.has_capability("IDLE"))
        self.has_modseq = client.has_capability("CONDSTORE") or client.has_capability("QRESYNC")

    @classmethod
    def open(cls, account: ImapConfig, secret: str) -> Self:
        """Connect and log in with the password or token `secret`.

        Raises AccountUnavailableError if there is no connection, LoginRefusedError if the server refuses the secret.
        """
        allowance = Allowance()
        with explained(f"{account.host} port {account.tcp_port}"):
            client = logged_in(account, secret, allowance)
        return cls(client, allowance)

    # --- folders ----------------------------------------------------------------------------------------------------

    def folders(self) -> list[ListedFolder]:
        """Return the folders of the account, at most MOST_LISTED, without those whose names cannot be read."""
        foreign = self._foreign()
        with self._command():
            more = ["RETURN (SPECIAL-USE)"] if self._has("SPECIAL-USE") and self._has("LIST-EXTENDED") else []
            status, data = self._imap._simple_command("LIST", '""', '"*"', *more)  # noqa: SLF001
            self._client._checkok("LIST", status, data)  # noqa: SLF001
            _, data = self._imap._untagged_response(status, data, "LIST")  # noqa: SLF001
            return [one for parts in responses(data[:MOST_LISTED]) if (one := _folder(parts, foreign)) is not None]

    def _foreign(self) -> tuple[str, ...]:
        """Return the beginnings of the names of folders that belong to other users or to groups."""
        with contextlib.suppress(CommandRefusedError), self._command():
            if self._has("NAMESPACE"):
                return tuple(_foreign_prefixes(self._client._command_and_check("NAMESPACE")))  # noqa: SLF001
        return ()

    def create(self, name: str, *, use: str = "") -> None:
        """Create and subscribe to a folder. `use` is its special use, such as `Junk` with a backslash."""
        with self._command(command=f"to create {name}"):
            quoted = self._client._normalise_folder(name)  # noqa: SLF001
            more = [f"(USE ({use}))"] if use and self._has("CREATE-SPECIAL-USE") else []
            status, data = self._imap._simple_command("CREATE", quoted, *more)  # noqa: SLF001
            self._client._checkok("CREATE", status, data)  # noqa: SLF001
        with self._command(), contextlib.suppress(imaplib.IMAP4.error):
            self._client.subscribe_folder(name)

    def numbers(self, name: str) -> FolderNumbers:
        """Return the numbers of a folder that is not selected."""
        wanted = ["MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN", *(["HIGHESTMODSEQ"] if self.has_modseq else [])]
        with self._command():
            return numbers_from(self._client.folder_status(name, wanted))

    def select(self, name: str, *, readonly: bool) -> FolderNumbers:
        """Select a folder if it is not selected, and return its numbers at the time of its selection."""
        if self._selected != (name, readonly):
            with self._command(command=f"to open {name}"):
                self._selected = None
                self._numbers = numbers_from(self._client.select_folder(name, readonly=readonly))
                self._selected = name, readonly
            self.take_events()
            self._is_new = True
        return self._numbers

    def is_selected(self, name: str) -> bool:
        """Return whether a folder is selected."""
        return self._selected is not None and self._selected[0] == name

    # --- messages of the selected folder ----------------------------------------------------------------------------

    def existing(self, first: int, last: int, *, unseen: bool = False) -> set[int]:
        """Return the UIDs of the messages from `first` on. `last` is about the largest UID.

        With `unseen`, only unread messages are returned.
        """
        found: set[int] = set()
        low, high = max(1, first), 0
        for _ in range(_MOST_SEARCHES):
            end = low + _SEARCH > last
            high = high or (0 if end else low + _SEARCH - 1)
            with self._command():
                query = ["UID", f"{low}:{high or '*'}", *(["UNSEEN"] if unseen else [])]
                self._imap.untagged_responses.pop("MESSAGELIMIT", None)
                # A server may answer with more than the asked range.
                found.update(uid for one in self._client.search(query) if (uid := uid_from(one)) >= low)
                rest = limit_from(self._imap.untagged_responses.pop("MESSAGELIMIT", None) or [])
            if len(found) > MOST_FOUND:
                raise AccountUnavailableError(f"the server has a folder with more than {MOST_FOUND:,} messages")
            if rest > low:  # the server looked only at the newest messages, from this UID on
                high = rest - 1
                continue
            if end:
                return found
            low, high = low + _SEARCH, 0
        raise AccountUnavailableError("the server has UIDs that are too far apart")

    def details(self, uids: Iterable[int]) -> dict[int, ListedMessage]:
        """Return flags, keywords of this program, size and date of messages by UID, without those that are gone."""
        return self._listed(uids, "(UID FLAGS RFC822.SIZE INTERNALDATE)")

    def flags(self, uids: Iterable[int]) -> dict[int, RemoteFlag]:
        """Return the flags of messages by UID."""
        found: dict[int, RemoteFlag] = {}
        for ordered in _chunks(sorted(uids)):
            with self._fetched(_joined(ordered), "(UID FLAGS)", key=b"FLAGS") as answer:
                found |= {uid: flags_from_items(items) for uid, items in answer.items()}
        return found

    def changed_flags(self, first: int, *, since: int) -> tuple[dict[int, RemoteFlag], int]:
        """Return the flags of the messages from UID `first` on that changed after the modseq `since`, by UID.

        Also returns the largest modseq of these messages, or `since`.
        """
        with self._fetched(f"{first}:*", "(UID FLAGS)", f"(CHANGEDSINCE {since})", key=b"FLAGS") as answer:
            found = {uid: flags_from_items(items) for uid, items in answer.items()}
            return found, max((since, *map(modseq_from, answer.values())))

    def bodies(self, sizes: dict[int, int]) -> dict[int, bytes]:
        """Return whole messages by UID, without those that are gone. `sizes` has their sizes by UID.

        A server that sends much more than it announced is disconnected.
        """
        self.last_read = ReadState()
        if not sizes:
            return {}
        items = "(UID FLAGS BODY.PEEK[] MODSEQ)" if self.has_modseq else "(UID BODY.PEEK[])"
        with self._fetched(_joined(sizes), items, key=b"BODY[]", expected=sum(sizes.values())) as answer:
            read = {uid: one for uid, one in answer.items() if uid in sizes and isinstance(one.get(b"BODY[]"), bytes)}
            filed = frozenset(uid for uid, one in read.items() if marks_from_items(one) & RemoteFlag.FILED)
            self.last_read = ReadState(max(map(modseq_from, read.values()), default=0), filed)
            return {uid: one[b"BODY[]"] for uid, one in read.items()}

    def heads(self, uids: Iterable[int]) -> dict[int, bytes]:
        """Return the headers of messages by UID, at most MOST_HEAD bytes each, without messages that are gone."""
        wanted, key = sorted(uids), b"BODY[HEADER]<0>"
        if not wanted:
            return {}
        items = f"(UID BODY.PEEK[HEADER]<0.{MOST_HEAD}>)"
        with self._fetched(_joined(wanted), items, key=key, expected=MOST_HEAD * len(wanted)) as answer:
            return {uid: one[key] for uid, one in answer.items() if isinstance(one.get(key), bytes)}

    def set_keywords(self, uids: Iterable[int], *words: str, remove: Sequence[str] = ()) -> None:
        """Remove the keywords `remove`, and set the keywords `words`."""
        ordered = sorted(uids)
        self.remove_keywords(ordered, *remove)
        with self._command():
            self._change("STORE", _joined(ordered), "+FLAGS.SILENT", _listed_words(words), ours=ordered)

    def remove_keywords(self, uids: Iterable[int], *words: str) -> None:
        """Remove keywords from messages."""
        ordered = sorted(uids)
        if words:
            with self._command():
                self._change("STORE", _joined(ordered), "-FLAGS.SILENT", _listed_words(words), ours=ordered)

    def claim(self, uids: Iterable[int], *words: str, read: ReadState) -> set[int]:
        """Set keywords on messages that no other client has changed since they were read. Return their UIDs.

        Two programs that filter one account could otherwise move a message at the same time, which doubles it. Without
        CONDSTORE, the keywords are set on all messages.
        """
        wanted = set(uids)
        if not read.modseq:
            self.set_keywords(wanted, *words)
            return wanted
        # Setting a keyword that is already set changes nothing, so it would not keep another client away.
        cleared = self._store_if_unchanged(wanted & read.filed, "-FLAGS.SILENT", words, read.modseq)
        if cleared:
            self.set_keywords(cleared, *words)
        return cleared | self._store_if_unchanged(wanted - read.filed, "+FLAGS.SILENT", words, read.modseq)

    def _store_if_unchanged(self, uids: set[int], change: str, words: Sequence[str], modseq: int) -> set[int]:
        """Change flags of messages that no other client has changed since `modseq`. Return their UIDs."""
        if not uids:
            return set()
        with self._command():
            self._imap.untagged_responses.pop("MODIFIED", None)
            condition = f"(UNCHANGEDSINCE {modseq})"
            self._change("STORE", _joined(sorted(uids)), condition, change, _listed_words(words), ours=uids)
            changed = self._imap.untagged_responses.pop("MODIFIED", None) or []
            return uids.difference(uid_set(b",".join(changed).decode("ascii")) if changed else ())

    def move(self, uids: Iterable[int], target: str, *, validity: int) -> dict[int, int]:
        """Move messages to the folder `target`. Return their new UIDs by old UID, if the server reports them.

        New UIDs that are not valid under the UIDVALIDITY `validity` are left out.
        """
        ordered = sorted(uids)
        with self._command(command=f"to move mail to {target}"):
            self._imap.untagged_responses.pop("COPYUID", None)
            quoted = self._client._normalise_folder(target)  # noqa: SLF001
            self._change("MOVE" if self.can_move else "COPY", _joined(ordered), quoted)
            moved = copied_uids(self._imap.untagged_responses.pop("COPYUID", None) or [], validity=validity)
            # A change by this program is not a change by others.
            if len(self._imap.untagged_responses.get("EXPUNGE", ())) <= len(ordered):
                self._imap.untagged_responses.pop("EXPUNGE", None)
        if not self.can_move:
            self.remove(ordered)
        return moved

    def remove(self, uids: Iterable[int]) -> None:
        """Remove messages, and no others, from the selected folder. Without UIDPLUS, they are flagged as deleted."""
        ordered = sorted(uids)
        with self._command():
            self._change("STORE", _joined(ordered), "+FLAGS.SILENT", r"(\Deleted)", ours=ordered)
        if self.can_expunge:
            with self._command():
                self._change("EXPUNGE", _joined(ordered))

    def check(self) -> None:
        """Ask the server for changes of the selected folder."""
        with self._command():
            # imapclient's own method fails at lines that it cannot parse, and waits for an answer after BYE.
            status, data = self._imap.noop()
            self._client._checkok("NOOP", status, data)  # noqa: SLF001

    def _listed(self, uids: Iterable[int], items: str) -> dict[int, ListedMessage]:
        found = {}
        for ordered in _chunks(sorted(uids)):
            with self._fetched(_joined(ordered), items, key=b"RFC822.SIZE") as answer:
                for uid, one in answer.items():
                    # Servers send no size or no valid date of some damaged messages.
                    size, received = whole_number(one[b"RFC822.SIZE"] or 0), one.get(b"INTERNALDATE")
                    date = int(received.timestamp()) if received else 0
                    flags = flags_from_items(one) | marks_from_items(one)
                    found[uid] = ListedMessage(uid, flags, size, date, letters_from_items(one))
        return found


def _foreign_prefixes(data: Sequence[Any]) -> Iterator[str]:
    """Yield the prefixes of other users and groups in a response to NAMESPACE, as far as it can be read.

    imapclient cannot read the extensions that RFC 2342 permits, such as a translated prefix (RFC 5255).
    """
    from imapclient.response_parser import parse_response

    with contextlib.suppress(ValueError, TypeError, imaplib.IMAP4.error):
        _, *foreign = parse_response(data)
        for raw, delimiter, *_ in (space for spaces in foreign for space in spaces or ()):
            end = delimiter.decode("ascii", "replace") if isinstance(delimiter, bytes) else ""
            if (prefix := _folder_name(raw)) is not None:
                yield prefix.removesuffix(end) + end


def _folder(parts: list[Any], foreign: tuple[str, ...]) -> ListedFolder | None:
    """Return the folder of one response to LIST, or None if it cannot be read.

    More data may follow the name, such as the former name. A name of several words that is not quoted is not read.
    """
    from imapclient.response_parser import parse_response

    with contextlib.suppress(ValueError, imaplib.IMAP4.error):
        flags, delimiter, raw, *more = parse_response(parts)
        name = _folder_name(raw)
        if name is not None and all(isinstance(one, tuple) for one in more):
            lower = frozenset(flag.decode("ascii", "replace").lower() for flag in flags)
            shown = (delimiter or b"/").decode("ascii", "replace")
            return ListedFolder(name, shown, lower, is_foreign=name.startswith(foreign))
    return None


def _folder_name(raw: Any) -> str | None:
    """Return the name of a folder in a list, or None if it is too long or cannot be written as the server wrote it."""
    from imapclient.imap_utf7 import decode, encode

    if isinstance(raw, int):
        raw = str(raw).encode()  # imapclient returns a name that looks like a number as a number
    if not isinstance(raw, bytes):
        return None
    try:
        name: str = decode(raw)
        return name if 0 < len(name) <= MOST_NAME and encode(name) == raw else None
    except ValueError:
        return None


def _listed_words(words: Iterable[str]) -> str:
    return f"({' '.join(words)})"


def _joined(uids: Iterable[int]) -> str:
    return ",".join(map(str, uids))


def _chunks(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (uids[at : at + _CHUNK] for at in range(0, len(uids), _CHUNK))
