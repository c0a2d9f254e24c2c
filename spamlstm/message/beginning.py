"""How a mail begins: byte order marks and an mbox separator above its headers."""

import re

BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xe2\x80\x8b")
"""The mark that begins UTF-8 text, and the zero-width space that some programs write in its place."""

# A header field in UTF-16 or UTF-32 without a byte order mark, the low or the high end first.
_WIDE_FIELD = re.compile(
    rb"(?:(?>[!-9;-~]\0){2,100}(?> \0)*+:\0|(?>\0[!-9;-~]){2,100}(?>\0 )*+\0:"
    rb"|(?>[!-9;-~]\0\0\0){2,100}(?> \0\0\0)*+:\0\0\0|(?>\0\0\0[!-9;-~]){2,100}(?>\0\0\0 )*+\0\0\0:)"
)
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
_HEADER_LINE = re.compile(rb"[!-9;-~]{1,256}[ \t]*:")
# From with spaces before its colon, which is not an mbox separator.
_FROM_FIELD = re.compile(rb"From[ \t]++:")


def start_of_head(raw: bytes) -> int:
    """Return the position of the headers, after blank lines, byte order marks and an mbox `From ` line at the top."""
    start = len(raw[:1024]) - len(_without_marks(raw[:1024]))
    if raw.startswith((b"From ", b">From "), start) and not _FROM_FIELD.match(raw, start):
        return raw.find(b"\n", start) + 1 or len(raw)
    return start


def _without_marks(start: bytes) -> bytes:
    """Return the start of a message without the blank lines, byte order marks and zero-width spaces at its top."""
    start = start.lstrip()
    return start.lstrip(b"\xef\xbb\xbf\xe2\x80\x8b \t\r\n") if start.startswith(BYTE_ORDER_MARKS) else start


def begins_like_mail(raw: bytes) -> bool:
    """Return whether the first line that is not blank is a header field or an mbox separator, or in wide characters."""
    if is_wide(raw):
        return True
    start = _without_marks(raw[:1024])
    return bool(_HEADER_LINE.match(start)) or start.startswith((b"From ", b">From "))


def is_wide(raw: bytes) -> bool:
    """Return whether a message is in UTF-16 or UTF-32, with a byte order mark or with a header field at its top."""
    return raw.startswith(_WIDE_MARKS) or (b"\0" in raw[:4] and _WIDE_FIELD.match(raw) is not None)
