"""`spamlstm adopt`: learn from an existing mailbox, or undo that."""

import contextlib
import json as jsons
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spamlstm import progress
from spamlstm.cli.adopt_report import AdoptReport, print_report
from spamlstm.cli.exit_status import ExitStatus
from spamlstm.cli.selection import choose_one
from spamlstm.cli.terminal import complain, error_console, note
from spamlstm.config import Config
from spamlstm.config.locations import labels_dir, state_dir
from spamlstm.errors import NoInputError, reason_of
from spamlstm.filtering.journal import NAME as JOURNAL
from spamlstm.filtering.journal import Journal
from spamlstm.learning import bootstrap, survey
from spamlstm.learning.bootstrap import AdoptedCounts, Conclusion
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.survey import FolderNames, KnownLabels, Survey
from spamlstm.learning.trainer import Trainer
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.model.classifier import Classifier


@dataclass(frozen=True, slots=True)
class AdoptOptions:
    """The options of `spamlstm adopt`."""

    maildir: Path
    dry_run: bool
    json: bool
    model: Path | None
    config: Path | None
    state: Path | None


def adopt_maildir(options: AdoptOptions) -> int:
    """Survey the mailbox, learn, and print the report; return the exit status."""
    failed, report = learn_mailbox(options)
    for name, why in failed:
        complain(name, why)
    print_report(report, json=options.json)
    return ExitStatus.NO_INPUT if failed else ExitStatus.OK


def learn_mailbox(options: AdoptOptions) -> tuple[list[tuple[str, str]], AdoptReport]:
    """Learn from a mailbox; return the paths that cannot be read with the reasons, and the report."""
    config, path = choose_one(options.config, options.maildir, dry_run=options.dry_run)
    classifier = Classifier.open(options.model, config=config, personal_features=True)
    learning = config.learning
    store = _store(options, config, path)
    known = KnownLabels(_filed(options.state or state_dir()), _labelled(store))
    with _open_mailbox(path) as mailbox:
        found = _survey(mailbox, FolderNames(config.maildirs[0].junk, learning.ignore_folders), known)
        bootstrap.check_evidence(found, where=str(options.maildir))
        with open_labels(store, dry_run=options.dry_run) as labels:
            trainer = Trainer(labels, tell=note)
            adopted, conclusion = _learn(trainer, classifier, found, learning.max_false_positive_rate, source=path)
            unlabelled = bootstrap.judge_unlabelled(found, classifier, trainer.layer)
    report = AdoptReport(
        str(options.maildir), found, adopted, conclusion, unlabelled, learning.max_false_positive_rate, options.dry_run
    )
    return [*found.unreadable, *adopted.failed], report


def _learn(
    trainer: Trainer, classifier: Classifier, found: Survey, max_false_positive_rate: float, *, source: str
) -> tuple[AdoptedCounts, Conclusion]:
    """Store a label for each sample of the survey, and learn them."""
    with progress.show_progress(error_console(), "adopted", len(found.samples)) as tell:
        adopted = bootstrap.adopt_labels(trainer, classifier, found.samples, source=source, progress=tell)
    with progress.show_progress(error_console(), "learned", sum(trainer.labels.counts().values())) as tell:
        conclusion = bootstrap.find_adopted_thresholds(
            trainer, classifier, max_false_positive_rate=max_false_positive_rate, progress=tell
        )
    return adopted, conclusion


def undo_adoption(options: AdoptOptions) -> int:
    """Remove the labels that were adopted from the mailbox, and print their number; return the exit status."""
    config, path = choose_one(options.config, options.maildir, dry_run=options.dry_run)
    classifier = Classifier.open(options.model, config=config)
    with (
        open_labels(_store(options, config, path), dry_run=options.dry_run) as labels,
        progress.show_progress(error_console(), "learned") as tell,
    ):
        number = bootstrap.forget_adopted(
            Trainer(labels, tell=note),
            classifier,
            source=path,
            max_false_positive_rate=config.learning.max_false_positive_rate,
            progress=tell,
        )
    if options.json:
        sys.stdout.write(jsons.dumps({"removed": number, "dry_run": options.dry_run}) + "\n")
    else:
        sys.stdout.write(f"{number:,} adopted labels {'would be ' if options.dry_run else ''}removed\n")
    return ExitStatus.OK


def _store(options: AdoptOptions, config: Config, path: str) -> Path:
    """Return the folder of the labels that apply to this Maildir."""
    return labels_dir(options.state or state_dir(), config.learning.labels, path)


@contextlib.contextmanager
def _open_mailbox(path: str) -> Iterator[OpenMaildir]:
    try:
        mailbox = OpenMaildir.open(path)
    except OSError as error:
        raise NoInputError(f"{path}: {reason_of(error)}") from error
    with mailbox:
        yield mailbox


def _survey(mailbox: OpenMaildir, names: FolderNames, known: KnownLabels) -> Survey:
    with progress.show_progress(error_console(), "read") as tell:
        try:
            return survey.survey_mailbox(mailbox, names=names, known=known, now=time.time(), progress=tell)
        except OSError as error:
            raise NoInputError(f"{mailbox.path}: {reason_of(error)}") from error


def _filed(state: Path) -> set[str]:
    """Return the content ids of mail that the filter itself moved to junk folders."""
    if not (state / JOURNAL).is_file():
        return set()
    with contextlib.closing(Journal.open(state)) as journal:
        return journal.filed()


def _labelled(state: Path) -> set[str]:
    """Return the content ids of mail that the user labelled."""
    labels = LabelStore.find(state)
    if labels is None:
        return set()
    with contextlib.closing(labels):
        return labels.labelled_by_user()


@contextlib.contextmanager
def open_labels(state: Path, *, dry_run: bool) -> Iterator[LabelStore]:
    """Open the label store; for a dry run a copy in memory. If interrupted, a sentence says how to continue."""
    with contextlib.closing(LabelStore.copy(state) if dry_run else LabelStore.open(state)) as labels:
        try:
            yield labels
        except KeyboardInterrupt:
            if not dry_run:
                complain("adopt", f"{labels.adopted():,} labels are stored; run the same command again to continue")
            raise
