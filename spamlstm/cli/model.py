"""`spamlstm model`: list and show the installed models, and change the model in use.

A bundle is the folder of a model with its manifest (metadata as JSON) and model card (description in Markdown).
"""

import contextlib
import os
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from spamlstm import progress
from spamlstm.cli.selection import existing_state
from spamlstm.cli.terminal import (
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
from spamlstm.config import load_found_config
from spamlstm.errors import ConfigError, UserError
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import rescore_labels
from spamlstm.model import registry
from spamlstm.model.bundle import Bundle, load_bundle
from spamlstm.model.classifier import Classifier
from spamlstm.model.policy import Policy


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
    note_environment()


def change_model(change: Callable[[], Bundle], *, state: Path | None) -> None:
    """Change the model in use, report it, and recompute the scores of all labelled messages with this model.

    `change` puts another model in use and returns it.
    """
    folder = existing_state(state)
    bundle = change()
    print_summary(f"{registry.current()} is in use: {bundle.label}")
    note_environment()
    labels = LabelStore.find(folder)
    if labels is not None:
        with closing(labels), progress.show_progress(error_console(), "labels") as tell:
            rescore_labels(labels, Classifier.open(personal_features=True), tell=tell)


def note_environment(over: str = "the selected model") -> None:
    """Print a note if the environment selects another model than `over`, the model that a command put in use."""
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
