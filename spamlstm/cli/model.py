"""`spamlstm model`: the installed models."""

import sys
from pathlib import Path

from spamlstm.model.bundle import Bundle, load
from spamlstm.model.registry import find_bundle


def show_model(path: Path | None) -> None:
    """Print what the manifest says of the model in use, and its card."""
    bundle = load(find_bundle(path))
    facts = _facts(bundle)
    if sys.stdout.isatty():
        _pretty(facts, bundle.card())
    else:
        sys.stdout.write(f"{facts}\n{bundle.card()}")


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
