"""The personal layer: the correction of a message's base score by what was learned from one user's labels.

The base score (also called prior) is the score of the model before personal labels. A label is ham or spam, set by the
user for one message. The layer learns one label at a time and has two parts.

An online logistic regression over the features of `personal_features`, with the base score as its prior, generalises to
mail that resembles labelled mail. No single label changes its weights much. `RecentLabels` applies a label immediately
to near-duplicates of the labelled message. docs/decisions/0010-personal-layer.md has the measurements for the features,
the learning rate and the other constants.
"""

import hashlib
import itertools
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spamlstm.config import Thresholds
from spamlstm.features.sender_identity import SenderIdentity
from spamlstm.model.correspondents import Correspondents
from spamlstm.model.near_duplicates import NearMatch, RecentLabels
from spamlstm.model.personal_features import FEATURES, RUNS, PersonalFeatures, runs_of, weighted
from spamlstm.verdict import logistic, logit

# The version of the learning method and of the saved state. A saved layer of another version is discarded and learned
# again.
SHAPE = "7"

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
# to the fast weights. Labels that agree change a score at the full rate, and a single or wrong label hardly changes a
# score. Labels of whole folders and adopted mailboxes (history) are numerous and rarely wrong, so they are averaged
# less.
AVERAGING = 5
AVERAGING_OF_HISTORY = 2

# The base score is clipped to the range from -MOST_PRIOR to MOST_PRIOR. The more often the base score was wrong about
# labelled mail, the lower its weight for mail that resembles labelled mail. The weight starts at 1 and falls halfway to
# LEAST_TRUST after errors (each from 0 to 1) with the sum HALF_TRUST.
MOST_PRIOR = 8.0
LEAST_TRUST = 0.2
HALF_TRUST = 25.0
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

# The minimum score, in log-odds, of a message that the user labelled spam, and the minimum of the negated score of a
# message labelled ham. The targets are past the thresholds that follow from the usual costs. They are enforced when a
# message is scored, because weights that are trained until they reach the targets would follow mistakes. With 5 % wrong
# labels, the error would be 50 times as high.
SPAM_TARGET = 5.0
HAM_TARGET = 2.0
# The targets are also at least this far, in log-odds, past thresholds that were found for this user.
PAST = 0.5
# The relevance of the labels to a message is the share of its features that occur in labelled mail, raised to a power.
# The weight of the base score falls as the relevance rises. The base score alone therefore decides on mail that does
# not resemble labelled mail. The power (sharpness) keeps the first corrections, which change weights most, from
# changing the verdict on all mail of one server. The power falls as labels accumulate, because the weights of features
# that all mail has in common hardly change by then.
SHARPNESS = 6.0
HALF_SHARPNESS = 50
LEAST_SHARPNESS = 0.5
# If the base model cannot score the text of a message, the user's labels are used if at least this share of the
# message's features occurs in labelled mail.
KNOWN = 0.5

# The shift of a near-duplicate towards the label, in log-odds. With more labels the weights are more reliable, and a
# single similar message is more likely to have a wrong label, so the shift falls to half after HALF_SHIFT_LABELS. The
# shift is not reduced if the score exceeds AGREES in favour of the label, because the score then agrees with the label
# but was not certain enough.
SHIFT = 10.0
HALF_SHIFT_LABELS = 200
AGREES = 2.0
# The shift of a message whose text other senders sent, in multiples of the target. It does not fall with the number of
# labels, because several senders with one text and one label are no mistake.
TEXT_SHIFT = 4.0

_FINGERPRINT_BYTES = 8
# The fingerprint of a labelled message, and whether its label is spam.
_LABEL = struct.Struct(f"<{_FINGERPRINT_BYTES}s?")
# The number of labels, the sum of base errors, and the counts of labels.
_HEAD = struct.Struct("<qd8d")
# The size of the state of the correspondents, which comes first.
_SIZE = struct.Struct("<Q")

SavedPart = NDArray[Any]
"""One flat array of a saved state."""


