"""Labels inferred from what the user of an account does, by the rule for Maildirs (`spamlstm.tracking.rule`)."""

import contextlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

from spamlstm.config import Action
from spamlstm.daemon.imap.account_session import DaemonSession
from spamlstm.daemon.imap.account_state import AccountCopy, AccountFolder, UnstoredLabel
from spamlstm.daemon.imap.answers import (
    FILED_KEYWORD,
    RETURNED_KEYWORD,
    UNCOMPARED,
    CommandRefusedError,
    RemoteFlag,
    was_deleted,
)
from spamlstm.daemon.imap.filing import HAM_KEYWORD, MOST_ATTEMPTS, SPAM_KEYWORD
from spamlstm.daemon.imap.reading import bodies_of
from spamlstm.daemon.listeners.judging import LabelRequestOfClient
from spamlstm.filtering.event_log import emit
from spamlstm.filtering.journal import MOST_COPIES
from spamlstm.learning.label import Label, Origin
from spamlstm.maildir.content_id import content_ids
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.rule import (
    CopyKey,
    FoundCopy,
    History,
    Inference,
    KnownCopy,
    infer_label,
    known_copy,
    status_of,
)
from spamlstm.tracking.state import CopyStatus, Pending


class AccountLearning:
    """The learning from one account, by a comparison of the copies of each changed message."""

    def __init__(self, session: DaemonSession) -> None:
        self._session = session
        self._connection = session.connection
        self._records = session.records

    def work(self) -> None:
        """Compare the copies of all changed messages, record the labels that follow, and store these labels."""
        for content in sorted(self._records.unsettled()):
            self._settle(content)
        if self._session.config.learning.learn_from_moves:
            for label in self._records.labels():
                self._store(label)

    def _settle(self, content: str) -> None:
        copies = self._records.copies(content)
        if len(copies) > MOST_COPIES:
            self._give_up(copy for _, copy in copies)
            return
        now = self._session.clock()
        history = History(
            tuple(_known(folder, copy) for folder, copy in copies if _was_there(copy)),
            self._records.departures(content),
        )
        here = {(folder.name, copy.uid): (folder, copy) for folder, copy in copies if _is_there(copy)}
        found = [_found(folder, copy) for folder, copy in here.values()]
        inferred = infer_label(history, found, time=now, tagged=_is_filed(history, here))
        learns = self._session.config.learning.learn_from_moves
        with self._records.change(durable=inferred.label is not None):
            for _, copy in copies:
                if copy.flags & RemoteFlag.GONE:
                    self._records.drop(copy.folder, [copy.uid])
                elif copy.flags & RemoteFlag.DELETED:
                    self._records.put([replace(copy, flags=copy.flags & ~UNCOMPARED, status=CopyStatus.SETTLED)])
            self._records.put(_recorded(*here[one.key], one) for one in inferred.history.copies)
            if inferred.history.departures != history.departures:
                self._records.put_departures(content, inferred.history.departures)
            if inferred.label is not None and learns:
                self._record_label(content, inferred)

    def _record_label(self, content: str, inferred: Inference) -> None:
        assert inferred.label is not None  # noqa: S101  checked by the caller
        before = [one for one in self._records.labels() if one.content == content]
        # A move into or out of the junk folder counts more than a later answer.
        if not before or inferred.pending >= before[0].pending:
            self._records.put_label(UnstoredLabel(content, inferred.label, inferred.pending))

    def _give_up(self, copies: Iterable[AccountCopy]) -> None:
        """Record that the copies of a message need not be compared, because there are too many."""
        with self._records.change():
            for one in list(copies):
                if one.flags & RemoteFlag.GONE:
                    self._records.drop(one.folder, [one.uid])
                else:
                    self._records.put([replace(one, flags=one.flags & ~UNCOMPARED, status=CopyStatus.SETTLED)])

    # --- the label store --------------------------------------------------------------------------------------------

    def _store(self, label: UnstoredLabel) -> None:
        """Store a label. If the program ended twice while it learned the message, the message is not learned."""
        copies = [one for one in self._records.copies(label.content) if _is_there(one[1])]
        raw = next((raw for one in copies if (raw := self._raw(*one)) is not None), None)
        if raw is None and copies:
            return  # it is being moved; the next visit finds it
        if raw is None or label.attempts >= MOST_ATTEMPTS - 1:
            why = "the message was deleted" if raw is None else "the program ended twice while it learned this message"
            emit(logging.WARNING, "not-learned", account=self._session.account.label, id=label.content, error=why)
            self._drop(label)
            return
        with self._records.change():
            self._records.put_label(replace(label, attempts=label.attempts + 1))
        new = self._session.label(
            LabelRequestOfClient(
                raw,
                account=self._session.account.key,
                label=label.label,
                origin=Origin.MOVED,
                only_first=label.pending is Pending.IF_NONE,
                answered=any(copy.flags & RemoteFlag.ANSWERED for _, copy in copies),
            )
        )
        if new is None:  # tried again at the next visit
            with self._records.change():
                self._records.put_label(label)
            return
        if label.label is Label.HAM and label.pending is Pending.ALWAYS:
            self._mark_as_ham(copies)
        self._drop(label)
        if new:
            self._session.tally.learned[label.label] += 1
        level = logging.INFO if new else logging.DEBUG
        emit(level, "learned", account=self._session.account.label, id=label.content, label=label.label)

    def _raw(self, folder: AccountFolder, copy: AccountCopy) -> bytes | None:
        """Return the bytes of a message, or None if it is gone."""
        try:
            numbers = self._connection.select(folder.name, readonly=self._session.is_read_only(folder))
        except CommandRefusedError:
            return None
        if numbers.validity != folder.validity:
            return None
        raw = bodies_of(self._connection, [copy])[0].get(copy.uid)
        return raw if raw is not None and copy.content in content_ids(raw) else None

    def _mark_as_ham(self, copies: Iterable[tuple[AccountFolder, AccountCopy]]) -> None:
        """Replace the keywords of filed spam, which this program set, on messages that their user took out of junk."""
        if self._session.is_dry:
            return
        account = self._session.account
        after, before = [RETURNED_KEYWORD], [FILED_KEYWORD]
        if Action.KEYWORD in account.spam:
            after.append(HAM_KEYWORD)
            before.append(SPAM_KEYWORD)
        for folder, copy in copies:
            if folder.role is not FolderRole.INBOX:
                continue
            # If the server refuses keywords, the label is stored nevertheless.
            with contextlib.suppress(CommandRefusedError):
                if self._connection.select(folder.name, readonly=False).has_keywords:
                    self._connection.set_keywords([copy.uid], *after, remove=before)

    def _drop(self, label: UnstoredLabel) -> None:
        with self._records.change():
            self._records.drop_label(label.content)


