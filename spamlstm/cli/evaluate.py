"""`spamlstm evaluate`: classify labelled mail, print the error rates, and write reports."""

import json as jsons
from pathlib import Path

from spamlstm import progress
from spamlstm.cli.terminal import console, error_console
from spamlstm.corpus import labelled_mail
from spamlstm.errors import OutputError
from spamlstm.evaluation import evaluate, report, trec_protocol
from spamlstm.wording import counted


def evaluate_corpora(
    corpora: list[Path],
    *,
    model: Path | None,
    json: Path | None,
    html: Path | None,
    feedback: str | None,
    plot: Path | None,
) -> None:
    """Evaluate the model on the corpora, write the files `json`, `html` and `plot` if given, and print a table.

    Each file is written completely or not at all. Raises OutputError if the folder of a file is missing.
    """
    task = None if feedback is None else trec_protocol.Feedback.parse(feedback)
    # An evaluation takes minutes, so the folders are checked before it.
    for target in filter(None, (json, html, plot)):
        if not target.parent.is_dir():
            raise OutputError(f"{target} cannot be written: the folder {target.parent} does not exist")
    counts = [labelled_mail.count_labelled(path) for path in corpora]
    total = None if None in counts else sum(filter(None, counts))
    with progress.show_progress(error_console(), "classified", total) as tell:
        if task is None:
            online, evaluation = None, evaluate.evaluate_model(corpora, model=model, progress=tell)
        else:
            online = trec_protocol.run_protocol(corpora, task, model=model, progress=tell)
            evaluation = online.evaluation
    # The files are written first, because the reader of the table may exit early.
    if json is not None and online is not None:
        report.write_whole(json, jsons.dumps(online.as_json(), indent=2, ensure_ascii=False) + "\n")
    elif json is not None:
        report.write_json(evaluation, json)
    if html is not None:
        report.write_report(evaluation, html)
    if plot is not None and online is not None:
        report.write_whole(plot, trec_protocol.picture(online))
    report.print_table(evaluation, console())
    if online is not None:
        error_console().print(f"feedback {task}: {counted(online.labelled, 'label')} learned")
