"""What a personal layer learns from: the features of a message, each once, as ascending numbers below FEATURES.

There are two kinds. The runs of four bytes at the beginning of what lasts of a message tell by whom and by what way it
came; they need no model. The tokens that the base read, and the pairs of neighbours, tell what it is about, however it
was encoded, and what the base concludes from its header; they come with the base's score, and are kept beside that.
What either is worth is measured in docs/decisions/0010-personal-layer.md.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spamlstm.maildir.content_id import lasting
from spamlstm.model.vocabulary import Ids

PersonalFeatures = NDArray[np.uint32]

# As much of a message is looked at, to find these first bytes of what lasts: headers mostly, then text.
READ_BYTES = 16 << 10
PRINT_BYTES = 3000
RUN = 4
_RUN_BITS, _TOKEN_BITS = 20, 16
# Runs come first, and the tokens behind them.
RUNS = 1 << _RUN_BITS
FEATURES = RUNS + (1 << _TOKEN_BITS)

# The multipliers of xxHash.
_SPREAD, _MIX = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77)
_FIRST_TOKEN = np.uint32(RUNS)
_NONE: PersonalFeatures = np.empty(0, np.uint32)


def runs(raw: bytes) -> PersonalFeatures:
    """The runs of a message: the same for its tagged, moved or copied self."""
    text = b"".join(lasting(raw[:READ_BYTES]))[:PRINT_BYTES]
    if len(text) < RUN:
        return _NONE
    found = np.ndarray((len(text) - RUN + 1,), "<u4", text, strides=(1,)) * _SPREAD
    found ^= found >> np.uint32(15)
    found *= _MIX
    found >>= np.uint32(32 - _RUN_BITS)
    return _each_once(found)


def tokens(rows: Sequence[Ids]) -> PersonalFeatures:
    """The tokens and the pairs of neighbours in what a base read, a row for each window."""
    if not rows:
        return _NONE
    parts: list[PersonalFeatures] = []
    for row in rows:
        ids = np.frombuffer(row, np.uint32)
        parts += ids * _SPREAD, (ids[:-1] * _MIX + ids[1:]) * _SPREAD
    found = np.concatenate(parts)
    found >>= np.uint32(32 - _TOKEN_BITS)
    return _each_once(found) + _FIRST_TOKEN


def joined(of_runs: PersonalFeatures, of_tokens: PersonalFeatures) -> PersonalFeatures:
    """All features of a message."""
    return np.concatenate((of_runs, of_tokens))


def runs_of(found: PersonalFeatures) -> PersonalFeatures:
    """The runs among the features of a message."""
    return found[: found.searchsorted(_FIRST_TOKEN)]


def packed_tokens(found: PersonalFeatures) -> bytes:
    """The tokens among the features of a message, two bytes each, for `unpacked_tokens`."""
    return (found[found.searchsorted(_FIRST_TOKEN) :] - _FIRST_TOKEN).astype("<u2").tobytes()


def unpacked_tokens(packed: bytes) -> PersonalFeatures:
    """What was packed."""
    return np.frombuffer(packed, "<u2") + _FIRST_TOKEN


def _each_once(found: PersonalFeatures) -> PersonalFeatures:
    found.sort()
    first = np.empty(len(found), np.bool_)
    first[0] = True
    np.not_equal(found[1:], found[:-1], out=first[1:])
    return found[first]
