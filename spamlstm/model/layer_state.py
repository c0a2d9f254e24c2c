"""The check of the arrays in the saved state of a personal layer."""

import math
from typing import Any

from numpy.typing import NDArray

from spamlstm.model.personal_features import RUNS

SavedPart = NDArray[Any]
"""One flat array of a saved state."""


def check_parts(
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
