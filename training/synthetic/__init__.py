"""Mail written by us: the modern consumer mail, wanted and unwanted, that the public corpora lack.

Both labels share layouts, delivery services, receiving servers, languages and half of the words; they differ in who
really sends, where links lead, and what is asked. So a network that trains on it finds no fashion to tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from .compose import Specimen, specimen

__all__ = ["Specimen", "generate", "specimens"]


def specimens(*, seed: int, count: int) -> Iterator[Specimen]:
    """`count` messages, ham and spam in turn, the same ones for the same seed, with all that was drawn for them."""
    rng = Random(seed)  # repeatable by design, no secret depends on it
    for number in range(count):
        yield specimen(rng, "spam" if number % 2 else "ham")


def generate(*, seed: int, count: int) -> Iterator[tuple[str, bytes, str]]:
    """(label, raw message, kind) of `count` messages; the same ones for the same seed."""
    for each in specimens(seed=seed, count=count):
        yield each.label, each.raw, each.kind
