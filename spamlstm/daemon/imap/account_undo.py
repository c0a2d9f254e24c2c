"""Undoing acts on an IMAP account: messages return to their former folders, without our keywords.

`spamlstm undo` does this while no daemon runs: it holds the lock of the state folder, has a connection of its own, and
uses the records of the daemon. A move back is recorded before it is carried out, as a move that undoes an act, and
`MoveRecovery` finds out its result, also after a crash at the next start of the daemon. So a message is neither lost,
doubled nor classified again, and the move is not mistaken for a move by the user.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from spamlstm.daemon.imap.account_session import AccountSession
from spamlstm.daemon.imap.account_state import AccountAct, AccountFolder, BegunMove
from spamlstm.daemon.imap.answers import (
    FILED_KEYWORD,
    RETURNED_KEYWORD,
    CommandRefusedError,
    ListedMessage,
    RemoteFlag,
)
from spamlstm.daemon.imap.move_recovery import MoveRecovery
from spamlstm.daemon.imap.reading import READ_AT_ONCE
from spamlstm.filtering.undo import UndoStatus
from spamlstm.maildir.content_id import content_ids

_HEAD_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class AccountUndoResult:
    """An act and the result of undoing it. `source` and `target` are the folders before and after the undo."""

    act: AccountAct
    status: UndoStatus
    source: str = ""
    target: str = ""
    failure: str = ""
    head: bytes = b""
    """The beginning of the message, or b"" if it was not read."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A message that is where the act left it."""

    act: AccountAct
    uid: int
    head: bytes


class AccountUndo:
    """The undoing of acts on one account. Without `dry`, all begun moves must be settled before."""

    def __init__(self, session: AccountSession, *, dry: bool) -> None:
        self._session = session
        self._connection = session.connection
        self._records = session.records
        self._dry = dry

    def undo(self, acts: Iterable[AccountAct]) -> Iterator[AccountUndoResult]:
        """Undo acts, and yield the result of each. In a dry run, only report them.

        An act is undone if its message still is in the folder in which the act left it. Acts between the same folders
        are undone together. The server may refuse to undo some acts. Raises AccountUnavailableError if the connection
        is lost.
        """
        groups: dict[tuple[int, int], list[AccountAct]] = {}
        for one in acts:
            groups.setdefault((one.mail.target, one.mail.folder), []).append(one)
        for (source, target), group in groups.items():
            folders = self._records.folder(source), self._records.folder(target)
            for start in range(0, len(group), READ_AT_ONCE):
                some = group[start : start + READ_AT_ONCE]
                if folders[0] is None or folders[1] is None:
                    failure = "the records of its folder are lost"
                    yield from (AccountUndoResult(one, UndoStatus.FAILED, failure=failure) for one in some)
                else:
                    yield from self._undo_between(folders[0], folders[1], some)

    def _undo_between(
        self, source: AccountFolder, target: AccountFolder, acts: Sequence[AccountAct]
    ) -> Iterator[AccountUndoResult]:
        failure, is_found = "", False
        found: dict[int, _Found] = {}
        try:
            found, is_found = self._found(source, acts), True
            if found and not self._dry:
                failure = self._carry_out(source, target, list(found.values()))
        except CommandRefusedError as error:
            failure = str(error)
            MoveRecovery(self._session).settle()
        left = set() if self._dry else {one.id for one in self._records.acts()}
        for act in acts:
            here = found.get(act.id)
            head = here.head if here else b""
            if here is not None and act.id not in left:
                yield AccountUndoResult(act, UndoStatus.UNDONE, source.name, target.name, head=head)
            elif failure and (here is not None or not is_found):
                yield AccountUndoResult(act, UndoStatus.FAILED, source.name, failure=failure, head=head)
            else:
                yield AccountUndoResult(act, UndoStatus.ELSEWHERE, source.name)

    def _found(self, source: AccountFolder, acts: Sequence[AccountAct]) -> dict[int, _Found]:
        """Return the messages that are where acts left them, by the row number of the act.

        A message is recognised by its UID and its content, or, if the server changed the UIDs, by its content.
        """
        numbers = self._connection.select(source.name, readonly=self._dry)
        self._connection.check()
        is_same = all(one.mail.validity == numbers.validity for one in acts)
        uids = {one.mail.uid for one in acts} if is_same else self._connection.existing(1, numbers.next_uid)
        listed = self._connection.details(uids)
        found: dict[int, _Found] = {}
        for act in acts:
            near = [uid for uid, one in listed.items() if _is_like(act, one) and (not is_same or uid == act.mail.uid)]
            for uid in near:
                raw = self._connection.bodies({uid: act.mail.size}).get(uid)
                if raw is not None and act.mail.content in content_ids(raw):
                    found[act.id] = _Found(act, uid, raw[:_HEAD_BYTES])
                    del listed[uid]  # it explains no other act
                    break
        return found

    def _carry_out(self, source: AccountFolder, target: AccountFolder, found: Sequence[_Found]) -> str:
        """Undo acts whose messages were found. Return the reason for those that were not undone."""
        is_moved = source.id != target.id
        if is_moved and not self._connection.can_move and not self._connection.can_expunge:
            return "the server has no way to move single messages (no MOVE and no UIDPLUS)"
        numbers = self._connection.numbers(target.name) if is_moved else None
        here = self._connection.select(source.name, readonly=False)
        begun: list[BegunMove] = []
        if numbers is not None:
            moves = [
                BegunMove(
                    replace(
                        one.act.mail,
                        folder=source.id,
                        target=target.id,
                        validity=here.validity,
                        uid=one.uid,
                        word="",
                        message_id=b"",
                    ),
                    numbers.validity,
                    numbers.next_uid,
                    undoes=one.act.id,
                )
                for one in found
            ]
            with self._records.change(durable=True):
                begun = self._records.begin_moves(moves)
        # If this program ends here, the keyword is removed but the message is not moved. The act can be undone again.
        for word in {one.act.mail.word for one in found} - {""}:
            self._connection.remove_keywords([one.uid for one in found if one.act.mail.word == word], word)
        if numbers is None:
            with self._records.change():
                for one in found:
                    self._records.drop_act(one.act.id)
            return ""
        if here.has_keywords:
            uids = [one.uid for one in found]
            self._connection.set_keywords(uids, RETURNED_KEYWORD, remove=[FILED_KEYWORD])
        moved = self._connection.move([one.mail.uid for one in begun], target.name, validity=numbers.validity)
        MoveRecovery(self._session).settle({one.id: moved[one.mail.uid] for one in begun if one.mail.uid in moved})
        return "the server did not move the message, or its user was faster"


def _is_like(act: AccountAct, one: ListedMessage) -> bool:
    """Return whether a message may be that of an act. A message that is flagged as deleted was removed by its user."""
    return (one.size, one.date) == (act.mail.size, act.mail.date) and not one.flags & RemoteFlag.DELETED
