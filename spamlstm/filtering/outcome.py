"""Candidates, which are messages that may need classification, and the outcome of each candidate."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from spamlstm.config import Action
from spamlstm.filtering.event_log import emit
from spamlstm.maildir.names import Part, base_of
from spamlstm.verdict import Judgement


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message in an inbox that may need classification, as found in a listing. The file may be renamed by now."""

    maildir: str
    part: Part
    name: str
    inode: int = 0
    """The inode of the file in the listing, to distinguish an earlier file of the same name. 0 if unknown."""
    shares_base: bool = False
    """True if another file in the same listing has the same base name."""

    @property
    def path(self) -> str:
        """The path of the file."""
        return os.path.join(self.maildir, self.part, self.name)  # noqa: PTH118  names are kept unchanged

    @property
    def base(self) -> str:
        """The base name, which mail programs do not change when they rename the file."""
        return base_of(self.name)

    @property
    def key(self) -> str:
        """The key of the file in the inbox index. If other files share the base name, the inode is added."""
        return f"{self.base}/{self.inode}" if self.shares_base else self.base


class Status(StrEnum):
    """The kind of outcome of a candidate."""

    DONE = "done"
    """The message was classified, and the actions for its verdict are done."""

    LEFT = "left"
    """The message was classified, and no action for its verdict was needed or possible."""

    DRY = "dry"
    """The message was classified in a dry run. The actions for its verdict are only reported."""

    KNOWN = "known"
    """This program or its user put the message into the inbox, after it was classified. The message is left unchanged.
    """

    MOVING = "moving"
    """The user may be moving the message now, because its file also has a name in another folder since a short time.

    A later scan decides.
    """

    WAITING = "waiting"
    """Another file of the message is in another folder, and the user may be moving it. A later scan decides.

    In a dry run, an earlier run may also have begun to change the message.
    """

    OLD = "old"
    """The message is in cur, and its date is before its Maildir was watched. The message is left unchanged.

    Only its user can have put such a message into cur.
    """

    GONE = "gone"
    """A mail program renamed the message or a user removed it meanwhile. The next scan finds it if it still exists."""

    FAILED = "failed"
    """The message could not be read, classified or acted on, and is unchanged. A later scan tries again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one candidate. For FAILED, `failure` is a sentence and `kind` is a `FailureKind`."""

    candidate: Candidate
    status: Status
    judgement: Judgement | None = None
    actions: tuple[Action, ...] = ()
    """The actions that were done, or in a dry run the planned actions."""
    folder: str = ""
    """The path of the folder to which the message was moved."""
    content: str = ""
    """The content id of the message."""
    kind: str = ""
    failure: str = ""
    ms: float = 0.0
    """The time to classify the message, in milliseconds."""
    delivered: float | None = None
    """When the message came to the folder in which it was found, in seconds since 1970. None if not read."""


def log_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Log one line for each message, and one warning for each kind of failure.

    A full disk that affects 30,000 messages thus causes one warning.
    """
    kinds: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        _log_outcome(outcome)
        if outcome.status is Status.FAILED:
            kinds.setdefault(outcome.kind, []).append(outcome)
    for kind, failed in kinds.items():
        first = failed[0]
        where = {"maildir": first.candidate.maildir, "base": first.candidate.base}
        emit(logging.WARNING, "failed", kind=kind, count=len(failed), **where, error=first.failure)


def _log_outcome(outcome: Outcome) -> None:
    candidate, judgement = outcome.candidate, outcome.judgement
    quiet = outcome.status not in (Status.DONE, Status.LEFT, Status.DRY)
    emit(
        logging.DEBUG if quiet else logging.INFO,
        outcome.status,
        maildir=candidate.maildir,
        base=candidate.base,
        id=outcome.content,
        verdict=judgement.verdict if judgement else None,
        p=judgement.probability if judgement else None,
        score=judgement.score if judgement else None,
        reason=judgement.reason if judgement else None,
        model=judgement.model if judgement else None,
        actions=",".join(outcome.actions),
        folder=os.path.basename(outcome.folder),  # noqa: PTH119  the name is kept unchanged
        kind=outcome.kind,
        error=outcome.failure,
        ms=outcome.ms or None,
    )
