"""Characters that a reader does not see, in groups without common characters.

Each group is written as in the brackets of a regular expression.
"""

BLANKS = "\u2800\u3164\uffa0"
"""Letters that look like a space: Braille without dots, and Korean fillers, which NFKC normalisation makes invisible.

This group has no ranges.
"""

DIRECTIONS = "\u061c\u202a-\u202e\u2066-\u2069"
"""Characters that turn the direction of the text (Unicode Standard Annex 9)."""

COMMON_ZERO_WIDTH = "\u00ad\u115f\u1160\u200b-\u200f\u2060\ufeff"
"""Soft hyphens, joiners, marks of direction and other characters without a width that mail has often."""

_RARE = (
    "\u034f\u17b4\u17b5\u180b-\u180f\u2061-\u2065\u206a-\u206f\ufe00-\ufe0f\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
ZERO_WIDTH = f"{COMMON_ZERO_WIDTH}{DIRECTIONS}{_RARE}"
"""All characters without a width."""
