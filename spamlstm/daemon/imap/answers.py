"""The answers of an IMAP server: checked numbers of folders, messages and flags, and errors with a sentence.

Sentences never contain text of the server, which may quote addresses.
"""

import contextlib
import imaplib
import re
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

from spamlstm.daemon.imap.allowance import ExcessError, PatienceError
from spamlstm.errors import reason_of

FILED_KEYWORD, RETURNED_KEYWORD = "SpamlstmFiled", "SpamlstmReturned"
"""The keywords by which several daemons of one account distinguish their moves from moves of the user. A message gets
the first keyword before it is moved to junk. When the message is back, the second keyword replaces the first."""

MOST_UID = (1 << 32) - 1
MOST_MODSEQ = (1 << 63) - 1
# The largest number of UIDs in the code of an answer. Ranges take few bytes for many UIDs.
_MOST_UIDS = 1000
_CODE = re.compile(r"\[([A-Z][A-Z0-9-]{2,40})[\] ]")


class AccountUnavailableError(Exception):
    """The server cannot be used now. The message is a sentence. The connection must be closed."""


class LoginRefusedError(AccountUnavailableError):
    """The server refused the password or the token."""


class SlowServerError(AccountUnavailableError):
    """The server answered each command in time, but all of them too slowly."""


class CommandRefusedError(AccountUnavailableError):
    """The server refused one command. The connection can still be used."""


class RemoteFlag(IntFlag):
    """The flags of a message that matter for learning, and what changed since its copies were last compared."""

    NONE = 0
    ANSWERED = 1
    SEEN = 2
    DELETED = 4
    """The message is treated as removed. Clients set this flag after they copied the message to another folder."""
    REPLIED = 8
    """The flag ANSWERED was set since the last comparison."""
    GONE = 16
    """The message left the folder since the last comparison."""
    TOGGLED = 32
    """The flag DELETED changed since the last comparison."""
    OPENED = 64
    """The flag SEEN was set since the last comparison."""
    FILED = 128
    """The message came with the keyword FILED_KEYWORD."""
    RETURNED = 256
    """The message came with the keyword RETURNED_KEYWORD."""


UNCOMPARED = RemoteFlag.REPLIED | RemoteFlag.TOGGLED | RemoteFlag.OPENED | RemoteFlag.FILED | RemoteFlag.RETURNED
"""What is kept about a message until its copies are compared."""


def was_deleted(flags: RemoteFlag) -> bool:
    """Return whether a message was flagged as deleted when its copies were last compared."""
    return bool(flags & RemoteFlag.DELETED) != bool(flags & RemoteFlag.TOGGLED)


@dataclass(frozen=True, slots=True)
class ListedFolder:
    """A folder in the list of the server, with its flags in lower case."""

    name: str
    delimiter: str
    flags: frozenset[str]
    is_foreign: bool = False
    """Whether it is a folder of another user or of a group, by the namespaces of the server (RFC 2342)."""


@dataclass(frozen=True, slots=True)
class ReadState:
    """The state in which messages were read."""

    modseq: int = 0
    """The largest modseq of the messages, or 0 without CONDSTORE."""
    filed: frozenset[int] = frozenset()
    """The UIDs of the messages with FILED_KEYWORD."""


@dataclass(frozen=True, slots=True)
class FolderNumbers:
    """The numbers of a folder. `modseq` grows with each change, and is 0 if the server does not support it.

    UIDs of messages are valid while `validity` is unchanged. `next_uid` is larger than all UIDs.
    """

    validity: int
    next_uid: int
    messages: int = 0
    unseen: int = 0
    modseq: int = 0
    has_keywords: bool = False
    """Whether clients can set any keyword."""


@dataclass(frozen=True, slots=True)
class ListedMessage:
    """A message in a folder. `date` is when the server received it, in seconds since 1970."""

    uid: int
    flags: RemoteFlag
    size: int
    date: int
    letters: str = ""
    """All system flags, as letters of a Maildir name."""


_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
"""The reasons of OpenSSL (older and newer) when the server answers without TLS."""


@contextlib.contextmanager
def explained(where: str, *, command: str = "a command") -> Iterator[None]:
    """Replace errors of the connection and of the protocol by errors with a sentence.

    `command` says what a server refused that does not carry out the command, such as `to open INBOX`.
    """
    try:
        yield
    except AccountUnavailableError:
        raise
    except imaplib.IMAP4.abort as error:
        raise AccountUnavailableError(
            f"{where} closed the connection or broke the protocol{response_code(error)}"
        ) from error
    except imaplib.IMAP4.error as error:
        raise CommandRefusedError(f"{where} refused {command}{response_code(error)}") from error
    except ssl.SSLCertVerificationError as error:
        raise AccountUnavailableError(f"the certificate of {where} is not valid ({error.verify_message})") from error
    except ExcessError as error:
        raise AccountUnavailableError(f"{where} sends too much for one command") from error
    except PatienceError as error:
        raise SlowServerError(f"{where} takes too long for its answers, so the work was interrupted") from error
    except TimeoutError as error:
        raise AccountUnavailableError(f"{where} does not answer in time") from error
    except OSError as error:
        plain = isinstance(error, ssl.SSLError) and error.reason in _NOT_TLS
        why = "the server does not speak TLS there; check port and tls" if plain else reason_of(error)
        raise AccountUnavailableError(f"there is no connection to {where} ({why})") from error
    except MemoryError as error:
        raise AccountUnavailableError(f"there is not enough memory for an answer of {where}") from error
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        AssertionError,
        RecursionError,
        OverflowError,
    ) as error:
        # The answers of a server that breaks the protocol can fail anywhere in the libraries that read them.
        raise AccountUnavailableError(f"{where} sent an answer that cannot be read") from error


