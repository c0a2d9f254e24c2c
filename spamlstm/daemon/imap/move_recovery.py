"""The results of moves, as the server reports them or as determined after the program or the connection ended.

The target is the junk folder, or, if the move undoes an earlier one, the former folder of the message.

| the message is in its folder | it is in the target | what happened | what is done |
|---|---|---|---|
| no | yes | it was moved | the result is recorded |
| yes | no | it was not moved | it is classified again, unless the move undoes another |
| yes | yes | it was copied, and not yet removed | it is removed from its folder |
| no | no | its user moved or deleted it | nothing |

In a dry run, no message is removed: a message that is in both folders stays in both, and its move stays begun.

In the target, only messages count that came after the move was begun and that no other move explains. In both folders a
message is recognised by its size, its date and its content. A UID is not enough: a server that restored a backup may
have given it to another message.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from spamlstm.config import Action
from spamlstm.daemon.imap.account_session import AccountSession
from spamlstm.daemon.imap.account_state import AccountAct, AccountCopy, AccountFolder, BegunMove
from spamlstm.daemon.imap.answers import CommandRefusedError, ListedMessage, RemoteFlag
from spamlstm.filtering.event_log import emit
from spamlstm.maildir.content_id import content_ids
from spamlstm.tracking.state import CopyStatus

_LASTING = RemoteFlag.ANSWERED | RemoteFlag.SEEN


class MoveRecovery:
    """The moves of one account whose results are not recorded."""

    def __init__(self, session: AccountSession, *, dry: bool = False) -> None:
        self._session = session
        self._dry = dry
        self._connection = session.connection
        self._records = session.records

    def settle(self, moved: Mapping[int, int] | None = None) -> None:
        """Record the results of all begun moves.

        `moved` has the new UIDs of the messages that were moved just now, by the row numbers of the moves, if the
        server reported them. A move whose folder cannot be selected is tried again at the next call. It is given up if
        the folder was gone at the last visit of the account.
        """
        moves = self._records.moves()
        reported = moved or {}
        self._record([(one, reported[one.id], one.target_validity) for one in moves if one.id in reported], [])
        groups: dict[tuple[int, int], list[BegunMove]] = defaultdict(list)
        for one in moves:
            if one.id not in reported:
                groups[one.mail.folder, one.mail.target].append(one)
        for (source, target), group in groups.items():
            folders = self._records.folder(source), self._records.folder(target)
            if folders[0] is None or folders[1] is None:
                self._abandon(group)
                continue
            try:
                self._settle_between(folders[0], folders[1], group)
            except CommandRefusedError as error:
                if folders[0].validity and folders[1].validity:
                    emit(logging.WARNING, "unsettled", account=self._session.account.label, error=str(error))
                else:  # the last visit did not find one of the folders
                    self._abandon(group)

    def _abandon(self, moves: Sequence[BegunMove]) -> None:
        """Remove moves of which one folder is gone. New mail that is still in its folder is classified again."""
        with self._records.change():
            for one in moves:
                if one.undoes:  # a later change of this message is not mistaken for a move by its user
                    self._records.drop(one.mail.folder, [one.mail.uid])
            self._records.end_moves([one.id for one in moves])

    def _settle_between(self, source: AccountFolder, target: AccountFolder, moves: Sequence[BegunMove]) -> None:
        there, validity = self._in_target(target, moves)
        here = self._in_source(source, moves)
        done: list[tuple[BegunMove, int, int]] = []
        # First the messages that are no longer in their folder, because these certainly were moved.
        for one in sorted(moves, key=lambda one: one.id in here):
            found = there.get(one.mail.content)
            if found:
                done.append((one, found.pop(0), validity))
        finished = {one.id for one, *_ in done}
        copied = [(one, uid) for one, uid, _ in done if one.id in here]
        if copied and self._dry:
            done = [move for move in done if move[0].id not in here]
            self._postpone(copied)
        elif copied:
            self._connection.select(source.name, readonly=False)
            self._connection.remove([here[one.id] for one, _ in copied])
        gone = [one for one in moves if one.id not in finished and one.id not in here]
        undone = [one for one in moves if one.id not in finished and one.id in here]
        self._session.tally.settled.update({"done": len(done), "gone": len(gone), "undone": len(undone)})
        self._record(done, gone)
        with self._records.change():
            self._records.end_moves([one.id for one in undone])

    def _postpone(self, copied: Sequence[tuple[BegunMove, int]]) -> None:
        """Report moves of messages that are still in their folder too, each with the UID in the target.

        The next visit of the target records these UIDs. So that a later run recognises them, the moves get them.
        """
        why = "an earlier run copied messages and did not remove them; a run that is no dry run removes them"
        emit(logging.INFO, "would-settle", account=self._session.account.label, count=len(copied), why=why)
        with self._records.change(durable=True):
            self._records.end_moves([one.id for one, _ in copied])
            self._records.begin_moves([replace(one, target_next=uid) for one, uid in copied])

    def _in_target(self, target: AccountFolder, moves: Sequence[BegunMove]) -> tuple[dict[str, list[int]], int]:
        """Return the UIDs of new messages in the target by content id, and its UIDVALIDITY."""
        numbers = self._connection.select(target.name, readonly=True)
        self._connection.check()
        same = all(one.target_validity == numbers.validity for one in moves)
        first = min(one.target_next for one in moves) if same else 1
        known = set(self._records.known(target.id)) if target.validity == numbers.validity else set()
        known -= {one.target_next for one in moves}  # see `_postpone`
        uids = self._connection.existing(max(1, first), numbers.next_uid) - known
        return self._contents(self._connection.details(uids), moves), numbers.validity

    def _in_source(self, source: AccountFolder, moves: Sequence[BegunMove]) -> dict[int, int]:
        """Return the UIDs of the messages that are still in their folder, by the numbers of their moves."""
        numbers = self._connection.select(source.name, readonly=self._dry)
        self._connection.check()
        same = [one for one in moves if one.mail.validity == numbers.validity]
        listed = self._connection.details({one.mail.uid for one in same})
        uids = self._contents(listed, same)
        found = {one.id: one.mail.uid for one in same if one.mail.uid in uids.get(one.mail.content, ())}
        # Another message with its UID shows that the server has changed the UIDs.
        renumbered = [one for one in moves if one.id not in found and (one not in same or one.mail.uid in listed)]
        if renumbered:
            listed = self._connection.details(self._connection.existing(1, numbers.next_uid))
            uids = self._contents(listed, renumbered)
            found |= {one.id: uids[one.mail.content].pop(0) for one in renumbered if uids.get(one.mail.content)}
        return found

    def _contents(self, listed: Mapping[int, ListedMessage], moves: Sequence[BegunMove]) -> dict[str, list[int]]:
        """Return the UIDs of those messages of the selected folder that may be meant, by content id."""
        kinds = {(one.mail.size, one.mail.date) for one in moves}
        found: dict[str, list[int]] = defaultdict(list)
        for uid, one in sorted(listed.items()):
            if (one.size, one.date) in kinds:
                for raw in self._connection.bodies({uid: one.size}).values():
                    for content in content_ids(raw):
                        found[content].append(uid)
        return found

    def _record(self, done: Sequence[tuple[BegunMove, int, int]], gone: Sequence[BegunMove]) -> None:
        """Record moves that were carried out, each with the new UID and UIDVALIDITY, and messages that are gone."""
        if not done and not gone:
            return
        now = self._session.clock()
        with self._records.change():
            for one, uid, validity in done:
                mail = one.mail
                before = self._records.copy(mail.folder, mail.uid)
                self._records.drop(mail.folder, [mail.uid])
                # An answer from before the move is not a new answer.
                flags = before.flags & _LASTING if before else RemoteFlag.NONE
                moved = AccountCopy(
                    mail.target, uid, flags, mail.size, mail.date, now, mail.content, CopyStatus.SETTLED
                )
                self._records.put([moved])
                self._records.add_judged(mail.content, mail.date, is_junk=not one.undoes, now=now)
                if one.undoes:
                    self._records.drop_act(one.undoes)
                else:
                    self._records.add_act(AccountAct(replace(mail, uid=uid, validity=validity), now))
            for one in gone:
                self._records.drop(one.mail.folder, [one.mail.uid])
            self._records.end_moves([one.id for one in (*(one for one, *_ in done), *gone)])
        for one, uid, _ in done:
            self._session.tally.acted[Action.FILE] += not one.undoes
            what = "undone" if one.undoes else "done"
            emit(logging.INFO, what, account=self._session.account.label, uid=uid, id=one.mail.content, actions="file")
