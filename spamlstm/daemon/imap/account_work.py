"""The work of one connection to an IMAP account: visits of the folders, and the handling of what changed."""

import logging
import random
import time
from collections import Counter
from typing import Protocol

from spamlstm.daemon.imap.account_folders import is_junk_classified
from spamlstm.daemon.imap.account_learning import AccountLearning
from spamlstm.daemon.imap.account_session import DaemonSession
from spamlstm.daemon.imap.account_state import AccountFolder
from spamlstm.daemon.imap.answers import AccountUnavailableError, CommandRefusedError
from spamlstm.daemon.imap.connection import ImapConnection
from spamlstm.daemon.imap.exchange import FLAGS
from spamlstm.daemon.imap.filing import Filing
from spamlstm.daemon.imap.folder_visits import FolderVisits
from spamlstm.daemon.imap.move_recovery import MoveRecovery
from spamlstm.daemon.imap.sent_visits import SentVisits
from spamlstm.filtering.backoff import Backoff
from spamlstm.filtering.event_log import emit
from spamlstm.maildir.folders import FolderRole

# All folders are visited after a random time between these limits, in seconds. IDLE then ends and begins again, because
# servers and routers drop connections that are silent for longer.
RENEW_SECONDS = 300.0, 540.0
# Messages that could not be handled, or whose user may be moving them, are tried again after this time.
RETRY_SECONDS = 10.0
# The largest number of old messages of the junk folder that are read between two visits of the inbox.
READ_IN_TURN = 100
# If a server reports changes without end, the inbox is visited at most this many times without a pause.
_MOST_ROUNDS = 5
# If a message left the inbox, all folders are visited immediately, or only the junk folder if there are more folders
# than this.
_MOST_VISITED = 50
# A folder is visited less often if so many connections in a row ended during its visit. Dovecot ends the connection if
# its disk cannot read a message, and the folders after it would never be visited.
_MOST_ENDED = 3
_WITH_COPIES = FolderRole.FILED, FolderRole.JUNK, FolderRole.INBOX


class Account(Protocol):
    """The thread of the account."""

    @property
    def is_stopping(self) -> bool:
        """Return whether the thread is to end."""

    def wait(self, connection: ImapConnection, seconds: float) -> bool:
        """Wait for a change on the server or the end. Return whether the server has reported its changes."""


class AccountWork:
    """The work during one connection: all folders are visited, then the inbox whenever it changes."""

    def __init__(self, session: DaemonSession, later: Backoff[tuple[int, int]], ended: Counter[int]) -> None:
        # `later` has messages by folder and UID, and folders by the UID 0. `ended` counts connections by folder.
        self._session = session
        self._later = later
        self._ended = ended
        self._connection = session.connection
        self._visits = FolderVisits(session)
        self._filing = Filing(session, self._visits, later=later)
        self._learning = AccountLearning(session)
        self._sent = SentVisits(session)
        self._folders: list[AccountFolder] = []

    def run(self, account: Account) -> None:
        """Visit the folders and wait for changes, until an error or the end."""
        MoveRecovery(self._session, dry=self._session.is_dry).settle()
        is_full, is_counted, until, rounds = True, True, 0.0, 0
        changes: set[str] | None = None
        while not account.is_stopping:
            if is_full:
                changes = None  # a server may have forgotten to report a change
                is_counted = is_full = not self._visit_all()
                until = time.monotonic() + random.uniform(*RENEW_SECONDS)
            changes = self._visit_inbox(changes)
            self._set_connected()
            rounds += 1
            if is_full or (changes and rounds < _MOST_ROUNDS):
                continue
            self._session.tally.visits += not is_counted
            is_counted, rounds = True, 0
            changes, is_synced = self._wait(account, changes, until=until)
            is_full = time.monotonic() >= until or not is_synced

    def _set_connected(self) -> None:
        if self._session.tally.state != "connected":
            emit(logging.INFO, "account-connected", account=self._session.account.label)
        self._session.tally.set("connected")

    def _wait(self, account: Account, left: set[str], *, until: float) -> tuple[set[str] | None, bool]:
        """Wait for a change or `until`, or for a shorter time if there is work to try again.

        `left` are the kinds of changes that were not compared yet. Return the kinds of changes that the server has
        reported, or None if all messages must be compared, and whether it has reported its changes.
        """
        seconds = until - time.monotonic()
        if self._filing.is_waiting or left:
            seconds = min(seconds, RETRY_SECONDS)
        is_synced = account.wait(self._connection, max(0.0, seconds))
        return self._connection.take_events() if is_synced and not left else None, is_synced

    @property
    def _main(self) -> AccountFolder:
        """The folder in which new mail is expected."""
        return self._folders[-1]

    def _visit_all(self) -> bool:
        """Visit all folders. Return False if there is more old mail to read."""
        self._folders = self._visits.find(self._connection.folders())
        if not self._folders or self._main.role is not FolderRole.INBOX:
            raise AccountUnavailableError("none of the folders in the setting `folders` exists")
        if is_junk_classified(self._visits.listed, self._session.account):
            raise AccountUnavailableError("the setting `folders` contains the junk folder; remove it there")
        is_complete = self._visit_others(*FolderRole)
        if is_complete:
            with self._session.records.change():
                self._session.records.prune(now=self._session.clock())
        return is_complete

    def _visit_others(self, *roles: FolderRole) -> bool:
        """Visit the folders with some roles, except the main folder. Return False if there is more old mail to read."""
        is_complete = True
        for one in self._folders[:-1]:
            folder = self._session.records.folder(one.id)
            if folder is not None and folder.role in roles and self._may_visit(folder):
                try:
                    is_complete &= self._visit_other(folder)
                except CommandRefusedError:
                    self._session.tally.failed["folder"] += 1
                del self._ended[folder.id]
                self._later.succeeded((folder.id, 0))
        return is_complete

    def _may_visit(self, folder: AccountFolder) -> bool:
        """Return whether a folder may be visited now. The visit then counts as failed until it has ended."""
        if self._ended[folder.id] >= _MOST_ENDED and not self._later.is_due((folder.id, 0)):
            return False
        self._ended[folder.id] += 1
        if self._ended[folder.id] >= _MOST_ENDED:
            self._later.failed((folder.id, 0))
        return True

    def _visit_other(self, folder: AccountFolder) -> bool:
        """Visit a folder that is not the main folder. Return False if it has more old mail to read."""
        if folder.role is FolderRole.IGNORED:
            self._sent.visit(folder)
            return True
        self._visits.refresh(folder)
        if folder.role is FolderRole.INBOX:
            self._filing.work(folder)
            return True
        return self._visits.read(folder, most=READ_IN_TURN) < READ_IN_TURN

    def _visit_inbox(self, changes: set[str] | None) -> set[str]:
        """Visit the main folder, and leave it selected. Return the kinds of changes that were not compared yet.

        `changes` are the kinds of changes that the server has reported since the last visit, or None. New mail is
        handled before the flags of other messages are compared.
        """
        folder = self._session.records.folder(self._main.id)
        if folder is None:
            raise AccountUnavailableError("the records of the account have changed")
        has_left = self._visits.visit(folder, changes=changes)
        self._filing.work(folder)
        if has_left:  # first it must be known where the messages are now
            are_few = len(self._folders) <= _MOST_VISITED
            self._visit_others(*(_WITH_COPIES if are_few else [FolderRole.JUNK]))
        self._learning.work()
        self._connection.select(folder.name, readonly=self._session.is_dry)
        left = self._connection.take_events()
        if changes is not None and FLAGS not in changes:
            left.add(FLAGS)
        return left
