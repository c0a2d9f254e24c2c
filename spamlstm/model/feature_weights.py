"""The weights of features in the personal layer: an online logistic regression with averaged weights.

A feature is a number from `personal_features`. docs/decisions/0010-personal-layer.md has the measurements for the
learning rate and the other constants.
"""

import math

import numpy as np
from numpy.typing import NDArray

from spamlstm.model.personal_features import FEATURES, PersonalFeatures

# The learning rate decreases with the number of labels, so that learning works for 200 corrections and for 10,000
# labels. It never falls below LEAST_RATE because mail keeps changing.
RATE = 0.015
FULL_RATE_LABELS = 300
LEAST_RATE = 0.0055
# The weight of each of n features of a message, in scores and gradients, is sqrt(TYPICAL / max(n, FEWEST)). A long
# message therefore has no more influence than a short message, and does no more harm if its label is wrong.
TYPICAL, FEWEST = 1500, 1000
# The initial squared gradient (AdaGrad) of every feature.
INITIAL_SQUARED_GRADIENT = 0.2
# Scores use averaged weights. Each label moves the averaged weights of its message by 1 / AVERAGING of their distance
# to the fast weights, but never away from the label. Labels that agree change a score at the full rate, and a single or
# wrong label hardly changes a score. Labels of whole folders and adopted mailboxes (history) are numerous and rarely
# wrong, so they are averaged less and learned at a higher rate.
AVERAGING = 5
AVERAGING_OF_HISTORY = 1.5
RATE_OF_HISTORY = 1.5


class FeatureWeights:
    """The weights of all features. They are 0 at first.

    Each feature has a fast weight, an averaged weight, and a squared gradient. The squared gradient slows the learning
    of frequent features (AdaGrad, Duchi et al. 2011), so weights of features that all mail has in common soon hardly
    change.
    """

    def __init__(self) -> None:
        self.fast, self.averaged, self.squared_gradients = np.zeros((3, FEATURES), np.float32)

    def sum_of(self, features: PersonalFeatures) -> float:
        """Return the sum of the averaged weights of a message, in log-odds."""
        return _dot(self.averaged[features])

    def fast_sum_of(self, features: PersonalFeatures) -> float:
        """Return the sum of the fast weights of a message, in log-odds."""
        return _dot(self.fast[features])

    def share_learned(self, features: PersonalFeatures) -> float:
        """Return the share of a message's features that occur in labelled mail, 0 to 1."""
        return int(np.count_nonzero(self.squared_gradients[features])) / max(len(features), 1)

    def learn(self, features: PersonalFeatures, *, error: float, spam: bool, history: bool, labels: int) -> None:
        """Move the weights of a message towards its label. `error` is the gradient of the loss, 0 to 1.

        `history` marks a label from a whole folder or an adopted mailbox. `labels` is the number of earlier labels.
        """
        sign = 1.0 if spam else -1.0
        fast, averaged = self.fast[features], self.averaged[features]
        rate = max(RATE / math.sqrt(1 + labels / FULL_RATE_LABELS), LEAST_RATE)
        step = sign * error * rate * (RATE_OF_HISTORY if history else 1) * _feature_weight(len(features))
        squared_gradients = self.squared_gradients[features] + np.float32(error * error)
        fast += np.float32(step) / np.sqrt(np.float32(INITIAL_SQUARED_GRADIENT) + squared_gradients)
        self.squared_gradients[features], self.fast[features] = squared_gradients, fast
        change = (fast - averaged) / np.float32(AVERAGING_OF_HISTORY if history else AVERAGING)
        self.averaged[features] = averaged + (np.maximum(change, 0) if spam else np.minimum(change, 0))


def _dot(weights: NDArray[np.float32]) -> float:
    """Return the score of a message, given the weights of its features."""
    return float(weights.sum(dtype=np.float64)) * _feature_weight(len(weights))


def _feature_weight(number: int) -> float:
    return math.sqrt(TYPICAL / max(number, FEWEST))
