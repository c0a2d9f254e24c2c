"""The command line. `main` is the entry point of the installed `spamlstm` command."""

# The module `signal` takes a millisecond to import. There is no type information for this one.
import _signal  # type: ignore[import-not-found]
import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process and exit with its status."""
    # A shell starts background jobs with SIGINT ignored. Such a process keeps ignoring SIGINT.
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _end)
    if sys.argv[1:2] == ["filter"]:
        # A mail server starts this command for each message, and loading the other commands takes 0.1 s.
        from spamlstm.cli import filter_client

        options = filter_client.plain_options(sys.argv[2:])
        if options is not None:
            # Skip the shutdown of the interpreter, which takes as long as the rest.
            os._exit(filter_client.main_filter(options))
    from spamlstm.cli import translate

    translate.run_process()


def _end(_number: int, _frame: object) -> None:
    """End the process at Ctrl-C: during imports and in `filter`, where nothing needs to be finished.

    An exception could be raised anywhere in an import. It would show a traceback, or be mistaken for another error.
    """
    try:
        os.write(2, b"spamlstm: interrupted\n")
    finally:
        os._exit(130)
