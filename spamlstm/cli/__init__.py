"""The command line. `main` is the entry point of the installed `spamlstm` command."""

from spamlstm.cli.translate import main

__all__ = ["main"]
