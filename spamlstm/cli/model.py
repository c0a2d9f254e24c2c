"""`spamlstm model`: the installed models, which is in use, and how another takes its place."""

import json as jsons
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console

from spamlstm.cli.output import plain, plain_lines
from spamlstm.config.locations import state_dir
from spamlstm.errors import UserError
from spamlstm.learning import progress
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import rescore_labels
from spamlstm.model import registry
from spamlstm.model.bundle import Bundle, load_bundle
from spamlstm.model.classifier import Classifier


def show_model(name: str | None, path: Path | None) -> None:
    """Print what the manifest says of a model, by its name or its folder, else of the one in use, and its card."""
    bundle = load_bundle(registry.folder(name) if name else registry.find_bundle(path))
    facts, card = _facts(bundle), bundle.card()
    if sys.stdout.isatty():
        _pretty(facts, card)
    else:
        _write(f"{facts}\n{plain_lines(card)}")


def list_models(*, json: bool) -> None:
    """Print a line for each installed model: its mark (* in use, - the one before), name, version, date, origin."""
    for name in registry.names():
        row = _row(name)
        _write((jsons.dumps(row) if json else _line(row)) + "\n")
    _warn_of_environment()


def use_model(name: str, *, state: Path | None) -> None:
    """Check an installed model and use it from now on."""
    _took_over(registry.use(name), state)


def roll_back(*, state: Path | None) -> None:
    """Use the model that was in use before."""
    _took_over(registry.rollback(), state)


def _took_over(bundle: Bundle, state: Path | None) -> None:
    sys.stdout.write(f"{registry.current()} is in use: {bundle.label}\n")
    _warn_of_environment()
    labels = LabelStore.find(state or state_dir())
    if labels is not None:
        with closing(labels), progress.show_progress(Console(stderr=True), "labels") as tell:
            rescore_labels(labels, Classifier.open(personal_features=True), tell=tell)


def _warn_of_environment() -> None:
    if named := os.environ.get(registry.ENVIRONMENT):
        sys.stderr.write(f"spamlstm: here ${registry.ENVIRONMENT} names {named}, and that goes before all of these\n")


def _row(name: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": name,
        "in_use": name == registry.current(),
        "before": name == registry.previous(),
    }
    try:
        bundle = load_bundle(registry.folder(name))
    except UserError as error:
        return {**row, "error": str(error)}
    origin = _table(bundle.manifest.get("retrained"))
    return {
        **row,
        "version": bundle.version,
        "created": bundle.manifest.get("created"),
        "parent": origin.get("parent"),
        "labels": origin.get("labels"),
    }


def _table(value: Any) -> dict[str, Any]:
    """An object of the manifest; nothing where there is something else, as nobody has checked this part of it."""
    return value if isinstance(value, dict) else {}


def _line(row: dict[str, Any]) -> str:
    mark = "*" if row["in_use"] else "-" if row["before"] else " "
    if "error" in row:
        return "\t".join((mark, row["name"], plain(row["error"])))
    labels = _table(row["labels"])
    ham, spam = (f"{count:,}" if isinstance(count := labels.get(kind, 0), int) else "?" for kind in ("ham", "spam"))
    told = f"{ham} ham and {spam} spam upon {_short(row['parent'], 130)}" if labels else ""
    return "\t".join((mark, row["name"], row["version"], _short(row["created"] or "-", 19), told)).rstrip()


def _short(value: Any, most: int) -> str:
    """The beginning of what a manifest says, such as a date without its time zone."""
    return plain(str(value)[:most])


def _facts(bundle: Bundle) -> str:
    thresholds = bundle.thresholds
    lines = {
        "model": bundle.label,
        "folder": plain(str(bundle.path)),
        "created": _short(bundle.manifest.get("created", "unknown"), 40),
        "verdicts": f"ham up to {thresholds.ham:.4g}, spam from {thresholds.spam:.4g}, unsure between",
    }
    return "".join(f"{name + ':':10}{value}\n" for name, value in lines.items())


def _write(text: str) -> None:
    sys.stdout.write(_encodable(text))


def _encodable(text: str) -> str:
    """A path, and a text in JSON, may hold what is no letter in UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def _pretty(facts: str, card: str) -> None:
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.segment import Segment, Segments

    console = Console(highlight=False)
    console.print(_encodable(facts), markup=False)
    # After Markdown has been read: it has spellings of its own for any character, and makes links of a terminal's.
    shown = console.render(Markdown(card, hyperlinks=False))
    console.print(
        Segments(Segment(_encodable(plain_lines(one.text)), one.style) for one in shown if not one.control), end=""
    )
