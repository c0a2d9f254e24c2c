"""The messages that a user labelled last, and which of them a new message is a near-duplicate of.

Each message is kept as a sketch: its SKETCH smallest run features. Features are hashes, so the share of a sketch that
two messages have in common estimates the share of all runs of the longer message (MinHash with one hash function,
Broder 1997), to within 0.04.
"""

from dataclasses import dataclass

import numpy as np

from spamlstm.model.personal_features import RUNS, PersonalFeatures, runs_of

# How many messages are kept; a new one takes the place of the oldest.
MEMORY = 2048
SKETCH = 64
_HALF = SKETCH // 2
# Messages that share less than the first are not alike; those that share the second are near-duplicates. 0.79 and 0.86
# of the longer message correspond to Jaccard similarities of 0.65 and 0.75.
UNLIKE, ALIKE = 0.79, 0.86


@dataclass(frozen=True, slots=True)
class NearMatch:
    """The labelled messages that resemble a message.

    `pull` is their mean label weighted by similarity, from -1 (ham) to 1 (spam), and 0 if none is similar. `share` is
    the share of its sketch that the message has in common with the most similar one, 0 to 1. `label` is the number of
    that message's label, from 1 in the order of learning.
    """

    pull: float
    share: float
    label: int


NO_MATCH = NearMatch(0.0, 0.0, 0)


class RecentLabels:
    """Sketches and labels of the last MEMORY labelled messages; `count` is the number of labels ever added."""

    def __init__(self) -> None:
        self.count = 0
        # A column for each message. RUNS, which is no feature, fills the sketch of a message with too few features.
        self.sketches = np.full((SKETCH, MEMORY), RUNS, np.uint32)
        self.signs = np.zeros(MEMORY, np.int8)
        self._in_sketch = np.zeros(RUNS + 1, np.uint8)

    def add(self, features: PersonalFeatures, sign: float) -> None:
        """Replace the oldest message by one with these features, of sign 1 (spam) or -1 (ham)."""
        column = self.count % MEMORY
        sketch = runs_of(features)[:SKETCH]
        self.sketches[:, column] = RUNS
        self.sketches[: len(sketch), column] = sketch
        self.signs[column] = sign
        self.count += 1

    def nearest(self, features: PersonalFeatures) -> NearMatch:
        """Return the most similar message and the labels of all similar ones; NO_MATCH if there is none."""
        sketch, filled = runs_of(features)[:SKETCH], min(self.count, MEMORY)
        if len(sketch) < SKETCH or not filled:
            return NO_MATCH
        self._in_sketch[sketch] = 1
        # Half of a sketch rules out most messages.
        half = self._in_sketch.take(self.sketches[:_HALF, :filled]).sum(axis=0, dtype=np.uint8)
        candidates = np.flatnonzero(half > UNLIKE * SKETCH - _HALF)
        rest = self._in_sketch.take(self.sketches[_HALF:, candidates]).sum(axis=0, dtype=np.uint8)
        self._in_sketch[sketch] = 0
        common = half[candidates] + rest
        is_similar = common > UNLIKE * SKETCH
        columns = candidates[is_similar]
        if not len(columns):
            return NO_MATCH
        shares = common[is_similar] / SKETCH
        ages = (self.count - 1 - columns) % MEMORY
        best = np.argmax(shares * MEMORY - ages / MEMORY)
        similarity = np.minimum((shares - UNLIKE) / (ALIKE - UNLIKE), 1)
        pull = similarity[best] * (similarity @ self.signs[columns]) / similarity.sum()
        return NearMatch(float(pull), float(shares[best]), self.count - int(ages[best]))
