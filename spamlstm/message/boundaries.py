"""The boundaries of the parts of a multipart: the one that is declared, the one that is used, and the lines with it."""

import re
from collections.abc import Iterator, Mapping

# The maximum number of lines that begin with `--` and are compared with the boundaries.
MAX_DASHES = 100_000
MAX_BOUNDARY = 990
MAX_PREAMBLE = 256 * 1024
# What may follow a boundary, and the most lines with a longer boundary that are skipped.
_BEHIND_BOUNDARY = (b"\n", b"\r", b" ", b"\t", b"\v", b"\f", b"--")
_MAX_LONGER = 100
# A boundary that is not declared is searched for in this many bytes.
_MAX_SHORT_PREAMBLE = 4 * 1024

_DASHES = re.compile(rb"\n--([^\r\n][^\n]{0,997}+)(?=\n|\Z)")
# Three characters or fewer are a boundary only above a content type.
_BEFORE_PART = re.compile(
    rb"\n--(\S{4,200}(?=[ \t]*+\r?\ncontent-)|[^\s-]\S{0,2}(?=[ \t]*+\r?\ncontent-type[ \t]*+:))",
    re.IGNORECASE,
)


def declared_boundary(content: Mapping[str, str]) -> bytes:
    """Return the boundary in the content headers of a multipart, or b''."""
    return content.get("boundary", "").encode("utf-8", "replace").rstrip()


def used_boundary(raw: bytes, start: int, declared: bytes, defects: dict[str, None]) -> bytes:
    """Return the declared boundary if the parts use it, otherwise the boundary that the parts use, or b''.

    The body of the multipart begins at `start`.
    """
    if _is_used(raw, start, declared):
        return declared
    defects["wrong boundary"] = None
    if (unquoted := declared.strip(b"'")) != declared and _is_used(raw, start, unquoted):
        return unquoted
    return boundary_of_parts(raw, start, most=_MAX_SHORT_PREAMBLE)


def _is_used(raw: bytes, start: int, declared: bytes) -> bool:
    """Return whether a line with this boundary follows `start`."""
    if not declared or len(declared) >= MAX_BOUNDARY:
        return False
    begin, end = max(start - 1, 0), start + MAX_PREAMBLE
    # The declared boundary may be the beginning of the one that the parts use.
    for _ in range(_MAX_LONGER):
        begin = raw.find(b"\n--" + declared, begin, end)
        if begin < 0:
            return False
        begin += 3 + len(declared)
        if raw.startswith(_BEHIND_BOUNDARY, begin):
            return True
    return True


def boundary_of_parts(raw: bytes, start: int, *, most: int) -> bytes:
    """Return the first line, within `most` bytes, that looks like a boundary before a part with headers, or b''."""
    found = _BEFORE_PART.search(raw, max(start - 1, 0), start + most)
    return found[1] if found else b""


def delimiters(raw: bytes, start: int, defects: dict[str, None]) -> Iterator[tuple[int, int, bytes]]:
    """Yield each line that could end a part: its start, the start of the next line, and the text after `--`."""
    size, count = len(raw), 0
    at = raw.find(b"\n--", max(start - 1, 0))
    while at >= 0:
        if match := _DASHES.match(raw, at):
            if count == MAX_DASHES:
                defects["too many boundaries"] = None
                return
            count += 1
            yield at, min(match.end() + 1, size), match[1].rstrip()
        at = raw.find(b"\n--", match.end() if match else at + 1)
