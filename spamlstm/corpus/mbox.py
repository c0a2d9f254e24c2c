"""Parsing of mboxes: the position of each message in the file, and the unquoting of 'From ' lines.

A separator is a line that begins with 'From ', contains a time of day and is followed by a header field. The line
before a separator is blank (RFC 4155, appendix A). Some programs omit the blank line, so the blank line is not required
if a day of the week follows the sender. A text line such as 'From Monday 10:00 on, ...' is therefore not a separator.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

_BLOCK = 64 << 10
# The largest length in bytes of a separator with the following field name.
_TAIL = 1024
_FIELD = rb"(?=[!-9;-~]{1,256}[ \t]{0,64}:|>From )"
_SEPARATOR = re.compile(
    rb"\nFrom (?:(?<=\n\nFrom )|(?<=\n\r\nFrom )|(?=[^ \n]{1,320} {1,2}(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b))"
    rb"(?=[^\n]{0,320}\d:\d\d)[^\n]{1,448}\n" + _FIELD
)
# At the start of a file, a 'From ' line of any form is a separator.
_FIRST = re.compile(rb"From [^\n]{0,448}\n" + _FIELD)
# In the mboxrd format, a '>' is added in front of each line that begins with 'From ', '>From ', '>>From ', …
_QUOTE = re.compile(rb"^>(?=>*+From )", re.MULTILINE)

HEAD = 1024
"""The number of bytes at the start of a file that `is_mbox` needs."""


def is_mbox(head: bytes) -> bool:
    """Return whether a file that begins with `head` is an mbox."""
    return _FIRST.match(head) is not None


def spans(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield the start and length in bytes of each message in an mbox.

    The separator before a message and the blank line after a message are not included. Only one block of the file at a
    time is in memory. Raises OSError if the mbox cannot be read.
    """
    start, offset, kept = 0, 0, b""
    while block := stream.read(_BLOCK):
        window = kept + block
        if not start:
            start = window.find(b"\n") + 1
        for match in _SEPARATOR.finditer(window):
            # The kept bytes are searched twice, so a separator may be found again.
            if offset + match.end() > start:
                end = match.start() + 1
                yield start, max(offset + end - _blank_line(window[max(end - 3, 0) : end]) - start, 0)
                start = offset + match.end()
        kept = window[-_TAIL:]
        offset += len(window) - len(kept)
    yield start, max(offset + len(kept) - _blank_line(kept) - start, 0)


def _blank_line(text: bytes) -> int:
    """Return the length of the blank line at the end of `text`, or 0 if there is no blank line."""
    return 1 if text.endswith(b"\n\n") else 2 if text.endswith(b"\n\r\n") else 0


def unquoted(raw: bytes) -> bytes:
    """Return a message of an mbox with one '>' removed from each quoted 'From ' line."""
    return _QUOTE.sub(b"", raw) if b">From " in raw else raw
