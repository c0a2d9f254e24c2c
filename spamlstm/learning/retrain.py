"""Retraining: train the network with the user's labels, and promote the new model only if it is better.

    labels ─► snapshot ─► trial (no held-out labels) ─► comparison ─► candidate (all labels) ─► comparison ─► promoted
                                                            └─► refused                             └─► refused

A model that was trained with all labels has no labels left for its evaluation. The same training therefore runs twice.
The first model, the trial, is trained without the held-out labels, which then measure its quality. The second model,
the candidate, is trained with all labels, and unlabelled mail shows which verdicts would change. To promote the
candidate means to put it in use.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from spamlstm.config import Config
from spamlstm.config.locations import models_dir
from spamlstm.errors import TemporaryError, UserError, reason_of
from spamlstm.learning import comparison, opposed_labels, retrain_files, snapshot
from spamlstm.learning.comparison import Comparison, Figures, Sides
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.opposed_labels import OpposedLabel
from spamlstm.learning.reference_mail import ReferenceVerdicts, judge_reference_mail
from spamlstm.learning.snapshot import LabelledMail, Snapshot
from spamlstm.learning.train_extra import check_installed, find_training
from spamlstm.learning.trainer import rescore_labels
from spamlstm.learning.training_process import CORES, run_training
from spamlstm.model import bundle as bundles
from spamlstm.model import registry
from spamlstm.model.bundle import CARD
from spamlstm.model.classifier import Assessed, Classifier
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.verdict import Verdict
from spamlstm.wording import counted

FEWEST = 20
"""The minimum number of labels of each kind (ham, spam) for a retraining."""
MOST_OPPOSED = 10


def training_command() -> tuple[str, ...]:
    """Return the command that runs the training package.

    The option -P excludes the current folder from the search for modules, so that a file training.py or torch.py in the
    current folder is not executed.
    """
    return sys.executable, "-P", "-m", find_training() or "training", "finetune"


@dataclass(frozen=True, slots=True)
class RetrainSettings:
    """The settings of a retraining.

    `maildirs` contain unlabelled mail. `model` is the model to start from, by default the model in use. `command` is
    the training command. `say` is called with messages about the progress.
    """

    state: Path
    config: Config = field(default_factory=Config)
    maildirs: tuple[Path, ...] = ()
    model: Path | None = None
    now: bool = False
    """True to retrain even if nothing was labelled since the last retraining."""
    command: Sequence[str] = field(default_factory=training_command)
    say: Callable[[str], None] = print


@dataclass(frozen=True, slots=True)
class RetrainReport:
    """The result of a retraining.

    `why` has the reasons for the promotion, the reasons against it, or the reason why nothing was trained. `model` is
    the name of the new model, or None if nothing was trained. `parent` is the identifier of the model from which the
    training started. `labels` has the number of labels of each kind. `unfinished` has the steps after the promotion
    that failed, with the reasons. The new model is in use nevertheless.
    """

    promoted: bool
    why: tuple[str, ...]
    model: str | None = None
    parent: str | None = None
    labels: dict[str, int] = field(default_factory=dict)
    contradictions: dict[str, int] = field(default_factory=dict)
    opposed: int = 0
    """If nothing was trained: how many labels are the opposite of the verdict of the model in use without labels."""
    opposed_labels: tuple[OpposedLabel, ...] = ()
    """The first MOST_OPPOSED of these labels, the label with the most certain score first."""
    comparison: Comparison | None = None
    seconds: float = 0.0
    unfinished: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the report as a JSON-serializable dict."""
        return asdict(self)

    def labels_in_words(self) -> str:
        """Return the number of labels of each kind, in words."""
        return " and ".join(f"{count:,} {label}" for label, count in self.labels.items())

    def table(self) -> list[str]:
        """Return the comparison as the lines of a Markdown table. The list is empty if there was no comparison."""
        return comparison.comparison_table(self.comparison) if self.comparison else []


def retrain(settings: RetrainSettings) -> RetrainReport:
    """Retrain if there are new labels, and promote the new model if it is better.

    An exception means that the model in use is unchanged. A step that fails after the promotion is reported as
    `unfinished`.

    Raises UnavailableError if the train extra is not installed, TemporaryError if another retraining is running or the
    training fails, and DataError if the model cannot be used for training.
    """
    start = time.monotonic()
    check_installed()
    labels = LabelStore.find(settings.state)
    if labels is None:
        return RetrainReport(promoted=False, why=("nothing was labelled yet",))
    with closing(labels):
        if reason := _reason_to_skip(labels, settings.state, now=settings.now):
            return RetrainReport(promoted=False, why=(reason,))
        with retrain_files.work_folder() as (work, lock):
            return _Retraining(settings, labels, work, lock=lock).run(start)


