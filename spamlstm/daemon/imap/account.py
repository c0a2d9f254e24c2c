"""One IMAP account: a thread that connects, visits folders, waits for changes, and connects again after errors."""

import contextlib
import logging
import os
import random
import select
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spamlstm.config import Config, ImapConfig
from spamlstm.daemon.imap.account_folders import is_junk_classified
from spamlstm.daemon.imap.account_learning import AccountLearning
from spamlstm.daemon.imap.account_session import AccountTally, DaemonSession
from spamlstm.daemon.imap.account_state import AccountFolder
from spamlstm.daemon.imap.answers import (
    AccountUnavailableError,
    CommandRefusedError,
    LoginRefusedError,
    SlowServerError,
)
from spamlstm.daemon.imap.connection import ImapConnection
from spamlstm.daemon.imap.credentials import CredentialsError, secret_of_account
from spamlstm.daemon.imap.exchange import FLAGS
from spamlstm.daemon.imap.filing import Filing
from spamlstm.daemon.imap.folder_visits import FolderVisits
from spamlstm.daemon.imap.move_recovery import MoveRecovery
from spamlstm.daemon.imap.records import AccountRecords
from spamlstm.daemon.imap.sent_visits import SentVisits
from spamlstm.daemon.listeners.judging import Judging
from spamlstm.database import NewerVersionError, replacement_message
from spamlstm.errors import DataError, UserError
from spamlstm.filtering.backoff import Backoff
from spamlstm.filtering.event_log import emit, log_unexpected
from spamlstm.filtering.failures import NO_MEMORY, kind_of, sentence
from spamlstm.maildir.folders import FolderRole

# All folders are visited after a random time between these limits, in seconds. IDLE then ends and begins again, because
# servers and routers drop connections that are silent for longer.
RENEW_SECONDS = 300.0, 540.0
# If the server has no IDLE, it is asked for changes after this time, or at the interval of the setting `check_seconds`.
POLL_SECONDS = 60.0
# Messages that could not be handled, or whose user may be moving them, are tried again after this time.
RETRY_SECONDS = 10.0
# After this time, the connection of a thread that is to end is closed. Interrupted moves are found at the next start.
STEP_SECONDS = 5.0
# The largest number of old messages of the junk folder that are read between two visits of the inbox.
READ_IN_TURN = 100
# If a server reports changes without end, the inbox is visited at most _MOST_ROUNDS times without a pause, and the
# pause takes at least _LEAST_SECONDS.
_LEAST_SECONDS = 0.02
_MOST_ROUNDS = 5
# If a message left the inbox, all folders are visited immediately, or only the junk folder if there are more folders
# than this.
_MOST_VISITED = 50
# A folder is visited less often if so many connections in a row ended during its visit. Dovecot ends the connection if
# its disk cannot read a message, and the folders after it would never be visited.
_MOST_ENDED = 3
_WITH_COPIES = FolderRole.FILED, FolderRole.JUNK, FolderRole.INBOX


@dataclass(frozen=True, slots=True)
class Delays:
    """The seconds before the next connection: after the first failure, after a refused login, and the upper limit."""

    first: float = 1.0
    refused: float = 60.0
    longest: float = 300.0


