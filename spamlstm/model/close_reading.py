"""The logit of a message: from the logits of its windows and, if the message is doubtful, of pieces of these windows.

Spammers put innocent text around a spam letter. In a window, the innocent text outweighs the letter. Some of the pieces
of the window contain little but the letter. Figures: docs/decisions/0041-close-reading.md.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, Self, TypeVar

HIGHEST_SHARE = 0.5
"""The share of the highest row in the logit of a message. The first window has the rest."""
DOUBTFUL = (0.25, 2.5)
"""The lowest logit of a doubtful message, and the lowest logit above it of a message that is not doubtful."""


class _Sliceable(Protocol):
    def __len__(self) -> int: ...
    def __getitem__(self, index: slice, /) -> Self: ...


Row = TypeVar("Row")
Body = TypeVar("Body", bound=_Sliceable)


def message_logits(
    messages: Sequence[Sequence[Row]],
    *,
    logits: Callable[[list[Row]], Sequence[float]],
    pieces: Callable[[Row], Sequence[Row]],
) -> list[float]:
    """Return the logit of each message from the rows of its windows. Each message has at least one row.

    `logits` returns the logit of each row. `pieces` returns the rows of the pieces of a window, or none if the window
    is not divided.
    """
    windows = _by_message(messages, logits)
    doubtful = [index for index, each in enumerate(windows) if is_doubtful(each)]
    divided = [[piece for row in messages[index] for piece in pieces(row)] for index in doubtful]
    read = dict(zip(doubtful, _by_message(divided, logits), strict=True))
    return [message_logit(each, read.get(index, ())) for index, each in enumerate(windows)]


def message_logit(windows: Sequence[float], pieces: Sequence[float] = ()) -> float:
    """Return the logit of a message from the logits of its windows and of the pieces of these windows.

    It is the mean of the highest logit and that of the first window. With only the highest, one unusual window would
    decide the verdict on a long message. With the mean of all windows instead of the first, innocent text below the
    letter could hide spam (docs/decisions/0036-the-letter-first.md has the figures). Pieces only raise the logit, at
    most to the end of the doubtful range.
    """
    logit = _mean(max(windows), windows[0])
    return max(logit, min(_mean(max(pieces), windows[0]), DOUBTFUL[1])) if pieces else logit


def is_doubtful(windows: Sequence[float]) -> bool:
    """Return whether a message with these logits of its windows is read in pieces."""
    return DOUBTFUL[0] <= message_logit(windows) < DOUBTFUL[1]


def divide(body: Body, most: int) -> list[Body]:
    """Return a body of token ids in pieces of about equal length, each of at most `most` ids.

    A body that is not longer than `most` is not divided and has no pieces. With 0, no body is divided.
    """
    length = len(body)
    count = -(-length // most) if most else 0
    return [body[length * k // count : length * (k + 1) // count] for k in range(count)] if count > 1 else []


def _by_message(messages: Sequence[Sequence[Row]], logits: Callable[[list[Row]], Sequence[float]]) -> list[list[float]]:
    found = iter(logits([row for message in messages for row in message]))
    return [[float(next(found)) for _ in message] for message in messages]


def _mean(highest: float, first: float) -> float:
    return HIGHEST_SHARE * highest + (1 - HIGHEST_SHARE) * first
