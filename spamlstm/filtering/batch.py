"""What is done with a group of judged messages that share a transaction and an fsync."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spamlstm.config import Action, Config
from spamlstm.config.maildirs import section_of
from spamlstm.errors import UserError
from spamlstm.filtering.actions import Work
from spamlstm.filtering.crash_guard import CrashGuard
from spamlstm.filtering.failures import FailureKind, kind_of, sentence
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.junk_folders import JunkFolders
from spamlstm.filtering.outcome import Candidate, Outcome, Status
from spamlstm.filtering.plan import Plan, plan, wanted
from spamlstm.filtering.recovery import JournaledPlan, Recovery
from spamlstm.maildir.opened import Entry
from spamlstm.maildir.transfer import Identity, TransferResult
from spamlstm.model.classifier import Judged
from spamlstm.verdict import Judgement


@dataclass(frozen=True, slots=True)
class Delivery:
    """A candidate that was read."""

    candidate: Candidate
    entry: Entry
    raw: bytes
    identity: Identity
    content: str
    delivered: float
    """When it came to be where it was found, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The means that a group is dealt with by."""

    config: Config
    journal: Journal
    recovery: Recovery
    clock: Callable[[], float]
    knows: Callable[[str, str], bool]
    """Whether a message (Maildir, content id) needs no judging."""
    guard: CrashGuard

    def deal(self, judged: Sequence[Judged[Delivery]], early: Sequence[Outcome]) -> list[Outcome]:
        """The outcomes of the judged messages, behind the `early` ones, which need no more than to be noted."""
        junks = JunkFolders()
        planned = [*((outcome, None) for outcome in early), *(self._planned(one, junks) for one in judged)]
        if not planned:
            return []
        try:
            noted = self._note(planned)
        except sqlite3.Error as error:
            return [_failed(outcome, error) for outcome, _ in planned]
        works = iter(self.recovery.perform([one for one in noted if one is not None]))
        return [
            outcome if one is None else _worked(outcome, next(works))
            for (outcome, _), one in zip(planned, noted, strict=True)
        ]

    def _planned(self, judged: Judged[Delivery], junks: JunkFolders) -> tuple[Outcome, Plan | None]:
        """What would become of it, and how."""
        mail, judgement = judged.key, judged.judgement
        outcome = Outcome(mail.candidate, Status.LEFT, judgement, content=mail.content, ms=judged.ms)
        if judgement is None:
            failed = replace(outcome, status=Status.FAILED, kind=FailureKind.UNREADABLE, failure=judged.failure)
            return failed, None
        try:
            planned, dry = self._plan(mail, judgement, junks, judged.spam_threshold)
        except UserError as error:
            return replace(outcome, status=Status.FAILED, kind=FailureKind.FOLDER, failure=str(error)), None
        except Exception as error:  # noqa: BLE001  contract 7: whatever it is, the next message goes on
            return _failed(outcome, error), None
        if planned is None:
            return outcome, None
        folder = planned.target.folder.path if Action.FILE in planned.actions else ""
        status = Status.DRY if dry else Status.DONE
        return replace(outcome, status=status, actions=planned.actions, folder=folder), None if dry else planned

    def _plan(
        self, mail: Delivery, judgement: Judgement, junks: JunkFolders, spam_threshold: float
    ) -> tuple[Plan | None, bool]:
        mailbox = mail.entry.folder.mailbox
        section = section_of(self.config.maildirs, Path(mailbox.path))
        actions = wanted(section, judgement) if section is not None else ()
        if section is None or not actions:
            return None, False
        junk = junks.folder(mailbox, section.junk) if Action.FILE in actions else None
        dry = self.config.is_dry(section)
        if junk is not None and not dry:
            junks.make_ready(junk)
        planned = plan(
            actions,
            mail.entry,
            judgement,
            raw=mail.raw,
            expected=mail.identity,
            junk=junk,
            spam_threshold=spam_threshold,
        )
        return planned, dry

    def _note(self, planned: Sequence[tuple[Outcome, Plan | None]]) -> list[JournaledPlan | None]:
        """One transaction: the judgements, the intents, which names need no further look, and that none is in progress.

        A message on which there is an act to come is not noted as seen: if the act fails, it comes back.
        """
        now = self.clock()
        outcomes = [outcome for outcome, _ in planned]
        with self.journal.group(durable=any(step is not None for _, step in planned)):
            self.guard.finish(outcomes)
            noted = [self._note_one(outcome, step, now) for outcome, step in planned]
        self.guard.forget(outcomes)
        return noted

    def _note_one(self, outcome: Outcome, step: Plan | None, now: float) -> JournaledPlan | None:
        candidate, judgement = outcome.candidate, outcome.judgement
        known = outcome.status is Status.KNOWN and self.knows(candidate.maildir, outcome.content)
        if known or outcome.status is Status.OLD:
            self._see(candidate, now)
        if outcome.status is Status.FAILED or judgement is None:
            return None
        number = self.journal.judged(
            candidate.maildir,
            outcome.content,
            base=candidate.base,
            judgement=judgement,
            stands=step is None,
            now=now,
        )
        if step is None:
            self._see(candidate, now)
            return None
        return JournaledPlan(self.journal.intend(number, step.intent, now=now), candidate.maildir, step)

    def _see(self, candidate: Candidate, now: float) -> None:
        self.journal.index.add(candidate.maildir, [(candidate.key, candidate.inode)], now=now)


def _worked(outcome: Outcome, work: Work) -> Outcome:
    if work.outcome is TransferResult.DONE:
        return outcome
    if work.outcome is TransferResult.GONE:
        return replace(outcome, status=Status.GONE, actions=(), folder="")
    return _failed(outcome, work.error or OSError("it could not be settled"))


def _failed(outcome: Outcome, error: Exception) -> Outcome:
    if outcome.status in (Status.FAILED, Status.GONE):
        return outcome
    return replace(outcome, status=Status.FAILED, actions=(), folder="", kind=kind_of(error), failure=sentence(error))
