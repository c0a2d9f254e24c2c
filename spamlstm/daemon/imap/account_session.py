"""The session of one account: the connection and the records, shared by all parts of the work, and the status."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as AnswerTimeoutError
from dataclasses import dataclass, field
from typing import Any, TypeVar

from spamlstm.config import Config, ImapConfig
from spamlstm.daemon.imap.account_state import AccountFolder
from spamlstm.daemon.imap.connection import ImapConnection
from spamlstm.daemon.imap.records import AccountRecords
from spamlstm.daemon.listeners.judging import (
    JudgedMail,
    JudgeRequest,
    Judging,
    JudgingError,
    LabelRequestOfClient,
    Request,
    WrittenRequest,
)
from spamlstm.maildir.folders import FolderRole

# The loop may load a model or a hostile message before it answers.
ANSWER_SECONDS = 600.0

T = TypeVar("T")


@dataclass(slots=True)
class AccountTally:
    """The state of an account, for `spamlstm status`. Its thread writes, other threads read."""

    host: str
    state: str = "connecting"
    error: str = ""
    since: float = field(default_factory=time.time)
    """When the state or the error last changed, in seconds since 1970."""
    judged: Counter[str] = field(default_factory=Counter)
    acted: Counter[str] = field(default_factory=Counter)
    learned: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    settled: Counter[str] = field(default_factory=Counter)
    """Interrupted moves, by result."""
    connections: int = 0
    visits: int = 0
    """Number of completed visits of all folders."""

    def set(self, state: str, error: str = "") -> None:
        """Set the state and the error, and the time of the change if one of them is different."""
        if (state, error) != (self.state, self.error):
            self.state, self.error, self.since = state, error, time.time()

    def snapshot(self) -> dict[str, Any]:
        """Return the numbers as a JSON-serializable dict."""
        counters = {
            "judged": self.judged,
            "acted": self.acted,
            "learned": self.learned,
            "failed": self.failed,
            "settled": self.settled,
        }
        plain = {"host": self.host, "state": self.state, "error": self.error, "since": self.since}
        numbers = {"connections": self.connections, "visits": self.visits}
        return {**plain, **numbers, **{name: dict(counter) for name, counter in counters.items()}}


@dataclass(slots=True)
class AccountSession:
    """One connection of one account, with the account's records."""

    account: ImapConfig
    config: Config
    connection: ImapConnection
    records: AccountRecords
    tally: AccountTally
    clock: Callable[[], float] = time.time

    @property
    def is_dry(self) -> bool:
        """Return whether this is a dry run. The folders are then opened for reading only."""
        return self.config.is_dry(self.account)

    def is_read_only(self, folder: AccountFolder) -> bool:
        """Return whether a folder is opened for reading only."""
        # Opening a folder for changes makes its new messages less new for other clients (RFC 3501, 2.3.2, \Recent).
        return folder.role is not FolderRole.INBOX or self.is_dry


@dataclass(slots=True)
class DaemonSession(AccountSession):
    """A session in the daemon, which can classify messages and store labels."""

    requests: Judging = field(kw_only=True)
    """The queue of the daemon's loop, which has the model and the labels."""

    def judge(self, raws: list[bytes]) -> list[JudgedMail | None]:
        """Classify messages. The result is None for a message that cannot be classified now."""
        requests = [JudgeRequest(raw, account=self.account.key) for raw in raws]
        for one in requests:
            self.requests.submit(one)
        return [self._answer(one) for one in requests]

    def label(self, request: LabelRequestOfClient) -> bool | None:
        """Store a label. Return whether the stored label changed, or None if it cannot be stored now."""
        self.requests.submit(request)
        return self._answer(request)

    def learn_written(self, names: Mapping[bytes, float]) -> bool:
        """Store correspondents to whom the user wrote. Return whether this was possible now."""
        request = WrittenRequest(b"", account=self.account.key, names=names)
        self.requests.submit(request)
        stored: bool | None = self._answer(request)
        return stored is True

    def _answer(self, request: Request[T]) -> T | None:
        """Return the answer, or None if there is none now. In this case, the loop skips the request."""
        try:
            return request.answer.result(ANSWER_SECONDS)
        except (JudgingError, AnswerTimeoutError):
            request.answer.cancel()
            return None
