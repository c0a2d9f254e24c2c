"""The personal layer: the correction of a message's base score by what was learned from one user's labels.

The base score (also called prior) is the score of the model before personal labels. A label is ham or spam, set by the
user for one message. The layer learns one label at a time and has two parts.

An online logistic regression over the features of `personal_features`, with the base score as its prior, generalises to
mail that resembles labelled mail. No single label changes its weights much. `Likeness` measures the resemblance, and
mail unlike labelled mail keeps the verdict of the model. `RecentLabels` applies a label immediately to near-duplicates
of the labelled message. docs/decisions/0010-personal-layer.md has the measurements for the features,
the learning rate and the other constants.
"""

import hashlib
import itertools
import math
import struct

import numpy as np
from numpy.typing import NDArray

from spamlstm.features.sender_identity import SenderIdentity
from spamlstm.model.correspondents import Correspondents
from spamlstm.model.feature_weights import FeatureWeights
from spamlstm.model.ham_scores import HamScores
from spamlstm.model.label_balance import LabelBalance
from spamlstm.model.layer_state import check_parts
from spamlstm.model.likeness import Likeness
from spamlstm.model.limits import Limits
from spamlstm.model.near_duplicates import NearMatch, RecentLabels
from spamlstm.model.personal_features import PersonalFeatures, runs_of, weighted
from spamlstm.verdict import logistic

# The version of the learning method and of the saved state. A saved layer of another version is discarded and learned
# again.
SHAPE = "11"


# Weights that were learned in one pass over a mailbox are too small. If all labels are history, the effect of the
# weights is multiplied by GAIN_OF_HISTORY.
GAIN_OF_HISTORY = 1.6
# The more often the base score was wrong about labelled ham, the lower the weight of base scores above 0 for mail that
# resembles labelled mail. Errors about labelled spam lower the weight of base scores below 0. Errors of base scores
# that were not CERTAIN count less (SHARE_OF_UNCERTAIN) for those that are. A weight starts at 1 and falls halfway to
# LEAST_TRUST after errors (each from 0 to 1) with the sum HALF_TRUST. In learning, base scores are clipped to the range
# from -MOST_PRIOR to MOST_PRIOR, because the base is sometimes certain and wrong.
CERTAIN, SHARE_OF_UNCERTAIN = 4.0, 0.3
MOST_PRIOR = 8.0
LEAST_TRUST = 0.2
HALF_TRUST = 8.0
# The minimum score, in log-odds, of a message that the user labelled spam, and the minimum of the negated score of a
# message labelled ham. The targets are past the thresholds that follow from the usual costs. They are enforced when a
# message is scored, because weights that are trained until they reach the targets would follow mistakes. With 5 % wrong
# labels, the error would be 50 times as high.
SPAM_TARGET = 5.0
HAM_TARGET = 2.0
# The targets are also at least this far, in log-odds, past the thresholds in use.
PAST = 0.5
# The relevance of the labels to a message is the share of its features that occur in labelled mail, raised to a power.
# The weight of the base score falls as the relevance rises. The base score alone therefore decides on mail that does
# not resemble labelled mail. The power (sharpness) keeps the first corrections, which change weights most, from
# changing the verdict on all mail of one server. The power falls as labels accumulate, because the weights of features
# that all mail has in common hardly change by then.
SHARPNESS = 6.0
HALF_SHARPNESS = 50
LEAST_SHARPNESS = 0.5
# If the base classifies a message as spam, weights towards ham count only if they exceed DOUBT, in log-odds, and fully
# if they exceed it by 1. Smaller weights come from what all mail has in common. With more labels the weights are more
# reliable, so this rule and DOUBT have half of their effect after HALF_DOUBT_LABELS labels of history, and soon hardly
# any. A correction counts as much as CORRECTION labels of history, because it shows an error of the base.
DOUBT = 2.2
HALF_DOUBT_LABELS = 2000
CORRECTION = 6
# Mail unlike labelled mail becomes spam only if its score exceeds the threshold by a margin, because the headers that a
# server writes in all mail have weights too. The margin is MARGIN times the usual weight of spam: the mean sum of
# weights that spam of history has before it is learned, over about the latest USUAL messages. FIRST_USUAL counts in
# this mean as FIRST_COUNTS messages, because after much ham the first spam has no weights towards spam. The margin
# falls to 0 as the likeness rises to 1, and as the base score rises from 0 to the threshold. As the share of
# corrections among the labels rises to 1, it falls to MARGIN_OF_CORRECTIONS of itself.
MARGIN = 0.9
USUAL, FIRST_USUAL, FIRST_COUNTS = 100, 7.0, 20
MARGIN_OF_CORRECTIONS = 0.3
# A message with at least this likeness counts as like labelled mail. Such ham shows which threshold fits the user's
# mail.
LIKE = 0.5
# Messages without text have little in common but headers. Labels decide on such messages once this many of them are
# labelled.
ENOUGH_WITHOUT_TEXT = 10
KNOWN = 0.5


