"""Parts that the headers of the sender and of the receiving server share."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta

from .alignment import Alignment, quoted
from .people import Person

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# The most bytes of text in an encoded word. RFC 2047 allows 75 characters, base64 and the charset included.
WORD_BYTES = 42


@dataclass
class Letter:
    """The data from which the headers of one message are written."""

    alignment: Alignment
    recipient: Person
    arrived: datetime  # UTC
    subject: str
    bulk: bool

    def date(self, zone: str, seconds: int = 0) -> str:
        """Return the arrival plus `seconds` in RFC 5322 form, in a time zone such as +0200."""
        sign = -1 if zone[0] == "-" else 1
        when = self.arrived + timedelta(seconds=seconds + sign * 3600 * int(zone[1:3]))
        return (
            f"{DAYS[when.weekday()]}, {when.day} {MONTHS[when.month - 1]} {when.year} "
            f"{when.hour:02}:{when.minute:02}:{when.second:02} {zone}"
        )


def encoded(text: str) -> str:
    """Return a header value, as RFC 2047 encoded words if it is not ASCII."""
    if text.isascii():
        return text
    words, chunk = [], b""
    for letter in text:
        piece = letter.encode("utf-8", "replace")
        if len(chunk) + len(piece) > WORD_BYTES:
            words.append(chunk)
            chunk = b""
        chunk += piece
    words.append(chunk)
    return "\r\n ".join(f"=?UTF-8?B?{b64encode(word).decode()}?=" for word in words)


def named(display: str, address: str) -> str:
    """Return a display name with its address."""
    if not display:
        return address
    return f"{encoded(quoted(display))} <{address}>" if address else encoded(quoted(display))
