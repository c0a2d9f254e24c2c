"""`spamlstm retrain`: train a model on the labels, and report whether it is used."""

import os
import sys
from dataclasses import replace
from pathlib import Path

from spamlstm.cli.model import note_environment
from spamlstm.cli.opposed_labels import opposed_lines, with_folders
from spamlstm.cli.selection import account_named, existing_state, label_folder
from spamlstm.cli.terminal import complain, console, error_console, is_terminal, print_json, print_summary
from spamlstm.config import Config, LabelScope, load_found_config
from spamlstm.config.maildirs import expand_maildirs
from spamlstm.errors import ExitStatus, NoInputError, UserError
from spamlstm.learning.retrain import RetrainReport, RetrainSettings, retrain
from spamlstm.learning.training_process import ended_by_signals
from spamlstm.wording import counted

_NO_COMMON_LABELS = (
    'each Maildir has its own labels ([learning] labels = "per-maildir"), and one model is used for all;'
    " to train it with the labels of one Maildir, add --maildir DIR"
)


def retrain_model(
    *,
    now: bool,
    mail: list[Path],
    json: bool,
    maildir: Path | None,
    for_all: bool,
    model: Path | None,
    config_file: Path | None,
    state: Path | None,
) -> ExitStatus:
    """Train a model on the labels, use the new model if it is better, print the report and return the exit status.

    Raises UserError if the labels of one Maildir would change the model of other Maildirs and `for_all` is not given.
    Raises NoInputError if a path in `mail` is not a folder.
    """
    config = load_found_config(config_file)
    if config.learning.labels is LabelScope.PER_MAILDIR and not (maildir or for_all or now or mail or model):
        # A timer runs this command every night, and must not fail because there is nothing to do.
        existing_state(state)
        _print_report(RetrainReport(promoted=False, why=(_NO_COMMON_LABELS,)), json=json)
        return ExitStatus.OK
    folder = label_folder(state, maildir, named=config_file)
    of_one = _maildir_of_labels(config, maildir, for_all=for_all)
    for path in mail:
        if not path.is_dir():
            raise NoInputError(f"{path} is not a folder with mail; name a Maildir as --mail")
    progress = error_console()
    settings = RetrainSettings(
        state=folder,
        config=config,
        maildirs=tuple(mail or ([of_one] if of_one else expand_maildirs(config.maildirs))),
        model=model,
        now=now,
        say=lambda line: progress.print(line, markup=False, soft_wrap=True),
    )
    with ended_by_signals():
        report = retrain(settings)
    if report.opposed_labels:
        found = with_folders(report.opposed_labels, existing_state(state), config, maildir=maildir)
        report = replace(report, opposed_labels=found)
    _print_report(report, json=json, maildir=maildir)
    for step in report.unfinished:
        complain(str(report.model), f"is in use, but {step}")
    if report.promoted:
        note_environment(str(report.model))
    return ExitStatus.TEMPORARY if report.unfinished else ExitStatus.OK


def _maildir_of_labels(config: Config, maildir: Path | None, *, for_all: bool) -> Path | None:
    """Return the Maildir whose labels a retraining uses.

    Return None if all Maildirs share their labels, or if `maildir` is the name of an IMAP account.

    Raises NoInputError if the Maildir was renamed or removed. Raises UserError if other Maildirs would use the model
    without `for_all`, or if `for_all` has no effect.
    """
    if config.learning.labels is LabelScope.SHARED or maildir is None:
        if for_all:
            raise UserError("--for-all has no effect, because all Maildirs share their labels; leave it out")
        return None
    account = account_named(config, str(maildir))
    if account is None and not os.path.lexists(maildir):
        raise NoInputError(
            f"{maildir} does not exist, only its labels do; name a Maildir, or move the labels to another one with"
            " 'spamlstm labels export' and 'spamlstm labels import'"
        )
    others = [str(path) for path in expand_maildirs(config.maildirs) if account or not path.samefile(maildir)]
    others += [one.label for one in config.accounts if one is not account]
    if others and not for_all:
        raise UserError(
            f"the model is used for all mail, so the labels of {maildir} would influence"
            f" {counted(len(others), 'other Maildir')} and accounts; add --for-all to train the model with them"
            " nevertheless"
        )
    if for_all and not others:
        raise UserError(f"--for-all has no effect, because {maildir} is the only Maildir or account; leave it out")
    return maildir if account is None else None


def _print_report(report: RetrainReport, *, json: bool, maildir: Path | None = None) -> None:
    if json:
        print_json(report.as_json())
    else:
        print_summary(_report(report, maildir))


def _report(report: RetrainReport, maildir: Path | None) -> str:
    why = "; ".join(report.why)
    if report.model is None:
        lines = [f"not retrained: {why}"]
        if report.opposed_labels:
            width = console().width if is_terminal(sys.stdout) else None
            lines += opposed_lines(report.opposed_labels, number=report.opposed, maildir=maildir, width=width)
        return "\n".join(lines)
    lines = [
        f"{report.model} is in use: {why}"
        if report.promoted
        else f"the new model is not used; {report.parent} stays in use: {why}",
        f"learned from {report.labels_in_words()} in {report.seconds:.0f} s",
        *(
            f"contradictory labels: {count} {what.replace('_', ' ')}"
            for what, count in report.contradictions.items()
            if count
        ),
        "",
        *report.table(),
    ]
    return "\n".join(lines)
