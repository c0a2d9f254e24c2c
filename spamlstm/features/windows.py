"""The windows of a rendered text: a long body is read in pieces, each with the same header sections."""

import re

from spamlstm.features.render import BODY
from spamlstm.features.style import STYLE

_STYLE_MARKS = re.compile(f"⟦(?:{'|'.join(STYLE)}):[a-z0-9]+⟧|⟦trace⟧[^⟦]*")
# A piece of ASCII text may end this many characters early, at the end of a word.
_SLACK = 40


def cut_windows(text: str, *, size: int, most: int, style: bool = True) -> list[str]:
    """Return at most `most` windows of a rendered text: the header sections and at most `size` bytes of the body each.

    A short body is one window. Of a long one the head and the tail are always read. The windows between lie where the
    links are, as spam hidden in innocent text has to lead somewhere, and otherwise at equal distances.

    Without `style`, the facts of style and the trace are left out: a network that judges mail of other years and
    servers does better without them (docs/decisions/0005-modern-ham.md).
    """
    head, mark, body = text.partition(BODY)
    if not style:
        head = _STYLE_MARKS.sub("", head)
        text = head + mark + body
    # A character takes up to four bytes, so most texts need not be encoded to be measured.
    if len(body) * 4 <= size or len(body.encode()) <= size:
        return [text]
    pieces = _cut(body, size)
    if len(pieces) > most:
        pieces = [pieces[index] for index in _choose(pieces, most)]
    return [f"{head}{mark} {piece}" for piece in pieces]


def _cut(body: str, size: int) -> list[str]:
    """Return pieces of about equal length and at most `size` bytes, cut between words where there are any."""
    even = size
    if body.isascii():
        count = -(-len(body) // (size - _SLACK))
        even = -(-len(body) // count)
    pieces, start = [], 0
    while start < len(body):
        piece = body[start : start + min(even + _SLACK, size)]
        if not piece.isascii():
            piece = piece.encode()[:size].decode("utf-8", "ignore")
        if start + len(piece) < len(body):
            piece = piece[: piece.rfind(" ", len(piece) - _SLACK) + 1 or None]
        pieces.append(piece)
        start += len(piece)
    return pieces


def _choose(pieces: list[str], most: int) -> list[int]:
    """Return the indexes of the pieces to read, in order."""
    last = len(pieces) - 1
    between = range(1, last)
    linked = [index for index in between if "⟦url⟧" in pieces[index]]
    spread = [round(step * last / (most - 1)) for step in range(1, most - 1)] if most > 2 else []
    # At most half of the windows are chosen for their links, so that a digest full of links is still read evenly.
    chosen = dict.fromkeys([0, last, *linked[-(most // 2) :], *spread, *between])
    return sorted(list(chosen)[:most])
