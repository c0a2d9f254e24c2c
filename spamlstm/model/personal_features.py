"""The features of a message that a personal layer learns from.

The personal layer is the correction of the base score by what was learned from one user's labels. The base score is the
score of the model before personal labels. Features are ascending numbers, each at most once in a message. There are
three kinds of features.

Runs (byte 4-grams) from the beginning of the message, without headers that change after delivery, identify the sender
and the delivery path. Runs do not depend on a model.

Tokens and token bigrams of the text that the base model read, which includes the header facts, identify the topic
regardless of the encoding. These features are computed with the base score and stored beside it.

The text sketch has numbers from FEATURES on. It is computed from the letters of the body alone, without subject and
headers, so that a text is recognised when another sender sends it. The personal layer has no weights for these numbers.

docs/decisions/0010-personal-layer.md has the measured benefit of each kind.
"""

import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spamlstm.features.render import BODY
from spamlstm.maildir.content_id import lasting
from spamlstm.model.encoder import Ids

PersonalFeatures = NDArray[np.uint32]

# `lasting` removes changing headers from the first READ_BYTES of a message. Runs are taken from the first
# RUN_TEXT_BYTES of the result, which are mostly headers, then text.
READ_BYTES = 16 << 10
RUN_TEXT_BYTES = 3000
RUN = 4
# The date at the end of a Received header. With it, the likeness of two short messages would depend on the times at
# which they arrived.
_ARRIVAL = re.compile(rb";\s{1,4}+(?:[A-Z][a-z]{2}, {1,2})?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}[^\n]*+")
_RUN_BITS, _TOKEN_BITS = 20, 16
# Runs are numbered from 0 to RUNS - 1, tokens and bigrams from RUNS.
RUNS = 1 << _RUN_BITS
FEATURES = RUNS + (1 << _TOKEN_BITS)

# The text sketch has SKETCH parts of 16 bits, and the hash of the sender as one more part. Each run of SHINGLE letters
# of the body, without what stands between the letters, belongs to one part, and each part has the smallest hash of its
# runs, or NO_PART if it has none. The share of equal parts estimates the Jaccard similarity of two texts to within 0.06
# (one-permutation MinHash, Li et al. 2012). Tokens are not used, because in languages that the vocabulary does not know
# they are single letters, and all texts of such a language would be similar.
SKETCH = 64
SHINGLE = 8
NO_PART = 0xFFFF
_PART_BITS, _SKETCH_BITS = 16, 6
_PARTS = SKETCH + 1
# The body is in lower case. All letters of all scripts are behind this character, digits, spaces and most signs before.
_LAST_SIGN = ord("`")

# The multipliers of xxHash.
_SPREAD, _MIX, _LAST_MIX = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D)
# The powers of _MIX that belong to a distance of 1, 2 and 4 letters.
_MIX_POWERS = ((1, _MIX), (2, np.uint32(0x85EBCA77**2 % 2**32)), (4, np.uint32(0x85EBCA77**4 % 2**32)))
_FIRST_TOKEN, _FIRST_PART = np.uint32(RUNS), np.uint32(FEATURES)
# The number of part i with the value 0.
_PART_STARTS = np.arange(_PARTS, dtype=np.uint32) * np.uint32(1 << _PART_BITS) + _FIRST_PART
_NONE: PersonalFeatures = np.empty(0, np.uint32)


def runs(raw: bytes) -> PersonalFeatures:
    """Return the runs of a message. A tagged, moved or copied file of the message has identical runs.

    The time at which a server received the message does not change them.
    """
    head, body = lasting(raw[:READ_BYTES])
    text = (_ARRIVAL.sub(b"", head) + body)[:RUN_TEXT_BYTES]
    if len(text) < RUN:
        return _NONE
    hashes = np.ndarray((len(text) - RUN + 1,), "<u4", text, strides=(1,)) * _SPREAD
    hashes ^= hashes >> np.uint32(15)
    hashes *= _MIX
    hashes >>= np.uint32(32 - _RUN_BITS)
    return _unique(hashes)


def tokens(rows: Sequence[Ids]) -> PersonalFeatures:
    """Return the token and bigram features of the ids that a base model read. `rows` has a row for each window."""
    if not rows:
        return _NONE
    parts: list[PersonalFeatures] = []
    for row in rows:
        ids = np.frombuffer(row, np.uint32)
        parts += ids * _SPREAD, (ids[:-1] * _MIX + ids[1:]) * _SPREAD
    hashes = np.concatenate(parts)
    hashes >>= np.uint32(32 - _TOKEN_BITS)
    return _unique(hashes) + _FIRST_TOKEN