def _reason_to_skip(labels: LabelStore, state: Path, *, now: bool) -> str:
    """Return the reason why a retraining would be useless, or '' if it would be useful."""
    counts = labels.counts()
    if min(counts.values()) < FEWEST:
        return (
            f"there are {counts[Label.HAM]} ham and {counts[Label.SPAM]} spam labels; retraining needs {FEWEST} of each"
        )
    before = retrain_files.labels_before(state)
    if not now and all(before.get(one.content) == one.label for one in labels.last(snapshot.MOST_LABELS)):
        return "nothing was labelled since the last retraining; use --now to retrain anyway"
    return ""


class _Retraining:
    """One retraining, from the snapshot of the labels to the saved report."""

    def __init__(self, settings: RetrainSettings, labels: LabelStore, work: Path, *, lock: int) -> None:
        self._settings, self._labels, self._work, self._lock = settings, labels, work, lock
        self._stamp = registry.stamp(settings.model)
        self._running = Classifier.open(settings.model, config=settings.config, personal_features=True)
        self._costs = settings.config.policy.costs or self._running.bundle.costs
        self._name = retrain_files.unused_name()

    def run(self, start: float) -> RetrainReport:
        """Train the models, compare them, promote the candidate if it is better, and save the report."""
        settings = self._settings
        settings.say("reading labels and mail")
        before = retrain_files.labels_before(settings.state)
        taken = snapshot.take_snapshot(
            self._labels, self._running.reader, settings.maildirs, before=before, into=self._work
        )
        settings.say(
            f"{counted(len(taken.train), 'label')} to learn, {len(taken.held):,} held out, "
            f"{counted(len(taken.unlabelled) + len(taken.aside), 'unlabelled message')}"
        )
        labelled: list[Assessed[str]] = []
        opposed: list[OpposedLabel] = []
        if not (useless := self._too_few(taken)):
            labelled = list(comparison.assess(self._running, [one.mail for one in taken.all]))
            opposed = opposed_labels.opposed_labels(taken.all, *comparison.judged(self._running, labelled, None))
            useless = opposed_labels.objection_to_labels(opposed, len(taken.all))
        if useless:
            none = RetrainReport(
                promoted=False,
                why=(useless,),
                labels=taken.counts(),
                contradictions=asdict(taken.contradictions),
                opposed=len(opposed),
                opposed_labels=tuple(opposed[:MOST_OPPOSED]),
            )
            self._save_outcome(none, taken)
            return none
        compared = self._compare(taken, labelled)
        why = comparison.objections(compared)
        report = RetrainReport(
            promoted=not why,
            why=tuple(why) or ("it is better on held-out labels and does not lose more ham",),
            model=self._name,
            parent=self._running.bundle.label,
            labels=taken.counts(),
            contradictions=asdict(taken.contradictions),
            comparison=compared,
            seconds=round(time.monotonic() - start, 1),
        )
        if not report.promoted:
            self._save_outcome(report, taken)
            return report
        self._promote(report)
        return self._finished(report, taken)

    def _too_few(self, taken: Snapshot) -> str:
        """Return the reason not to train if too few labels agree with their near-duplicates, or ''."""
        counts = taken.counts()
        if min(counts.values()) >= FEWEST:
            return ""
        return (
            f"of the newest {snapshot.MOST_LABELS:,} labels, {counts[Label.HAM]} ham and {counts[Label.SPAM]} spam"
            f" agree with their near-duplicates; retraining needs {FEWEST} of each"
        )

    def _compare(self, taken: Snapshot, labelled: list[Assessed[str]]) -> Comparison:
        """Compare the trial, and then the candidate, with the model in use, which assessed the messages of the labels.

        The candidate is trained only if the trial gives no reason against a promotion.
        """
        running = self._running
        unlabelled = list(comparison.assess(running, taken.unlabelled))
        aside = list(comparison.assess(running, taken.aside))
        layer = comparison.learned(labelled, taken.train)
        trial = self._train("trial", taken.train, targets=_targets(running, unlabelled, layer), taken=taken)
        tried = list(comparison.assess(trial, [one.mail for one in taken.all]))
        filters, networks = (
            Sides(self._figures(running, labelled, taken, known), self._figures(trial, tried, taken, learned))
            for known, learned in ((layer, comparison.learned(tried, taken.train)), (None, None))
        )
        compared = Comparison(filters, networks)
        if comparison.objections(compared):
            return compared
        del trial, tried
        layer = comparison.learned(labelled, taken.all)
        candidate = self._train("candidate", taken.all, targets=_targets(running, unlabelled, layer), taken=taken)
        learned = comparison.learned(list(comparison.assess(candidate, [one.mail for one in taken.all])), taken.all)
        before, _ = comparison.judged(running, aside, layer)
        after, _ = comparison.judged(candidate, comparison.assess(candidate, taken.aside), learned)
        return replace(
            compared,
            unlabelled=len(aside),
            judged_ham=before.count(Verdict.HAM),
            turned=comparison.turned(before, after),
            reference=ReferenceVerdicts(judge_reference_mail(running, layer), judge_reference_mail(candidate, learned)),
            shipped=comparison.shipped_losses(running, candidate, self._settings.config),
        )

    def _figures(
        self, classifier: Classifier, assessed: list[Assessed[str]], taken: Snapshot, layer: PersonalLayer | None
    ) -> Figures:
        """Return the figures on held-out labels.

        `assessed` has the messages of the training labels, then the messages of the held-out labels.
        """
        verdicts, scores = comparison.judged(classifier, assessed[len(taken.train) :], layer)
        return comparison.figures(verdicts, scores, [one.spam for one in taken.held], self._costs)

    def _train(
        self, what: str, labelled: Iterable[LabelledMail], *, targets: dict[str, float], taken: Snapshot
    ) -> Classifier:
        """Run a training in its own process, wait for its end, and open the new model.

        `what` is 'trial' or 'candidate'. `targets` are the soft targets of unlabelled messages, see `_targets`.
        """
        self._settings.say(f"training the {what}")
        mail = [(one.mail, one.label.value) for one in labelled]
        folder = snapshot.write_training_folder(
            [*mail, *((one, "") for one in taken.unlabelled)], targets, into=self._work / what
        )
        options = {
            "--from": str(self._running.bundle.path),
            "--mail": str(folder),
            "--out": str(self._made(what)),
            "--version": self._name.removeprefix(f"{retrain_files.NAME}-"),
            "--origin": json.dumps({"labels": taken.counts(), "unlabelled": len(targets)}),
            "--threads": str(min(CORES, len(os.sched_getaffinity(0)))),
        }
        run_training([*self._settings.command, *(word for pair in options.items() for word in pair)], lock=self._lock)
        return Classifier.open(self._made(what), config=self._settings.config, personal_features=True)

    def _made(self, what: str) -> Path:
        """Return the folder for the model that the training `what` makes."""
        return self._work / f"{what}.model"

    def _promote(self, report: RetrainReport) -> None:
        """Install the candidate with its report, and put it in use.

        Raises TemporaryError if another model was selected since the start.
        """
        if registry.stamp(self._settings.model) != self._stamp:
            raise TemporaryError(
                "another model was selected during the training, with which the new one was not compared; retrain again"
            )
        made = self._made("candidate")
        retrain_files.save_json(made / retrain_files.REPORT, report.as_json())
        (made / CARD).write_text(f"{(made / CARD).read_text('utf-8')}\n{_card(report)}", "utf-8")
        manifest = dict(bundles.load_bundle(made).manifest)
        manifest["retrained"] = {**manifest.get("retrained", {}), "comparison": asdict(report)["comparison"]}
        bundles.seal(made, manifest)
        os.sync()  # the files of the model must be on disk before the link to the model
        made.rename(models_dir() / self._name)
        registry.use(self._name)

    def _finished(self, report: RetrainReport, taken: Snapshot) -> RetrainReport:
        """Do the steps after a promotion. Return the report with the steps that failed.

        The filter does not depend on these steps. If the labels are not scored with the new model here, they are scored
        when they are next used.
        """
        steps = {
            "the labels were not scored with the new model, which happens when they are next used": lambda: (
                rescore_labels(self._labels, Classifier.open(personal_features=True))
            ),
            "old models were not removed": lambda: retrain_files.remove_old_models(
                self._work, parent=self._running.bundle.path
            ),
            # The outcome is saved last, so that a run that was killed is repeated.
            "the outcome was not saved, so the next run trains again": lambda: self._save_outcome(report, taken),
        }
        failures = {what: _failure(step) for what, step in steps.items()}
        return replace(report, unfinished=tuple(f"{what} ({why})" for what, why in failures.items() if why))

    def _save_outcome(self, report: RetrainReport, taken: Snapshot) -> None:
        retrain_files.save_outcome(self._settings.state, report=report.as_json(), labels=taken.labels)


def _failure(step: Callable[[], object]) -> str:
    """Run a step. Return the reason of its failure, or '' if it succeeded."""
    try:
        step()
    except UserError as error:
        return str(error)
    except OSError as error:
        return reason_of(error)
    return ""


def _targets(running: Classifier, unlabelled: Iterable[Assessed[str]], layer: PersonalLayer) -> dict[str, float]:
    """Return the scores of unlabelled messages with the personal layer, by message name.

    The scores are soft targets (scores instead of labels). A network trained on these scores learns the corrections
    that the layer makes.
    """
    scores = ((one.key, running.judged_score(one, layer)) for one in unlabelled if not one.failure)
    return {name: score for name, score in scores if score is not None}


def _card(report: RetrainReport) -> str:
    """Return the section of the model card about the retraining."""
    how = f"From {report.parent}, with {report.labels_in_words()}. {'; '.join(report.why)}."
    return "\n".join(["## Retrained", "", how, "", *report.table(), ""])
