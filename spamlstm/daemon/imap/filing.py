"""The filing of new mail: each message is classified, and spam gets a keyword and is moved to the junk folder.

A move is recorded before it is carried out, and its result afterwards. If this program or the connection ends in
between, `MoveRecovery` determines the result at the next connection.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from spamlstm.config import Action
from spamlstm.config.values import AUTO
from spamlstm.daemon.imap.account_folders import junk_target, new_junk_names
from spamlstm.daemon.imap.account_placements import AccountPlacements
from spamlstm.daemon.imap.account_session import DaemonSession
from spamlstm.daemon.imap.account_state import AccountAct, AccountCopy, AccountFolder, BegunMove, HandledMessage
from spamlstm.daemon.imap.answers import (
    FILED_KEYWORD,
    AccountUnavailableError,
    CommandRefusedError,
    ReadState,
    RemoteFlag,
)
from spamlstm.daemon.imap.folder_visits import FolderVisits
from spamlstm.daemon.imap.move_recovery import MoveRecovery
from spamlstm.daemon.imap.reading import batches
from spamlstm.daemon.imap.recognition import recorded_content
from spamlstm.daemon.imap.records import NO_CONTENT
from spamlstm.filtering.acts import wanted_actions
from spamlstm.filtering.backoff import Backoff
from spamlstm.filtering.event_log import emit
from spamlstm.filtering.message_id import message_id_hash, message_id_of
from spamlstm.filtering.placement import Placement
from spamlstm.tracking.state import CopyStatus
from spamlstm.verdict import Judgement, Verdict

# A message is not classified again if the program ended twice while it was classified alone.
MOST_ATTEMPTS = 3
SPAM_KEYWORD, HAM_KEYWORD = "$Junk", "$NotJunk"
_READ_OR_GONE = RemoteFlag.SEEN | RemoteFlag.DELETED | RemoteFlag.GONE
_WORDS = {Verdict.SPAM: SPAM_KEYWORD, Verdict.HAM: HAM_KEYWORD}


@dataclass(frozen=True, slots=True)
class AccountVerdict:
    """A classified message of an account, with the actions for its verdict."""

    copy: AccountCopy
    content: str
    judgement: Judgement
    actions: tuple[Action, ...]
    message_id: bytes
    """The hash of the Message-ID, or b""."""
    word: str = ""
    """The keyword that was set, or ''."""
    is_dry: bool = False
    """Whether a dry run only reported the actions. `actions` is then empty."""


class Filing:
    """The classification of new mail of one account, and the moves to the junk folder."""

    def __init__(self, session: DaemonSession, visits: FolderVisits, *, later: Backoff[tuple[int, int]]) -> None:
        """Prepare the work during one connection. `later` has the messages that are tried again later."""
        self._session = session
        self._connection = session.connection
        self._records = session.records
        self._visits = visits
        self._later = later
        self._recovery = MoveRecovery(session)
        self._placements = AccountPlacements(session, visits)
        self._waiting = False
        self._target_id = 0
        self._reopened: set[int] = set()

    @property
    def is_waiting(self) -> bool:
        """Return whether a message waits for another try, or until it is clear whether its user moved it."""
        return self._waiting

    def work(self, folder: AccountFolder) -> None:
        """Classify the new messages of a folder, and those whose actions a dry run only reported."""
        if not self._session.is_dry and folder.id not in self._reopened:
            self._reopen(folder)
        unread = self._records.unread(folder.id)
        due = [one for one in unread if self._later.is_due((folder.id, one.uid))]
        self._waiting = len(due) < len(unread)
        for batch in batches(due):
            self._try(folder, batch)

    def _reopen(self, folder: AccountFolder) -> None:
        """Prepare the unread messages for which a dry run only reported the actions, to be classified again.

        Read messages stay where their user left them.
        """
        self._reopened.add(folder.id)
        unread = [one for one in self._records.reported(folder.id) if not one.flags & _READ_OR_GONE]
        with self._records.change():
            for one in unread:
                self._records.drop_judged(one.content or NO_CONTENT, one.date)
            self._records.put(replace(one, content=None, status=CopyStatus.ARRIVED) for one in unread)

    def _try(self, folder: AccountFolder, batch: list[AccountCopy]) -> None:
        """Classify messages together, or one by one if the server refuses that.

        Another client may have moved a message, and some servers refuse to send damaged messages.
        """
        try:
            self._work_on(folder, batch)
        except AccountUnavailableError as error:
            with self._records.change():
                self._records.forgive(folder.id, [one.uid for one in batch])
            if not isinstance(error, CommandRefusedError):
                raise
        else:
            return
        self._connection.check()  # the server must say that messages are gone before they are tried again
        self._waiting = True
        if len(batch) == 1:
            self._later.failed((folder.id, batch[0].uid))
            return
        uids = {one.uid for one in batch}
        for one in self._records.unread(folder.id):
            if one.uid in uids:
                self._try(folder, [one])

    def _work_on(self, folder: AccountFolder, batch: list[AccountCopy]) -> None:
        given_up = [one for one in batch if one.attempts >= MOST_ATTEMPTS]
        if given_up:
            self._set_aside(given_up)
            return
        self._connection.select(folder.name, readonly=self._session.is_dry)
        raws = self._connection.bodies({one.uid: one.size for one in batch})
        read = self._connection.last_read  # visits of other folders read further messages
        here = [one for one in batch if one.uid in raws]
        with self._records.change():
            self._records.drop(folder.id, [one.uid for one in batch if one.uid not in raws])
            self._records.put(replace(one, attempts=one.attempts + 1) for one in here)
        contents = {one.uid: recorded_content(self._records, one, raws[one.uid]) for one in here}
        placed = {one.uid: self._placements.placed(folder, one, contents[one.uid]) for one in here}
        self._record_placed(here, contents, placed)
        new = [one for one in here if placed[one.uid] is Placement.DELIVERED]
        self._connection.select(folder.name, readonly=self._session.is_dry)
        judged = self._judged(new, contents, raws)
        with self._records.change():
            self._records.forgive(folder.id, contents)
        self._act(folder, judged, read)

    def _set_aside(self, copies: Sequence[AccountCopy]) -> None:
        self._session.tally.failed["crash"] += len(copies)
        why = "the program ended twice while it classified this message; the message is left unchanged"
        for one in copies:
            emit(logging.WARNING, "failed", account=self._session.account.label, uid=one.uid, error=why)
        with self._records.change():
            self._records.put(replace(one, content=NO_CONTENT, status=CopyStatus.SETTLED) for one in copies)

    def _record_placed(
        self, here: Iterable[AccountCopy], contents: dict[int, str], placed: dict[int, Placement]
    ) -> None:
        with self._records.change():
            for one in here:
                if placed[one.uid] is Placement.MOVED:
                    self._records.put([replace(one, content=contents[one.uid], status=CopyStatus.ARRIVED)])
                elif placed[one.uid] is Placement.UNCLEAR:
                    self._records.put([one])  # with the former number of attempts
                    self._waiting = True

    # --- classification and actions ---------------------------------------------------------------------------------

    def _judged(
        self, new: Sequence[AccountCopy], contents: dict[int, str], raws: dict[int, bytes]
    ) -> list[AccountVerdict]:
        """Classify messages. Messages that cannot be classified now are tried again later."""
        began = time.perf_counter()
        answers = self._session.judge([raws[one.uid] for one in new])
        ms = 1000 * (time.perf_counter() - began) / max(1, len(new))
        account, found = self._session.account, []
        for one, answer in zip(new, answers, strict=True):
            if answer is None:
                self._try_later([one], "unclassified")
                continue
            judgement = answer.judgement
            actions, message_id = wanted_actions(account, judgement), message_id_hash(message_id_of(raws[one.uid]))
            verdict = AccountVerdict(one, contents[one.uid], judgement, actions, message_id)
            emit(
                logging.INFO,
                "dry" if self._session.is_dry else "judged",
                account=account.label,
                uid=one.uid,
                id=verdict.content,
                verdict=judgement.verdict,
                p=judgement.probability,
                score=judgement.score,
                reason=judgement.reason,
                model=judgement.model,
                actions=",".join(verdict.actions),
                ms=ms,
            )
            self._session.tally.judged[judgement.verdict] += 1
            is_dry = self._session.is_dry and bool(actions)
            found.append(replace(verdict, actions=(), is_dry=True) if is_dry else verdict)
        return found

    def _act(self, folder: AccountFolder, verdicts: Sequence[AccountVerdict], read: ReadState) -> None:
        """Carry out the actions for classified messages, and record the results. `read` is the state that was read."""
        if self._connection.select(folder.name, readonly=self._session.is_dry).has_keywords:
            verdicts = self._claimed(verdicts, read)
        to_file = [one for one in verdicts if Action.FILE in one.actions]
        left = [one for one in verdicts if Action.FILE not in one.actions]
        if to_file and not self._file(folder, to_file):
            left = list(verdicts)
        now = self._session.clock()
        with self._records.change():
            for one in left:
                settled = replace(one.copy, content=one.content, status=CopyStatus.SETTLED, attempts=0)
                self._records.put([settled])
                is_junk = one.word == SPAM_KEYWORD
                self._records.add_judged(one.content, one.copy.date, is_junk=is_junk, is_dry=one.is_dry, now=now)
                if one.word:
                    self._records.add_act(AccountAct(_handled(folder, one, folder), now))

    def _claimed(self, verdicts: Sequence[AccountVerdict], read: ReadState) -> list[AccountVerdict]:
        """Set the keywords of messages. Return the messages without those that another client is changing.

        The latter are examined again when the server reports the change. A daemon that has set FILED_KEYWORD is about
        to move the message, unless it has ended: then the message is claimed at the next attempt. If the server refuses
        keywords at that attempt again, the messages get none, because spam must be filed nevertheless.
        """
        busy = [one.copy for one in verdicts if one.copy.uid in read.filed and not self._was_busy(one.copy)]
        for one in busy:
            self._later.failed((one.folder, one.uid))
        self._try_again(busy)
        verdicts = [one for one in verdicts if one.copy not in busy]
        found: list[AccountVerdict] = []
        for words in sorted({self._keywords(one) for one in verdicts}):
            some = [one for one in verdicts if self._keywords(one) == words]
            uids = {one.copy.uid for one in some}
            try:
                claimed = self._connection.claim(uids, *words, read=read) if words else uids
                word = next((one for one in words if one != FILED_KEYWORD), "")
            except CommandRefusedError:
                if not all(self._was_busy(one.copy) for one in some):
                    raise
                claimed, word = uids, ""
            self._session.tally.acted[Action.KEYWORD] += len(claimed) if word else 0
            found += [replace(one, word=word) for one in some if one.copy.uid in claimed]
            self._try_again([one.copy for one in some if one.copy.uid not in claimed])
        return found

    def _was_busy(self, copy: AccountCopy) -> bool:
        return self._later.has_failed((copy.folder, copy.uid))

    def _keywords(self, one: AccountVerdict) -> tuple[str, ...]:
        """Return the keywords for a classified message, which tell other daemons of the account that it is filed."""
        word = _WORDS.get(one.judgement.verdict) if Action.KEYWORD in one.actions else None
        is_filed = Action.FILE in one.actions and self._can_file
        return tuple(filter(None, (word, FILED_KEYWORD if is_filed else None)))

    @property
    def _can_file(self) -> bool:
        """Return whether the server has a way to move single messages."""
        return bool(self._connection.can_move or self._connection.can_expunge)

    def _file(self, folder: AccountFolder, filed: Sequence[AccountVerdict]) -> bool:
        """Move messages to the junk folder. Return False if the server has no way to move single messages."""
        if not self._can_file:
            emit(logging.WARNING, "not-filed", account=self._session.account.label, error="no MOVE and no UIDPLUS")
            return False
        try:
            target = self._target()
            begun = [BegunMove(_handled(folder, one, target), target.validity, target.next_uid) for one in filed]
            self._connection.select(folder.name, readonly=False)
            with self._records.change(durable=True):
                begun = self._records.begin_moves(begun)
            moved = self._connection.move([one.mail.uid for one in begun], target.name, validity=target.validity)
        except CommandRefusedError as error:
            self._recovery.settle()
            self._refused([one.copy for one in filed], str(error))
        else:
            self._recovery.settle({one.id: moved[one.mail.uid] for one in begun if one.mail.uid in moved})
        return True

    def _refused(self, copies: Sequence[AccountCopy], why: str) -> None:
        """Schedule another try for messages that the server did not move, except messages that another client moved."""
        left = [one for one in copies if self._records.copy(one.folder, one.uid) is not None]
        if left:
            emit(logging.WARNING, "not-filed", account=self._session.account.label, error=why, count=len(left))
            self._try_later(left, "folder")

    def _target(self) -> AccountFolder:
        """Return the junk folder as it was last visited. It is created if it does not exist."""
        target = self._records.folder(self._target_id) if self._target_id else None
        if target is None or not target.validity:  # not looked for yet, or gone
            name = junk_target(self._visits.listed, self._session.account) or self._created()
            target = self._recorded(name)
        if not target.validity:
            self._visits.visit(target)
            target = self._recorded(target.name)
        self._target_id = target.id
        return target

    def _recorded(self, name: str) -> AccountFolder:
        found = {one.name: one for one in self._records.folders()}
        if name not in found:
            found = {one.name: one for one in self._visits.find(self._connection.folders())}
        if name not in found:
            raise CommandRefusedError("the junk folder cannot be created or is an ignored folder")
        return found[name]

    def _created(self) -> str:
        account = self._session.account
        names = new_junk_names(self._visits.listed, account)
        for name in names:
            try:
                self._connection.create(name, use="\\Junk" if account.junk == AUTO else "")
            except CommandRefusedError:
                if name == names[-1]:
                    raise
            else:
                return name
        raise CommandRefusedError("the server creates no junk folder")

    def _try_again(self, copies: Sequence[AccountCopy]) -> None:
        with self._records.change():
            self._records.put(copies)
        self._waiting |= bool(copies)

    def _try_later(self, copies: Sequence[AccountCopy], kind: str) -> None:
        """Record that messages were not handled, for a reason that is not a crash. They are tried again later."""
        self._session.tally.failed[kind] += len(copies)
        self._waiting = True
        for one in copies:
            self._later.failed((one.folder, one.uid))
        with self._records.change():
            self._records.put(copies)


def _handled(folder: AccountFolder, one: AccountVerdict, target: AccountFolder) -> HandledMessage:
    return HandledMessage(
        folder=folder.id,
        target=target.id,
        validity=folder.validity,
        uid=one.copy.uid,
        content=one.content,
        size=one.copy.size,
        date=one.copy.date,
        word=one.word,
        message_id=one.message_id,
    )
