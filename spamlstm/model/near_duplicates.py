"""The most recently labelled messages, and the search for near-duplicates of a new message among them.

Messages are compared in two ways. The first is the whole message: headers, delivery path and beginning of the text.
Each message is stored as a sketch: its SKETCH smallest run features (hashes of byte 4-grams). The share of the sketch
that two messages have in common estimates which share of the longer message's runs they have in common, to within 0.04
(MinHash with one hash function, Broder 1997).

The second is the text alone, by the text sketches of `personal_features`. It recognises a text that another sender
sends. Mail of one machine has almost equal headers, so a message whose text is different is not a near-duplicate.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spamlstm.model import personal_features
from spamlstm.model.personal_features import NO_PART, RUNS, PersonalFeatures, parts_of, runs_of

# The number of messages that are kept. A new message replaces the oldest.
MEMORY = 2048
SKETCH = 64
_HALF = SKETCH // 2
# Messages that have at most the share UNLIKE of a sketch in common are not similar. From the share ALIKE on, they are
# near-duplicates. The shares correspond to Jaccard similarities of 0.65 and 0.75.
UNLIKE, ALIKE = 0.79, 0.86
# The same for the Jaccard similarity of texts. A text in which every sixth word is replaced has about 0.5. Texts that
# have nothing in common but their language have at most 0.2 (docs/decisions/0019-near-duplicate-texts.md).
TEXT_UNLIKE, TEXT_ALIKE = 0.3, 0.5
# The fewest parts of the sketch of a text that is recognised by itself, which correspond to about 15 words. Everybody
# sends phrases such as "see the attached file".
FEWEST_PARTS = 42
# Messages with almost equal headers are near-duplicates unless their texts have at most OTHER_TEXT in common, or less
# than SAME_TEXT in part. A text with fewer than COMPARED parts has too few words for a comparison.
OTHER_TEXT, SAME_TEXT = 0.1, 0.3
COMPARED = 4
# This number of senders with the same text and label gives the full evidence.
ENOUGH_SENDERS = 2
# Only this many of the latest messages with a similar text are evidence, which limits the time for large campaigns.
MOST_TEXTS = 32
# The shift of a near-duplicate towards the label, in log-odds. With more labels the weights are more reliable, and a
# single similar message is more likely to have a wrong label, so the shift falls to half after HALF_SHIFT_LABELS. The
# shift is not reduced if the score exceeds AGREES in favour of the label, because the score then agrees with the label
# but was not certain enough.
SHIFT = 10.0
HALF_SHIFT_LABELS = 200
AGREES = 2.0
# The largest shifts of a message whose text other senders sent, in log-odds. They also fall with the number of labels.
# If several senders sent the text, they fall to half after HALF_TEXT_LABELS, because several equal labels are unlikely
# to be mistakes.
TEXT_SHIFT_TO_HAM, TEXT_SHIFT_TO_SPAM = 8.0, 12.0
HALF_TEXT_LABELS = 2000
# The rows of the sender and of the number of parts, and a value that no part of a stored text has.
_SENDER = personal_features.SKETCH
_SIZE = _SENDER + 1
_NOTHING = NO_PART - 1

_Text = NDArray[np.uint16]
_Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NearMatch:
    """The labelled messages that resemble a new message.

    `pull` is the mean label of the messages that resemble the whole message, weighted by similarity, from -1 (ham) to 1
    (spam), and 0 if none is similar. `text_pull` is the evidence of the labels of messages with a similar text, from -1
    to 1. It is 0.25 for a text that one sender sent as spam, and 1 for a text that ENOUGH_SENDERS did.

    `share` is the share that the most similar message has in common with the new message, 0 to 1. `label` is the number
    of the label of the most similar message, from 1 in the order of learning.
    """

    pull: float
    share: float
    label: int
    text_pull: float = 0.0

    def shifted(self, score: float, *, labels: int, ham: float, spam: float) -> float:
        """Return `score` moved towards the target of the labels of similar messages, but not past the target.

        `labels` is the number of all labels. `ham` is the negated target of ham, and `spam` the target of spam.
        """
        shift = self.pull * SHIFT * _trust(score, self.pull, labels / HALF_SHIFT_LABELS)
        several = abs(self.text_pull)
        trust = several * _trust(score, self.text_pull, labels / HALF_TEXT_LABELS)
        trust += (1 - several) * _trust(score, self.text_pull, labels / HALF_SHIFT_LABELS)
        shift += self.text_pull * trust * (TEXT_SHIFT_TO_SPAM if self.text_pull > 0 else TEXT_SHIFT_TO_HAM)
        return max(score, min(score + shift, spam)) if shift > 0 else min(score, max(score + shift, -ham))


def _trust(score: float, pull: float, many: float) -> float:
    """Return the weight of the labels of similar messages, 0 to 1.

    `many` is the number of all labels, divided by the number after which the weight is half.
    """
    agrees = (score if pull > 0 else -score) > AGREES
    return 1.0 if agrees else 1 / (1 + many)


NO_MATCH = NearMatch(0.0, 0.0, 0)


class RecentLabels:
    """The sketches and labels of the last MEMORY labelled messages. `count` is the number of labels ever added."""

    def __init__(self) -> None:
        self.count = 0
        # Each message has a column. The value RUNS is not a run, and fills the sketch of a message with too few runs.
        self.sketches = np.full((SKETCH, MEMORY), RUNS, np.uint32)
        # The parts of the text, the hash of the sender, and the number of parts.
        self.texts = np.full((_SIZE + 1, MEMORY), NO_PART, np.uint16)
        self.signs = np.zeros(MEMORY, np.int8)
        self._in_sketch = np.zeros(RUNS + 1, np.uint8)

    def add(self, features: PersonalFeatures, sign: float) -> None:
        """Store the sketches and the label of a message in place of the oldest. `sign` is 1 for spam and -1 for ham."""
        column = self.count % MEMORY
        sketch = runs_of(features)[:SKETCH]
        self.sketches[:, column] = RUNS
        self.sketches[: len(sketch), column] = sketch
        parts = parts_of(features)
        self.texts[:_SIZE, column] = parts
        self.texts[_SIZE, column] = np.count_nonzero(parts[:_SENDER] != NO_PART)
        self.signs[column] = sign
        self.count += 1

    def nearest(self, features: PersonalFeatures) -> NearMatch:
        """Return the most similar message and the labels of all similar messages, or NO_MATCH if there are none."""
        if not self.count:
            return NO_MATCH
        parts = parts_of(features)
        text, sender = parts[:_SENDER], parts[_SENDER]
        size = int(np.count_nonzero(text != NO_PART))
        text[text == NO_PART] = _NOTHING
        by_text = self._by_text(text, size)
        columns, shares = self._similar_messages(runs_of(features)[:SKETCH])
        if not len(columns):
            return by_text
        same_text = _scaled(self._text_shares(text, size, columns), OTHER_TEXT, SAME_TEXT)
        same_text[np.minimum(self.texts[_SIZE, columns], size) < COMPARED] = 1
        # Phishing copies notices that the user labelled ham, but it has another sender.
        counts = (self.signs[columns] > 0) | (self.texts[_SENDER, columns] == sender)
        similarity = _scaled(shares, UNLIKE, ALIKE) * same_text * counts
        if not similarity.any():
            return by_text
        share, label, best = self._best(columns, np.where(similarity > 0, shares, 0.0))
        pull = float(similarity[best] * (similarity @ self.signs[columns]) / similarity.sum())
        return NearMatch(pull, share, label, by_text.text_pull)

    def _similar_messages(self, sketch: PersonalFeatures) -> tuple[NDArray[np.intp], _Shares]:
        """Return the columns of the messages that have more than UNLIKE of the sketch in common, and these shares."""
        filled = min(self.count, MEMORY)
        if len(sketch) < SKETCH:
            return np.empty(0, np.intp), np.empty(0)
        self._in_sketch[sketch] = 1
        # Comparing half of the sketch excludes most messages.
        half = self._in_sketch.take(self.sketches[:_HALF, :filled]).sum(axis=0, dtype=np.uint8)
        candidates = np.flatnonzero(half > UNLIKE * SKETCH - _HALF)
        rest = self._in_sketch.take(self.sketches[_HALF:, candidates]).sum(axis=0, dtype=np.uint8)
        self._in_sketch[sketch] = 0
        common = half[candidates] + rest
        is_similar = common > UNLIKE * SKETCH
        return candidates[is_similar], common[is_similar] / SKETCH

    def _by_text(self, text: _Text, size: int) -> NearMatch:
        """Return the evidence of the latest labelled messages with a similar text, or NO_MATCH if there are none."""
        if size < FEWEST_PARTS:
            return NO_MATCH
        # Comparing half of the sketch excludes most messages, and of those that have 0.4 in common one in 500.
        equal = self.texts[:_HALF, : min(self.count, MEMORY)] == text[:_HALF, None]
        columns = np.flatnonzero(equal.view(np.uint8).sum(axis=0, dtype=np.uint8) > TEXT_UNLIKE * size / 4)
        if len(columns) > MOST_TEXTS:
            columns = columns[np.argpartition(self._ages(columns), MOST_TEXTS)[:MOST_TEXTS]]
        shares = self._text_shares(text, size, columns)
        is_similar = (shares > TEXT_UNLIKE) & (self.texts[_SIZE, columns] >= FEWEST_PARTS)
        columns, shares = columns[is_similar], shares[is_similar]
        if not len(columns):
            return NO_MATCH
        share, label, _ = self._best(columns, shares)
        return NearMatch(0.0, share, label, self._text_pull(columns, _scaled(shares, TEXT_UNLIKE, TEXT_ALIKE)))

    def _text_shares(self, text: _Text, size: int, columns: NDArray[np.intp]) -> _Shares:
        """Return the Jaccard similarity of a text with `size` parts to the texts of the messages in `columns`."""
        equal = (self.texts[:_SENDER, columns] == text[:, None]).view(np.uint8).sum(axis=0, dtype=np.uint8)
        shares: _Shares = equal / np.maximum(self.texts[_SIZE, columns], max(size, 1))
        return shares

    def _best(self, columns: NDArray[np.intp], shares: _Shares) -> tuple[float, int, int]:
        """Return the largest share, the number of its label, and its index. Of equal shares, the latest label wins."""
        ages = self._ages(columns)
        best = int(np.argmax(shares * MEMORY - ages / MEMORY))
        return float(shares[best]), self.count - int(ages[best]), best

    def _ages(self, columns: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return for each column how many labels were added after its label."""
        return (self.count - 1 - columns) % MEMORY

    def _text_pull(self, columns: NDArray[np.intp], similarity: _Shares) -> float:
        """Return the evidence of the labels of similar texts, from -1 to 1.

        A sender counts once, because a text that one sender often sends says little about others who send it. Phishing,
        for example, has the text of notices that a user gets every month.
        """
        signs = self.signs[columns]
        balance = float(similarity @ signs) / float(similarity.sum())
        agrees = signs == (1 if balance > 0 else -1)
        of_sender: dict[int, float] = {}
        for sender, one in zip(self.texts[_SENDER, columns[agrees]].tolist(), similarity[agrees].tolist(), strict=True):
            of_sender[sender] = max(one, of_sender.get(sender, 0.0))
        return balance * min(sum(of_sender.values()) / ENOUGH_SENDERS, 1.0) ** 2


def _scaled(shares: _Shares, least: float, most: float) -> _Shares:
    """Return 0 for shares up to `least`, 1 from `most` on, and a linear value between."""
    return np.clip((shares - least) / (most - least), 0.0, 1.0)
