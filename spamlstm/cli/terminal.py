"""Functions that write to standard output and standard error, as text for users and as JSON for programs."""

import codecs
import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from spamlstm.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

COLOR_MODES = ("auto", "always", "never")
# The least width of tables. In less space, rich leaves out whole columns. A narrower terminal wraps the lines.
LEAST_COLUMNS = 60


class OutputSettings:
    """The options --verbose, --quiet and --color of the command line."""

    verbose: bool = False
    quiet: bool = False
    color: str = "auto"

    def check(self) -> None:
        """Raise UserError if the options contradict each other or a value is unknown."""
        if self.verbose and self.quiet:
            raise UserError("--verbose and --quiet cannot be combined")
        if self.color not in COLOR_MODES:
            raise UserError(f"--color must be one of {', '.join(COLOR_MODES)}, not '{self.color}'")


settings = OutputSettings()
"""The settings of this process. `reset` is called before each command line."""


def reset() -> None:
    """Reset the settings, and make standard output and standard error accept any character."""
    settings.verbose, settings.quiet, settings.color = False, False, "auto"
    codecs.register_error("spamlstm", _encode)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="spamlstm")


def _encode(error: UnicodeError) -> tuple[str | bytes, int]:
    """Encode a character that the stream cannot encode.

    A byte of a file name that is not UTF-8 is written unchanged. Other characters are escaped.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return character.encode("ascii", "backslashreplace").decode(), error.start + 1


def is_terminal(stream: TextIO) -> bool:
    """Return whether output is formatted for people. This is so if `stream` is a terminal or --color is always."""
    return settings.color == "always" or stream.isatty()


def is_closed(stream: TextIO) -> bool:
    """Return whether the process was started with this output stream closed. The stream is then not writable."""
    import fcntl

    try:
        return fcntl.fcntl(stream.fileno(), fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    except (OSError, ValueError):  # not a file, such as a stream in memory
        return False


def console(stream: TextIO | None = None, *, quiet: bool = False) -> "Console":
    """Return a rich console for a stream, by default standard output. --color and $NO_COLOR apply to the console."""
    from rich.console import Console

    made = Console(
        file=stream or sys.stdout,
        highlight=False,
        quiet=quiet,
        force_terminal=True if settings.color == "always" else None,
        color_system=None if settings.color == "never" else "auto",
    )
    if stream is None:
        made.width = max(made.width, LEAST_COLUMNS)
    return made


def error_console() -> "Console":
    """Return a console for progress on standard error. The console prints nothing with --quiet."""
    return console(sys.stderr, quiet=settings.quiet)


def print_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of plain text as a table on a terminal, otherwise as tab-separated lines without the header.

    The table leaves out columns without any text.
    """
    if not is_terminal(sys.stdout):
        for row in rows:
            sys.stdout.write("\t".join(map(plain, row)).rstrip() + "\n")
        return
    from rich.table import Table
    from rich.text import Text

    cells = list(rows)
    filled = [number for number in range(len(header)) if any(row[number] for row in cells)]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number in filled:
        table.add_column(header[number], overflow="fold")
    for row in cells:
        table.add_row(*(Text(encodable(plain(row[number]))) for number in filled))
    if table.row_count:
        console().print(table)


def print_json(value: object) -> None:
    """Print a value as one line of JSON."""
    import json

    sys.stdout.write(json.dumps(value) + "\n")


def print_summary(sentence: str) -> None:
    """Print what a command did, unless --quiet is given."""
    if not settings.quiet:
        sys.stdout.write(f"{plain_lines(sentence)}\n")


def print_lines(*lines: str) -> None:
    """Print lines of untrusted text, with control characters escaped."""
    sys.stdout.write("".join(f"{plain(line)}\n" for line in lines))


def plain(text: str) -> str:
    """Return `text` with control characters and line breaks escaped, because mail and file names are untrusted."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or "\udc80" <= c <= "\udcff" else repr(c)[1:-1] for c in text)


def plain_lines(text: str) -> str:
    """Return `text` with control characters escaped as by `plain`, except for line feeds."""
    return "\n".join(map(plain, text.split("\n")))


def encodable(text: str) -> str:
    """Return `text` with bytes that are not UTF-8 (in file names) escaped, because rich cannot print such bytes."""
    return text.encode("utf-8", "backslashreplace").decode()


def complain(name: str, why: str) -> None:
    """Report on standard error a problem with one message or file."""
    sys.stderr.write(f"spamlstm: {plain(name)}: {why}\n")


def report(problem: str) -> None:
    """Report a problem on standard error, in the form of the error that ends a command."""
    sys.stderr.write(f"spamlstm: {plain_lines(problem)}\n")


def note(sentence: str) -> None:
    """Print an additional note on standard error, unless --quiet is given."""
    if not settings.quiet:
        sys.stderr.write(f"spamlstm: {plain(sentence)}\n")


def confirm(question: str, *, otherwise: str) -> bool:
    """Ask the user a question and return whether the answer is yes.

    Raises UserError with the message `otherwise` if standard input is not a terminal.
    """
    if not sys.stdin.isatty():
        raise UserError(otherwise)
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def thresholds_in_words(shown: Mapping[str, Any]) -> str:
    """Return the thresholds in force and their origin, given as by `Policy.thresholds_json`."""
    origins = {
        "configuration": "set in the configuration",
        "costs": "computed from the costs in the configuration",
        "model": "from the model",
    }
    return f"ham up to {shown['ham']:.4g}, spam from {shown['spam']:.6g} ({origins[shown['origin']]})"


def local_time(moment: float) -> str:
    """Return `moment` (seconds since 1970) as a local date and time."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(moment, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


@contextlib.contextmanager
def log_to_stderr(*, without: Sequence[str]) -> Iterator[None]:
    """Write the log to standard error while the context is open.

    By default, warnings and more severe events are written. With --verbose, all events are written. Events named in
    `without` are omitted because the command reports them itself.
    """
    import logging

    from spamlstm.filtering.event_log import logger

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("spamlstm: %(message)s"))
    handler.addFilter(lambda record: getattr(record, "event", "") not in without)
    level = logger.level
    set_log_level()
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
        logger.setLevel(level)


def set_log_level() -> None:
    """Set the log level for --verbose (all events) or --quiet (warnings). Otherwise reset the level to the default."""
    import logging

    from spamlstm.filtering.event_log import logger

    logger.setLevel(logging.DEBUG if settings.verbose else logging.WARNING if settings.quiet else logging.NOTSET)
