"""When a message came, by the word of the server that took it in."""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

from spamlstm.message.head import end_of_head

_LOOK = 16 << 10
# The topmost is that of the server that delivered, and so none that a sender could write. With its folded lines.
_RECEIVED = re.compile(rb"^received:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.IGNORECASE | re.MULTILINE)
_LEEWAY = 86_400.0


def arrived(raw: bytes, *, stored: float) -> float:
    """Seconds since 1970 at which the message was taken in: what its first Received says, else when it was stored.

    A file's date is that of its delivery, unless a program that fetches or copies mail lost it; then it is later.
    """
    head = raw[:_LOOK]
    match = _RECEIVED.search(head, 0, end_of_head(head))
    if match is None:
        return stored
    try:
        date = parsedate_to_datetime(match[1].rpartition(b";")[2].decode("ascii", "replace").strip())
        moment = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return stored
    return moment if 0 < moment <= stored + _LEEWAY else stored