_FINGERPRINT_BYTES = 8
# The fingerprint of a labelled message, and whether its label is spam.
_LABEL = struct.Struct(f"<{_FINGERPRINT_BYTES}s?")
# The numbers of labels, of history, of spam of history, and of messages without text, the usual weight of spam, the
# sums of base errors, and the counts of labels.
_HEAD = struct.Struct("<4q5d8d")
# The sizes of the states of the correspondents, the likeness and the scores of ham, which come first.
_SIZES = struct.Struct("<3Q")


class PersonalLayer:
    """The state learned from a user's labels in their order. An empty layer leaves the base score unchanged."""

    def __init__(self) -> None:
        self.correspondents = Correspondents()
        self._labels: dict[bytes, bool] = {}
        # The errors of the base score about ham and about spam, not certain and certain.
        self._base_errors = [0.0, 0.0, 0.0, 0.0]
        self._balance = LabelBalance()
        self._history = self._spam_history = self._without_text = 0
        self._usual_weight = FIRST_USUAL
        self._weights = FeatureWeights()
        self._recent = RecentLabels()
        self._likeness = Likeness()
        self.ham_scores = HamScores()

    @property
    def labels(self) -> int:
        """The number of labels learned."""
        return self._recent.count

    def score(
        self,
        features: PersonalFeatures,
        prior: float | None,
        sender: SenderIdentity | None = None,
        *,
        limits: Limits | None = None,
    ) -> float | None:
        """Return the score of a message in log-odds, given its features, its base score `prior` and its sender.

        With `limits`, mail unlike labelled mail keeps the verdict of the base score (`Limits.kept`), and the scores of
        mail like labelled mail are adjusted to the thresholds (`HamScores.adjusted`). Return None if the base model
        does not give a score (`prior` is None) and no labels apply, see `knows`.
        """
        label = self.label(features)
        if not self.labels or (prior is None and not self.knows(features, has_text=False)):
            return prior
        known = self.correspondents.evidence(sender)
        score = self._limited(weighted(features), prior, limits) + (known.shift if known else 0.0)
        ham, spam = HAM_TARGET, SPAM_TARGET
        if limits is not None:
            ham, spam = max(ham, PAST - limits.ham), max(spam, PAST + limits.spam)
        score = self.near(features).shifted(score, labels=self.labels, ham=ham, spam=spam)
        if label is None:
            return score
        return max(score, spam) if label else min(score, -ham)

    def label(self, features: PersonalFeatures) -> bool | None:
        """Return whether the user labelled this message spam. Return None if the user did not label it."""
        return self._labels.get(_fingerprint(features)) if self._labels else None

    def knows(self, features: PersonalFeatures, *, has_text: bool) -> bool:
        """Return whether labels apply to a message that the base model cannot score.

        They do if the user labelled this message, or if it has text and is like labelled mail. They apply to a message
        without text if the user labelled ENOUGH_WITHOUT_TEXT such messages and labelled mail has half of its features.
        """
        if self.label(features) is not None:
            return True
        if has_text:
            return self.likeness(features) >= LIKE
        return self._without_text >= ENOUGH_WITHOUT_TEXT and self._weights.share_learned(weighted(features)) >= KNOWN

    def likeness(self, features: PersonalFeatures) -> float:
        """Return the likeness of a message to labelled mail, 0 to 1."""
        return self._likeness.of(self._weights.share_learned(weighted(features))) if self.labels else 0.0

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
        base = min(max(prior or 0.0, -MOST_PRIOR), MOST_PRIOR)
        by_layer = sign * self._weights.fast_sum_of(features)
        error = logistic(-min(by_layer, by_layer + sign * self._trust(base) * base))
        share, weight = self._weights.share_learned(features), self._weights.sum_of(features)
        score = self._score_by_weights(weight, prior, share)
        if history and spam:
            self._spam_history += 1
            self._usual_weight += (weight - self._usual_weight) / min(self._spam_history + FIRST_COUNTS, USUAL)
        if history and not spam and self.labels and self._likeness.of(share) >= LIKE:
            self.ham_scores.add(score)
        # The usual targets are used, because the user's may change before the labels are learned again.
        self._balance.count(spam=spam, agrees=score > SPAM_TARGET if spam else score < -HAM_TARGET)
        self._base_errors[int(spam) + 2 * (sign * base <= -CERTAIN)] += logistic(-sign * base)
        if self.labels:
            self._likeness.add(share)
        self._weights.learn(features, error=error, spam=spam, history=history, labels=self.labels)
        self.correspondents.learn(sender, spam=spam, answered=answered)
        self._labels[_fingerprint(message)] = spam
        self._history += history
        self._without_text += prior is None
        self._recent.add(message, sign)

    def _limited(self, features: PersonalFeatures, prior: float | None, limits: Limits | None) -> float:
        """Return the score by weights with the limits applied, see `score`."""
        share, weight = self._weights.share_learned(features), self._weights.sum_of(features)
        score = self._score_by_weights(weight, prior, share)
        if limits is None:
            return score
        base = prior or 0.0
        if base >= limits.spam:
            # A spam verdict is withdrawn only by what labels say, not by a lower weight of the base score.
            number = self._history + CORRECTION * (self.labels - self._history)
            few = 1 / (1 + (number / HALF_DOUBT_LABELS) ** 2)
            kept_share = (weight - self._balance.bias) / few + DOUBT + 1
            score += few * min(max(kept_share, 0.0), 1.0) * max(base - score, 0.0)
        likeness = self._likeness.of(share)
        score += likeness * (self.ham_scores.adjusted(score, limits) - score)
        kept = limits.kept(score, prior=base)
        if base < limits.spam <= score:
            # A base score above 0 is below the threshold, so the threshold is not 0.
            unlike = (1 - likeness) * (1 - base / limits.spam if base > 0 else 1.0)
            return score if score >= limits.spam + unlike * self._margin() else kept
        return likeness * score + (1 - likeness) * kept

    def _margin(self) -> float:
        """Return the margin in log-odds for mail with the likeness 0 and a base score of at most 0."""
        corrections = 1 - self._history / max(self.labels, 1)
        return MARGIN * max(self._usual_weight, 0.0) * (1 - (1 - MARGIN_OF_CORRECTIONS) * corrections)

    def _score_by_weights(self, weight: float, prior: float | None, share: float) -> float:
        """Return the score by the sum of weights and the base score, without near-duplicates.

        `share` is the share of the features that occur in labelled mail.
        """
        relevance, base = self._relevance(share), prior or 0.0
        gain = 1 + (GAIN_OF_HISTORY - 1) * self._history / max(self.labels, 1)
        by_labels = self._trust(base) * base + gain * weight - self._balance.bias
        return (1 - relevance) * base + relevance * by_labels

    def _trust(self, base: float) -> float:
        """Return the weight of the base score `base` for mail that resembles labelled mail."""
        uncertain, certain = self._base_errors[int(base < 0) :: 2]
        errors = certain + uncertain * (SHARE_OF_UNCERTAIN if abs(base) >= CERTAIN else 1)
        return LEAST_TRUST + (1 - LEAST_TRUST) / (1 + errors / HALF_TRUST)

    def _relevance(self, share: float) -> float:
        """Return the weight of the labels for a message with this share of its features in labelled mail, 0 to 1."""
        sharpness = max(SHARPNESS / (1 + self.labels / HALF_SHARPNESS), LEAST_SHARPNESS)
        return self._balance.effect * math.pow(share, sharpness)

    def dump(self) -> bytes:
        """Return the state of the layer as bytes for `load`."""
        labels = b"".join(fingerprint + bytes([spam]) for fingerprint, spam in self._labels.items())
        head = _HEAD.pack(
            self.labels,
            self._history,
            self._spam_history,
            self._without_text,
            self._usual_weight,
            *self._base_errors,
            *self._balance.counts.flat,
        )
        small = self.correspondents.dump(), self._likeness.dump(), self.ham_scores.dump()
        parts = (part.tobytes() for part in self._parts())
        return b"".join((_SIZES.pack(*map(len, small)), *small, head, *parts, labels))

    def load(self, state: bytes | memoryview) -> None:
        """Restore a state returned by `dump`. An empty `state` empties the layer.

        A restored state never causes an error or NaN in a score. The layer is unchanged after an error. Raises
        ValueError if `state` cannot be a result of `dump`.
        """
        state = memoryview(state or PersonalLayer().dump())
        if len(state) < _SIZES.size:
            raise ValueError(f"the state has a wrong size of {len(state)} bytes")
        small, start = [], _SIZES.size
        for size in _SIZES.unpack_from(state):
            small.append(state[start : start + size])
            start += size
        correspondents, likeness = Correspondents.loaded(small[0]), Likeness.loaded(small[1])
        ham_scores, state = HamScores(small[2]), state[start:]
        end = _HEAD.size + sum(part.nbytes for part in self._parts())
        if len(state) < end or (len(state) - end) % _LABEL.size:
            raise ValueError(f"the state has a wrong size of {len(state)} bytes")
        number, history, spam_history, without_text, usual_weight, *counts = _HEAD.unpack_from(state)
        parts_of_number = history, spam_history, without_text
        if not 0 <= min(parts_of_number) <= max(parts_of_number) <= number or spam_history > history:
            raise ValueError("a count is negative or too large")
        if not all(math.isfinite(one) and one >= 0 for one in counts) or not math.isfinite(usual_weight):
            raise ValueError("a count is negative or not finite")
        labels, parts = state[end:], self._parts()
        starts = itertools.accumulate((part.nbytes for part in parts[:-1]), initial=_HEAD.size)
        saved = [np.frombuffer(state, part.dtype, part.size, at) for part, at in zip(parts, starts, strict=True)]
        check_parts(*saved)
        correspondents.written = self.correspondents.written
        self.correspondents = correspondents
        self._likeness, self.ham_scores = likeness, ham_scores
        self._recent.count, self._history, self._without_text = number, history, without_text
        self._spam_history, self._usual_weight = spam_history, usual_weight
        self._base_errors = counts[:4]
        self._balance.counts[:] = np.reshape(counts[4:], self._balance.counts.shape)
        for part, values in zip(parts, saved, strict=True):
            part[:] = values.reshape(part.shape)
        self._labels = dict(_LABEL.iter_unpack(labels))

    def _parts(self) -> tuple[NDArray[np.generic], ...]:
        return (
            self._weights.fast,
            self._weights.averaged,
            self._weights.squared_gradients,
            self._recent.sketches,
            self._recent.texts,
            self._recent.signs,
        )


def _fingerprint(features: PersonalFeatures) -> bytes:
    """Return a hash of the message's runs, used to recognise a labelled message."""
    return hashlib.blake2b(runs_of(features).tobytes(), digest_size=_FINGERPRINT_BYTES).digest()
