"""Parsing of mboxes: the position of each message in the file, and the unquoting of 'From ' lines.

A separator is a line that begins with 'From ' and is followed by a header field. The line before a separator is blank
(RFC 4155, appendix A), and the separator contains a time of day and a year, or an address and a year, or nothing else,
as Thunderbird writes it. Some programs omit the blank line, so the blank line is not required if a day of the week
follows the sender. Text lines such as 'From Monday 10:00 on, ...' or 'From 10.0.0.1 at 10:00:00' are therefore not
separators.

In the formats mboxcl and mboxcl2, Content-Length states the length of the body, and the body may contain lines like
separators. Content-Length is used only if a separator or the end of the file follows the body, because it may be from
another program, or older than the last change of the message.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from spamlstm.message.headers import end_of_head

_BLOCK = 64 << 10
# The largest length in bytes of a separator with the following field name.
_TAIL = 1024
_FIELD = rb"(?=[!-9;-~]{1,256}[ \t]{0,64}:|>From )"
# A time of day and a year, in any order.
_TIME = rb"[^\n]{0,320}\d:\d\d)(?=[^\n]{0,440}\b\d{4}\b"
_SEPARATOR = re.compile(
    rb"\nFrom (?:(?:(?<=\n\nFrom )|(?<=\n\r\nFrom ))"
    rb"(?:(?=\r?\n)|(?=" + _TIME + rb")|(?=(?:-|[^ @\n]{1,320}@[^ \n]{1,320}) [^\n]{0,80}\b\d{4}\b))"
    rb"|(?=[^ \n]{1,320} {1,2}(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b)(?=" + _TIME + rb"))"
    rb"[^\n]{0,448}\n" + _FIELD
)
# At the start of a file, a 'From ' line of any form is a separator, also below a byte order mark or blank lines.
_FIRST = re.compile(rb"(?:\xef\xbb\xbf)?(?:\r?\n){0,9}From [^\n]{0,448}\n" + _FIELD)
# In the mboxrd format, a '>' is added in front of each line that begins with 'From ', '>From ', '>>From ', …
_QUOTE = re.compile(rb"^>(?=>*+From )", re.MULTILINE)

# Without IGNORECASE the search takes a fifth of the time.
_CONTENT_LENGTH = re.compile(rb"\n[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Ll][Ee][Nn][Gg][Tt][Hh]:[ \t]*(\d{1,15})[ \t]*\r?\n")
# The most bytes of a header that are searched for Content-Length.
_MOST_HEAD = 64 << 10

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
    start, offset, kept, body_end = 0, 0, b"", -1
    while block := stream.read(_BLOCK):
        window = kept + block
        if not start:
            first = _FIRST.match(window)
            start = first.end() if first else window.find(b"\n") + 1
        for match in _SEPARATOR.finditer(window):
            # The kept bytes are searched twice, so a separator may be found again.
            if offset + match.end() > start:
                if body_end < start:
                    # A header that no blank line ends is not searched beyond the next separator.
                    body_end = _body_end(stream, start, window[: match.end()], offset)
                # The line end before 'From ' may be part of the body.
                if offset + match.start() < body_end - 1:
                    continue
                end = match.start() + 1
                yield start, max(offset + end - _blank_line(window[max(end - 3, 0) : end]) - start, 0)
                start = offset + match.end()
        kept = window[-_TAIL:]
        offset += len(window) - len(kept)
    yield start, max(offset + len(kept) - _blank_line(kept) - start, 0)


def _body_end(stream: BinaryIO, start: int, window: bytes, offset: int) -> int:
    """Return the end of the body of the message at `start` by its Content-Length.

    Return `start` if there is no Content-Length, or if neither a separator nor the end of the file follows the body.
    `window` is the text at `offset` up to the next separator. The position of the stream does not change.
    """
    at = start - offset
    position = stream.tell()
    try:
        if at > 0:
            length = _body_length(window, at, end_of_head(window, at))
        else:  # a part of the header is not in the window
            stream.seek(start - 1)
            head = stream.read(_MOST_HEAD) or b""
            length = _body_length(head, 1, end_of_head(head, 1))
        if length is None:
            return start
        end = start + length
        stream.seek(end - 2)
        around = stream.read(_TAIL) or b""
    finally:
        stream.seek(position)
    is_last = len(around) >= 2 and not around[2:].strip(b"\r\n")
    # The separator is directly after the body, after its last line end, or after a blank line.
    return end if is_last or any(_SEPARATOR.match(around, near) for near in range(1, 6)) else start


def _body_length(text: bytes, start: int, blank: int) -> int | None:
    """Return the length of a message with the header text[start:blank] by its Content-Length, or None without one.

    A header that no blank line ends has no valid Content-Length.
    """
    if blank >= len(text):
        return None
    found = _CONTENT_LENGTH.search(text, start - 1, blank)  # begins with the line end before the header
    return text.find(b"\n", blank) + 1 - start + int(found[1]) if found else None


def _blank_line(text: bytes) -> int:
    """Return the length of the blank line at the end of `text`, or 0 if there is no blank line."""
    return 1 if text.endswith(b"\n\n") else 2 if text.endswith(b"\n\r\n") else 0


def unquoted(raw: bytes) -> bytes:
    """Return a message of an mbox with one '>' removed from each quoted 'From ' line."""
    return _QUOTE.sub(b"", raw) if b">From " in raw else raw