class PersonalLayer:
    """The state learned from a user's labels in their order. An empty layer leaves the base score unchanged.

    Each feature has a fast weight, an averaged weight, and a squared gradient. The squared gradient slows the learning
    of frequent features (AdaGrad, Duchi et al. 2011), so weights of features that all mail has in common soon hardly
    change.
    """

    def __init__(self) -> None:
        self.correspondents = Correspondents()
        self._labels: dict[bytes, bool] = {}
        self._base_errors = 0.0
        # Indices: all time or recent; all labels or labels that agree with the score; ham or spam.
        self._counts = np.zeros((2, 2, 2))
        self._fast, self._averaged, self._squared_gradients = np.zeros((3, FEATURES), np.float32)
        self._recent = RecentLabels()
        self._thresholds: Mapping[str, Thresholds] = {}
        self._targets = HAM_TARGET, SPAM_TARGET

    @property
    def thresholds(self) -> Mapping[str, Thresholds]:
        """The thresholds found for this user's mail, with the model identifier as the key."""
        return self._thresholds

    @thresholds.setter
    def thresholds(self, thresholds: Mapping[str, Thresholds]) -> None:
        self._thresholds = thresholds
        ham = max((-_finite_logit(one.ham) + PAST for one in thresholds.values()), default=HAM_TARGET)
        spam = max((_finite_logit(one.spam) + PAST for one in thresholds.values()), default=SPAM_TARGET)
        self._targets = max(HAM_TARGET, ham), max(SPAM_TARGET, spam)

    @property
    def labels(self) -> int:
        """The number of labels learned."""
        return self._recent.count

    def score(
        self, features: PersonalFeatures, prior: float | None, sender: SenderIdentity | None = None
    ) -> float | None:
        """Return the score of a message in log-odds, given its features, its base score `prior` and its sender.

        Return None if the base model does not give a score (`prior` is None) and no labels apply.
        """
        if not self.labels:
            return prior
        if prior is None and not self.knows(features):
            return None
        known = self.correspondents.evidence(sender)
        score = self._score_by_weights(weighted(features), prior) + (known.shift if known else 0.0)
        score = self._shifted(score, self.near(features))
        match self._labels.get(_fingerprint(features)):
            case True:
                return max(score, self._targets[1])
            case False:
                return min(score, -self._targets[0])
        return score

    def knows(self, features: PersonalFeatures) -> bool:
        """Return whether the user labelled this message, or labelled mail has the share KNOWN of its features."""
        if not self.labels:
            return False
        return self._share_in_labelled(weighted(features)) >= KNOWN or _fingerprint(features) in self._labels

    def near(self, features: PersonalFeatures) -> NearMatch:
        """Return the recently labelled messages that this message resembles, or NO_MATCH if there are none."""
        return self._recent.nearest(features)

    def learn(
        self,
        features: PersonalFeatures,
        *,
        prior: float | None,
        spam: bool,
        history: bool = False,
        sender: SenderIdentity | None = None,
        answered: bool = False,
    ) -> None:
        """Learn one label. Afterwards the score of this message reaches the target of its label.

        `prior` is the base score. `history` marks a label from a whole folder or an adopted mailbox. `sender` is
        the proven sender of the message, and `answered` is true if the user answered the message. The gradient is
        the larger of two errors: the error of the whole score, which has to be corrected, and the error of the layer
        without the base score. The second error matters because the base score may be right about this message and
        wrong about the next similar message.
        """
        sign = 1.0 if spam else -1.0
        message, features = features, weighted(features)
        fast, averaged = self._fast[features], self._averaged[features]
        by_layer, by_base = sign * _dot(fast), sign * _clipped(prior)
        error = logistic(-min(by_layer, by_layer + self._trust * by_base))
        self._count(self._score_by_weights(features, prior), by_base, spam=spam)
        rate = max(RATE / math.sqrt(1 + self.labels / FULL_RATE_LABELS), LEAST_RATE)
        step = sign * error * rate * _feature_weight(len(features))
        squared_gradients = self._squared_gradients[features] + np.float32(error * error)
        fast += np.float32(step) / np.sqrt(np.float32(INITIAL_SQUARED_GRADIENT) + squared_gradients)
        self._squared_gradients[features], self._fast[features] = squared_gradients, fast
        averaging = np.float32(AVERAGING_OF_HISTORY if history else AVERAGING)
        self._averaged[features] = averaged + (fast - averaged) / averaging
        self.correspondents.learn(sender, spam=spam, answered=answered)
        self._labels[_fingerprint(message)] = spam
        self._recent.add(message, sign)

    def _count(self, score: float, by_base: float, *, spam: bool) -> None:
        """Count one label, its agreement with `score`, and the error of the base score.

        `by_base` is the base score with the sign that makes it positive if it agrees with the label. `score` is
        compared with the usual targets. The user's own targets are not used because they may change before the labels
        are learned again.
        """
        agrees = score > SPAM_TARGET if spam else score < -HAM_TARGET
        self._base_errors += logistic(-by_base)
        self._counts[1] *= 0.5 ** (1 / HALF_RECENT)
        self._counts[:, :, int(spam)] += 1, agrees

    def _score_by_weights(self, features: PersonalFeatures, prior: float | None) -> float:
        """Return the score by the averaged weights and the base score, without near-duplicates."""
        relevance = self._relevance(features)
        trust = 1 - relevance * (1 - self._trust)
        return trust * _clipped(prior) + relevance * (_dot(self._averaged[features]) - self._bias)

    @property
    def _trust(self) -> float:
        """The weight of the base score for mail that resembles labelled mail."""
        return LEAST_TRUST + (1 - LEAST_TRUST) / (1 + self._base_errors / HALF_TRUST)

    @property
    def _bias(self) -> float:
        """The bias of the weights due to unequal numbers of labels, in log-odds. Above 0, the bias is towards spam."""
        ham, spam = self._counts[0, 1].tolist()
        odds = math.log((spam + FEW_LABELS) / (ham + FEW_LABELS))
        return math.copysign(max(abs(odds) - math.log(USUAL_ODDS), 0.0), odds)

    def _shifted(self, score: float, near: NearMatch) -> float:
        """Return `score` moved towards the target of the labels of similar messages, but not past the target."""
        agrees = (score if near.pull > 0 else -score) > AGREES
        shift = near.pull * (SHIFT if agrees else SHIFT / (1 + self.labels / HALF_SHIFT_LABELS))
        ham, spam = self._targets
        shift += near.text_pull * TEXT_SHIFT * (spam if near.text_pull > 0 else ham)
        return max(score, min(score + shift, spam)) if shift > 0 else min(score, max(score + shift, -ham))

    def _relevance(self, features: PersonalFeatures) -> float:
        """Return the weight of the labels for a message, 0 to 1."""
        sharpness = max(SHARPNESS / (1 + self.labels / HALF_SHARPNESS), LEAST_SHARPNESS)
        return self._balance * math.pow(self._share_in_labelled(features), sharpness)

    @property
    def _balance(self) -> float:
        """The balance of the labels between ham and spam, 0 to 1. Recent labels have more influence."""
        all_time, recent = map(_balance_of, self._counts)
        return max(LEAST_RECENT * all_time, recent)

    def _share_in_labelled(self, features: PersonalFeatures) -> float:
        """Return the share of a message's features that occur in labelled mail, 0 to 1."""
        return int(np.count_nonzero(self._squared_gradients[features])) / max(len(features), 1)

    def dump(self) -> bytes:
        """Return the state of the layer as bytes for `load`."""
        labels = b"".join(fingerprint + bytes([spam]) for fingerprint, spam in self._labels.items())
        head = _HEAD.pack(self.labels, self._base_errors, *self._counts.flat)
        senders = self.correspondents.dump()
        return b"".join((_SIZE.pack(len(senders)), senders, head, *(part.tobytes() for part in self._parts()), labels))

    def load(self, state: bytes | memoryview) -> None:
        """Restore a state returned by `dump`. An empty `state` empties the layer.

        A restored state never causes an error or NaN in a score. The layer is unchanged after an error. Raises
        ValueError if `state` cannot be a result of `dump`.
        """
        saved_state = memoryview(state or PersonalLayer().dump())
        start = _SIZE.size + (_SIZE.unpack_from(saved_state)[0] if len(saved_state) >= _SIZE.size else 0)
        correspondents = Correspondents.loaded(saved_state[_SIZE.size : start])
        state = saved_state[start:]
        end = _HEAD.size + sum(part.nbytes for part in self._parts())
        if len(state) < end or (len(state) - end) % _LABEL.size:
            raise ValueError(f"the state has a wrong size of {len(state)} bytes")
        number, base_errors, *counts = _HEAD.unpack_from(state)
        if number < 0 or not all(math.isfinite(one) and one >= 0 for one in (base_errors, *counts)):
            raise ValueError("a count is negative or not finite")
        labels, parts = state[end:], self._parts()
        starts = itertools.accumulate((part.nbytes for part in parts[:-1]), initial=_HEAD.size)
        saved = [np.frombuffer(state, part.dtype, part.size, at) for part, at in zip(parts, starts, strict=True)]
        _check(*saved)
        correspondents.written = self.correspondents.written
        self.correspondents = correspondents
        self._recent.count, self._base_errors = number, base_errors
        self._counts[:] = np.reshape(counts, self._counts.shape)
        for part, values in zip(parts, saved, strict=True):
            part[:] = values.reshape(part.shape)
        self._labels = dict(_LABEL.iter_unpack(labels))

    def _parts(self) -> tuple[NDArray[np.generic], ...]:
        return (
            self._fast,
            self._averaged,
            self._squared_gradients,
            self._recent.sketches,
            self._recent.texts,
            self._recent.signs,
        )


