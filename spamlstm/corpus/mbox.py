"""Mboxes: where each message lies in one, and how its quoted lines are read.

A separator is a line that begins with 'From ', holds a clock time and is followed by a header field. The line before it
is blank (RFC 4155, appendix A), unless a day of the week follows the sender: some programs leave the blank line out. So
a paragraph such as 'From Monday 10:00 on, ...' stays text.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

_BLOCK = 64 << 10
# No separator is longer, with the field name that follows it.
_TAIL = 1024
_FIELD = rb"(?=[!-9;-~]{1,256}[ \t]{0,64}:|>From )"
_SEPARATOR = re.compile(
    rb"\nFrom (?:(?<=\n\nFrom )|(?<=\n\r\nFrom )|(?=[^ \n]{1,320} {1,2}(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b))"
    rb"(?=[^\n]{0,320}\d:\d\d)[^\n]{1,448}\n" + _FIELD
)
# At the start of a file any form counts.
_FIRST = re.compile(rb"From [^\n]{0,448}\n" + _FIELD)
# mboxrd: each line that begins with 'From ' or '>From ' has one more '>' in front.
_QUOTE = re.compile(rb"^>(?=>*+From )", re.MULTILINE)

HEAD = 1024
"""The number of bytes at the start of a file that `is_mbox` needs."""


def is_mbox(head: bytes) -> bool:
    """Whether a file that begins with `head` is an mbox."""
    return _FIRST.match(head) is not None


def spans(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield start and length in bytes of each message of an mbox, without its separator and the blank line behind it.

    Holds one block in memory. OSError if the mbox cannot be read.
    """
    start, offset, kept = 0, 0, b""
    while block := stream.read(_BLOCK):
        window = kept + block
        if not start:
            start = window.find(b"\n") + 1
        for match in _SEPARATOR.finditer(window):
            # The kept bytes are searched twice.
            if offset + match.end() > start:
                end = match.start() + 1
                yield start, max(offset + end - _blank_line(window[max(end - 3, 0) : end]) - start, 0)
                start = offset + match.end()
        kept = window[-_TAIL:]
        offset += len(window) - len(kept)
    yield start, max(offset + len(kept) - _blank_line(kept) - start, 0)


def _blank_line(text: bytes) -> int:
    """Return the length of the blank line that `text` ends in, 0 without one."""
    return 1 if text.endswith(b"\n\n") else 2 if text.endswith(b"\n\r\n") else 0


def unquoted(raw: bytes) -> bytes:
    """Return a message of an mbox with one '>' less before each quoted 'From '."""
    return _QUOTE.sub(b"", raw) if b">From " in raw else raw
