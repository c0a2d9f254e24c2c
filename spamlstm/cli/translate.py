"""The one place that turns errors into words and exit statuses."""

import gc
import os
import sys
from collections.abc import Sequence

from spamlstm.errors import UserError

EX_USAGE = 64
EX_DATAERR = 65
EX_SOFTWARE = 70
EX_IOERR = 74
EX_TEMPFAIL = 75
BY_SIGNAL = 128

TRACEBACK = "SPAMLSTM_TRACEBACK"


def main() -> None:
    """Run the command line of this process and leave with its exit status."""
    # Imports make many objects and no garbage: collecting among them takes a tenth of the start.
    gc.set_threshold(50_000)
    status = run(sys.argv[1:])
    # What the commands opened needs no orderly end, and the interpreter's takes 20 ms.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit status; whatever goes wrong is a sentence on standard error."""
    from spamlstm.cli.app import Abort, ClickError, app

    try:
        status = app(args=list(arguments), prog_name="spamlstm", standalone_mode=False)
        sys.stdout.flush()
    except UserError as error:
        return _say(str(error), error.exit_status)
    except ClickError as error:
        error.show()
        return EX_USAGE
    except (KeyboardInterrupt, Abort):
        return _say("interrupted", BY_SIGNAL + 2)
    except (BrokenPipeError, SystemExit):
        # The only reason for which typer exits by itself here is a broken pipe.
        return _without_reader()
    except OSError as error:
        return _say(_os_sentence(error), EX_IOERR)
    except Exception as error:  # noqa: BLE001  the last place where it can become words
        return _bug(error)
    return status if isinstance(status, int) else 0


def _say(sentence: str, status: int) -> int:
    from spamlstm.cli.output import plain_lines  # only where something is wrong

    # What the sentence names may come from anybody.
    sys.stderr.write(f"spamlstm: {plain_lines(sentence)}\n")
    return status


def _without_reader() -> int:
    """Whoever read our output has seen enough (`| head`): nothing to say, and nothing more to flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BY_SIGNAL + 13


def _os_sentence(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def _bug(error: Exception) -> int:
    import sqlite3  # whoever has an error of it has loaded it

    if isinstance(error, sqlite3.Error):
        from spamlstm.database import is_damage

        if is_damage(error):
            return _say(f"a database in the state folder is damaged ({error}); move it away to begin anew", EX_DATAERR)
        if isinstance(error, sqlite3.OperationalError):
            return _say(f"a database in the state folder cannot be used now: {error}", EX_TEMPFAIL)
    if os.environ.get(TRACEBACK):
        import traceback

        traceback.print_exception(error)
    kind = type(error).__name__
    return _say(f"this is a bug: {kind}: {error}; {TRACEBACK}=1 in the environment shows where", EX_SOFTWARE)
