"""The command line. `main` is the entry point of the installed `spamlstm` command."""

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process and exit with its status."""
    if sys.argv[1:2] == ["filter"]:
        # A mail server starts this command for each message, and loading the other commands takes 0.1 s.
        from spamlstm.cli import filter_client

        options = filter_client.plain_options(sys.argv[2:])
        if options is not None:
            # Skip the shutdown of the interpreter, which takes as long as the rest.
            os._exit(filter_client.main_filter(options))
    from spamlstm.cli import translate

    translate.run_process()
