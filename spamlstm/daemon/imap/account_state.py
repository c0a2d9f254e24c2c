"""The records of an IMAP account (folders, messages, begun moves, labels), and functions that read them from rows.

The functions that read rows raise CellError if a cell has a value that this program never writes.
"""

from dataclasses import dataclass
from typing import Any

from spamlstm.config import Action
from spamlstm.daemon.imap.answers import MOST_MODSEQ, MOST_UID, RemoteFlag
from spamlstm.database import blob, moment, real, text, whole, word
from spamlstm.learning.label import Label
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.state import CopyStatus, Departure, Pending

_ALL_FLAGS = sum(RemoteFlag)

FOLDER_ROW = "folders.id, name, role, validity, next_uid, messages, unseen, modseq, visited"
"""The columns that a query must select for `account_folder_from`, in this order."""
COPY_ROW = "folder, uid, content, flags, status, since, size, date, attempts"
"""The columns that a query must select for `account_copy_from`, in this order."""
_HANDLED = "folder, target, validity, uid, content, size, date, word, message_id"
MOVE_ROW = f"id, {_HANDLED}, target_validity, target_next, undoes"
"""The columns of `move_row_of`, and those that a query must select for `begun_move_from`, in this order."""
ACT_ROW = f"id, {_HANDLED}, time"
"""The columns that a query must select for `account_act_from`, in this order."""


