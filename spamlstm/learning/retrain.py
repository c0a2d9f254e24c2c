"""The network itself taught by the labels: a candidate is trained beside the model in use, and has to earn its place.

    labels ─► snapshot ─► trial, without the newest labels ─► comparison on these ─► candidate, with all ─► promoted
                                                          └─► refused                             └─► refused

What is promoted has learned every label, so there is none left to judge it by. So the same training is done twice: the
trial shows on the newest labels what it is worth, and the candidate on mail without labels what it would change.

Everything is made in a hidden folder among the user's models, which one run has at a time, and which the next run
empties. So a kill at any moment leaves the model in use as it is. What stays is the model, if it was promoted, and in
`retrain` of the state folder the last report and which labels it saw.
"""

import fcntl
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from spamlstm.config import Config
from spamlstm.config.locations import models_dir
from spamlstm.errors import TemporaryError, UnavailableError
from spamlstm.files import make_private, write_file
from spamlstm.learning import comparison, snapshot
from spamlstm.learning.comparison import Comparison, Figures, Sides
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.snapshot import LabelledMail, Snapshot
from spamlstm.learning.trainer import rescore_labels
from spamlstm.model import bundle as bundles
from spamlstm.model import registry
from spamlstm.model.bundle import CARD
from spamlstm.model.classifier import Assessed, Classifier
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.model.workers import same_modules
from spamlstm.verdict import Verdict

FEWEST = 20
"""Labels of each kind, below which nothing is retrained."""
KEPT = 3
"""Retrained models that stay installed, beside the one in use and the one before."""
# Resident memory is within what may be written to; measured in benchmarks/retraining.py.
MOST_BYTES = 1_500 << 20
CORES = 2
_NEEDED = ("torch", "onnx", "safetensors")
_FOLDER, _REPORT, _SEEN, _LOCK = "retrain", "report.json", "labels.json", "lock"
_NAME = "retrained"


@dataclass(frozen=True, slots=True)
class RetrainSettings:
    """What is asked for. `maildirs` is where mail without labels is; `model` the one to start from, if not in use."""

    state: Path
    config: Config = field(default_factory=Config)
    maildirs: tuple[Path, ...] = ()
    model: Path | None = None
    now: bool = False
    trainer: Sequence[str] = field(default_factory=lambda: (sys.executable, "-m", trainer_module(), "finetune"))
    say: Callable[[str], None] = print


@dataclass(frozen=True, slots=True)
class RetrainReport:
    """What came of it, and why, in words. `model` is the name of the candidate, None if there was nothing to do."""

    promoted: bool
    why: tuple[str, ...]
    model: str | None = None
    parent: str | None = None
    labels: dict[str, int] = field(default_factory=dict)
    contradictions: dict[str, int] = field(default_factory=dict)
    comparison: Comparison | None = None
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return asdict(self)


def retrain(options: RetrainSettings) -> RetrainReport:
    """Retrain if there is something to learn, and promote what is better. Errors leave all as it was.

    UnavailableError without the train extra, TemporaryError if another retraining is at work, DataError if the model
    cannot be trained on.
    """
    start = time.monotonic()
    _check_installed()
    labels = LabelStore.find(options.state)
    if labels is None:
        return RetrainReport(promoted=False, why=("nothing was labelled yet",))
    with closing(labels):
        if idle := _idle(labels, options.state, now=options.now):
            return RetrainReport(promoted=False, why=(idle,))
        with _workplace() as (work, lock):
            return _Run(options, labels, work, lock=lock).report(start)


