"""`spamlstm adopt`: learn from a mailbox that is there already, say what came of it, or take it back."""

import contextlib
import json as jsons
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from spamlstm.cli.chosen import choose_one
from spamlstm.cli.output import COLOURS, complain, note, plain
from spamlstm.config import Config
from spamlstm.config.locations import labels_dir, state_dir
from spamlstm.errors import NoInputError, reason_of
from spamlstm.filtering.journal import NAME as JOURNAL
from spamlstm.filtering.journal import Journal
from spamlstm.learning import bootstrap, progress, survey
from spamlstm.learning.bootstrap import AdoptedCounts, Conclusion
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.survey import AdoptionEvidence, FolderNames, KnownLabels, Survey, Without
from spamlstm.learning.trainer import Trainer
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.model.classifier import Classifier
from spamlstm.verdict import Verdict

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class AdoptOptions:
    """What the command line asked for."""

    maildir: Path
    dry_run: bool
    json: bool
    model: Path | None
    config: Path | None
    state: Path | None


@dataclass(frozen=True, slots=True)
class AdoptReport:
    """All that is told."""

    maildir: str
    survey: Survey
    taken: AdoptedCounts
    conclusion: Conclusion
    unlabelled: dict[Verdict, int]
    max_false_positive_rate: float
    dry: bool


def adopt_maildir(options: AdoptOptions) -> int:
    """Survey, learn and print; gives the exit status."""
    failed, report = learned(options)
    for name, why in failed:
        complain(name, why)
    if options.json:
        sys.stdout.write(jsons.dumps(_object(report)) + "\n")
    elif sys.stdout.isatty():
        pretty(report, Console(highlight=False))
    else:
        sys.stdout.write("".join("\t".join(map(str, line)) + "\n" for line in _lines(report)))
    return NoInputError.exit_status if failed else 0


def learned(options: AdoptOptions) -> tuple[list[tuple[str, str]], AdoptReport]:
    """What could not be read (paths, each with the reason), and all else that is to be told."""
    config, path = choose_one(options.config, options.maildir, dry_run=options.dry_run)
    classifier = Classifier.open(options.model, config=config, personal_features=True)
    learning, console = config.learning, Console(stderr=True)
    store = _store(options, config, path)
    known = KnownLabels(_filed(options.state or state_dir()), _said(store))
    with _opened(path) as home:
        survey = _survey(home, FolderNames(config.maildirs[0].junk, learning.ignore_folders), known, console)
        bootstrap.check_evidence(survey, where=str(options.maildir))
        with opened(store, dry_run=options.dry_run) as labels:
            trainer = Trainer(labels, tell=note)
            taken, conclusion = _learn(trainer, classifier, survey, learning.max_false_positive_rate, source=path)
            unlabelled = bootstrap.judge_unlabelled(survey, classifier, trainer.layer)
    report = AdoptReport(
        str(options.maildir), survey, taken, conclusion, unlabelled, learning.max_false_positive_rate, options.dry_run
    )
    return [*survey.unreadable, *taken.failed], report


def _learn(
    trainer: Trainer, classifier: Classifier, survey: Survey, max_false_positive_rate: float, *, source: str
) -> tuple[AdoptedCounts, Conclusion]:
    """Make labels of the survey and learn them."""
    console = Console(stderr=True)
    with progress.show_progress(console, "adopted", len(survey.samples)) as tell:
        taken = bootstrap.adopt_labels(trainer, classifier, survey.samples, source=source, progress=tell)
    with progress.show_progress(console, "learned", sum(trainer.labels.counts().values())) as tell:
        conclusion = bootstrap.find_adopted_thresholds(
            trainer, classifier, max_false_positive_rate=max_false_positive_rate, progress=tell
        )
    return taken, conclusion


def take_back(options: AdoptOptions) -> int:
    """Undo it and say how much that was; gives the exit status."""
    config, path = choose_one(options.config, options.maildir, dry_run=options.dry_run)
    classifier = Classifier.open(options.model, config=config)
    with (
        opened(_store(options, config, path), dry_run=options.dry_run) as labels,
        progress.show_progress(Console(stderr=True), "learned") as tell,
    ):
        max_false_positive_rate = config.learning.max_false_positive_rate
        number = bootstrap.forget_adopted(
            Trainer(labels, tell=note),
            classifier,
            source=path,
            max_false_positive_rate=max_false_positive_rate,
            progress=tell,
        )
    if options.json:
        sys.stdout.write(jsons.dumps({"taken_back": number, "dry_run": options.dry_run}) + "\n")
    else:
        sys.stdout.write(f"{number:,} adopted labels {'would be ' if options.dry_run else ''}taken back\n")
    return 0


def _store(options: AdoptOptions, config: Config, path: str) -> Path:
    """The folder of the labels that count for this Maildir."""
    return labels_dir(options.state or state_dir(), config.learning.labels, path)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[OpenMaildir]:
    try:
        home = OpenMaildir.open(path)
    except OSError as error:
        raise NoInputError(f"{path}: {reason_of(error)}") from error
    with home:
        yield home


def _survey(home: OpenMaildir, names: FolderNames, known: KnownLabels, console: Console) -> Survey:
    with progress.show_progress(console, "looked at") as tell:
        try:
            return survey.survey_mailbox(home, names=names, known=known, now=time.time(), progress=tell)
        except OSError as error:
            raise NoInputError(f"{home.path}: {reason_of(error)}") from error


def _filed(state: Path) -> set[str]:
    """What the filter itself put into junk folders."""
    if not (state / JOURNAL).is_file():
        return set()
    with contextlib.closing(Journal.open(state)) as journal:
        return journal.filed()


def _said(state: Path) -> set[str]:
    labels = LabelStore.find(state)
    if labels is None:
        return set()
    with contextlib.closing(labels):
        return labels.own()


