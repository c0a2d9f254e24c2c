"""`spamlstm scan`: filter one Maildir once, without a daemon."""

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from spamlstm.cli.journal import open_journal
from spamlstm.cli.judgements import Row, judgement_printer
from spamlstm.cli.selection import choose_one
from spamlstm.cli.terminal import complain, log_to_stderr, note, settings
from spamlstm.config import CatchUp
from spamlstm.config.locations import labels_dir, state_dir
from spamlstm.daemon.maildir_locks import MaildirLocks
from spamlstm.errors import ExitStatus
from spamlstm.filtering.counters import Counters
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.outcome import Outcome, Status
from spamlstm.filtering.pipeline import Pipeline
from spamlstm.filtering.placement import Arrival, Placement
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer, rescore_labels
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.model.classifier import Classifier
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.model.policy import Policy
from spamlstm.tracking.mailbox_state import MailboxState
from spamlstm.tracking.tracked_placements import TrackedPlacements


def scan_maildir(
    maildir: Path, *, dry_run: bool, json: bool, model: Path | None, config_file: Path | None, state: Path | None
) -> int:
    """Classify and act on the new mail of a Maildir, print each message, and return the exit status."""
    config, path = choose_one(config_file, maildir, dry_run=dry_run)
    state = state or state_dir()
    with (
        open_journal(state, dry_run=dry_run) as journal,
        log_to_stderr(without=["failed"]),
        contextlib.ExitStack() as stack,
    ):
        classifier = Classifier.open(model, config=config, personal_features=True)
        layer = _personal_layer(classifier, labels_dir(state, config.learning.labels, path), dry_run=dry_run)
        locks = stack.enter_context(MaildirLocks())
        if not dry_run:
            locks.lock(path)
        pipeline = Pipeline(
            config=config,
            classifier=classifier,
            journal=journal,
            counters=Counters(),
            placed=_placed(state, journal, stack, dry_run=dry_run),
            open_maildir=locks.opened,
            layer_of=lambda _: layer,
        )
        if not dry_run:
            pipeline.recover()
        catch_up = CatchUp.ALL if config.daemon.catch_up is CatchUp.ALL else CatchUp.UNSEEN
        # Closed before the journal is closed, even after Ctrl-C. Otherwise, the next scan finds messages in progress
        # and takes the interrupt for a crash.
        found = pipeline.scan(path, catch_up=catch_up, with_dry_run=True)
        outcomes = stack.enter_context(contextlib.closing(pipeline.follow(found)))
        _print(
            outcomes,
            json=json,
            policy=classifier.policy,
            silent=settings.quiet and not (json or dry_run),
        )
        # An unreadable Maildir yields no outcome. The log reports the reason.
        return ExitStatus.TEMPORARY if pipeline.counters.failed else ExitStatus.OK


def _placed(
    state: Path, journal: Journal, stack: contextlib.ExitStack, *, dry_run: bool
) -> Callable[[OpenMaildir, Arrival], Placement] | None:
    """Return a function that returns how a message came to the inbox, by the records of the daemon.

    Return None if there are no records. A dry run uses a temporary copy of them.
    """
    mailbox_state = MailboxState.find(state, dry_run=dry_run)
    if mailbox_state is None:
        return None
    stack.enter_context(contextlib.closing(mailbox_state))
    return TrackedPlacements(mailbox_state=mailbox_state, journal=journal, clock=time.time).placed


def _personal_layer(base: Classifier, folder: Path, *, dry_run: bool) -> PersonalLayer | None:
    """Update and return the personal layer (what was learned from the labels in `folder`), or None without labels.

    A dry run updates only a temporary copy.
    """
    labels = LabelStore.copy(folder) if dry_run else LabelStore.find(folder)
    if labels is None:
        return None
    with contextlib.closing(labels):
        rescore_labels(labels, base)
        trainer = Trainer(labels, tell=note)
        trainer.catch_up()
    return trainer.layer


def _print(outcomes: Iterable[Outcome], *, json: bool, policy: Policy, silent: bool) -> None:
    with judgement_printer(json=json) as show:
        for outcome in outcomes:
            path = outcome.candidate.path
            if outcome.status is Status.FAILED:
                complain(path, outcome.failure)
            elif outcome.judgement is not None and outcome.status is not Status.GONE and not silent:
                show(Row(path, outcome.judgement, outcome.ms, policy=policy, done=_done(outcome)))


def _done(outcome: Outcome) -> str:
    if not outcome.actions:
        return "nothing"
    words = ", ".join(outcome.actions)
    where = f" to {os.path.basename(outcome.folder)}" if outcome.folder else ""  # noqa: PTH119  the name as given
    return ("would " if outcome.status is Status.DRY else "") + words + where
