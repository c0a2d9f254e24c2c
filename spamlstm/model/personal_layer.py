"""The personal layer: what a user's own labels add to the base's score, learned one message at a time.

Two things are learned. A logistic regression over the features of `prints`, with the base's score as its prior,
speaks of all mail that resembles what was labelled; no single label moves it far. And the latest labelled messages
themselves are remembered: what was said of one holds at once for its near-duplicates. Which runs are read, how fast it
learns and what that is worth is measured in docs/decisions/0010-personal-layer.md.
"""

import hashlib
import itertools
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spamlstm.config import Thresholds
from spamlstm.model.personal_features import FEATURES, RUNS, PersonalFeatures, runs_of

# What the state of a layer depends on besides the labels; another version learns them anew.
SHAPE = "5"

# The first labels move much, later ones less, so that 200 corrections teach as well as 10,000 labels do; but mail keeps
# changing, and so it never stops.
RATE = 0.015
FULL_RATE_LABELS = 300
LEAST_RATE = 0.0055
# What a feature counts, in a score and in a step: the root of so many by the number in its message, or by the second
# number where that is larger. So a long message says no more than a short one and, labelled wrongly, spoils no more.
TYPICAL, FEWEST = 1500, 1000
# What slows a feature down before anything was learned with it.
INITIAL_SQUARED_GRADIENT = 0.2
# What speaks are not these eager weights: whenever a label is learned, those of its message go one part of so many
# towards them. So labels that agree move mail at the full rate, and one that is alone, or wrong, hardly does. History
# is many labels at once, of what lay undisputed.
AVERAGING = 5
AVERAGING_OF_HISTORY = 2

# Beyond this the base is never taken at its word. How much of its word counts in the end, and after how many errors of
# it on labelled mail (each from 0 to 1) half of the rest does: where it has been right it keeps its say.
PRIOR_MOST = 8.0
LEAST_TRUST = 0.2
HALF_TRUST = 25.0
# Labels are no sample of mail: who files much says ham, who has a full Junk folder says spam, and what is learned leans
# to the commoner. Beyond three of it for one of the other the layer's part is put right by their odds. Only labels
# count that said what the score said already: corrections are of the kind that the filter errs on, and end its lean.
USUAL_ODDS = 3.0
FEW_LABELS = 10
# And labels of one kind say what that is like, but not what tells it from the other. Where to ten of these of one kind
# there is less than one label of the other, of the latest (each counts half after so many more), all count less in that
# measure: what was learned last is believed most. A few of one kind do no harm, and where all labels together are of
# both kinds no more than half is lost. Near-duplicates are drawn all the same.
ONE_SIDED = 10.0
HARMLESS = 5.0
LATELY = 200
LEAST_LATELY = 0.5

# What a user has said of this very message is beyond doubt: it scores past the bars that follow from the usual costs.
# To learn until the weights alone say so would be to believe slips: with 5 % of labels wrong, 50 times the error.
SPAM_TARGET = 5.0
HAM_TARGET = 2.0
# And by this much, in log-odds, past the bars that were found for this user.
PAST = 0.5
# The labels speak of a message by a power of the share of it that was in labelled mail too, and the base's word
# counts less in the same measure: of what resembles no labelled mail the base alone speaks. It keeps the first
# corrections, which move most, from turning the verdicts on all that came by the same server; the power falls as the
# labels grow, for by then what all mail has in common hardly moves.
SHARPNESS = 6.0
HALF_SHARPNESS = 50
LEAST_SHARPNESS = 0.5
# A message of which the labelled mail holds this share is one that the user's labels speak of.
KNOWN = 0.5

# So many of the latest labelled messages are remembered, each by the least of its runs. As they are hashes, the share
# of those that two messages have in common is that of all runs of the longer one, give or take 0.04.
MEMORY = 2048
SKETCH = 64
HALF = SKETCH // 2
# What shares less than the first is unlike, what shares the second is a near-duplicate; here 0.79 and 0.86 are 0.65
# and 0.75 of what both hold together (Jaccard).
UNLIKE, ALIKE = 0.79, 0.86
# How far, in log-odds, a near-duplicate is drawn towards what was said. The more labels there are the surer the layer
# is without, and the likelier it is that the one message nearby was labelled wrongly: then the draw falls, unless the
# score says the same by itself, so far, and only was not sure enough.
DRAW = 10.0
HALF_DRAW = 200
SAYS_THE_SAME = 2.0

