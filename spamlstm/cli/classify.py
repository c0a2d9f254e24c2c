"""`spamlstm classify`: judge the mail under some paths and print the judgements."""

import contextlib
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from spamlstm.cli.exit_status import ExitStatus
from spamlstm.cli.judgements import Row, judgement_printer
from spamlstm.cli.mail_paths import readable
from spamlstm.cli.terminal import complain, local_time, note
from spamlstm.config import load_found_config
from spamlstm.config.locations import LABELS
from spamlstm.corpus.paths import STDIN, FileMessage, GivenMessage
from spamlstm.errors import UserError
from spamlstm.model.classifier import HELP_AFTER, Classifier, Judged
from spamlstm.model.policy import Reason
from spamlstm.verdict import Verdict

if TYPE_CHECKING:
    from spamlstm.model.personal_layer import PersonalLayer
    from spamlstm.model.workers import ReaderPool

Mail: TypeAlias = GivenMessage | FileMessage

_STATUS = {Verdict.SPAM: ExitStatus.SPAM, Verdict.UNSURE: ExitStatus.UNSURE}


@dataclass(frozen=True, slots=True)
class ClassifyOptions:
    """The options of `spamlstm classify`. `labels` is the folder of the label store."""

    paths: list[str]
    json: bool
    explain: bool
    exit_code: bool
    model: Path | None
    config: Path | None
    labels: Path


@dataclass(slots=True)
class _Summary:
    """The verdicts and failures so far."""

    verdicts: set[Verdict]
    failed: int = 0

    def fail(self, name: str, why: str, status: int) -> None:
        complain(name, why)
        self.failed = max(self.failed, status)

    def exit_status(self, *, by_verdict: bool) -> int:
        """Return the status of a failure; else, with `by_verdict`, that of the worst verdict: spam, unsure, ham."""
        if self.failed or not by_verdict:
            return self.failed
        return next((status for verdict, status in _STATUS.items() if verdict in self.verdicts), ExitStatus.OK)


def classify_paths(options: ClassifyOptions) -> int:
    """Judge and print each message under the paths; return the exit status."""
    paths = options.paths or _only_stdin()
    config = load_found_config(options.config)
    summary = _Summary(set())
    found = readable(paths, lambda name, why: summary.fail(name, why, ExitStatus.NO_INPUT))
    with _readers(found) as (mails, readers), judgement_printer(json=options.json) as show:
        layer = _personal_layer(options.labels)
        classifier = Classifier.open(options.model, config=config, personal_features=layer is not None)
        for judged in classifier.judge_many(((one, one) for one in mails), layer_of=lambda _: layer, readers=readers):
            row = _row(judged, classifier, layer, options, summary)
            if row is not None:
                show(row)
    return summary.exit_status(by_verdict=options.exit_code)


@contextlib.contextmanager
def _readers(found: Iterator[Mail]) -> "Iterator[tuple[Iterator[Mail], ReaderPool | None]]":
    """Yield the mail, and for a lot of mail also processes that read it; they start while the model is loaded."""
    first = list(itertools.islice(found, HELP_AFTER))
    if len(first) < HELP_AFTER:
        yield iter(first), None
        return
    from spamlstm.model.workers import ReaderPool, further_cores

    with ReaderPool(further_cores()) as pool:
        yield itertools.chain(first, found), pool


def _personal_layer(labels: Path) -> "PersonalLayer | None":
    """Return what was learned from the labels in a folder, or None without labels. The folder is not changed."""
    if not (labels / LABELS).is_file():
        return None
    from spamlstm.learning.trainer import learned_layer

    return learned_layer(labels, tell=note)


def _label_name(labels: Path, number: int) -> str:
    """Describe a label without the text of its message."""
    from spamlstm.learning.trainer import nth_label

    label = nth_label(labels, number)
    return f"{label.content} ({label.label}, {local_time(label.time)})" if label else f"label {number}"


def _only_stdin() -> list[str]:
    if sys.stdin.isatty():
        raise UserError("name the mail to classify: files, folders, Maildirs or mboxes, or - for standard input")
    return [STDIN]


def _row(
    judged: Judged[Mail],
    classifier: Classifier,
    layer: "PersonalLayer | None",
    options: ClassifyOptions,
    summary: _Summary,
) -> Row | None:
    name, judgement = judged.key.name, judged.judgement
    if judgement is None:
        summary.fail(name, judged.failure, ExitStatus.NO_INPUT)
        return None
    if judgement.reason == Reason.NOT_MAIL:
        summary.fail(name, "this is not mail but data of another kind", ExitStatus.DATA)
    summary.verdicts.add(judgement.verdict)
    causes = None
    if options.explain:
        from spamlstm.model.explain import explain

        causes = explain(
            classifier, judged.key.read(), layer=layer, name=lambda number: _label_name(options.labels, number)
        )
    return Row(name, judgement, judged.ms, causes)
