"""The event log of the daemon and of the commands that filter mail.

A line has an event and fields, for programs and people: `judged verdict=spam score=4.21 folder=.Junk`. The log record
also carries the fields in its attribute `fields`. Fields are names of folders and files, ids, numbers and reasons. They
never contain a subject, an address or text of a message.
"""

import json
import logging
from typing import Any

from spamlstm.filtering.failures import NO_MEMORY

logger = logging.getLogger("spamlstm.daemon")


def emit(level: int, event: str, /, **fields: Any) -> None:
    """Log one event. Fields that are None or empty are omitted, and floats are rounded to 3 decimals."""
    if logger.isEnabledFor(level):
        kept = {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in fields.items()
            if value is not None and value != ""
        }
        logger.log(level, "%s", _line(event, kept), extra={"event": event, "fields": kept})


def _line(event: str, fields: dict[str, Any]) -> str:
    """Return the event and its fields as one line.

    Values with spaces, quotes, `=` or characters other than printable ASCII are quoted as in JSON.
    """
    return " ".join((event, *(f"{name}={_shown(value)}" for name, value in fields.items())))


def _shown(value: Any) -> str:
    text = str(value)
    plain = text.isascii() and text.isprintable() and not set(text) & {" ", '"', "="}
    return text if plain and text else json.dumps(text)


def log_unexpected(error: BaseException | None, what_follows: str) -> None:
    """Log an error that no other code handles, and what follows: a bug with its traceback, a lack of memory without."""
    if isinstance(error, MemoryError):
        logger.error("%s: %s", NO_MEMORY, what_follows)
    else:
        logger.error("bug: %s", what_follows, exc_info=error)