_FINGER_BYTES = 8
# Which message, and whether it was said to be spam.
_SAID = struct.Struct(f"<{_FINGER_BYTES}s?")
# How many labels, the base's errors, and the counts.
_HEAD = struct.Struct("<qd8d")


Kept = NDArray[Any]
"""One part of a kept state, flat."""


@dataclass(frozen=True, slots=True)
class Near:
    """What the remembered labels say of a message: `pull` from -1 (ham) to 1 (spam), where nothing is like it 0.

    `share` is what it has in common with the most like of them, 0 to 1; `label` the number of that one's label, from 1
    on in the order in which they were learned.
    """

    pull: float
    share: float
    label: int


NOTHING_NEAR = Near(0.0, 0.0, 0)


class PersonalLayer:
    """What was learned from a user's labels, one after the other: empty at first, and then the base alone speaks.

    Three numbers for each feature: the weight that is learned, the one that speaks, and the sum of the
    squared errors that it was there for, which slows it down (AdaGrad, Duchi et al. 2011): what all mail has in common
    soon hardly moves. And of the labelled messages themselves, what was said.
    """

    def __init__(self) -> None:
        self._said: dict[bytes, bool] = {}
        self._learned = 0
        self._misled = 0.0
        # Ever and lately: all labels and those that said what the score said, of ham and of spam.
        self._counts = np.zeros((2, 2, 2))
        self._fast, self._weights, self._squared_gradients = np.zeros((3, FEATURES), np.float32)
        # A column for each remembered message; a feature that no message has stands where one has too few.
        self._sketches = np.full((SKETCH, MEMORY), RUNS, np.uint32)
        self._signs = np.zeros(MEMORY, np.int8)
        self._marks = np.zeros(RUNS + 1, np.uint8)
        self._thresholds: Mapping[str, Thresholds] = {}
        self._targets = HAM_TARGET, SPAM_TARGET

    @property
    def thresholds(self) -> Mapping[str, Thresholds]:
        """The bars that were found for this user's mail, by the label of the base that they were found with."""
        return self._thresholds

    @thresholds.setter
    def thresholds(self, thresholds: Mapping[str, Thresholds]) -> None:
        self._thresholds = thresholds
        ham = max((-_logit(one.ham) + PAST for one in thresholds.values()), default=HAM_TARGET)
        spam = max((_logit(one.spam) + PAST for one in thresholds.values()), default=SPAM_TARGET)
        self._targets = max(HAM_TARGET, ham), max(SPAM_TARGET, spam)

    @property
    def labels(self) -> int:
        """How many labels were learned."""
        return self._learned

    def score(self, found: PersonalFeatures, prior: float | None) -> float | None:
        """The score in log-odds, of a message with these features to which the base gave this one."""
        if not self.labels:
            return prior
        if prior is None and not self.knows(found):
            return None
        score, pull = self._weighed(found, prior), self.near(found).pull
        score = self._drawn(score, far=pull * self._draw(score if pull > 0 else -score))
        match self._said.get(_fingerprint(found)):
            case True:
                return max(score, self._targets[1])
            case False:
                return min(score, -self._targets[0])
        return score

    def _weighed(self, found: PersonalFeatures, prior: float | None) -> float:
        """The score by the weights and the base, each in its measure."""
        relevance = self._relevance(found)
        trust = 1 - relevance * (1 - self._trust)
        return trust * _base(prior) + relevance * (_says(self._weights[found]) - self._lean)

    def knows(self, found: PersonalFeatures) -> bool:
        """Whether the user has said something of this message, or of mail that shares most of what is in it."""
        if not self.labels:
            return False
        return self._share(found) >= KNOWN or _fingerprint(found) in self._said

    def near(self, found: PersonalFeatures) -> Near:
        """Which remembered message is most like this one, and what those that are like it say, weighed by likeness."""
        sketch, filled = runs_of(found)[:SKETCH], min(self.labels, MEMORY)
        if len(sketch) < SKETCH or not filled:
            return NOTHING_NEAR
        self._marks[sketch] = 1
        # Of most all is told by half: too much is missing there already.
        half = self._marks.take(self._sketches[:HALF, :filled]).sum(axis=0, dtype=np.uint8)
        may_be = np.flatnonzero(half > UNLIKE * SKETCH - HALF)
        rest = self._marks.take(self._sketches[HALF:, may_be]).sum(axis=0, dtype=np.uint8)
        self._marks[sketch] = 0
        common = half[may_be] + rest
        near = common > UNLIKE * SKETCH
        like = may_be[near]
        if not len(like):
            return NOTHING_NEAR
        shares = common[near] / SKETCH
        ages = (self.labels - 1 - like) % MEMORY
        best = np.argmax(shares * MEMORY - ages / MEMORY)
        likeness = np.minimum((shares - UNLIKE) / (ALIKE - UNLIKE), 1)
        pull = likeness[best] * (likeness @ self._signs[like]) / likeness.sum()
        return Near(float(pull), float(shares[best]), self.labels - int(ages[best]))

    def learn(self, found: PersonalFeatures, *, prior: float | None, spam: bool, history: bool = False) -> None:
        """Take one label in; afterwards the score of this very message is beyond its label's target.

        `history` is said of what a mailbox shows that was there already. What is learned from is the larger of two
        errors: that of the whole score, since it is the one to be put right, and that of the layer alone, since the
        base may be right about this message and wrong about the next like it.
        """
        sign = 1.0 if spam else -1.0
        fast, weights = self._fast[found], self._weights[found]
        own, base = sign * _says(fast), sign * _base(prior)
        error = _logistic(-min(own, own + self._trust * base))
        self._count(self._weighed(found, prior), base, spam=spam)
        rate = max(RATE / math.sqrt(1 + self.labels / FULL_RATE_LABELS), LEAST_RATE)
        step = sign * error * rate * _count_of_each(len(found))
        squared_gradients = self._squared_gradients[found] + np.float32(error * error)
        fast += np.float32(step) / np.sqrt(np.float32(INITIAL_SQUARED_GRADIENT) + squared_gradients)
        self._squared_gradients[found], self._fast[found] = squared_gradients, fast
        self._weights[found] = weights + (fast - weights) / np.float32(AVERAGING_OF_HISTORY if history else AVERAGING)
        self._remember(found, sign)
        self._said[_fingerprint(found)] = spam
        self._learned += 1

    def _count(self, score: float, base: float, *, spam: bool) -> None:
        """Count one label, whether it said what the score said, and how wrong the base was.

        `base` is the base's score for the label. The score is held against the usual targets, not this user's: those
        may change, and labels are learned anew at times.
        """
        agreed = score > SPAM_TARGET if spam else score < -HAM_TARGET
        self._misled += _logistic(-base)
        self._counts[1] *= 0.5 ** (1 / LATELY)
        self._counts[:, :, int(spam)] += 1, agreed

    def _remember(self, found: PersonalFeatures, sign: float) -> None:
        """In the place of the oldest."""
        place = self.labels % MEMORY
        sketch = runs_of(found)[:SKETCH]
        self._sketches[:, place] = RUNS
        self._sketches[: len(sketch), place] = sketch
        self._signs[place] = sign

    @property
    def _trust(self) -> float:
        """How much the base's score still counts for mail such as was labelled: less, the more it was wrong of that."""
        return LEAST_TRUST + (1 - LEAST_TRUST) / (1 + self._misled / HALF_TRUST)

    @property
    def _lean(self) -> float:
        """How far, in log-odds, the weights lean to spam only because more spam was labelled; to ham if negative."""
        ham, spam = self._counts[0, 1].tolist()
        odds = math.log((spam + FEW_LABELS) / (ham + FEW_LABELS))
        return math.copysign(max(abs(odds) - math.log(USUAL_ODDS), 0.0), odds)

    def _draw(self, agreed: float) -> float:
        """How far a near-duplicate is drawn, upon a score that says so much for what was said of its like."""
        return DRAW if agreed > SAYS_THE_SAME else DRAW / (1 + self.labels / HALF_DRAW)

    def _drawn(self, score: float, *, far: float) -> float:
        """The score drawn so far towards a label's target, up for spam and down for ham, and never beyond."""
        ham, spam = self._targets
        if far > 0:
            return max(score, min(score + far, spam))
        return min(score, max(score + far, -ham))

    def _relevance(self, found: PersonalFeatures) -> float:
        """How much the labels have to say of a message, 0 to 1."""
        sharpness = max(SHARPNESS / (1 + self.labels / HALF_SHARPNESS), LEAST_SHARPNESS)
        return self._both * math.pow(self._share(found), sharpness)

    @property
    def _both(self) -> float:
        """How far the latest labels are of both kinds, and a little how far all are, 0 to 1."""
        ever, lately = map(_of_both, self._counts)
        return max(LEAST_LATELY * ever, lately)

    def _share(self, found: PersonalFeatures) -> float:
        """How much of a message was in labelled mail too, 0 to 1."""
        return int(np.count_nonzero(self._squared_gradients[found])) / max(len(found), 1)

    def dump(self) -> bytes:
        """All of it, for `load`."""
        said = b"".join(print_ + bytes([spam]) for print_, spam in self._said.items())
        head = _HEAD.pack(self._learned, self._misled, *self._counts.flat)
        return b"".join((head, *(part.tobytes() for part in self._parts()), said))

    def load(self, state: bytes) -> None:
        """Be as the layer was that was dumped; without a state, empty.

        ValueError for what no layer gives, which is all by which a score could fail or be NaN; the layer is then as it
        was.
        """
        state = state or PersonalLayer().dump()
        at = _HEAD.size + sum(part.nbytes for part in self._parts())
        if len(state) < at or (len(state) - at) % _SAID.size:
            raise ValueError(f"a state of {len(state)} bytes")
        learned, misled, *counts = _HEAD.unpack_from(state)
        if learned < 0 or not all(math.isfinite(one) and one >= 0 for one in (misled, *counts)):
            raise ValueError("a count that is not one")
        said, parts = memoryview(state)[at:], self._parts()
        sizes = itertools.accumulate((part.nbytes for part in parts[:-1]), initial=_HEAD.size)
        kept = [np.frombuffer(state, part.dtype, part.size, at) for part, at in zip(parts, sizes, strict=True)]
        _check(*kept)
        self._learned, self._misled = learned, misled
        self._counts[:] = np.reshape(counts, self._counts.shape)
        for part, values in zip(parts, kept, strict=True):
            part[:] = values.reshape(part.shape)
        self._said = dict(_SAID.iter_unpack(said))

    def _parts(self) -> tuple[NDArray[np.generic], ...]:
        return self._fast, self._weights, self._squared_gradients, self._sketches, self._signs


