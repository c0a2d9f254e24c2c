"""The exit statuses of all commands: a closed table, with the numbers of sysexits.h."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """How a command ended."""

    OK = 0
    SPAM = 1
    UNSURE = 2
    USAGE = 64
    DATA = 65
    NO_INPUT = 66
    UNAVAILABLE = 69
    SOFTWARE = 70
    IO = 74
    TEMPORARY = 75
    CONFIG = 78
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANINGS = {
    ExitStatus.OK: "success; with classify --exit-code: ham",
    ExitStatus.SPAM: "with classify --exit-code: spam",
    ExitStatus.UNSURE: "with classify --exit-code: unsure",
    ExitStatus.USAGE: "wrong usage of the command line",
    ExitStatus.DATA: "an input has the wrong content, such as a damaged model",
    ExitStatus.NO_INPUT: "an input is missing or cannot be read; other input was processed",
    ExitStatus.UNAVAILABLE: "something that the command needs is missing or does not answer",
    ExitStatus.SOFTWARE: "a bug in spamlstm; please report it",
    ExitStatus.IO: "the system refused to read or write",
    ExitStatus.TEMPORARY: "try again later: another spamlstm is at work, or a message failed",
    ExitStatus.CONFIG: "the configuration cannot be used",
    ExitStatus.INTERRUPTED: "interrupted (Ctrl-C)",
    ExitStatus.BROKEN_PIPE: "the reader of the output is gone",
}


def exit_status_table() -> str:
    """Return the table as text for --help: one line for each status."""
    return "\n".join(f"  {status.value:>3}  {MEANINGS[status]}" for status in ExitStatus)
