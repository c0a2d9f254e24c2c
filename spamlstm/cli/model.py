"""`spamlstm model`: list and show the installed models, and change the model in use.

A bundle is the folder of a model with its manifest (metadata as JSON) and model card (description in Markdown).
"""

import contextlib
import os
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spamlstm import progress
from spamlstm.cli.selection import account_named, existing_state
from spamlstm.cli.terminal import (
    complain,
    console,
    encodable,
    error_console,
    is_terminal,
    note,
    plain,
    plain_lines,
    print_json,
    print_rows,
    print_summary,
    report,
    thresholds_in_words,
)
from spamlstm.config import Config, LabelScope, load_found_config
from spamlstm.config.maildirs import expand_maildirs
from spamlstm.errors import ConfigError, ExitStatus, NoInputError, UserError
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import rescore_labels
from spamlstm.model import registry
from spamlstm.model.bundle import Bundle, load_bundle
from spamlstm.model.classifier import Classifier
from spamlstm.model.policy import Policy
from spamlstm.wording import counted

if TYPE_CHECKING:
    from spamlstm.learning.retrain import RetrainReport

_NO_COMMON_LABELS = (
    'each Maildir has its own labels ([learning] labels = "per-maildir"), and one model is used for all;'
    " to train it with the labels of one Maildir, add --maildir DIR"
)


def show_model(name: str | None, path: Path | None) -> None:
    """Print properties from the manifest and the card of a model, given by its name or its folder.

    Without `name` and `path`, show the model in use. Raises UserError if both are given.
    """
    if name and path:
        raise UserError("give either NAME or --model DIR")
    bundle = load_bundle(registry.folder(name) if name else registry.find_bundle(path))
    facts, card = _facts(bundle), bundle.card()
    if is_terminal(sys.stdout):
        _print_card(facts, card)
    else:
        sys.stdout.write(f"{facts}\n{plain_lines(card)}")


def list_models(*, json: bool) -> None:
    """Print the installed models with name, version, creation date and origin.

    The model in use is marked with '*', the previous model with '-'. With `json`, print one object per line.
    """
    rows = map(_row, registry.names())
    if json:
        for row in rows:
            print_json(row)
    else:
        print_rows(("", "name", "version", "created", "origin"), map(_columns, rows))
    if why := registry.lost_selection(None):
        report(why)
    _note_environment()


def change_model(change: Callable[[], Bundle], *, state: Path | None) -> None:
    """Change the model in use, report it, and recompute the scores of all labelled messages with this model.

    `change` puts another model in use and returns it.
    """
    folder = existing_state(state)
    bundle = change()
    print_summary(f"{registry.current()} is in use: {bundle.label}")
    _note_environment()
    labels = LabelStore.find(folder)
    if labels is not None:
        with closing(labels), progress.show_progress(error_console(), "labels") as tell:
            rescore_labels(labels, Classifier.open(personal_features=True), tell=tell)


def _note_environment(over: str = "the selected model") -> None:
    if named := os.environ.get(registry.ENVIRONMENT):
        note(f"${registry.ENVIRONMENT} selects {named}, which takes precedence over {over}")


def _row(name: str) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "in_use": name == registry.current(), "previous": name == registry.previous()}
    try:
        bundle = load_bundle(registry.folder(name))
    except UserError as error:
        return {**row, "error": str(error)}
    created, origin = bundle.manifest.get("created"), _object(bundle.manifest.get("retrained"))
    row |= {"version": bundle.version, "created": created}
    return row | {key: origin.get(key) for key in ("parent", "labels")}


def _object(value: Any) -> dict[str, Any]:
    """Return `value` if it is a JSON object, otherwise an empty object.

    `value` is from a part of the manifest that is not validated when the bundle is loaded.
    """
    return value if isinstance(value, dict) else {}


