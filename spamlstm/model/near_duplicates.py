"""The most recently labelled messages, and the search for near-duplicates of a new message among them.

Each message is stored as a sketch: its SKETCH smallest run features (hashes of byte 4-grams). The share of the sketch
that two messages have in common estimates which share of the longer message's runs they have in common, to within 0.04
(MinHash with one hash function, Broder 1997).
"""

import functools
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spamlstm.model.personal_features import RUNS, PersonalFeatures, runs_of

# The number of messages that are kept. A new message replaces the oldest.
MEMORY = 2048
SKETCH = 64
_HALF = SKETCH // 2
# Messages that have at most the share UNLIKE of a sketch in common are not similar. From the share ALIKE on, they are
# near-duplicates. The shares correspond to Jaccard similarities of 0.65 and 0.75.
UNLIKE, ALIKE = 0.79, 0.86
BANDS, ROWS = 5, 4
MOST_WORDS = 250


@dataclass(frozen=True, slots=True)
class NearMatch:
    """The labelled messages that resemble a new message.

    `pull` is their mean label weighted by similarity, from -1 (ham) to 1 (spam), and 0 if none is similar. `share` is
    the share of the sketch that the most similar message has in common with the new message, 0 to 1. `label` is the
    number of the label of the most similar message, from 1 in the order of learning.
    """

    pull: float
    share: float
    label: int


NO_MATCH = NearMatch(0.0, 0.0, 0)


class RecentLabels:
    """The sketches and labels of the last MEMORY labelled messages. `count` is the number of labels ever added."""

    def __init__(self) -> None:
        self.count = 0
        # Each message has a column. The value RUNS is not a run, and fills the sketch of a message with too few runs.
        self.sketches = np.full((SKETCH, MEMORY), RUNS, np.uint32)
        self.signs = np.zeros(MEMORY, np.int8)
        self._in_sketch = np.zeros(RUNS + 1, np.uint8)

    def add(self, features: PersonalFeatures, sign: float) -> None:
        """Store the sketch and the label of a message in place of the oldest. `sign` is 1 for spam and -1 for ham."""
        column = self.count % MEMORY
        sketch = runs_of(features)[:SKETCH]
        self.sketches[:, column] = RUNS
        self.sketches[: len(sketch), column] = sketch
        self.signs[column] = sign
        self.count += 1

    def nearest(self, features: PersonalFeatures) -> NearMatch:
        """Return the most similar message and the mean label of all similar messages, or NO_MATCH if there are none."""
        sketch, filled = runs_of(features)[:SKETCH], min(self.count, MEMORY)
        if len(sketch) < SKETCH or not filled:
            return NO_MATCH
        self._in_sketch[sketch] = 1
        # Comparing half of the sketch excludes most messages.
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


def groups(texts: Iterable[str]) -> NDArray[np.int64]:
    """Return for each text the index of the first text in its group of near-duplicates."""
    parent: list[int] = []
    first_with: dict[tuple[int, bytes], int] = {}
    for index, text in enumerate(texts):
        parent.append(index)
        signature = _signature(text)
        for band in range(BANDS):
            key = (band, signature[band * ROWS : (band + 1) * ROWS].tobytes())
            _join(parent, first_with.setdefault(key, index), index)
    return np.array([_root(parent, index) for index in range(len(parent))])


@functools.cache
def _factors() -> NDArray[np.uint64]:
    # numpy.random takes 2 MB, which the daemon does not need.
    factors = np.random.default_rng(20_070_408).integers(1, 2**61 - 1, BANDS * ROWS, dtype=np.uint64)
    return factors | np.uint64(1)


def _signature(text: str) -> NDArray[np.uint64]:
    words = text.split()[:MOST_WORDS]
    shingles = {" ".join(words[start : start + 3]) for start in range(max(1, len(words) - 2))}
    hashes = np.fromiter((zlib.crc32(shingle.encode()) for shingle in shingles), np.uint64, len(shingles))
    mixed = hashes[:, None] * _factors()[None, :]
    lowest: NDArray[np.uint64] = (mixed >> np.uint64(20)).min(0)
    return lowest


def _root(parent: list[int], index: int) -> int:
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = parent[index]
    return index


def _join(parent: list[int], one: int, other: int) -> None:
    first, second = sorted((_root(parent, one), _root(parent, other)))
    parent[second] = first