def _check(
    fast: SavedPart,
    averaged: SavedPart,
    squared_gradients: SavedPart,
    sketches: SavedPart,
    _texts: SavedPart,
    signs: SavedPart,
) -> None:
    """Check that a layer could have learned these values.

    Every text sketch is possible. Raises ValueError if a weight is not finite, a squared gradient is negative, or a
    sketch or sign is out of range.
    """
    # A sum is not finite if a value is not finite. Summing takes a tenth of the time of checking each value. Learned
    # values are too small for their sum to overflow.
    if (
        not all(math.isfinite(part.sum()) for part in (fast, averaged, squared_gradients))
        or squared_gradients.min() < 0
    ):
        raise ValueError("a weight is not finite")
    if sketches.max() > RUNS or signs.min() < -1 or signs.max() > 1:
        raise ValueError("a sketch or a sign is out of range")


def _balance_of(counts: NDArray[np.float64]) -> float:
    """Return the balance of labels, 0 to 1, from counts of (all or agreeing, ham or spam)."""
    (ham, spam), (agreeing_ham, agreeing_spam) = (counts + FEW_ONE_SIDED).tolist()
    return float(min(ONE_SIDED * spam / agreeing_ham, ONE_SIDED * ham / agreeing_spam, 1.0))


def _dot(weights: NDArray[np.float32]) -> float:
    """Return the score of a message, given the weights of its features."""
    return float(weights.sum(dtype=np.float64)) * _feature_weight(len(weights))


def _feature_weight(number: int) -> float:
    return math.sqrt(TYPICAL / max(number, FEWEST))


def _clipped(prior: float | None) -> float:
    """Return the base score within its bounds, or 0 if the base model gave no score."""
    return 0.0 if prior is None else min(max(prior, -MOST_PRIOR), MOST_PRIOR)


def _fingerprint(features: PersonalFeatures) -> bytes:
    """Return a hash of the message's runs, used to recognise a labelled message."""
    return hashlib.blake2b(runs_of(features).tobytes(), digest_size=_FINGERPRINT_BYTES).digest()


def _finite_logit(probability: float) -> float:
    return logit(min(max(probability, 1e-15), 1 - 1e-15))