@dataclass(frozen=True, slots=True)
class AccountFolder:
    """A folder as it was at its last visit. All UIDs below `next_uid` were seen. `id` is its row number."""

    id: int
    name: str
    role: FolderRole
    validity: int
    next_uid: int
    messages: int = 0
    unseen: int = 0
    modseq: int = 0
    visited: float = 0.0
    """When the folder was last visited, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class AccountCopy:
    """A message in a folder, which is a copy of the message with the content id `content` (None if not read yet).

    A copy with the status ARRIVED and without content id is to be classified or read.
    """

    folder: int
    uid: int
    flags: RemoteFlag
    size: int
    date: int
    """When the server received the message, in seconds since 1970. A move keeps this date."""
    since: float
    """When the copy was first seen in its folder, in seconds since 1970."""
    content: str | None = None
    status: CopyStatus = CopyStatus.ARRIVED
    attempts: int = 0
    """How often this program began to classify the message and ended without a result."""


@dataclass(frozen=True, slots=True)
class HandledMessage:
    """A message that this program moves, has moved, or to which it added a keyword.

    Before the result of a move is recorded, it has the UID `uid` in `folder`, afterwards in `target`, while `validity`
    is valid.
    """

    folder: int
    """The row number of the folder in which the message was."""
    target: int
    """The row number of the folder to which the message is moved, or in which it is left."""
    validity: int
    uid: int
    content: str
    size: int
    date: int
    word: str = ""
    """The keyword that this program set, or ''."""
    message_id: bytes = b""
    """The hash of the Message-ID, or b""."""


@dataclass(frozen=True, slots=True)
class BegunMove:
    """A move of a message by this program, recorded before it is carried out."""

    mail: HandledMessage
    target_validity: int
    target_next: int
    """The UIDs of messages that are moved later are at least this number."""
    undoes: int = 0
    """The row number of the act that this move undoes, or 0."""
    id: int = 0


@dataclass(frozen=True, slots=True)
class AccountAct:
    """An act on a message: the keyword that this program set, and the folder to which it moved the message."""

    mail: HandledMessage
    time: float
    """When the act was recorded, in seconds since 1970."""
    id: int = 0

    @property
    def actions(self) -> tuple[Action, ...]:
        """The actions that were carried out."""
        found = [Action.KEYWORD] if self.mail.word else []
        return tuple(found + ([Action.FILE] if self.mail.target != self.mail.folder else []))


@dataclass(frozen=True, slots=True)
class UnstoredLabel:
    """A label of a message that is not yet in the label store."""

    content: str
    label: Label
    pending: Pending
    attempts: int = 0


def _number(cell: Any, column: str) -> int:
    return whole(cell, column, most=MOST_UID)


def account_folder_from(row: tuple[Any, ...]) -> AccountFolder:
    """Build the folder from a database row with the columns FOLDER_ROW."""
    number, name, role, validity, next_uid, messages, unseen, modseq, visited = row
    return AccountFolder(
        whole(number, "id"),
        blob(name, "name", most=8000).decode("utf-8", "surrogatepass"),
        word(role, "role", FolderRole),
        _number(validity, "validity"),
        whole(next_uid, "next_uid", most=MOST_UID + 1),
        _number(messages, "messages"),
        _number(unseen, "unseen"),
        whole(modseq, "modseq", most=MOST_MODSEQ),
        real(visited, "visited"),
    )


def account_copy_from(row: tuple[Any, ...]) -> AccountCopy:
    """Build the message from a database row with the columns COPY_ROW."""
    folder, uid, content, flags, status, since, size, date, attempts = row
    return AccountCopy(
        whole(folder, "folder"),
        _number(uid, "uid"),
        RemoteFlag(whole(flags, "flags", most=_ALL_FLAGS)),
        _number(size, "size"),
        whole(date, "date", least=-(1 << 62)),
        real(since, "since"),
        None if content is None else account_content_from((content,)),
        CopyStatus(whole(status, "status", most=4)),
        whole(attempts, "attempts"),
    )


def copy_row_of(one: AccountCopy) -> tuple[int | float | bytes | None, ...]:
    """Return the row of a message."""
    numbers = one.flags, one.status, one.since, one.size, one.date, one.attempts
    content = None if one.content is None else bytes.fromhex(one.content)
    return one.folder, one.uid, content, *numbers


def begun_move_from(row: tuple[Any, ...]) -> BegunMove:
    """Build the move from a database row with the columns MOVE_ROW."""
    number, *mail, target_validity, target_next, undoes = row
    return BegunMove(
        _handled_from(mail),
        _number(target_validity, "target_validity"),
        whole(target_next, "target_next", most=MOST_UID + 1),
        whole(undoes, "undoes"),
        whole(number, "id"),
    )


def move_row_of(one: BegunMove) -> tuple[int | str | bytes | None, ...]:
    """Return the columns MOVE_ROW of a move whose row number is not known yet."""
    return None, *_handled_row_of(one.mail), one.target_validity, one.target_next, one.undoes


def account_act_from(row: tuple[Any, ...]) -> AccountAct:
    """Build the act from a database row with the columns ACT_ROW."""
    number, *mail, time = row
    return AccountAct(_handled_from(mail), moment(time, "time"), whole(number, "id"))


def act_row_of(one: AccountAct) -> tuple[int | float | str | bytes | None, ...]:
    """Return the columns ACT_ROW of an act whose row number is not known yet."""
    return None, *_handled_row_of(one.mail), one.time


def _handled_from(cells: list[Any]) -> HandledMessage:
    folder, target, validity, uid, content, size, date, keyword, message_id = cells
    return HandledMessage(
        whole(folder, "folder"),
        whole(target, "target"),
        _number(validity, "validity"),
        _number(uid, "uid"),
        account_content_from((content,)),
        _number(size, "size"),
        whole(date, "date", least=-(1 << 62)),
        text(keyword, "word", most=100),
        blob(message_id, "message_id", most=16),
    )


def _handled_row_of(one: HandledMessage) -> tuple[int | str | bytes, ...]:
    place = one.folder, one.target, one.validity, one.uid
    return *place, bytes.fromhex(one.content), one.size, one.date, one.word, one.message_id


def account_content_from(row: tuple[Any, ...]) -> str:
    """Return the content id from a database row with the column content."""
    return blob(row[0], "content", most=16).hex()


def unstored_label_from(row: tuple[Any, ...]) -> UnstoredLabel:
    """Build the label from a database row with the columns content, label, pending and attempts."""
    content, label, pending, attempts = row
    return UnstoredLabel(
        account_content_from((content,)),
        word(label, "label", Label),
        Pending(whole(pending, "pending", most=2)),
        whole(attempts, "attempts"),
    )


def account_departure_from(row: tuple[Any, ...]) -> Departure:
    """Build the departure from a database row with the columns role, since and time."""
    role, since, time = row
    return Departure(word(role, "role", FolderRole), real(since, "since"), real(time, "time"))


def known_flags_from(row: tuple[Any, ...]) -> tuple[int, RemoteFlag]:
    """Return UID and flags from a database row with the columns uid and flags."""
    return _number(row[0], "uid"), RemoteFlag(whole(row[1], "flags", most=_ALL_FLAGS))


def bytes_of_name(name: str) -> bytes:
    """Return the name of a folder as it is stored."""
    return name.encode("utf-8", "surrogatepass")
