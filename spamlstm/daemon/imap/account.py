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
from spamlstm.daemon.imap.account_session import AccountTally, DaemonSession
from spamlstm.daemon.imap.account_work import AccountWork
from spamlstm.daemon.imap.answers import (
    AccountUnavailableError,
    CommandRefusedError,
    LoginRefusedError,
    SlowServerError,
)
from spamlstm.daemon.imap.connection import ImapConnection
from spamlstm.daemon.imap.credentials import CredentialsError, secret_of_account
from spamlstm.daemon.imap.records import AccountRecords
from spamlstm.daemon.listeners.judging import Judging
from spamlstm.database import NewerVersionError, replacement_message
from spamlstm.errors import DataError, UserError
from spamlstm.filtering.backoff import Backoff
from spamlstm.filtering.event_log import emit, log_unexpected
from spamlstm.filtering.failures import NO_MEMORY, kind_of, sentence

# If the server has no IDLE, it is asked for changes after this time, or at the interval of the setting `check_seconds`.
POLL_SECONDS = 60.0
# After this time, the connection of a thread that is to end is closed. Interrupted moves are found at the next start.
STEP_SECONDS = 5.0
# The least time between two visits of the inbox, in seconds, if a server reports changes without end.
_LEAST_SECONDS = 0.02


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
                AccountWork(session, self._later, self._ended).run(self)
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
