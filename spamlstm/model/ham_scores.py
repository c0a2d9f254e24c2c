"""The scores of labelled ham, and the threshold for the user's mail that follows from them.

The thresholds of the policy are the same for all users. If the scores of labelled ham show that too much or very little
of the user's ham is filed as spam, the scores of mail like labelled mail are adjusted instead. The thresholds then fit
the user's mail, and all other mail is judged as before.
"""

import math
from array import array
from collections.abc import Callable

import numpy as np

from spamlstm.model.confidence import wilson
from spamlstm.model.limits import Limits


class HamScores:
    """The scores that ham messages like earlier labelled mail had just before they were learned, in log-odds.

    Only labels of whole folders and adopted mailboxes count. Corrections are not representative of all mail.
    """

    def __init__(self, scores: bytes | memoryview = b"") -> None:
        """Use scores returned by `dump`. Raises ValueError if they cannot be scores."""
        self._scores = array("f")
        if len(scores) % self._scores.itemsize:
            raise ValueError("the scores of ham have a wrong size")
        self._scores.frombytes(scores)
        if not all(map(math.isfinite, self._scores)):
            raise ValueError("a score of ham is not finite")
        self._threshold: tuple[Limits, int, float] | None = None

    def __len__(self) -> int:
        """Return the number of scores."""
        return len(self._scores)

    def add(self, score: float) -> None:
        """Add the score of a ham message."""
        self._scores.append(score)

    def above(self, score: float) -> int:
        """Return the number of ham messages with at least this score."""
        return int(np.count_nonzero(np.array(self._scores, np.float64) >= score))

    def threshold(self, limits: Limits) -> float:
        """Return the spam threshold for mail like labelled mail, in log-odds.

        It is the threshold of the policy unless there is evidence against it. If enough ham shows that the share of ham
        filed as spam stays within the limit (95 % confidence), it is the lowest threshold that keeps this share, but at
        least 0 (even odds). If the ham shows that the threshold of the policy exceeds the limit, it is the lowest
        threshold for which this is not shown. A single ham message with a high score, which may have a wrong label,
        shows nothing.
        """
        if limits.max_false_positive_rate is None or not self._scores:
            return limits.spam
        if self._threshold is None or self._threshold[:2] != (limits, len(self._scores)):
            self._threshold = limits, len(self._scores), self._search(limits, limits.max_false_positive_rate)
        return self._threshold[2]

    def _search(self, limits: Limits, rate: float) -> float:
        number = len(self._scores)
        shown = _first(number, lambda filed: wilson(filed, number)[1] > rate)
        if shown:
            return max(self._beyond(shown - 1), 0.0)
        disproved = _first(number + 1, lambda filed: wilson(filed, number)[0] > rate)
        return max(self._beyond(disproved - 1), limits.spam) if disproved <= number else limits.spam

    def _beyond(self, filed: int) -> float:
        """Return the lowest score that only `filed` ham messages exceed or reach."""
        scores = np.sort(np.array(self._scores, np.float64))[::-1]
        return math.nextafter(float(scores[filed]), math.inf)

    def adjusted(self, score: float, limits: Limits) -> float:
        """Return the score on a scale on which the threshold of the policy is the threshold for this mail.

        Scores below the threshold for ham stay as they are.
        """
        threshold = self.threshold(limits)
        if threshold == limits.spam:
            return score
        low = min(limits.ham, threshold - 1)
        part = min(max((score - low) / (threshold - low), 0.0), 1.0)
        return score + part * (limits.spam - threshold)

    def dump(self) -> bytes:
        """Return the scores as bytes."""
        return self._scores.tobytes()


def _first(number: int, exceeds: Callable[[int], bool]) -> int:
    """Return the first number below `number` for which `exceeds` is true, or `number`."""
    return next((one for one in range(number) if exceeds(one)), number)
