"""The likeness of a message to labelled mail, measured by the likeness of labelled messages to earlier ones.

All mail has something in common: names of headers, HTML, the marks of one server. The share of a message's features
that occur in labelled mail is therefore high for every message, and rises with each label. But the share is higher for
the mail that a user gets than for other mail. A message is like the user's mail if its share is within the range that
the latest labelled messages had just before they were learned.

The range is narrow, and after a hundred labels its lower end is the second lowest of 33 shares. So the range follows
the quantiles slowly. Otherwise one label of an unusual message would change the verdicts on unrelated mail.
"""

import struct
from collections import deque

import numpy as np
from numpy.typing import NDArray

# The range is measured with the latest third of the labelled messages, because the share rises with each label. It is
# measured with at least LEAST and at most MOST messages.
LEAST, MOST = 20, 512
# The likeness is 0 up to this quantile of the range, and 1 from the second quantile on.
UNLIKE, LIKE = 0.05, 0.25
# The range before LEAST messages are measured.
FIRST_RANGE = (0.8, 0.98)
# Each label moves the range by 1 / SLOWNESS of its distance to the quantiles.
SLOWNESS = 10
_LEAST_WIDTH = 0.003
# The number of labelled messages, and the range.
_HEAD = struct.Struct("<q2d")


class Likeness:
    """The shares of the latest labelled messages, and the likeness that follows from a share."""

    def __init__(self) -> None:
        self._count = 0
        self._latest: deque[float] = deque(maxlen=MOST)
        self._range = FIRST_RANGE

    def of(self, share: float) -> float:
        """Return the likeness, 0 to 1, of a message with this share of its features in labelled mail."""
        unlike, like = self._range
        part = min(max((share - unlike) / (like - unlike), 0.0), 1.0)
        return part * part * (3 - 2 * part)

    def add(self, share: float) -> None:
        """Add the share that a labelled message had before it was learned."""
        self._count += 1
        self._latest.append(float(np.float32(share)))
        self._measure()

    def _measure(self) -> None:
        # The first labelled messages have little in common with those before them.
        number = min(self._count // 3, len(self._latest))
        if number < LEAST:
            return
        shares = np.sort(np.array(self._latest)[-number:])
        # The values at these positions are the quantiles, without the interpolation of numpy.quantile, which is slow.
        unlike, like = (float(shares[int(quantile * number)]) for quantile in (UNLIKE, LIKE))
        unlike = max(min(unlike, like - _LEAST_WIDTH), 0.0)
        measured = unlike, max(like, unlike + _LEAST_WIDTH)
        (unlike, like), (unlike_now, like_now) = self._range, measured
        self._range = unlike + (unlike_now - unlike) / SLOWNESS, like + (like_now - like) / SLOWNESS

    def dump(self) -> bytes:
        """Return the state as bytes for `loaded`."""
        return _HEAD.pack(self._count, *self._range) + np.array(self._latest, np.float32).tobytes()

    @staticmethod
    def loaded(state: bytes | memoryview) -> "Likeness":
        """Return the likeness with a state returned by `dump`. Raises ValueError if it cannot be such a state."""
        if len(state) < _HEAD.size or (len(state) - _HEAD.size) % 4:
            raise ValueError(f"the shares have a wrong size of {len(state)} bytes")
        result = Likeness()
        result._count, unlike, like = _HEAD.unpack_from(state)
        shares: NDArray[np.float32] = np.frombuffer(state, np.float32, offset=_HEAD.size)
        if len(shares) != min(result._count, MOST) or not np.all((shares >= 0) & (shares <= 1)):
            raise ValueError("a share is out of range")
        if not 0 <= unlike < like <= 1 + _LEAST_WIDTH:
            raise ValueError("the range of shares is not a range")
        result._latest.extend(shares.tolist())
        result._range = unlike, like
        return result