class _Run:
    """One retraining."""

    def __init__(self, options: RetrainSettings, labels: LabelStore, work: Path, *, lock: int) -> None:
        self._options, self._labels, self._work, self._lock = options, labels, work, lock
        self._running = Classifier.open(options.model, config=options.config, personal_features=True)
        self._costs = options.config.policy.costs or self._running.bundle.costs
        self._name = _fresh_name()

    def report(self, start: float) -> RetrainReport:
        """Do all of it."""
        options = self._options
        options.say("reading labels and mail")
        seen = _seen(options.state)
        taken = snapshot.take_snapshot(
            self._labels, self._running.reader, options.maildirs, before=seen, into=self._work
        )
        options.say(
            f"{len(taken.train):,} labels to learn, {len(taken.held):,} held back, "
            f"{len(taken.unlabelled) + len(taken.aside):,} messages without"
        )
        found = self._judge(taken)
        why = comparison.objections(found)
        report = RetrainReport(
            promoted=not why,
            why=tuple(why) or ("better on the labels held back, and no more ham is lost",),
            model=self._name,
            parent=self._running.bundle.label,
            labels=taken.counts(),
            contradictions=asdict(taken.contradictions),
            comparison=found,
            seconds=round(time.monotonic() - start, 1),
        )
        if report.promoted:
            self._promote(report)
        # After all else: what a kill cut short is done again.
        kept = options.state / _FOLDER
        make_private(kept)
        _write(kept / _REPORT, report.as_json())
        _write(kept / _SEEN, taken.seen)
        return report

    def _judge(self, taken: Snapshot) -> Comparison:
        """Train the trial, and if it is worth it the candidate, and compare."""
        running, options = self._running, self._options
        labelled = list(comparison.assess(running, [one.mail for one in taken.all]))
        wild = list(comparison.assess(running, taken.unlabelled))
        aside = list(comparison.assess(running, taken.aside))
        knows_some = _layer(labelled, taken.train)
        self._train("trial", taken.train, targets=_targets(running, wild, knows_some), taken=taken)
        trial = Classifier.open(self._made("trial"), config=options.config, personal_features=True)
        tried = list(comparison.assess(trial, [one.mail for one in taken.all]))
        sides = [
            (self._figures(running, labelled, taken, layer=known), self._figures(trial, tried, taken, layer=mine))
            for known, mine in ((knows_some, _layer(tried, taken.train)), (None, None))
        ]
        found = Comparison(filters=Sides(*sides[0]), networks=Sides(*sides[1]))
        if comparison.objections(found):
            return found
        del trial, tried
        knows_all = _layer(labelled, taken.all)
        self._train("candidate", taken.all, targets=_targets(running, wild, knows_all), taken=taken)
        candidate = Classifier.open(self._made("candidate"), config=options.config, personal_features=True)
        learned = _layer(list(comparison.assess(candidate, [one.mail for one in taken.all])), taken.all)
        before, _ = comparison.judged(running, aside, knows_all)
        after, _ = comparison.judged(candidate, comparison.assess(candidate, taken.aside), learned)
        return replace(
            found,
            unlabelled=len(aside),
            judged_ham=before.count(Verdict.HAM),
            turned=comparison.turned(before, after),
        )

    def _figures(
        self, classifier: Classifier, assessed: list[Assessed[str]], taken: Snapshot, *, layer: PersonalLayer | None
    ) -> Figures:
        """Of the labels held back, which are the last in `assessed`."""
        verdicts, scores = comparison.judged(classifier, assessed[len(taken.train) :], layer)
        return comparison.figures(verdicts, scores, [one.spam for one in taken.held], self._costs)

    def _made(self, what: str) -> Path:
        """Where the training puts its bundle."""
        return self._work / f"{what}.model"

    def _train(
        self, what: str, labelled: Iterable[LabelledMail], *, targets: dict[str, float], taken: Snapshot
    ) -> None:
        """Run the training to its end, as a process of its own."""
        self._options.say(f"training the {what}")
        mail = [(one.mail, one.label.value) for one in labelled]
        folder = snapshot.write_training_folder(
            [*mail, *((one, "") for one in taken.unlabelled)], targets, into=self._work / what
        )
        options = {
            "--from": str(self._running.bundle.path),
            "--mail": str(folder),
            "--out": str(self._made(what)),
            "--version": self._name.removeprefix(f"{_NAME}-"),
            "--origin": json.dumps({"labels": taken.counts(), "unlabelled": len(targets)}),
            "--threads": str(min(CORES, len(os.sched_getaffinity(0)))),
        }
        _run_low([*self._options.trainer, *(word for pair in options.items() for word in pair)], lock=self._lock)

    def _promote(self, report: RetrainReport) -> None:
        """Put the candidate, with its report, among the models, in use, and under the layer."""
        made = self._made("candidate")
        _write(made / _REPORT, report.as_json())
        (made / CARD).write_text(f"{(made / CARD).read_text('utf-8')}\n{_card(report)}", "utf-8")
        manifest = dict(bundles.load_bundle(made).manifest)
        manifest["retrained"] = {**manifest.get("retrained", {}), "comparison": asdict(report)["comparison"]}
        bundles.seal(made, manifest)
        os.sync()  # the link must not be on disk before what it leads to
        made.rename(models_dir() / self._name)
        registry.use(self._name)
        rescore_labels(self._labels, Classifier.open(personal_features=True))
        _prune(self._work)


def _layer(assessed: Sequence[Assessed[str]], labelled: Sequence[LabelledMail]) -> PersonalLayer:
    """What a layer on this base knows of these labels, in the order of their saying. `assessed` may be of more."""
    found = {one.key: one for one in assessed}
    layer = PersonalLayer()
    for one in sorted(labelled, key=lambda labelled: labelled.row):
        known = found[one.content]
        if known.personal_features is not None:
            layer.learn(known.personal_features, prior=known.prior, spam=one.spam, history=one.origin.is_history)
    return layer


def _targets(running: Classifier, wild: Iterable[Assessed[str]], layer: PersonalLayer) -> dict[str, float]:
    """What the filter in use says of each message, personal layer and all: what that knows, the network is to learn."""
    scores = ((one.key, running.judged_score(one, layer)) for one in wild if not one.failure)
    return {name: score for name, score in scores if score is not None}


# --- the process ----------------------------------------------------------------------------------------------------


