"""Deliveries: candidates whose files have been read, and are to be classified."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.filtering.acts import Recovery
from spamlstm.filtering.failures import FailureKind, kind_of, sentence
from spamlstm.filtering.outcome import Candidate, Outcome, Status
from spamlstm.filtering.placement import Arrival, Placement, is_recent
from spamlstm.maildir import message_file
from spamlstm.maildir.content_id import content_id, former_content_ids
from spamlstm.maildir.entry import Entry
from spamlstm.maildir.file_evidence import FileEvidence
from spamlstm.maildir.message_file import Identity, MissingPackageError, TooLargeError
from spamlstm.maildir.names import GoneError
from spamlstm.maildir.opened import OpenMaildir


@dataclass(frozen=True, slots=True)
class Delivery:
    """A candidate whose file has been read."""

    candidate: Candidate
    entry: Entry
    raw: bytes
    """The plain message."""
    identity: Identity
    content: str
    delivered: float
    """The time at which the message came to the folder in which it was found, in seconds since 1970."""
    is_rewritable: bool = True
    """Whether a tagged file may replace the file: the file is not compressed and has no name in another folder."""


ReadResult: TypeAlias = Delivery | Outcome


class DeliveryReader:
    """A reader of candidates that decides which of them are to be classified."""

    def __init__(
        self,
        recovery: Recovery,
        *,
        opened: Callable[[str], OpenMaildir],
        placed: Callable[[OpenMaildir, Arrival], Placement],
        remote: frozenset[int],
    ) -> None:
        """Create a reader. `placed` returns how a message came to the inbox of a Maildir.

        `remote` has the devices (st_dev) on which `is_being_written` must not be called.
        """
        self._recovery = recovery
        self._opened = opened
        self._placed = placed
        self._remote = remote

    def read(self, candidate: Candidate) -> ReadResult:
        """Return the delivery of a candidate, or its outcome if it is not to be classified now.

        An error becomes an outcome.
        """
        try:
            return self._delivery(candidate)
        except GoneError:
            return Outcome(candidate, Status.GONE)
        except TooLargeError as error:
            return Outcome(candidate, Status.FAILED, kind=FailureKind.TOO_LARGE, failure=str(error))
        except MissingPackageError as error:
            return Outcome(candidate, Status.FAILED, kind=FailureKind.COMPRESSED, failure=str(error))
        except Exception as error:  # noqa: BLE001  after any error, the next message is processed
            return Outcome(candidate, Status.FAILED, kind=kind_of(error), failure=sentence(error))

    def _delivery(self, candidate: Candidate) -> ReadResult:
        unsettled = self._recovery.unsettled
        if unsettled and (candidate.maildir, candidate.base) in unsettled:
            if self._recovery.is_dry(candidate.maildir):
                return Outcome(candidate, Status.WAITING)
            failure = (
                "an earlier change of the message was interrupted and cannot be finished now; it is tried again later"
            )
            return Outcome(candidate, Status.FAILED, kind=FailureKind.UNSETTLED, failure=failure)
        entry = self._opened(candidate.maildir).folder().entry(candidate.part, candidate.name)
        try:
            status = entry.status()
        except FileNotFoundError as error:
            raise GoneError(candidate.path) from error
        if candidate.part == "cur":
            since = self._recovery.journal.index.since(candidate.maildir, now=self._recovery.clock())
            if status.st_mtime < since:
                return Outcome(candidate, Status.OLD)
        if status.st_dev not in self._remote and message_file.is_being_written(entry):
            return Outcome(candidate, Status.FAILED, kind=FailureKind.UNFINISHED, failure="it is still being written")
        stored = message_file.read_message(entry, most=MOST_BYTES)
        raw, identity, content = stored.content, stored.identity, content_id(stored.content)
        if self._recovery.journal.has_former:
            self._recovery.journal.renew(candidate.maildir, former_content_ids(raw), content)
        evidence = FileEvidence.of(candidate.name, stored)
        arrived = Arrival(candidate, content, status.st_ctime, status.st_mtime, raw, evidence)
        match self._placed(entry.folder.mailbox, arrived):
            case Placement.MOVED:
                return Outcome(candidate, Status.KNOWN, content=content)
            case Placement.UNCLEAR:
                return Outcome(candidate, Status.WAITING, content=content)
        # A message that its user is moving now is classified in a later scan if the message is then still here: a mail
        # server that moves a message by a link removes the first name within seconds. Names that stay are those of
        # copies. procmail delivers a message to several folders by hard links.
        is_linked = message_file.is_moving(entry, identity)
        if is_linked and self._changed_lately(entry):
            return Outcome(candidate, Status.MOVING, content=content)
        # The ctime of a file is the time of its link or rename into new. Any program can set the mtime.
        return Delivery(
            candidate,
            entry,
            raw,
            identity,
            content,
            delivered=status.st_ctime,
            is_rewritable=not (stored.is_compressed or is_linked),
        )

    def _changed_lately(self, entry: Entry) -> bool:
        """Return whether a name of a file was added, changed or removed less than WAIT_SECONDS ago."""
        try:
            changed = entry.status().st_ctime
        except FileNotFoundError as error:
            raise GoneError(entry.path) from error
        return is_recent(changed, now=self._recovery.clock())
