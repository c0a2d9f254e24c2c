"""The content of mail that is signed as one block: S/MIME (RFC 8551) with CMS SignedData (RFC 5652, section 5).

The signature is not checked. The content is a MIME entity with content headers of its own, or a file, such as an
invoice.
"""

import re

_SIGNED_DATA, _DATA = bytes.fromhex("06092a864886f70d010702"), bytes.fromhex("06092a864886f70d010701")
# Tags of BER (X.690).
_INTEGER, _OCTETS, _PIECES, _SEQUENCE, _SET, _EXPLICIT = 0x02, 0x04, 0x24, 0x30, 0x31, 0xA0
# Programs that sign while they send write the content in pieces of some hundred bytes or more.
_MOST_PIECES = 10_000
# The first line of a MIME entity: a field of its header, or the blank line below an empty header.
_FIRST_LINE = re.compile(rb"[A-Za-z][A-Za-z0-9-]{0,100}[ \t]*+:|\r?\n")


def signed_content(data: bytes) -> bytes:
    """Return the content of CMS SignedData, or b'' if `data` is something else, such as encrypted content.

    Content whose end is missing is returned as far as it goes.
    """
    try:
        at = _behind(data, _inside(data, 0, _SEQUENCE), _SIGNED_DATA)
        at = _inside(data, _inside(data, at, _EXPLICIT), _SEQUENCE)
        for tag in (_INTEGER, _SET):  # the version and the digest algorithms
            start, length = _header(data, at, tag)
            at = start + length
        at = _inside(data, _behind(data, _inside(data, at, _SEQUENCE), _DATA), _EXPLICIT)
        return b"".join(_octets(data, at))
    except (IndexError, ValueError):
        return b""


def is_entity(content: bytes) -> bool:
    """Return whether the content of SignedData is a MIME entity. Otherwise it is a file that was signed."""
    return _FIRST_LINE.match(content) is not None


def _octets(data: bytes, at: int) -> list[bytes]:
    """Return the pieces of the OCTET STRING at `at`."""
    if data[at] == _OCTETS:
        start, length = _header(data, at, _OCTETS)
        return [data[start : start + length]]
    at = _inside(data, at, _PIECES)
    pieces: list[bytes] = []
    # The pieces end with two zeros, or where something else begins.
    while data[at : at + 1] == bytes([_OCTETS]) and len(pieces) < _MOST_PIECES:
        start, length = _header(data, at, _OCTETS)
        pieces.append(data[start : start + length])
        at = start + length
    return pieces


def _behind(data: bytes, at: int, expected: bytes) -> int:
    if not data.startswith(expected, at):
        raise ValueError("another type of content")
    return at + len(expected)


def _inside(data: bytes, at: int, tag: int) -> int:
    """Return the start of the content of the element at `at`, whose length may be indefinite."""
    if data[at] == tag and data[at + 1] == 0x80:
        return at + 2
    return _header(data, at, tag)[0]


def _header(data: bytes, at: int, tag: int) -> tuple[int, int]:
    """Return the start and the length of the content of the element at `at`.

    Raises ValueError if it has another tag, or if its length is indefinite or above 4 GiB.
    """
    size = data[at + 1] & 0x7F if data[at + 1] & 0x80 else 0
    if data[at] != tag or size > 4 or data[at + 1] == 0x80:
        raise ValueError("not such an element")
    start = at + 2 + size
    return start, int.from_bytes(data[at + 2 : start], "big") if size else data[at + 1]
