"""The features of a message that a personal layer learns from.

The personal layer is the correction of the base score by what was learned from one user's labels. The base score is the
score of the model before personal labels. Features are ascending numbers below FEATURES, each at most once in a
message. There are two kinds of features.

Runs (byte 4-grams) from the beginning of the message, without headers that change after delivery, identify the sender
and the delivery path. Runs do not depend on a model.

Tokens and token bigrams of the text that the base model read, which includes the header facts, identify the topic
regardless of the encoding. These features are computed with the base score and stored beside it.

docs/decisions/0010-personal-layer.md has the measured benefit of each kind.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spamlstm.maildir.content_id import lasting
from spamlstm.model.encoder import Ids

PersonalFeatures = NDArray[np.uint32]

# `lasting` removes changing headers from the first READ_BYTES of a message. Runs are taken from the first
# RUN_TEXT_BYTES of the result, which are mostly headers, then text.
READ_BYTES = 16 << 10
RUN_TEXT_BYTES = 3000
RUN = 4
_RUN_BITS, _TOKEN_BITS = 20, 16
# Runs are numbered from 0 to RUNS - 1, tokens and bigrams from RUNS.
RUNS = 1 << _RUN_BITS
FEATURES = RUNS + (1 << _TOKEN_BITS)

# The multipliers of xxHash.
_SPREAD, _MIX = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77)
_FIRST_TOKEN = np.uint32(RUNS)
_NONE: PersonalFeatures = np.empty(0, np.uint32)


def runs(raw: bytes) -> PersonalFeatures:
    """Return the runs of a message. A tagged, moved or copied file of the message has identical runs."""
    text = b"".join(lasting(raw[:READ_BYTES]))[:RUN_TEXT_BYTES]
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


def joined(of_runs: PersonalFeatures, of_tokens: PersonalFeatures) -> PersonalFeatures:
    """Return all features of a message from its runs and its tokens."""
    return np.concatenate((of_runs, of_tokens))


def runs_of(features: PersonalFeatures) -> PersonalFeatures:
    """Return the runs among the features of a message."""
    return features[: features.searchsorted(_FIRST_TOKEN)]


def packed_tokens(features: PersonalFeatures) -> bytes:
    """Return the token and bigram features of a message, packed in two bytes each, for `unpacked_tokens`."""
    return (features[features.searchsorted(_FIRST_TOKEN) :] - _FIRST_TOKEN).astype("<u2").tobytes()


def unpacked_tokens(packed: bytes) -> PersonalFeatures:
    """Return the token and bigram features that `packed_tokens` packed."""
    return np.frombuffer(packed, "<u2") + _FIRST_TOKEN


def _unique(hashes: PersonalFeatures) -> PersonalFeatures:
    """Return the distinct values in ascending order. Unlike `np.unique`, sorts `hashes` in place."""
    hashes.sort()
    is_first = np.empty(len(hashes), np.bool_)
    is_first[0] = True
    np.not_equal(hashes[1:], hashes[:-1], out=is_first[1:])
    return hashes[is_first]
