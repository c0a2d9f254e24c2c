"""`spamlstm classify`: judge what the paths name and print it."""

import contextlib
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from spamlstm.cli.named import readable
from spamlstm.cli.output import Row, complain, local_time, note, printer
from spamlstm.config import load_found_config
from spamlstm.config.locations import LABELS
from spamlstm.corpus.paths import STDIN, FileMessage, GivenMessage
from spamlstm.errors import DataError, NoInputError, UserError
from spamlstm.model.classifier import HELP_AFTER, Classifier, Judged
from spamlstm.model.policy import Reason
from spamlstm.verdict import Verdict

if TYPE_CHECKING:
    from spamlstm.model.personal_layer import PersonalLayer
    from spamlstm.model.workers import ReaderPool

Mail: TypeAlias = GivenMessage | FileMessage

_STATUS = {Verdict.HAM: 0, Verdict.SPAM: 1, Verdict.UNSURE: 2}


@dataclass(frozen=True, slots=True)
class ClassifyOptions:
    """What the command line asked for."""

    paths: list[str]
    json: bool
    explain: bool
    exit_code: bool
    model: Path | None
    config: Path | None
    labels: Path
    """The folder of the labels that count."""


@dataclass(slots=True)
class _Tally:
    """What the exit status depends on."""

    verdicts: set[Verdict]
    failed: int = 0

    def fail(self, name: str, why: str, status: int) -> None:
        complain(name, why)
        self.failed = max(self.failed, status)

    def status(self, *, by_verdict: bool) -> int:
        """A failure before all; then, if asked for, spam before unsure before ham."""
        if self.failed or not by_verdict:
            return self.failed
        for verdict in (Verdict.SPAM, Verdict.UNSURE):
            if verdict in self.verdicts:
                return _STATUS[verdict]
        return _STATUS[Verdict.HAM]


def classify_paths(options: ClassifyOptions) -> int:
    """Judge and print each message under the paths; gives the exit status."""
    paths = options.paths or _only_stdin()
    config = load_found_config(options.config)
    tally = _Tally(set())
    found = readable(paths, lambda name, why: tally.fail(name, why, NoInputError.exit_status))
    with _readers(found) as (mails, readers), printer(sys.stdout, json=options.json) as show:
        layer = _personal(options.labels)
        classifier = Classifier.open(options.model, config=config, personal_features=layer is not None)
        for judged in classifier.judge_many(((one, one) for one in mails), layer_of=lambda _: layer, readers=readers):
            row = _row(judged, classifier, layer, options, tally)
            if row is not None:
                show(row)
    return tally.status(by_verdict=options.exit_code)


@contextlib.contextmanager
def _readers(found: Iterator[Mail]) -> "Iterator[tuple[Iterator[Mail], ReaderPool | None]]":
    """The same mail, and where it is much processes to read it, which start while the model is loaded."""
    first = list(itertools.islice(found, HELP_AFTER))
    if len(first) < HELP_AFTER:
        yield iter(first), None
        return
    from spamlstm.model.workers import ReaderPool, further_cores

    with ReaderPool(further_cores()) as pool:
        yield itertools.chain(first, found), pool


def _personal(state: Path) -> "PersonalLayer | None":
    """What was learned from the labels in a folder, if there are any. The folder stays as it is."""
    if not (state / LABELS).is_file():
        return None
    from spamlstm.learning.trainer import learned_layer

    return learned_layer(state, tell=note)


def _label(state: Path, number: int) -> str:
    """A label in words that tell nothing of its message's text."""
    from spamlstm.learning.trainer import nth_label

    said = nth_label(state, number)
    return f"{said.content} ({said.label}, {local_time(said.time)})" if said else f"label {number}"


def _only_stdin() -> list[str]:
    if sys.stdin is None or sys.stdin.isatty():
        raise UserError("name what to classify: mail files, folders, Maildirs or mboxes, or - for standard input")
    return [STDIN]


def _row(
    judged: Judged[Mail],
    classifier: Classifier,
    layer: "PersonalLayer | None",
    options: ClassifyOptions,
    tally: _Tally,
) -> Row | None:
    name, judgement = judged.key.name, judged.judgement
    if judgement is None:
        tally.fail(name, judged.failure, NoInputError.exit_status)
        return None
    if judgement.reason == Reason.NOT_MAIL:
        tally.fail(name, "this is not mail but data of another kind", DataError.exit_status)
    tally.verdicts.add(judgement.verdict)
    pulls = None
    if options.explain:
        from spamlstm.model.explain import explain

        pulls = explain(classifier, judged.key.read(), layer=layer, name=lambda number: _label(options.labels, number))
    return Row(name, judgement, judged.ms, pulls)