def _is_there(copy: AccountCopy) -> bool:
    return not copy.flags & (RemoteFlag.GONE | RemoteFlag.DELETED)


def _was_there(copy: AccountCopy) -> bool:
    """Return whether a copy was there at the last comparison."""
    return copy.status is not CopyStatus.ARRIVED and not was_deleted(copy.flags)


def _is_filed(history: History, here: Mapping[CopyKey, tuple[AccountFolder, AccountCopy]]) -> bool:
    """Return whether another daemon of this account moved the message to junk.

    A copy that its user took out of junk before keeps the keyword of the daemon until its label is stored.
    """
    is_marked = any(one.role is FolderRole.JUNK and copy.flags & RemoteFlag.FILED for one, copy in here.values())
    return is_marked and not any(one.was_moved for one in history.copies if one.key not in here)


def _known(folder: AccountFolder, copy: AccountCopy) -> KnownCopy:
    return known_copy((folder.name, copy.uid), folder.role, status=copy.status, since=copy.since)


def _found(folder: AccountFolder, copy: AccountCopy) -> FoundCopy:
    came = not _was_there(copy)
    answered = bool(copy.flags & RemoteFlag.REPLIED) or (came and bool(copy.flags & RemoteFlag.ANSWERED))
    return FoundCopy((folder.name, copy.uid), folder.role, bool(copy.flags & RemoteFlag.SEEN), answered)


def _recorded(folder: AccountFolder, copy: AccountCopy, after: KnownCopy) -> AccountCopy:
    """Return the record of a copy after a comparison."""
    status = status_of(after, folder.role)
    # The original of an open copy may leave later. Only then it is known that a filter moved the message.
    kept = copy.flags & RemoteFlag.FILED if status is CopyStatus.OPEN else RemoteFlag.NONE
    return replace(copy, status=status, since=after.since, flags=copy.flags & ~UNCOMPARED | kept)
