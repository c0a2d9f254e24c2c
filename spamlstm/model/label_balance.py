"""The balance between ham and spam labels, and how far labels of mostly one kind are trusted."""

import math

import numpy as np
from numpy.typing import NDArray

# Labels are not a random sample of mail. A user who files much mail in folders labels mostly ham, and a user with a
# full junk folder labels mostly spam. The weights are then biased towards the more frequent label. If the odds between
# the labels exceed USUAL_ODDS, the log of their ratio to USUAL_ODDS is subtracted from the score. Only labels that
# agree with the score are counted, because corrections reduce the bias by themselves. FEW_LABELS is added to both
# counts.
USUAL_ODDS = 3.0
FEW_LABELS = 10
# Labels of one class (ham or spam) do not show what distinguishes it from the other class. If there are more than
# ONE_SIDED labels of one class for each label of the other class, the effect of the weights is reduced in proportion.
# The weights follow recent labels, so a label is counted half after HALF_RECENT further labels. If all labels together
# are balanced, the weights keep at least LEAST_RECENT of their effect. FEW_ONE_SIDED is added to all counts, because a
# few labels have little effect. Near-duplicates are not affected.
ONE_SIDED = 10.0
FEW_ONE_SIDED = 5.0
HALF_RECENT = 200
LEAST_RECENT = 0.5


class LabelBalance:
    """The counts of labels: of all time or recent, all or those that agree with the score, ham or spam."""

    def __init__(self) -> None:
        self.counts = np.zeros((2, 2, 2))

    def count(self, *, spam: bool, agrees: bool) -> None:
        """Count one label, and whether the score agreed with it before it was learned."""
        self.counts[1] *= 0.5 ** (1 / HALF_RECENT)
        self.counts[:, :, int(spam)] += 1, agrees

    @property
    def bias(self) -> float:
        """The bias of the weights due to unequal numbers of labels, in log-odds. Above 0, the bias is towards spam."""
        ham, spam = self.counts[0, 1].tolist()
        odds = math.log((spam + FEW_LABELS) / (ham + FEW_LABELS))
        return math.copysign(max(abs(odds) - math.log(USUAL_ODDS), 0.0), odds)

    @property
    def effect(self) -> float:
        """The effect of the weights, 0 to 1. It falls if nearly all labels, above all recent ones, are of one kind."""
        all_time, recent = map(_balance_of, self.counts)
        return max(LEAST_RECENT * all_time, recent)


def _balance_of(counts: NDArray[np.float64]) -> float:
    """Return the balance of labels, 0 to 1, from counts of (all or agreeing, ham or spam)."""
    (ham, spam), (agreeing_ham, agreeing_spam) = (counts + FEW_ONE_SIDED).tolist()
    return float(min(ONE_SIDED * spam / agreeing_ham, ONE_SIDED * ham / agreeing_spam, 1.0))
