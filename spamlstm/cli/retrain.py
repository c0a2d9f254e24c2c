"""`spamlstm retrain`: train the network on the labels, and print the report."""

import json as jsons
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from spamlstm.cli.terminal import error_console, note
from spamlstm.config import load_found_config
from spamlstm.config.maildirs import expand_maildirs
from spamlstm.learning import retrain
from spamlstm.learning.retrain import RetrainReport, RetrainSettings
from spamlstm.model import registry


@dataclass(frozen=True, slots=True)
class RetrainOptions:
    """The options of `spamlstm retrain`. `state` is the folder of the label store."""

    now: bool
    mail: list[Path]
    json: bool
    model: Path | None
    config: Path | None
    state: Path


def retrain_model(options: RetrainOptions) -> None:
    """Retrain, and print the report."""
    config = load_found_config(options.config)
    console = error_console()
    report = retrain.retrain(
        RetrainSettings(
            state=options.state,
            config=config,
            maildirs=tuple(options.mail or expand_maildirs(config.maildirs)),
            model=options.model,
            now=options.now,
            say=lambda line: console.print(line, markup=False, soft_wrap=True),
        )
    )
    sys.stdout.write(f"{jsons.dumps(report.as_json())}\n" if options.json else _text(report))
    if report.promoted and (named := os.environ.get(registry.ENVIRONMENT)):
        note(f"${registry.ENVIRONMENT} selects {named}, which takes precedence over {report.model}")


def _text(report: RetrainReport) -> str:
    why = "; ".join(report.why)
    if report.model is None:
        return f"not retrained: {why}\n"
    lines = [
        f"{report.model} is in use: {why}" if report.promoted else f"refused, {report.parent} stays in use: {why}",
        f"learned from {report.labels_in_words()} in {report.seconds:.0f} s",
        *(
            f"contradictory labels: {count} {what.replace('_', ' ')}"
            for what, count in report.contradictions.items()
            if count
        ),
        "",
        *report.table(),
    ]
    return "\n".join(lines) + "\n"
