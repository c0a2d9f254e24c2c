"""The features that a personal layer learns from: ascending numbers below FEATURES, each at most once in a message.

There are two kinds. Runs (byte 4-grams) from the beginning of the message, without headers that change after delivery,
identify the sender and the route; they need no model. Tokens and token bigrams of the text that the base model read
identify the subject and the facts of the headers, however the text was encoded; they are stored with the base score.
docs/decisions/0010-personal-layer.md has the benefit of each kind.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spamlstm.maildir.content_id import lasting
from spamlstm.model.encoder import Ids

PersonalFeatures = NDArray[np.uint32]

# Runs are taken from the first READ_BYTES of a message: the first RUN_TEXT_BYTES that `lasting` returns for them, which
# are mostly headers.
READ_BYTES = 16 << 10
RUN_TEXT_BYTES = 3000
RUN = 4
_RUN_BITS, _TOKEN_BITS = 20, 16
# Runs are numbered below RUNS, tokens and bigrams from there on.
RUNS = 1 << _RUN_BITS
FEATURES = RUNS + (1 << _TOKEN_BITS)

# The multipliers of xxHash.
_SPREAD, _MIX = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77)
_FIRST_TOKEN = np.uint32(RUNS)
_NONE: PersonalFeatures = np.empty(0, np.uint32)


def runs(raw: bytes) -> PersonalFeatures:
    """Return the runs of a message, which are the same after it is tagged, moved or copied."""
    text = b"".join(lasting(raw[:READ_BYTES]))[:RUN_TEXT_BYTES]
    if len(text) < RUN:
        return _NONE
    hashes = np.ndarray((len(text) - RUN + 1,), "<u4", text, strides=(1,)) * _SPREAD
    hashes ^= hashes >> np.uint32(15)
    hashes *= _MIX
    hashes >>= np.uint32(32 - _RUN_BITS)
    return _unique(hashes)


def tokens(rows: Sequence[Ids]) -> PersonalFeatures:
    """Return the tokens and token bigrams in rows of ids, one for each window that the base model read."""
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
    """Return all features of a message."""
    return np.concatenate((of_runs, of_tokens))


def runs_of(features: PersonalFeatures) -> PersonalFeatures:
    """Return the runs among the features of a message."""
    return features[: features.searchsorted(_FIRST_TOKEN)]


def packed_tokens(features: PersonalFeatures) -> bytes:
    """Return the tokens and bigrams among the features of a message, two bytes each, for `unpacked_tokens`."""
    return (features[features.searchsorted(_FIRST_TOKEN) :] - _FIRST_TOKEN).astype("<u2").tobytes()


def unpacked_tokens(packed: bytes) -> PersonalFeatures:
    """Return the features that `packed_tokens` packed."""
    return np.frombuffer(packed, "<u2") + _FIRST_TOKEN


def _unique(hashes: PersonalFeatures) -> PersonalFeatures:
    """Return the distinct values in ascending order; sorts in place, as `np.unique` does not."""
    hashes.sort()
    is_first = np.empty(len(hashes), np.bool_)
    is_first[0] = True
    np.not_equal(hashes[1:], hashes[:-1], out=is_first[1:])
    return hashes[is_first]