def text_sketch(windows: Sequence[str], *, sender: str) -> PersonalFeatures:
    """Return the text sketch of the windows that a base model read, with the hash of the address `sender`.

    The result is empty if there are no windows.
    """
    if not windows:
        return _NONE
    hashes = np.concatenate([_shingles(window.partition(BODY)[2]) for window in windows])
    # The highest bits choose the part, so all bits have to depend on all letters.
    hashes ^= hashes >> np.uint32(15)
    hashes *= _LAST_MIX
    hashes ^= hashes >> np.uint32(13)
    hashes *= _SPREAD
    parts = np.full(_PARTS, NO_PART, np.uint32)
    values = (hashes >> np.uint32(32 - _SKETCH_BITS - _PART_BITS)) & np.uint32(NO_PART)
    np.minimum.at(parts, hashes >> np.uint32(32 - _SKETCH_BITS), values)
    parts[SKETCH] = zlib.crc32(sender.lower().encode("utf-8", "replace")) % NO_PART
    return parts_to_features(parts)


def _shingles(text: str) -> PersonalFeatures:
    """Return the hashes of all runs of SHINGLE letters in a text."""
    letters = np.frombuffer(text.encode("utf-32-le", "replace"), "<u4")
    hashes: PersonalFeatures = letters[letters > _LAST_SIGN]
    if len(hashes) < SHINGLE:
        return _NONE
    for distance, mix in _MIX_POWERS:
        hashes = hashes[:-distance] * mix + hashes[distance:]
    return hashes


def parts_to_features(parts: PersonalFeatures) -> PersonalFeatures:
    """Return the features of a text sketch from its parts. Parts without pairs are left out."""
    features: PersonalFeatures = (parts + _PART_STARTS)[parts != NO_PART]
    return features


def parts_of(features: PersonalFeatures) -> NDArray[np.uint16]:
    """Return the parts of the text sketch among the features of a message. The last part is the hash of the sender."""
    parts = np.full(_PARTS, NO_PART, np.uint16)
    numbers = features[features.searchsorted(_FIRST_PART) :] - _FIRST_PART
    parts[numbers >> np.uint32(_PART_BITS)] = numbers & np.uint32(NO_PART)
    return parts


def joined(of_runs: PersonalFeatures, *others: PersonalFeatures) -> PersonalFeatures:
    """Return all features of a message from its runs, its tokens and its text sketch, in this order."""
    return np.concatenate((of_runs, *others))


def weighted(features: PersonalFeatures) -> PersonalFeatures:
    """Return the features that have weights, which are all features below FEATURES."""
    return features[: features.searchsorted(_FIRST_PART)]


def runs_of(features: PersonalFeatures) -> PersonalFeatures:
    """Return the runs among the features of a message."""
    return features[: features.searchsorted(_FIRST_TOKEN)]


def packed_tokens(features: PersonalFeatures) -> bytes:
    """Return the text sketch, token and bigram features of a message for `unpacked_tokens`, in two bytes each."""
    start, end = features.searchsorted((_FIRST_TOKEN, _FIRST_PART))
    return parts_of(features).astype("<u2").tobytes() + (features[start:end] - _FIRST_TOKEN).astype("<u2").tobytes()


def unpacked_tokens(packed: bytes) -> PersonalFeatures:
    """Return the features that `packed_tokens` packed."""
    numbers = np.frombuffer(packed, "<u2").astype(np.uint32)
    if not len(numbers):
        return _NONE
    return np.concatenate((numbers[_PARTS:] + _FIRST_TOKEN, parts_to_features(numbers[:_PARTS])))


PACKED_SKETCH = 2 * _PARTS
"""The bytes of the text sketch at the start of packed features."""


def _unique(hashes: PersonalFeatures) -> PersonalFeatures:
    """Return the distinct values in ascending order. Unlike `np.unique`, sorts `hashes` in place."""
    hashes.sort()
    is_first = np.empty(len(hashes), np.bool_)
    is_first[0] = True
    np.not_equal(hashes[1:], hashes[:-1], out=is_first[1:])
    return hashes[is_first]
