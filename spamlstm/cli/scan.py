"""`spamlstm scan`: one pass over one Maildir, without a daemon."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spamlstm.cli.chosen import choose_one
from spamlstm.cli.output import Row, complain, note, printer
from spamlstm.config import CatchUp
from spamlstm.config.locations import labels_dir, state_dir
from spamlstm.daemon.maildir_locks import MaildirLocks
from spamlstm.daemon.state_folder import hold
from spamlstm.errors import TemporaryError
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.outcome import Counters, Outcome, Status
from spamlstm.filtering.pipeline import Pipeline
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer, rescore_labels
from spamlstm.model.classifier import Classifier
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.tracking.mailbox_state import MailboxState


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What the command line asked for."""

    maildir: Path
    dry_run: bool
    json: bool
    model: Path | None
    config: Path | None
    state: Path | None


def scan_maildir(options: ScanOptions) -> int:
    """Judge, act and print; gives the exit status."""
    config, path = choose_one(options.config, options.maildir, dry_run=options.dry_run)
    state = options.state or state_dir()
    with opened(state, dry_run=options.dry_run) as journal, contextlib.ExitStack() as stack:
        classifier = Classifier.open(options.model, config=config, personal_features=True)
        labels = labels_dir(state, config.learning.labels, path)
        layer = _layer_upon(classifier, labels, dry_run=options.dry_run)
        locks = stack.enter_context(MaildirLocks())
        if not options.dry_run:
            locks.lock(path)
        pipeline = Pipeline(
            config=config,
            classifier=classifier,
            journal=journal,
            counters=Counters(),
            layer_of=lambda _: layer,
            moved=_moved(state, stack),
            open_maildir=locks.opened,
        )
        if not options.dry_run:
            pipeline.recover()
        catch_up = CatchUp.ALL if config.daemon.catch_up is CatchUp.ALL else CatchUp.UNSEEN
        status = _print(pipeline.follow(pipeline.scan(path, catch_up=catch_up)), json=options.json)
        # A Maildir that cannot be looked at has no outcome; the log says why.
        return TemporaryError.exit_status if pipeline.counters.failed else status


def _moved(state: Path, stack: contextlib.ExitStack) -> Callable[[str, str], bool]:
    """What the daemon knows of moves, if one was ever at work there."""
    mailbox_state = MailboxState.find(state)
    if mailbox_state is None:
        return lambda _maildir, _content: False
    return stack.enter_context(contextlib.closing(mailbox_state)).was_moved


def _layer_upon(base: Classifier, folder: Path, *, dry_run: bool) -> PersonalLayer | None:
    """What was learned from the labels in a folder, in step with this base; a dry run leaves no trace of that."""
    labels = LabelStore.copy(folder) if dry_run else LabelStore.find(folder)
    if labels is None:
        return None
    with contextlib.closing(labels):
        rescore_labels(labels, base)
        trainer = Trainer(labels, tell=note)
        trainer.catch_up()
    return trainer.layer


@contextlib.contextmanager
def opened(state: Path, *, dry_run: bool) -> Iterator[Journal]:
    """The journal, and nobody else at work with it; for a dry run a copy that is thrown away."""
    if dry_run:
        with contextlib.closing(Journal.copy(state)) as copy:
            yield copy
        return
    with hold(state), contextlib.closing(Journal.open(state)) as journal:
        yield journal


def _print(outcomes: Iterable[Outcome], *, json: bool) -> int:
    failed = False
    with printer(sys.stdout, json=json) as show:
        for outcome in outcomes:
            path = outcome.candidate.path
            if outcome.status is Status.FAILED:
                failed = True
                complain(path, outcome.failure)
            elif outcome.judgement is not None and outcome.status is not Status.GONE:
                show(Row(path, outcome.judgement, outcome.ms, done=_done(outcome)))
    return TemporaryError.exit_status if failed else 0


def _done(outcome: Outcome) -> str:
    if not outcome.actions:
        return "nothing"
    words = ", ".join(outcome.actions)
    where = f" to {os.path.basename(outcome.folder)}" if outcome.folder else ""  # noqa: PTH119  a name, as it was given
    return ("would " if outcome.status is Status.DRY else "") + words + where
