"""The time at which a message arrived, from the Received header of the server that delivered it."""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

from spamlstm.message.head import end_of_head

_HEAD_BYTES = 16 << 10
# The topmost one, with its folded lines. The delivering server wrote it, so no sender could forge it.
_RECEIVED = re.compile(rb"^received:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.IGNORECASE | re.MULTILINE)
# Seconds by which the clock of a server may be ahead of ours.
_TOLERANCE = 86_400.0


def arrived(raw: bytes, *, stored: float) -> float:
    """Return the arrival time in seconds since 1970: the date in the first Received header, else `stored`.

    `stored` is the date of the file. It is that of the delivery, or later if a program that copies mail lost it.
    """
    head = raw[:_HEAD_BYTES]
    match = _RECEIVED.search(head, 0, end_of_head(head))
    if match is None:
        return stored
    try:
        date = parsedate_to_datetime(match[1].rpartition(b";")[2].decode("ascii", "replace").strip())
        moment = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return stored
    return moment if 0 < moment <= stored + _TOLERANCE else stored
