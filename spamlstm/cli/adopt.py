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
from spamlstm.config.places import labels_dir, state_dir
from spamlstm.errors import NoInputError, reason_of
from spamlstm.filtering.journal import NAME as JOURNAL
from spamlstm.filtering.journal import Journal
from spamlstm.learning import bootstrap, mailbox, progress
from spamlstm.learning.bootstrap import Conclusion, Taken
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import Labels
from spamlstm.learning.mailbox import Evidence, Known, Names, Survey, Without
from spamlstm.learning.trainer import Learner
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.model.classifier import Classifier
from spamlstm.verdict import Verdict

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked for."""

    maildir: Path
    dry_run: bool
    json: bool
    model: Path | None
    config: Path | None
    state: Path | None


@dataclass(frozen=True, slots=True)
class Report:
    """All that is told."""

    maildir: str
    survey: Survey
    taken: Taken
    conclusion: Conclusion
    unsaid: dict[Verdict, int]
    ham_filed: float
    dry: bool


def adopt_maildir(wish: Wish) -> int:
    """Survey, learn and print; gives the exit status."""
    failed, report = learned(wish)
    for name, why in failed:
        complain(name, why)
    if wish.json:
        sys.stdout.write(jsons.dumps(_object(report)) + "\n")
    elif sys.stdout.isatty():
        pretty(report, Console(highlight=False))
    else:
        sys.stdout.write("".join("\t".join(map(str, line)) + "\n" for line in _lines(report)))
    return NoInputError.exit_status if failed else 0


def learned(wish: Wish) -> tuple[list[tuple[str, str]], Report]:
    """What could not be read (paths, each with the reason), and all else that is to be told."""
    config, path = choose_one(wish.config, wish.maildir, dry_run=wish.dry_run)
    classifier = Classifier.open(wish.model, config=config, prints=True)
    learning, console = config.learning, Console(stderr=True)
    store = _store(wish, config, path)
    known = Known(_filed(wish.state or state_dir()), _said(store))
    with _opened(path) as home:
        survey = _survey(home, Names(config.maildirs[0].junk, learning.silent), known, console)
        bootstrap.check(survey, where=str(wish.maildir))
        with opened(store, dry_run=wish.dry_run) as labels:
            taken, conclusion = _learn(Learner(labels, tell=note), classifier, survey, learning.ham_filed, source=path)
            unsaid = bootstrap.judge_unsaid(survey, classifier)
    report = Report(str(wish.maildir), survey, taken, conclusion, unsaid, learning.ham_filed, wish.dry_run)
    return [*survey.unreadable, *taken.failed], report


def _learn(
    learner: Learner, classifier: Classifier, survey: Survey, ham_filed: float, *, source: str
) -> tuple[Taken, Conclusion]:
    """Make labels of the survey and learn them; from then on the classifier judges by them."""
    console = Console(stderr=True)
    with progress.shown(console, "adopted", len(survey.witnesses)) as tell:
        taken = bootstrap.take(learner, classifier, survey.witnesses, source=source, progress=tell)
    with progress.shown(console, "learned", sum(learner.labels.counts().values())) as tell:
        conclusion = bootstrap.conclude(learner, classifier, ham_filed=ham_filed, progress=tell)
    classifier.personal = learner.layer
    return taken, conclusion


def take_back(wish: Wish) -> int:
    """Undo it and say how much that was; gives the exit status."""
    config, path = choose_one(wish.config, wish.maildir, dry_run=wish.dry_run)
    classifier = Classifier.open(wish.model, config=config)
    with (
        opened(_store(wish, config, path), dry_run=wish.dry_run) as labels,
        progress.shown(Console(stderr=True), "learned") as tell,
    ):
        ham_filed = config.learning.ham_filed
        number = bootstrap.take_back(
            Learner(labels, tell=note), classifier, source=path, ham_filed=ham_filed, progress=tell
        )
    if wish.json:
        sys.stdout.write(jsons.dumps({"taken_back": number, "dry_run": wish.dry_run}) + "\n")
    else:
        sys.stdout.write(f"{number:,} adopted labels {'would be ' if wish.dry_run else ''}taken back\n")
    return 0


def _store(wish: Wish, config: Config, path: str) -> Path:
    """The folder of the labels that count for this Maildir."""
    return labels_dir(wish.state or state_dir(), config.learning.layer, path)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[OpenMaildir]:
    try:
        home = OpenMaildir.open(path)
    except OSError as error:
        raise NoInputError(f"{path}: {reason_of(error)}") from error
    with home:
        yield home


def _survey(home: OpenMaildir, names: Names, known: Known, console: Console) -> Survey:
    with progress.shown(console, "looked at") as tell:
        try:
            return mailbox.survey(home, names=names, known=known, now=time.time(), progress=tell)
        except OSError as error:
            raise NoInputError(f"{home.path}: {reason_of(error)}") from error


def _filed(state: Path) -> set[str]:
    """What the filter itself put into junk folders."""
    if not (state / JOURNAL).is_file():
        return set()
    with contextlib.closing(Journal.open(state)) as journal:
        return journal.filed()


def _said(state: Path) -> set[str]:
    labels = Labels.find(state)
    if labels is None:
        return set()
    with contextlib.closing(labels):
        return labels.own()


@contextlib.contextmanager
def opened(state: Path, *, dry_run: bool) -> Iterator[Labels]:
    """The labels; for a dry run a copy that is thrown away. Broken off, the sentence says how to go on."""
    with contextlib.closing(Labels.copy(state) if dry_run else Labels.open(state)) as labels:
        try:
            yield labels
        except KeyboardInterrupt:
            if not dry_run:
                sys.stderr.write(f"spamlstm: {labels.adopted():,} labels are adopted; the same command goes on there\n")
            raise


# --- what is told ---------------------------------------------------------------------------------------------------


def _object(report: Report) -> dict[str, Any]:
    finding, survey = report.conclusion.finding, report.survey
    return {
        "maildir": report.maildir,
        "dry_run": report.dry,
        "messages": survey.messages,
        "evidence": {kind: survey.counts()[kind] for kind in Evidence},
        "not_learned_from": {kind: survey.without[kind] for kind in Without},
        "unreadable": len(survey.unreadable) + len(report.taken.failed),
        "new": report.taken.new,
        "known": report.taken.known,
        "last": report.conclusion.rehearsal,
        "unsaid": report.unsaid,
        "bars": {
            "ham": finding.thresholds.ham,
            "spam": finding.thresholds.spam,
            "model": {"ham": report.conclusion.model.ham, "spam": report.conclusion.model.spam},
            "used": not report.conclusion.chosen,
        },
        "ham_filed": {
            "wanted": report.ham_filed,
            "of": finding.ham,
            "filed": finding.filed,
            "at_most": finding.bound,
            "shown": finding.bound <= report.ham_filed,
        },
    }


def _lines(report: Report) -> Iterator[tuple[object, ...]]:
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


def pretty(report: Report, console: Console) -> None:
    """Tables and sentences, for people."""
    console.print(_evidence_table(report.survey))
    console.print(_rehearsal_table(report.conclusion, report.unsaid))
    for sentence in _sentences(report):
        console.print(plain(sentence), markup=False)


def _evidence_table(survey: Survey) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column(f"{survey.messages:,} messages")
    table.add_column("", justify="right")
    table.add_column("", style="dim")
    counts = survey.counts()
    for kind in Evidence:
        if counts[kind]:
            table.add_row(str(kind), f"{counts[kind]:,}", str(kind.label))
    for reason in Without:
        if survey.without[reason]:
            table.add_row(str(reason), f"{survey.without[reason]:,}", "not learned from", style="dim")
    return table


def _rehearsal_table(conclusion: Conclusion, unsaid: dict[Verdict, int]) -> "Table":
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
    if sum(unsaid.values()):
        table.add_row("unread or new in the inbox", *(f"{unsaid[verdict]:,}" for verdict in Verdict))
    return table


def _sentences(report: Report) -> Iterator[str]:
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
    if finding.bound > report.ham_filed:
        yield (
            f"So little ham cannot show the {_share(report.ham_filed)} that is configured; the bar lies above the"
            " highest of it, and rises or falls when you adopt again with more."
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
