"""`spamlstm evaluate`: classify labelled mail, print the error rates, and write reports."""

import json as jsons
import os
import stat
from pathlib import Path

from spamlstm import progress
from spamlstm.cli.terminal import console, error_console
from spamlstm.corpus import labelled_mail
from spamlstm.errors import OutputError, UserError
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

    Each file is written completely or not at all. Raises OutputError if a file cannot be written.
    """
    task = None if feedback is None else trec_protocol.Feedback.parse(feedback)
    _check_targets([target for target in (json, html, plot) if target is not None])
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


def _check_targets(targets: list[Path]) -> None:
    """Raise an error for a file that would not be written, before an evaluation that takes minutes.

    A file is written beside its place and then renamed, which would replace a device such as /dev/stdout, a FIFO or a
    link by a regular file.
    """
    for target in targets:
        if not target.parent.is_dir():
            raise OutputError(f"{target} cannot be written: the folder {target.parent} does not exist")
        if os.path.lexists(target) and not stat.S_ISREG(os.lstat(target).st_mode):
            raise UserError(f"{target} is not a regular file; name another file")
    if len({os.path.abspath(target) for target in targets}) < len(targets):  # noqa: PTH100  does not follow links
        raise UserError("two options name the same file; give each its own file")
