"""The personal layer: what a user's own labels add to the base's score, learned one message at a time.

A logistic regression over hashed runs of four bytes, with the base's score as its prior. Which runs are read, how
fast it learns and what that is worth is measured in docs/decisions/0010-personal-layer.md.
"""

import hashlib
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spamlstm.config import Thresholds
from spamlstm.mail.content import lasting

Prints = NDArray[np.uint32]

# What the state of a layer depends on besides the labels; another version learns them anew.
SHAPE = "1"

# As much of a message is looked at, to find these first bytes of what lasts: headers mostly, then text.
READ_BYTES = 16 << 10
PRINT_BYTES = 3000
RUN = 4
BITS = 20
_SIZE = 1 << BITS

# The first labels move much, later ones less, so that 200 corrections teach as well as 10,000 labels do; but mail keeps
# changing, and so it never stops.
RATE = 0.01
FULL_RATE_LABELS = 300
LEAST_RATE = 0.005
# What slows a feature down before anything was learned with it.
FIRST_HEAT = 0.2

# Beyond this the base is never taken at its word; and how much of its word counts after many labels.
PRIOR_MOST = 8.0
LEAST_TRUST = 0.2
HALF_TRUST = 200

# What a user has said of this very message is beyond doubt: it scores past the bars that follow from the usual costs.
# To learn until the weights alone say so would be to believe slips: with 5 % of labels wrong, 50 times the error.
SPAM_TARGET = 5.0
HAM_TARGET = 2.0
# And by this much, in log-odds, past the bars that were found for this user.
PAST = 0.5
# The labels speak of a message by a power of the share of it that was in labelled mail too: of what resembles none of
# it they say little. It keeps the first corrections, which move most, from turning the verdicts on all that came by the
# same server, and goes to nothing as the labels grow: by then what all mail has in common hardly moves.
SHARPNESS = 6.0
HALF_SHARPNESS = 50
# A message of which the labelled mail holds this share is one that the user's labels speak of.
KNOWN = 0.5

# The multipliers of xxHash.
_SPREAD, _MIX = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77)
_FINGER_BYTES = 8


def prints(raw: bytes) -> Prints:
    """The features of a message, each once and in ascending order: the same for its tagged, moved or copied self."""
    text = b"".join(lasting(raw[:READ_BYTES]))[:PRINT_BYTES]
    if len(text) < RUN:
        return np.empty(0, np.uint32)
    runs = np.ndarray((len(text) - RUN + 1,), "<u4", text, strides=(1,)) * _SPREAD
    runs ^= runs >> np.uint32(15)
    runs *= _MIX
    runs >>= np.uint32(32 - BITS)
    runs.sort()
    first = np.empty(len(runs), np.bool_)
    first[0] = True
    np.not_equal(runs[1:], runs[:-1], out=first[1:])
    return runs[first]


