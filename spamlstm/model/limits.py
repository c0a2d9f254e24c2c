"""The limits of what labels may change in the score of a message: the thresholds of the policy, as log-odds."""

from typing import NamedTuple

from spamlstm.config import Thresholds
from spamlstm.verdict import logit

# The distance of a score beside a threshold from the threshold, larger than rounding errors of probabilities.
_BESIDE = 1e-6


class Limits(NamedTuple):
    """The thresholds in log-odds: ham up to the score `ham`, spam from the score `spam`.

    `max_false_positive_rate` is the share of ham that may be filed as spam. It is None if the user chose thresholds or
    costs, because these thresholds are not adjusted.
    """

    ham: float
    spam: float
    max_false_positive_rate: float | None = None

    @classmethod
    def of(cls, thresholds: Thresholds, *, max_false_positive_rate: float | None) -> "Limits":
        """Return the limits that follow from thresholds given as probabilities."""
        ham, spam = (logit(min(max(one, 1e-15), 1 - 1e-15)) for one in (thresholds.ham, thresholds.spam))
        return cls(ham, spam, max_false_positive_rate)

    def kept(self, score: float, *, prior: float) -> float:
        """Return `score` without a change that labels may not make to the verdict on mail unlike labelled mail.

        `prior` is the score before labels are taken into account. What was spam stays spam, and what was not spam does
        not become spam. Mail that was more likely spam than ham does not become ham.
        """
        if prior >= self.spam:
            return max(score, min(prior, self.spam + _BESIDE))
        if prior > max(self.ham, 0.0):
            score = max(score, min(self.ham + _BESIDE, prior))
        return min(score, max(prior, self.spam - _BESIDE))
