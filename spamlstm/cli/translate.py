"""Run a command line and convert every error to a message and an exit status."""

import contextlib
import errno
import gc
import io
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING

from spamlstm.cli import terminal
from spamlstm.cli.filter_client import keep_descriptors
from spamlstm.errors import ExitStatus, OutputError, UserError, reason_of

if TYPE_CHECKING:
    import typer
    from _typeshed import ReadableBuffer

TRACEBACK = "SPAMLSTM_TRACEBACK"
"""The environment variable that enables the traceback of a bug, like --verbose."""

_interrupts: list[int] = []
"""The SIGINTs that this process received.

An interrupted import can raise an error of any type. Therefore, every error after a SIGINT is reported as an interrupt.
"""


def run_process() -> None:
    """Run the command line of this process and exit with its status."""
    # Imports create many objects and little garbage. Garbage collection would take a tenth of the start time.
    gc.set_threshold(50_000)
    _open_standard_streams()
    try:
        # A shell starts background jobs with SIGINT ignored. Such a process keeps ignoring SIGINT.
        if callable(signal.getsignal(signal.SIGINT)):
            signal.signal(signal.SIGINT, _interrupt)
            sys.unraisablehook = _end_if_interrupted
        status = run(sys.argv[1:])
    except KeyboardInterrupt:  # Ctrl-C before the command line was read, or again while an error was reported
        status = ExitStatus.INTERRUPTED
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        # Skip the shutdown of the interpreter, which takes 20 ms and which no command needs.
        os._exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status. Every error is reported as a message on standard error."""
    try:
        from spamlstm.cli.app import app

        terminal.reset()
        result = app(args=list(arguments), prog_name="spamlstm", standalone_mode=False)
        status = result if isinstance(result, int) else ExitStatus.OK
        sys.stdout.flush()
    except (KeyboardInterrupt, BrokenPipeError, SystemExit, Exception) as error:  # noqa: BLE001  the last handler
        status = _translate(error)
    if status == ExitStatus.INTERRUPTED:
        _say("interrupted")
    return status


def _translate(error: BaseException) -> int:
    if isinstance(error, UserError):
        _say(str(error))
        return error.exit_status
    if isinstance(error, BrokenPipeError | SystemExit):
        # typer raises SystemExit itself only for a broken pipe.
        _discard_output()
        return ExitStatus.BROKEN_PIPE
    if _interrupts or isinstance(error, KeyboardInterrupt):
        return ExitStatus.INTERRUPTED
    if isinstance(error, MemoryError):
        _say("there is not enough memory; stop other programs, or raise the limit of this process (ulimit -v)")
        return ExitStatus.TEMPORARY
    if isinstance(error, ImportError):  # before the import below, which may have failed
        return _import_error(error)
    from spamlstm.cli.app import Abort, ClickError

    if isinstance(error, Abort):
        return ExitStatus.INTERRUPTED
    if isinstance(error, ClickError):
        _say_usage(error)
        return ExitStatus.USAGE
    if isinstance(error, OSError):
        if error.errno == errno.EBADF:
            _say("standard output is closed; redirect it to a file or to /dev/null")
            return ExitStatus.IO
        # Only the current folder is looked up without a name.
        is_current = isinstance(error, FileNotFoundError) and not error.filename
        name = "the current folder: " if is_current else f"{error.filename}: " if error.filename else ""
        _say(f"{name}{reason_of(error)}")
        return ExitStatus.IO
    return _database_error(error) or _bug(error)


def _say(sentence: str) -> None:
    with contextlib.suppress(OSError):  # standard error may be a broken pipe
        # The sentence may contain untrusted names.
        lines = f"spamlstm: {terminal.plain_lines(sentence)}\n".splitlines(keepends=True)
        sys.stderr.write("".join(_priority() + line for line in lines))


def _priority() -> str:
    """Return the priority of an error if standard error is the systemd journal, otherwise an empty string."""
    if "JOURNAL_STREAM" not in os.environ:
        return ""
    from spamlstm.daemon.logs import is_journal

    return "<3>" if is_journal(sys.stderr, os.environ) else ""


def _say_usage(error: "typer.BadParameter") -> None:
    context = error.ctx
    command = context.command_path if context else "spamlstm"
    message = _with_suggestion(error)
    if "\n" in message:  # a group without a command, whose message is its help
        error.show()
    else:
        end = " See" if message.endswith("?") else "; see"
        described = getattr(error.param, "help", None) if message.startswith("Missing argument") else None
        if described:
            end = f": {_as_part(described.partition('. ')[0])}; see"
        _say(f"{_as_part(message)}{end} '{command} --help'")


def _with_suggestion(error: "typer.BadParameter") -> str:
    """Return the message of the error, with a similar option if an option does not exist."""
    if not hasattr(error, "possibilities"):
        return error.format_message()
    # `--help` is similar to many options, but is named at the end of every message.
    similar = sorted(set(error.possibilities or ()) - {"--help"})
    return error.message + (f". Did you mean '{similar[0]}'?" if similar else "")


def _as_part(sentence: str) -> str:
    """Return a sentence as a part of another sentence."""
    return f"{sentence[:1].lower()}{sentence[1:].rstrip('.')}"


def _database_error(error: BaseException) -> int:
    """Report an error of SQLite and return its exit status. Return 0 for any other error."""
    import sqlite3  # already loaded if such an error occurred

    if not isinstance(error, sqlite3.Error):
        return 0
    from spamlstm.database import explained, is_damage

    if is_damage(error):
        _say(f"a database in the state folder is damaged ({error}); move it away to begin anew")
        return ExitStatus.DATA
    if isinstance(error, sqlite3.OperationalError):
        _say(f"a database in the state folder cannot be used at the moment: {explained(error)}")
        return ExitStatus.TEMPORARY
    return 0


def _import_error(error: ImportError) -> int:
    """Report a library that cannot be loaded, or a bug in an import of this program, and return the exit status."""
    if (error.name or "").partition(".")[0] == "spamlstm":
        return _bug(error)
    _say(f"the installation is damaged ({error}); install spamlstm again")
    return ExitStatus.UNAVAILABLE


def _bug(error: BaseException) -> int:
    if terminal.settings.verbose or os.environ.get(TRACEBACK):
        import traceback

        traceback.print_exception(error)
    _say(f"this is a bug: {type(error).__name__}: {error}; add --verbose to show the traceback")
    return ExitStatus.SOFTWARE


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _interrupts.append(number)
    raise KeyboardInterrupt


def _end_if_interrupted(unraisable: "sys.UnraisableHookArgs") -> None:
    """End the process if Ctrl-C came where Python ignores exceptions, such as in a callback of the import system."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _say("interrupted")
        os._exit(ExitStatus.INTERRUPTED)
    sys.__unraisablehook__(unraisable)