class ImapAccount:
    """The thread of one account. Other threads may use `start`, `stop`, `shut`, `join`, `key` and `tally`.

    The thread begins when the `previous` threads of the account have ended, because it settles the moves that they
    began.
    """

    def __init__(
        self,
        account: ImapConfig,
        *,
        config: Config,
        state: Path,
        requests: Judging,
        delays: Delays | None = None,
        previous: Sequence["ImapAccount"] = (),
    ) -> None:
        self.key = account.key
        self.tally = AccountTally(account.host)
        self._account = account
        self._config = config
        self._state = state
        self._requests = requests
        self._delays = delays or Delays()
        self._later: Backoff[tuple[int, int]] = Backoff(time.monotonic)
        self._ended: Counter[int] = Counter()
        self._stopping = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._connection: ImapConnection | None = None
        self._thread = threading.Thread(target=self._run, name=f"imap {account.label}", daemon=True)
        self._previous = [one._thread for one in previous]  # noqa: SLF001  of the same class

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Make the thread end after its current step. After STEP_SECONDS, its connection is closed."""
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        timer = threading.Timer(STEP_SECONDS, self.shut)
        timer.daemon = True
        timer.start()

    def shut(self) -> None:
        """Close the connection, if any. A command of the thread ends with an error."""
        connection = self._connection
        if connection is not None:
            connection.shut()

    def join(self, seconds: float) -> bool:
        """Wait until the thread has ended, at most `seconds`. Return whether it has ended.

        After it has ended, neither this method nor `stop` may be called again.
        """
        self._thread.join(max(0.0, seconds))
        if self._thread.is_alive():
            return False
        os.close(self._wake)
        return True

    # --- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        for one in self._previous:
            one.join()
        self._previous.clear()
        delay = 0.0
        while not self._stopping:
            began = time.monotonic()
            least = self._attempt()
            # A connection that lasted for some time does not count as a failure.
            delay = 0.0 if time.monotonic() - began > self._delays.longest else delay
            delay = min(max(2 * delay, least), self._delays.longest)
            if not self._stopping:
                self._sleep(delay * random.uniform(0.8, 1.2))

    def _attempt(self) -> float:
        """Connect and work until an error or the end. Return the least number of seconds before the next attempt."""
        try:
            with contextlib.closing(AccountRecords.open(self._state, self._account.key)) as records:
                self._connect(records)
        except (LoginRefusedError, CredentialsError, NewerVersionError) as error:
            self._report(str(error))
            return self._delays.refused
        except SlowServerError as error:
            self._report(str(error))
            return self._delays.longest
        except AccountUnavailableError as error:
            self._report(str(error))
        except DataError as error:
            self._report(replacement_message(error))
            AccountRecords.discard(self._state, self._account.key)
        except (UserError, OSError, sqlite3.Error) as error:
            self._report(sentence(error))
        except Exception as error:  # noqa: BLE001  a bug with one account must not stop the others
            self.tally.failed[kind_of(error)] += 1
            log_unexpected(error, f"the account {self._account.label} is connected again")
            self.tally.set("failed", NO_MEMORY if isinstance(error, MemoryError) else type(error).__name__)
        return self._delays.first

    def _report(self, why: str) -> None:
        if self._stopping:
            return
        if (self.tally.state, self.tally.error) != ("failed", why):
            emit(logging.WARNING, "account-failed", account=self._account.label, error=why)
        self.tally.set("failed", why)

    def _connect(self, records: AccountRecords) -> None:
        account = self._account
        connection = ImapConnection.open(account, secret_of_account(account, wake=self._wake))
        self._connection = connection
        self.tally.connections += 1
        try:
            session = DaemonSession(account, self._config, connection, records, self.tally, requests=self._requests)
            if not self._stopping:  # `stop` did not see this connection
                _Work(session, self._later, self._ended).run(self)
        finally:
            self._connection = None
            connection.close()

    @property
    def is_stopping(self) -> bool:
        """Return whether the thread is to end."""
        return self._stopping

    def wait(self, connection: ImapConnection, seconds: float) -> bool:
        """Wait for a change on the server or the end. Return whether the server has reported its changes."""
        every = self._account.check_seconds
        if every is None:
            self._wait_for_server(connection, seconds if connection.can_idle else min(seconds, POLL_SECONDS))
            return connection.can_idle
        until = time.monotonic() + seconds
        while True:  # docs/decisions/0045-asking-for-new-mail.md has the figures for the ways to ask
            self._wait_for_server(connection, max(0.0, min(every, until - time.monotonic())))
            if not (connection.has_events or self._stopping):
                _ask(connection)
            if connection.has_events or self._stopping or time.monotonic() >= until:
                return True

    def _wait_for_server(self, connection: ImapConnection, seconds: float) -> None:
        """Wait until the server sends something, at most `seconds`, or the end."""
        began = time.monotonic()
        if connection.can_idle:
            connection.idle(seconds, self._wake)
        else:
            connection.wait(seconds, self._wake)
        if time.monotonic() - began < _LEAST_SECONDS:
            self._sleep(_LEAST_SECONDS)

    def _sleep(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.poll(1000 * seconds)


def _ask(connection: ImapConnection) -> None:
    """Ask the server for new mail. If it refuses, for example because of too many questions, name the setting."""
    try:
        connection.check()
    except CommandRefusedError as error:
        why = f"{error} that asks for new mail; set a larger check_seconds, or remove this setting"
        raise CommandRefusedError(why) from error


class _Work:
    """The work during one connection."""

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

    def run(self, account: ImapAccount) -> None:
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
            if self._session.tally.state != "connected":
                emit(logging.INFO, "account-connected", account=self._session.account.label)
            self._session.tally.set("connected")
            rounds += 1
            if is_full or (changes and rounds < _MOST_ROUNDS):
                continue
            self._session.tally.visits += not is_counted
            is_counted, rounds = True, 0
            seconds = until - time.monotonic()
            seconds = min(seconds, RETRY_SECONDS) if self._filing.is_waiting or changes else seconds
            is_synced = account.wait(self._connection, max(0.0, seconds))
            changes = self._connection.take_events() if is_synced and not changes else None
            is_full = time.monotonic() >= until or not is_synced

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
