"""`spamlstm model`: the installed models, which is in use, and how another takes its place."""

import json as jsons
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console

from spamlstm.config.places import state_dir
from spamlstm.errors import UserError
from spamlstm.learning import progress
from spamlstm.learning.labels import Labels
from spamlstm.learning.learner import keep_in_step
from spamlstm.model import registry
from spamlstm.model.bundle import Bundle, load
from spamlstm.model.classifier import Classifier


def show_model(name: str | None, path: Path | None) -> None:
    """Print what the manifest says of a model, by its name or its folder, else of the one in use, and its card."""
    bundle = load(registry.folder(name) if name else registry.find_bundle(path))
    facts = _facts(bundle)
    if sys.stdout.isatty():
        _pretty(facts, bundle.card())
    else:
        sys.stdout.write(f"{facts}\n{bundle.card()}")


def list_models(*, json: bool) -> None:
    """Print a line for each installed model: its mark (* in use, - the one before), name, version, date, origin."""
    for name in registry.names():
        row = _row(name)
        sys.stdout.write((jsons.dumps(row) if json else _line(row)) + "\n")
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
    labels = Labels.find(state or state_dir())
    if labels is not None:
        with closing(labels), progress.shown(Console(stderr=True), "labels") as tell:
            keep_in_step(labels, Classifier.open(prints=True), tell=tell)


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
        bundle = load(registry.folder(name))
    except UserError as error:
        return {**row, "error": str(error)}
    origin = bundle.manifest.get("retrained") or {}
    return {
        **row,
        "version": bundle.version,
        "created": bundle.manifest.get("created"),
        "parent": origin.get("parent"),
        "labels": origin.get("labels"),
    }


def _line(row: dict[str, Any]) -> str:
    mark = "*" if row["in_use"] else "-" if row["before"] else " "
    if "error" in row:
        return "\t".join((mark, row["name"], row["error"]))
    labels = row["labels"] or {}
    told = f"{labels.get('ham', 0):,} ham and {labels.get('spam', 0):,} spam upon {row['parent']}" if labels else ""
    return "\t".join((mark, row["name"], row["version"], str(row["created"] or "-")[:19], told)).rstrip()


def _facts(bundle: Bundle) -> str:
    bars = bundle.thresholds
    lines = {
        "model": bundle.label,
        "folder": str(bundle.path),
        "created": str(bundle.manifest.get("created", "unknown")),
        "verdicts": f"ham up to {bars.ham:.4g}, spam from {bars.spam:.4g}, unsure between",
    }
    return "".join(f"{name + ':':10}{value}\n" for name, value in lines.items())


def _pretty(facts: str, card: str) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(highlight=False)
    console.print(facts, markup=False)
    console.print(Markdown(card))
