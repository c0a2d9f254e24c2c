"""The processing steps for a message: read, classify, plan, journal, carry out, and journal the result.

| step | function | processing of a message ends if |
|---|---|---|
| 1 read | `DeliveryReader.read` | the message is gone, known, too old, too large, or still being written |
| 2 classify | `Judge.classify_many` | the message cannot be classified |
| 3 plan | `Pass._plan` | its verdict has no actions, the run is dry, or the junk folder cannot be used |
| 4 journal | `Pass._record` | the journal cannot be written |
| 5 carry out | `acts.perform` | a mail program or a user changed the message first, or the disk reports an error |
| 6 journal | `acts.perform` | |

A message whose processing ends early is passed through the remaining steps as an `Outcome`, so that the order is kept.
Steps 3 to 6 are done for one batch at a time. All intents of a batch are on disk, in one transaction, before the first
message of the batch is changed. The files of a batch are synced together.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from spamlstm.config import Action, Config
from spamlstm.config.maildirs import section_of
from spamlstm.errors import DataError, TemporaryError, UserError
from spamlstm.filtering.acts import JournaledPlan, Plan, Recovery, perform, plan, wanted_actions
from spamlstm.filtering.crash_guard import CrashGuard, GuardedCandidate
from spamlstm.filtering.delivery import Delivery, DeliveryReader, ReadResult
from spamlstm.filtering.failures import FailureKind, kind_of, sentence
from spamlstm.filtering.outcome import Candidate, Outcome, Status
from spamlstm.maildir import junk_folder
from spamlstm.maildir.opened import OpenFolder, OpenMaildir
from spamlstm.maildir.transfer import Attempt, TransferResult
from spamlstm.model.classifier import Judged
from spamlstm.verdict import Judgement

if TYPE_CHECKING:
    from spamlstm.model.bundle import Bundle
    from spamlstm.model.personal_layer import PersonalLayer
    from spamlstm.model.policy import Policy

# The number of messages that share a transaction and an fsync. A larger batch is hardly faster. This batch takes a
# tenth of a second.
BATCH = 64
# The raw mail in a batch, in bytes. Tagged copies may use as much memory again.
BATCH_BYTES = 16 << 20


K = TypeVar("K")


class Judge(Protocol):
    """The part of the interface of `Classifier` that filtering uses."""

    @property
    def bundle(self) -> "Bundle":
        """The model. Its identifier is recorded with each judgement."""
        ...

    @property
    def policy(self) -> "Policy":
        """The policy, with the thresholds in force."""
        ...

    def classify_many(
        self,
        mails: Iterable[tuple[K, bytes | None]],
        *,
        layer_of: "Callable[[K], PersonalLayer | None] | None",
        readers: int | None = None,
        beat: Callable[[], None] = lambda: None,
    ) -> Iterator[Judged[K]]:
        """Classify raw messages lazily and yield the results in the order of `mails`.

        An item without a raw message is passed through in order. `layer_of` returns the personal layer of an item's
        Maildir. If it is None, only the model is used. `beat` is called at least once for each message.
        """
        ...


@dataclass(slots=True)
class Pass:
    """One pass over candidates. Reads, classifies and plans messages, and carries out the plans."""

    config: Config
    classifier: Judge
    recovery: Recovery
    guard: CrashGuard
    reader: DeliveryReader
    layer_of: "Callable[[str], PersonalLayer | None]"
    beat: Callable[[], None]
    stop: Callable[[], bool]

    def run(self, guarded: Iterable[GuardedCandidate]) -> Iterator[list[Outcome]]:
        """Yield the outcomes of each completed batch. Ends early, after a batch, when `stop()` is true."""
        mails = self._read_all(self.guard.start(guarded))
        # If the caller stops iterating early, the threads and processes end when `judged` goes out of scope.
        judged = self.classifier.classify_many(
            mails,
            layer_of=lambda item: self.layer_of(item.candidate.maildir),
            beat=self.beat,
        )
        more = True
        while more:
            batch, more = _next_batch(judged)
            outcomes = self._act(batch)
            del batch  # frees the mail of this batch before the next batch is read
            yield outcomes
            more = more and not self.stop()

    # 1: read

    def _read_all(self, runs: Iterable[list[Candidate | Outcome]]) -> Iterator[tuple[ReadResult, bytes | None]]:
        stopped = False
        for run in runs:
            for one in run:
                if isinstance(one, Outcome):
                    yield one, None
                elif not (stopped := stopped or self.stop()):
                    item = self.reader.read(one)
                    yield item, item.raw if isinstance(item, Delivery) else None
                    del item  # frees this message before the next message is read
            if stopped:
                return

    # 3 to 6: act

    def _act(self, batch: Sequence[Judged[ReadResult]]) -> list[Outcome]:
        """Carry out the acts of a batch and return the outcomes."""
        if not batch:
            return []
        junk_folders = _JunkFolders()
        planned = [self._plan(one, junk_folders) for one in batch]
        try:
            journaled = self._record(planned)
        except (DataError, TemporaryError) as error:
            return [_failed(outcome, error) for outcome, _ in planned]
        attempts = iter(perform([one for one in journaled if one is not None], self.recovery))
        return [
            outcome if one is None else _ended(outcome, next(attempts))
            for (outcome, _), one in zip(planned, journaled, strict=True)
        ]

    # 3: plan

    def _plan(self, judged: Judged[ReadResult], junk_folders: "_JunkFolders") -> tuple[Outcome, Plan | None]:
        """Return the expected outcome of a message, and its plan. The plan is None if nothing is to be carried out."""
        mail, judgement = judged.key, judged.judgement
        if isinstance(mail, Outcome):
            return mail, None
        outcome = Outcome(
            mail.candidate, Status.LEFT, judgement, content=mail.content, ms=judged.ms, delivered=mail.delivered
        )
        if judgement is None:
            why = judged.failure
            return replace(outcome, status=Status.FAILED, kind=FailureKind.UNREADABLE, failure=why), None
        try:
            planned, dry = self._planned(mail, judgement, judged.spam_threshold, junk_folders)
        except UserError as error:
            return replace(outcome, status=Status.FAILED, kind=FailureKind.FOLDER, failure=str(error)), None
        except Exception as error:  # noqa: BLE001  after any error, the next message is processed
            return _failed(outcome, error), None
        if planned is None:
            return outcome, None
        folder = planned.transfer.target.folder.path if Action.FILE in planned.actions else ""
        status = Status.DRY if dry else Status.DONE
        return replace(outcome, status=status, actions=planned.actions, folder=folder), None if dry else planned

    def _planned(
        self, mail: Delivery, judgement: Judgement, spam_threshold: float, junk_folders: "_JunkFolders"
    ) -> tuple[Plan | None, bool]:
        """Return the plan, and whether the run is dry. A dry run only reports the plan."""
        mailbox = mail.entry.folder.mailbox
        section = section_of(self.config.maildirs, Path(mailbox.path))
        actions = wanted_actions(section, judgement) if section is not None else ()
        if section is None or not actions:
            return None, False
        dry = self.config.is_dry(section)
        junk = junk_folders.folder(mailbox, section.junk, create=not dry) if Action.FILE in actions else None
        planned = plan(
            actions,
            mail.entry,
            judgement,
            raw=mail.raw if mail.is_rewritable else None,
            expected=mail.identity,
            junk=junk,
            spam_threshold=spam_threshold,
        )
        return planned, dry

    # 4: journal

    def _record(self, planned: Sequence[tuple[Outcome, Plan | None]]) -> list[JournaledPlan | None]:
        """Record the judgements and the intents of a batch, in one transaction, and return the journaled plans.

        The transaction also adds the finished messages to the inbox index, and records for the crash guard that the
        messages are no longer in progress.
        """
        outcomes, now = [outcome for outcome, _ in planned], self.recovery.clock()
        with self.recovery.journal.transaction(durable=any(step is not None for _, step in planned)):
            self.guard.finish(outcomes)
            journaled = [self._record_one(outcome, step, now) for outcome, step in planned]
        self.guard.forget(outcomes)
        return journaled

    def _record_one(self, outcome: Outcome, step: Plan | None, now: float) -> JournaledPlan | None:
        journal, candidate, judgement = self.recovery.journal, outcome.candidate, outcome.judgement
        act = None
        if outcome.status is Status.FAILED or judgement is None:
            is_done = outcome.status in (Status.KNOWN, Status.OLD)
        else:
            is_done = step is None
            complete = is_done and outcome.status is not Status.DRY  # a scan does what a dry run reported
            number = journal.add_judgement(
                candidate.maildir, outcome.content, base=candidate.base, judgement=judgement, complete=complete, now=now
            )
            if step is not None:
                act = JournaledPlan(journal.add_intent(number, step.intent, now=now), candidate.maildir, step)
        # A message with a pending act is not added to the index, so a scan returns the message again if the act fails.
        if is_done:
            journal.index.add(candidate.maildir, [(candidate.key, candidate.inode)], now=now)
        return act


class _JunkFolders:
    """The junk folders of one batch, each looked up only once.

    The next batch looks them up again, because users may rename or remove junk folders between batches.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], OpenFolder] = {}
        self._ready: set[str] = set()

    def folder(self, mailbox: OpenMaildir, configured: str, *, create: bool) -> OpenFolder:
        """Return the junk folder. If `create`, a missing folder is created.

        Raises UserError or OSError if the folder cannot be used.
        """
        key = mailbox.path, configured
        if key not in self._found:
            self._found[key] = junk_folder.junk_folder(mailbox, configured)
        folder = self._found[key]
        if create and folder.path not in self._ready:
            # A complete folder does not need an fsync.
            if not junk_folder.is_complete(folder):
                junk_folder.create_folder(folder)
            junk_folder.check_one_file_system(mailbox.folder(), folder)
            self._ready.add(folder.path)
        return folder


def _next_batch(judged: Iterator[Judged[ReadResult]]) -> tuple[list[Judged[ReadResult]], bool]:
    """Return the next batch of messages, and whether there may be more messages."""
    batch, size = [], 0
    for one in judged:
        batch.append(one)
        size += len(one.key.raw) if isinstance(one.key, Delivery) else 0
        if len(batch) == BATCH or size > BATCH_BYTES:
            return batch, True
    return batch, False


def _ended(outcome: Outcome, attempt: Attempt) -> Outcome:
    if attempt.result is TransferResult.DONE:
        return outcome
    if attempt.result is TransferResult.GONE:
        return replace(outcome, status=Status.GONE, actions=(), folder="")
    return _failed(outcome, attempt.error or OSError("the result of the act could not be determined"))


def _failed(outcome: Outcome, error: Exception) -> Outcome:
    if outcome.status in (Status.FAILED, Status.GONE):
        return outcome
    return replace(outcome, status=Status.FAILED, actions=(), folder="", kind=kind_of(error), failure=sentence(error))
