"""The log on standard error: one line for each event, for a terminal or for the systemd journal.

In this module, "journal" means the systemd journal.
"""

import logging
import os
import sys
import time
import traceback
from collections.abc import Mapping
from typing import TextIO

ROOT = "spamlstm"

# Priorities of syslog(3). The journal reads the priority at the start of a line.
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


class LineFormatter(logging.Formatter):
    """A formatter that writes a record as one line. The line begins with the time or, for the journal, `<priority>`."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without a line end. Characters that are not printable are escaped."""
        text = record.getMessage() + (_place(record.exc_info[1]) if record.exc_info else "")
        shown = text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
        if self._journal:
            return f"<{_priority(record.levelno)}>{shown}"
        loud = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {loud}{shown}"


def set_up(stream: TextIO, *, environment: Mapping[str, str] = os.environ) -> logging.Handler:
    """Write the log of this program to `stream`. Return the log handler, which the caller must remove."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(journal=is_journal(stream, environment)))
    root = logging.getLogger(ROOT)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    root.propagate = False
    # The watchdog library warns of a full queue and of removed folders. This program handles and reports both cases.
    logging.getLogger("watchdog").setLevel(logging.CRITICAL)
    return handler


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether the stream is connected to the journal.

    systemd then sets $JOURNAL_STREAM to the device and inode of the stream, see systemd.exec(5).
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM", "") == f"{status.st_dev}:{status.st_ino}"


def _priority(level: int) -> int:
    return next((number for least, number in _PRIORITIES if level >= least), 7)


def _place(error: BaseException | None) -> str:
    """Return the type of an error, and the file and line where it was raised.

    The text of the error is omitted because it may quote mail.
    """
    if error is None:
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {os.path.relpath(frames[-1].filename, sys.prefix)}:{frames[-1].lineno}" if frames else ""
    return f" ({type(error).__name__}{where})"
