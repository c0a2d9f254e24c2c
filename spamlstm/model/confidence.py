"""Confidence intervals of 95 %."""

import math

Z95 = 1.959963984540054  # the 97.5th percentile of the normal distribution


def wilson(hits: int, total: int) -> tuple[float, float]:
    """Return the bounds of the 95 % interval of the share `hits` / `total` (Wilson 1927), valid also near 0 and 1."""
    share, z2 = hits / total, Z95**2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    return (0.0 if hits == 0 else centre - half, 1.0 if hits == total else centre + half)
