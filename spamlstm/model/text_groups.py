"""Groups of near-duplicate texts among many, such as the messages of one spam campaign."""

import functools
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from spamlstm.features.render import BODY

# A text has _BANDS times _ROWS hashes. Texts with equal hashes in one of the bands are in one group.
_BANDS, _ROWS = 5, 4
# The number of words of a text that are compared.
_MOST_WORDS = 250
# Near-duplicates with a body of fewer characters are recognised by the header too.
_SHORT_BODY = 60


def text_to_compare(window: str) -> str:
    """Return the text of a message to compare, from its first window.

    It is the body. A short body is preceded by the sender and the headers that follow it in the window.
    """
    header, _, body = window.partition(BODY)
    return body if len(body) >= _SHORT_BODY else f"{header[header.find('⟦from⟧') :]} {body}"


def groups(texts: Iterable[str]) -> NDArray[np.int64]:
    """Return for each text the index of the first text in its group of near-duplicates."""
    parent: list[int] = []
    first_with: dict[tuple[int, bytes], int] = {}
    for index, text in enumerate(texts):
        parent.append(index)
        signature = _signature(text)
        for band in range(_BANDS):
            key = (band, signature[band * _ROWS : (band + 1) * _ROWS].tobytes())
            _join(parent, first_with.setdefault(key, index), index)
    return np.array([_root(parent, index) for index in range(len(parent))])


@functools.cache
def _factors() -> NDArray[np.uint64]:
    # numpy.random takes 2 MB, which the daemon does not need.
    factors = np.random.default_rng(20_070_408).integers(1, 2**61 - 1, _BANDS * _ROWS, dtype=np.uint64)
    return factors | np.uint64(1)


def _signature(text: str) -> NDArray[np.uint64]:
    words = text.split()[:_MOST_WORDS]
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
