"""Generated mail: modern consumer mail, ham and spam, which the public corpora lack.

Both labels share layouts, delivery services, receiving servers, languages and half of the texts. They differ in who
really sends, where links lead, and what is asked. So a network that trains on it learns no style of either label.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from .compose import Sample, sample

__all__ = ["Sample", "generate", "samples"]


def samples(*, seed: int, count: int) -> Iterator[Sample]:
    """Yield `count` samples, ham and spam in turn; the same seed gives the same samples."""
    rng = Random(seed)  # repeatable, not secret
    for number in range(count):
        yield sample(rng, "spam" if number % 2 else "ham")


def generate(*, seed: int, count: int) -> Iterator[tuple[str, bytes, str]]:
    """Yield (label, raw message, kind) of `count` messages; the same seed gives the same messages."""
    for each in samples(seed=seed, count=count):
        yield each.label, each.raw, each.kind