class PersonalLayer:
    """What was learned from a user's labels, one after the other: empty at first, and then the base alone speaks.

    Two numbers for each of the 2^20 features: its weight, and the sum of the squared errors that it was there for,
    which slows it down (AdaGrad, Duchi et al. 2011): what all mail has in common soon hardly moves. And
    of the labelled messages themselves, what was said.
    """

    def __init__(self) -> None:
        self._said: dict[bytes, bool] = {}
        self._weights = np.zeros(_SIZE, np.float32)
        self._heat = np.zeros(_SIZE, np.float32)
        self._bars: Mapping[str, Thresholds] = {}
        self._targets = HAM_TARGET, SPAM_TARGET

    @property
    def bars(self) -> Mapping[str, Thresholds]:
        """The bars that were found for this user's mail, by the label of the base that they were found with."""
        return self._bars

    @bars.setter
    def bars(self, bars: Mapping[str, Thresholds]) -> None:
        self._bars = bars
        ham = max((-_logit(one.ham) + PAST for one in bars.values()), default=HAM_TARGET)
        spam = max((_logit(one.spam) + PAST for one in bars.values()), default=SPAM_TARGET)
        self._targets = max(HAM_TARGET, ham), max(SPAM_TARGET, spam)

    @property
    def labels(self) -> int:
        """How many labels were learned."""
        return len(self._said)

    @property
    def trust(self) -> float:
        """How much the base's score still counts: all of it at first, less the more is known of this user's mail."""
        return LEAST_TRUST + (1 - LEAST_TRUST) / (1 + self.labels / HALF_TRUST)

    def score(self, found: Prints, prior: float | None) -> float | None:
        """The score in log-odds, of a message with these features to which the base gave this one."""
        if not self.labels:
            return prior
        if prior is None and not self.knows(found):
            return None
        relevance = math.pow(self._share(found), SHARPNESS / (1 + self.labels / HALF_SHARPNESS))
        score = relevance * self._own(found) + self._base(prior)
        match self._said.get(_fingerprint(found)):
            case True:
                return max(score, self._targets[1])
            case False:
                return min(score, -self._targets[0])
        return score

    def knows(self, found: Prints) -> bool:
        """Whether the user has said something of this message, or of mail that shares most of what is in it."""
        if not self.labels:
            return False
        return self._share(found) >= KNOWN or _fingerprint(found) in self._said

    def learn(self, found: Prints, *, prior: float | None, spam: bool) -> None:
        """Take one label in; afterwards the score of this very message is beyond its label's target.

        What is learned from is the larger of two errors: that of the whole score, since it is the one to be put right,
        and that of the layer alone, since the base may be right about this message and wrong about the next like it.
        """
        sign = 1.0 if spam else -1.0
        own = sign * self._own(found)
        error = _logistic(-min(own, own + sign * self._base(prior)))
        step = sign * error * max(RATE / math.sqrt(1 + self.labels / FULL_RATE_LABELS), LEAST_RATE)
        heat = self._heat[found] + np.float32(error * error)
        self._heat[found] = heat
        self._weights[found] += np.float32(step) / np.sqrt(np.float32(FIRST_HEAT) + heat)
        self._said[_fingerprint(found)] = spam

    def _own(self, found: Prints) -> float:
        """The part of the score that the labels have."""
        return float(self._weights[found].sum(dtype=np.float64))

    def _share(self, found: Prints) -> float:
        """How much of a message was in labelled mail too, 0 to 1."""
        return int(np.count_nonzero(self._heat[found])) / max(len(found), 1)

    def _base(self, prior: float | None) -> float:
        """The part of the score that the base has; where it had no words to judge, it has no opinion."""
        return 0.0 if prior is None else self.trust * min(max(prior, -PRIOR_MOST), PRIOR_MOST)

    def dump(self) -> bytes:
        """All of it, for `load`."""
        said = b"".join(print_ + bytes([spam]) for print_, spam in self._said.items())
        return self._weights.tobytes() + self._heat.tobytes() + said

    def load(self, state: bytes) -> None:
        """Be as the layer was that was dumped; without a state, empty."""
        both = 2 * self._weights.nbytes
        numbers = np.frombuffer(state[:both], np.float32) if state else np.zeros(2 * _SIZE, np.float32)
        self._weights[:], self._heat[:] = numbers[:_SIZE], numbers[_SIZE:]
        said = state[both:]
        each = range(0, len(said), _FINGER_BYTES + 1)
        self._said = {said[at : at + _FINGER_BYTES]: bool(said[at + _FINGER_BYTES]) for at in each}


def _fingerprint(found: Prints) -> bytes:
    """Which message this is, as far as the layer reads it."""
    return hashlib.blake2b(found.tobytes(), digest_size=_FINGER_BYTES).digest()


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-min(max(value, -700.0), 700.0)))  # beyond that exp overflows


def _logit(probability: float) -> float:
    inside = min(max(probability, 1e-15), 1 - 1e-15)
    return math.log(inside) - math.log1p(-inside)
