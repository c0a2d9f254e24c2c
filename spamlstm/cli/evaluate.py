"""`spamlstm evaluate`: judge labelled mail, and print and write the results."""

import json as jsons
from pathlib import Path

from spamlstm import progress
from spamlstm.cli.terminal import console, error_console
from spamlstm.corpus import labelled_mail
from spamlstm.errors import NoInputError
from spamlstm.evaluation import evaluate, report


def evaluate_corpora(corpora: list[Path], *, model: Path | None, json: Path | None, html: Path | None) -> None:
    """Evaluate and print; each file is written whole or not at all."""
    _check_targets(json, html)
    with progress.show_progress(error_console(), "judged", _count(corpora)) as tell:
        evaluation = evaluate.evaluate_model(corpora, model=model, progress=tell)
    report.print_table(evaluation, console())
    if json is not None:
        report.write_json(evaluation, json)
    if html is not None:
        report.write_report(evaluation, html)


def _check_targets(*targets: Path | None) -> None:
    """Raise NoInputError if a file cannot be written: a run takes minutes, so this is checked first."""
    for target in targets:
        if target is not None and not target.parent.is_dir():
            raise NoInputError(f"{target} cannot be written: there is no folder {target.parent}")


def _count(corpora: list[Path]) -> int | None:
    counts = [labelled_mail.count_labelled(path) for path in corpora]
    return None if None in counts else sum(count for count in counts if count is not None)


def evaluate_online(
    corpora: list[Path], *, feedback: str, model: Path | None, json: Path | None, plot: Path | None
) -> None:
    """Judge and learn the mail in its order, and print; each file is written whole or not at all."""
    from spamlstm.evaluation import trec_protocol
    from spamlstm.evaluation.trec_protocol import Feedback

    task = Feedback.parse(feedback)
    _check_targets(json, plot)
    with progress.show_progress(error_console(), "judged", _count(corpora)) as tell:
        result = trec_protocol.run_protocol(corpora, task, model=model, progress=tell)
    report.print_table(result.evaluation, console())
    error_console().print(f"feedback {task}: {result.labelled} labels learned")
    if json is not None:
        report.write_whole(json, jsons.dumps(result.as_json(), indent=2, ensure_ascii=False) + "\n")
    if plot is not None:
        report.write_whole(plot, trec_protocol.picture(result))
