"""Log lines that a program can parse and a person can read: an event and its fields.

A line reads `judged verdict=spam score=4.21 folder=.Junk`; the record carries the fields as `fields` too. Fields are
names of folders and files, ids, numbers and reasons; never a subject, an address or text from a message.
"""

import json
import logging
from typing import Any

logger = logging.getLogger("spamlstm.daemon")


def emit(level: int, event: str, /, **fields: Any) -> None:
    """Log one event. Fields that are None or empty are left out, floats are rounded."""
    if logger.isEnabledFor(level):
        kept = {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in fields.items()
            if value is not None and value != ""
        }
        logger.log(level, "%s", line(event, kept), extra={"event": event, "fields": kept})


def line(event: str, fields: dict[str, Any]) -> str:
    """Return the event and its fields as one line, whatever the values contain."""
    return " ".join((event, *(f"{name}={_shown(value)}" for name, value in fields.items())))


def _shown(value: Any) -> str:
    text = str(value)
    plain = text.isascii() and text.isprintable() and not set(text) & {" ", '"', "="}
    return text if plain and text else json.dumps(text)