class _ErrorOutput(io.FileIO):
    """Standard error, without errors: a message that cannot be written never changes the work or the exit status."""

    def write(self, data: "ReadableBuffer") -> int:
        """Write the data if possible. Return the number of bytes, whether or not they were written."""
        with contextlib.suppress(OSError):
            return super().write(data) or 0
        return memoryview(data).nbytes


class _Output(io.FileIO):
    """Standard output. An error, such as a full disk, names it; errors for a pipe or file that is closed are kept."""

    def write(self, data: "ReadableBuffer") -> int:
        """Write the data and return the number of bytes. Raises OutputError if they cannot be written."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EBADF):
                raise
            raise OutputError(f"standard output cannot be written: {error.strerror}") from error


def _open_standard_streams() -> None:
    """Open the standard streams that were closed at the start, and replace standard output and standard error."""
    keep_descriptors()
    # Python sets a stream that was closed at its start to None.
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  for the whole process
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    out = sys.stdout
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(1, "w", closefd=False)), out.encoding, out.errors, "\n", bool(out.line_buffering)
    )
    encoding = sys.stderr.encoding if sys.stderr else "utf-8"
    # Python itself makes standard error unbuffered in this way. A buffer would be lost if the process is killed.
    sys.stderr = io.TextIOWrapper(_ErrorOutput(2, "w", closefd=False), encoding, "backslashreplace", write_through=True)


def _discard_output() -> None:
    """Redirect further output to /dev/null, because the reader of the output has closed its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