def _columns(row: dict[str, Any]) -> tuple[str, ...]:
    mark = "*" if row["in_use"] else "-" if row["previous"] else " "
    if "error" in row:
        return mark, row["name"], row["error"]
    labels = _object(row["labels"])
    ham, spam = (f"{count:,}" if isinstance(count := labels.get(kind, 0), int) else "?" for kind in ("ham", "spam"))
    origin = f"{ham} ham and {spam} spam labels on {_short(row['parent'], 130)}" if labels else ""
    return mark, row["name"], row["version"], _short(row["created"] or "-", 19), origin


def _short(value: Any, most: int) -> str:
    """Return at most `most` characters of a manifest value, such as a date without its time zone."""
    return plain(str(value)[:most])


def _facts(bundle: Bundle) -> str:
    thresholds = bundle.thresholds
    lines = {
        "model": bundle.label,
        "folder": plain(str(bundle.path)),
        "created": _short(bundle.manifest.get("created", "unknown"), 40),
        "verdicts": f"ham up to {thresholds.ham:.4g}, spam from {thresholds.spam:.6g}, unsure between",
    }
    with contextlib.suppress(ConfigError):  # the model can be shown even if the configuration cannot be used
        policy = Policy.of(load_found_config(None).policy, thresholds=thresholds)
        lines["in force"] = thresholds_in_words(policy.thresholds_json())
    return "".join(f"{name + ':':10}{value}\n" for name, value in lines.items())


def _print_card(facts: str, card: str) -> None:
    from rich.markdown import Markdown
    from rich.segment import Segment, Segments

    out = console()
    out.print(encodable(facts), markup=False)
    # The text is escaped only after Markdown is parsed, because Markdown can encode any character, such as a control
    # character. `hyperlinks=False` prevents links that the terminal opens.
    shown = out.render(Markdown(card, hyperlinks=False))
    out.print(
        Segments(Segment(encodable(plain_lines(one.text)), one.style) for one in shown if not one.control), end=""
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
    from spamlstm.cli.selection import label_folder
    from spamlstm.config import load_found_config
    from spamlstm.learning import retrain
    from spamlstm.learning.training_process import ended_by_signals

    config = load_found_config(config_file)
    if config.learning.labels is LabelScope.PER_MAILDIR and not (maildir or for_all or now or mail or model):
        # A timer runs this command every night, and must not fail because there is nothing to do.
        existing_state(state)
        _print_report(retrain.RetrainReport(promoted=False, why=(_NO_COMMON_LABELS,)), json=json)
        return ExitStatus.OK
    folder = label_folder(state, maildir, named=config_file)
    of_one = _maildir_of_labels(config, maildir, for_all=for_all)
    for path in mail:
        if not path.is_dir():
            raise NoInputError(f"{path} is not a folder with mail; name a Maildir as --mail")
    console = error_console()
    settings = retrain.RetrainSettings(
        state=folder,
        config=config,
        maildirs=tuple(mail or ([of_one] if of_one else expand_maildirs(config.maildirs))),
        model=model,
        now=now,
        say=lambda line: console.print(line, markup=False, soft_wrap=True),
    )
    with ended_by_signals():
        report = retrain.retrain(settings)
    if report.opposed_labels:
        from spamlstm.cli.opposed_labels import with_folders

        found = with_folders(report.opposed_labels, existing_state(state), config, maildir=maildir)
        report = replace(report, opposed_labels=found)
    _print_report(report, json=json, maildir=maildir)
    for step in report.unfinished:
        complain(str(report.model), f"is in use, but {step}")
    if report.promoted:
        _note_environment(str(report.model))
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


def _print_report(report: "RetrainReport", *, json: bool, maildir: Path | None = None) -> None:
    if json:
        print_json(report.as_json())
    else:
        print_summary(_report(report, maildir))


def _report(report: "RetrainReport", maildir: Path | None) -> str:
    why = "; ".join(report.why)
    if report.model is None:
        lines = [f"not retrained: {why}"]
        if report.opposed_labels:
            from spamlstm.cli.opposed_labels import opposed_lines

            lines += opposed_lines(report.opposed_labels, number=report.opposed, maildir=maildir)
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
