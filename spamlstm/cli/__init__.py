"""The commands. `main` is what the installed `spamlstm` runs."""

from spamlstm.cli.translate import main

__all__ = ["main"]