@contextlib.contextmanager
def opened(state: Path, *, dry_run: bool) -> Iterator[LabelStore]:
    """The labels; for a dry run a copy that is thrown away. Broken off, the sentence says how to go on."""
    with contextlib.closing(LabelStore.copy(state) if dry_run else LabelStore.open(state)) as labels:
        try:
            yield labels
        except KeyboardInterrupt:
            if not dry_run:
                sys.stderr.write(f"spamlstm: {labels.adopted():,} labels are adopted; the same command goes on there\n")
            raise


# --- what is told ---------------------------------------------------------------------------------------------------


def _object(report: AdoptReport) -> dict[str, Any]:
    finding, survey = report.conclusion.finding, report.survey
    return {
        "maildir": report.maildir,
        "dry_run": report.dry,
        "messages": survey.messages,
        "evidence": {kind: survey.counts()[kind] for kind in AdoptionEvidence},
        "not_learned_from": {kind: survey.without[kind] for kind in Without},
        "unreadable": len(survey.unreadable) + len(report.taken.failed),
        "new": report.taken.new,
        "known": report.taken.known,
        "last": report.conclusion.rehearsal,
        "unsaid": report.unlabelled,
        "bars": {
            "ham": finding.thresholds.ham,
            "spam": finding.thresholds.spam,
            "model": {"ham": report.conclusion.model.ham, "spam": report.conclusion.model.spam},
            "used": not report.conclusion.chosen,
        },
        "ham_filed": {
            "wanted": report.max_false_positive_rate,
            "of": finding.ham,
            "filed": finding.filed,
            "at_most": finding.bound,
            "shown": finding.bound <= report.max_false_positive_rate,
        },
    }


def _lines(report: AdoptReport) -> Iterator[tuple[object, ...]]:
    """For awk: what, of what, number."""
    told = _object(report)
    yield "messages", "all", told["messages"]
    for group in ("evidence", "not_learned_from"):
        yield from ((group, kind, number) for kind, number in told[group].items())
    yield from (("labels", kind, told[kind]) for kind in ("new", "known"))
    for label, counts in told["last"].items():
        yield from ((f"last_{label}", verdict, number) for verdict, number in counts.items())
    yield from (("unsaid", verdict, number) for verdict, number in told["unsaid"].items())
    yield from (("bar", verdict, f"{told['bars'][verdict]:.6g}") for verdict in ("ham", "spam"))
    yield from (("ham_filed", kind, f"{told['ham_filed'][kind]:.6g}") for kind in ("wanted", "of", "filed", "at_most"))


def pretty(report: AdoptReport, console: Console) -> None:
    """Tables and sentences, for people."""
    console.print(_evidence_table(report.survey))
    console.print(_rehearsal_table(report.conclusion, report.unlabelled))
    for sentence in _sentences(report):
        console.print(plain(sentence), markup=False)


def _evidence_table(survey: Survey) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column(f"{survey.messages:,} messages")
    table.add_column("", justify="right")
    table.add_column("", style="dim")
    counts = survey.counts()
    for kind in AdoptionEvidence:
        if counts[kind]:
            table.add_row(str(kind), f"{counts[kind]:,}", str(kind.label))
    for reason in Without:
        if survey.without[reason]:
            table.add_row(str(reason), f"{survey.without[reason]:,}", "not learned from", style="dim")
    return table


def _rehearsal_table(conclusion: Conclusion, unlabelled: dict[Verdict, int]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    number = sum(sum(counts.values()) for counts in conclusion.rehearsal.values())
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"the last {number:,}, each judged by what came before it")
    for verdict in Verdict:
        table.add_column(Text(f"judged {verdict}", COLOURS[verdict]), justify="right")
    for label in Label:
        cells = (f"{conclusion.rehearsal[label][verdict]:,}" for verdict in Verdict)
        table.add_row(f"{'your mail' if label is Label.HAM else 'your junk'} ({label})", *cells)
    if sum(unlabelled.values()):
        table.add_row("unread or new in the inbox", *(f"{unlabelled[verdict]:,}" for verdict in Verdict))
    return table


def _sentences(report: AdoptReport) -> Iterator[str]:
    finding, conclusion, told = report.conclusion.finding, report.conclusion, report.taken
    yield ""
    yield f"{told.new:,} labels {'would be' if report.dry else 'are'} new" + (
        f", {told.known:,} were there from before." if told.known else "."
    )
    yield (
        f"The bar for spam {'would be' if report.dry else 'is now'} {_share(finding.thresholds.spam)}, the model's is"
        f" {_share(conclusion.model.spam)}. With it {finding.filed:,} of {finding.ham:,} ham would have been filed as"
        f" spam, which shows that no more than {_share(finding.bound)} is (95 %)."
    )
    if finding.bound > report.max_false_positive_rate:
        yield (
            f"So little ham cannot show the {_share(report.max_false_positive_rate)} that is configured; the bar lies"
            " above the highest of it, and rises or falls when you adopt again with more."
        )
    if conclusion.chosen:
        yield "Your configuration speaks of costs or thresholds, and so these bars are not used."
    if report.dry:
        yield "This was a dry run: nothing was kept."
        return
    yield (
        "Nothing was moved, and nothing is switched on. spamlstm run --dry-run MAILDIR shows what would be done with"
        " new mail; spamlstm config init begins a configuration; spamlstm adopt --undo MAILDIR takes all of this back."
    )


def _share(share: float) -> str:
    """In percent, with as many digits as tell it from the nearer end."""
    distance = min(share, 1 - share) * 100
    places = 1
    while places < 8 and distance and distance < 10 ** (1 - places):
        places += 1
    return f"{100 * share:.{places}f} %"