def response_code(error: Exception) -> str:
    """Return the code of a refusal in brackets, such as ` (OVERQUOTA)`, or an empty string."""
    found = _CODE.search(str(error))
    return f" ({found[1]})" if found else ""


def numbers_from(found: dict[bytes, Any]) -> FolderNumbers:
    """Return the numbers of a folder from an answer of imapclient. Raises ValueError if one is not valid.

    Raises CommandRefusedError if the folder has no UIDVALIDITY or the UIDVALIDITY 0. By RFC 3501 and RFC 9051, such a
    server has no UIDs. A server that does not keep its UIDs has another UIDVALIDITY in each session.
    """
    validity = whole_number(found.get(b"UIDVALIDITY", 0))
    if not validity:
        raise CommandRefusedError("the server cannot identify messages (it has no UIDVALIDITY), so it cannot be used")
    kept = set(found.get(b"PERMANENTFLAGS", ()))
    return FolderNumbers(
        validity,
        whole_number(found.get(b"UIDNEXT", 0)),
        whole_number(found.get(b"MESSAGES", found.get(b"EXISTS", 0))),
        whole_number(found.get(b"UNSEEN", 0) if b"MESSAGES" in found else 0),
        _modseq(found.get(b"HIGHESTMODSEQ", 0)),
        rb"\*" in kept,
    )


def whole_number(value: Any, *, most: int = MOST_UID) -> int:
    """Return a number from 0 to `most`. Raises ValueError for other values."""
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError("not a number")
    return value


def uid_from(value: Any) -> int:
    """Return a UID. Raises ValueError if the value is not a UID."""
    if not whole_number(value):
        raise ValueError("not a UID")
    return int(value)


def letters_from_items(items: dict[bytes, Any]) -> str:
    """Return the system flags of a message from an answer to FETCH, as letters of a Maildir name."""
    known = {rb"\draft": "D", rb"\flagged": "F", rb"\answered": "R", rb"\seen": "S", rb"\deleted": "T"}
    return "".join(sorted(known[word] for word in known.keys() & _words(items)))


def _words(items: dict[bytes, Any]) -> set[bytes]:
    # A hostile server may send numbers; bytes(number) would take that much memory.
    return {one.lower() for one in items.get(b"FLAGS") or () if isinstance(one, bytes)}


def flags_from_items(items: dict[bytes, Any]) -> RemoteFlag:
    """Return the flags of a message from an answer to FETCH."""
    words = _words(items)
    known = ((rb"\answered", RemoteFlag.ANSWERED), (rb"\seen", RemoteFlag.SEEN), (rb"\deleted", RemoteFlag.DELETED))
    found = RemoteFlag.NONE
    for word, flag in known:
        found |= flag if word in words else RemoteFlag.NONE
    return found


def marks_from_items(items: dict[bytes, Any]) -> RemoteFlag:
    """Return FILED and RETURNED, if the message has these keywords, from an answer to FETCH."""
    words = _words(items)
    filed = RemoteFlag.FILED if FILED_KEYWORD.lower().encode() in words else RemoteFlag.NONE
    return filed | (RemoteFlag.RETURNED if RETURNED_KEYWORD.lower().encode() in words else RemoteFlag.NONE)


def modseq_from(items: dict[bytes, Any]) -> int:
    """Return the modseq of a message from an answer to FETCH, or 0. Raises ValueError if it is not valid."""
    (modseq,) = items.get(b"MODSEQ", (0,))
    return _modseq(modseq)


def _modseq(value: Any) -> int:
    # Some servers send -1 for a modseq that they do not know.
    return 0 if value in (-1, b"-1") else whole_number(value, most=MOST_MODSEQ)


def copied_uids(codes: Sequence[bytes], *, validity: int) -> dict[int, int]:
    """Return the new UIDs by the old ones, from the codes `COPYUID validity old new`. Each set has the same order.

    Codes with another UIDVALIDITY than `validity`, or without UIDs as those of Outlook.com, are left out. Raises
    ValueError if they are not valid or too large.
    """
    found: dict[int, int] = {}
    for code in codes:
        number, *sets = code.decode("ascii").split() or ("0",)
        if len(sets) == 2 and int(number) == validity:
            before, after = sets
            found.update(zip(uid_set(before), uid_set(after), strict=True))
        if len(found) > _MOST_UIDS:
            raise ValueError("too many UIDs")
    return found


def limit_from(codes: Sequence[bytes]) -> int:
    """Return the smallest UID that a server looked at, from the code `MESSAGELIMIT number UID`, or 0 (RFC 9738)."""
    found = codes[-1].decode("ascii").split() if codes else []
    return uid_from(int(found[1])) if len(found) == 2 else 0


def uid_set(text: str) -> list[int]:
    """Return the UIDs of a set such as `3,7:9`. Raises ValueError if it is not valid or too large."""
    found: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition(":")
        ends = sorted((uid_from(int(low)), uid_from(int(high or low))))
        if len(found) + ends[1] - ends[0] >= _MOST_UIDS:
            raise ValueError("too many UIDs")
        found += range(ends[0], ends[1] + 1)
    return found