def _run_low(command: Sequence[str], *, lock: int) -> None:
    """Run a command behind everything else: lowest priority, two cores, bounded memory. It holds the lock, an open
    file, as long as it lives, also when this process is killed. TemporaryError if it does not end well.
    """
    # Threads that wait for each other by spinning take ten times the time where others are at work.
    environment = {**same_modules(), "OMP_WAIT_POLICY": "PASSIVE"}
    with subprocess.Popen(command, env=environment, pass_fds=[lock]) as process:  # noqa: S603  our own trainer
        try:
            _lower(process.pid)
            status = process.wait()
        except BaseException:
            process.kill()
            raise
    if status:
        ended = f"by signal {-status}" if status < 0 else f"with status {status}"
        raise TemporaryError(f"the training ended {ended}, so the model in use stays; what it said stands above")


def _lower(process: int) -> None:
    cores = sorted(os.sched_getaffinity(0))[-CORES:]
    for bound in (
        lambda: os.setpriority(os.PRIO_PROCESS, process, 19),
        lambda: resource.prlimit(process, resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES)),
        lambda: os.sched_setaffinity(process, cores),
        lambda: os.sched_setscheduler(process, os.SCHED_BATCH, os.sched_param(0)),
    ):
        # It may have ended; and a sandbox that forbids one of these sets bounds of its own.
        with suppress(ProcessLookupError, PermissionError):
            bound()


def trainer_module() -> str:
    """Return the name of the trainer's package: `spamlstm_training` in an installation, `training` in a checkout."""
    beside_spamlstm = Path(__file__).parents[2]
    return "spamlstm_training" if (beside_spamlstm / "spamlstm_training").is_dir() else "training"


def _check_installed() -> None:
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise UnavailableError(
            f"retraining needs {' and '.join(missing)}; to install, run in the checkout: pip install '.[train]'"
        )


# --- what stays between runs ----------------------------------------------------------------------------------------


@contextmanager
def _workplace() -> Generator[tuple[Path, int]]:
    """An empty folder on the disk of the user's models, for one process at a time, and its lock; gone at the end."""
    place = models_dir() / f".{_FOLDER}"
    make_private(place)
    work = place / "work"
    # The lock belongs to the open file, which a training that outlives this process has open too.
    with (place / _LOCK).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TemporaryError("another retraining is at work; wait for its end") from error
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield work, lock.fileno()
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _idle(labels: LabelStore, state: Path, *, now: bool) -> str:
    """Why there is nothing to do; empty if there is."""
    counts = labels.counts()
    for label in Label:
        if counts[label] < FEWEST:
            return f"there are {counts[Label.HAM]} ham and {counts[Label.SPAM]} spam; it takes {FEWEST} of each"
    seen = _seen(state)
    if not now and all(seen.get(one.content) == one.label for one in labels.last(snapshot.MOST_LABELS)):
        return "nothing was labelled since the last time; --now retrains all the same"
    return ""


def _seen(state: Path) -> dict[str, str]:
    """The labels, by content, that the last retraining saw."""
    try:
        seen: dict[str, str] = json.loads((state / _FOLDER / _SEEN).read_text())
    except (OSError, ValueError):
        return {}
    return seen


def _write(path: Path, value: object) -> None:
    """Write `value` as JSON in place of the file at `path`."""
    write_file(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def _fresh_name() -> str:
    """A name by the time, which no installed model has."""
    moment = time.time()
    while (name := f"{_NAME}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(moment))}") in registry.names():
        moment += 1
    return name


def _prune(work: Path) -> None:
    """Keep the newest retrained models, the one in use and the one before. Each is gone by one rename."""
    own = [name for name in registry.names() if name.startswith(f"{_NAME}-")]
    for name in own[:-KEPT]:
        if name not in (registry.current(), registry.previous()):
            (models_dir() / name).rename(work / name)


def _card(report: RetrainReport) -> str:
    """The section of the model card about the retraining."""
    lines = [
        "## Retrained",
        "",
        f"From {report.parent}, with {outcome_sentence(report.labels)}. {'; '.join(report.why)}.",
        "",
    ]
    return "\n".join([*lines, *comparison_table(report), ""])


def outcome_sentence(labels: dict[str, int]) -> str:
    """Counts of labels in words."""
    return " and ".join(f"{count:,} {label}" for label, count in labels.items())


def comparison_table(report: RetrainReport) -> list[str]:
    """The comparison as a table in Markdown; nothing if there was none."""
    if report.comparison is None:
        return []
    rows = [
        "| of the labels held back | ham lost | spam missed | unsure | cost | (1-ROCA)% |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for what, sides in (("filter", report.comparison.filters), ("network", report.comparison.networks)):
        for which, one in (("now", sides.running), ("new", sides.candidate)):
            area = "–" if one.one_minus_roca_pct is None else f"{one.one_minus_roca_pct:.3f}"
            rows.append(
                f"| {what}, {which} | {one.lost} of {one.ham} | {one.missed} of {one.spam} | {one.unsure} "
                f"| {one.cost:.1f} | {area} |"
            )
    changes = ", ".join(f"{count} {change}" for change, count in report.comparison.turned.items()) or "none"
    return [
        *rows,
        "",
        f"Of {report.comparison.unlabelled:,} messages without a label, verdicts that change: {changes}.",
    ]