def _check(fast: Kept, weights: Kept, squared_gradients: Kept, sketches: Kept, signs: Kept) -> None:
    """ValueError for numbers that no layer learns."""
    # A sum of finite numbers as small as these is finite, and takes a tenth of the time of a look at each.
    if not all(math.isfinite(part.sum()) for part in (fast, weights, squared_gradients)) or squared_gradients.min() < 0:
        raise ValueError("a weight that is not finite")
    if sketches.max() > RUNS or signs.min() < -1 or signs.max() > 1:
        raise ValueError("a memory of no message")


def _of_both(counts: NDArray[np.float64]) -> float:
    """How far labels are of both kinds, 0 to 1: (2, 2) all and those that agreed, of ham and of spam."""
    (ham, spam), (agreed_ham, agreed_spam) = (counts + HARMLESS).tolist()
    return float(min(ONE_SIDED * spam / agreed_ham, ONE_SIDED * ham / agreed_spam, 1.0))


def _says(weights: NDArray[np.float32]) -> float:
    """What the features of a message say together, each of which has one of these weights."""
    return float(weights.sum(dtype=np.float64)) * _count_of_each(len(weights))


def _count_of_each(number: int) -> float:
    """What each of so many features counts."""
    return math.sqrt(TYPICAL / max(number, FEWEST))


def _base(prior: float | None) -> float:
    """What the base says; where it had no words to judge, it has no opinion."""
    return 0.0 if prior is None else min(max(prior, -PRIOR_MOST), PRIOR_MOST)


def _fingerprint(found: PersonalFeatures) -> bytes:
    """Which message this is, as far as the layer reads it."""
    return hashlib.blake2b(runs_of(found).tobytes(), digest_size=_FINGER_BYTES).digest()


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-min(max(value, -700.0), 700.0)))  # beyond that exp overflows


def _logit(probability: float) -> float:
    inside = min(max(probability, 1e-15), 1 - 1e-15)
    return math.log(inside) - math.log1p(-inside)
