"""Generated training mail as labelled mail, and the names of its sources."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spamlstm.corpus.labelled_mail import Labelled

SYNTHETIC = "synthetic"
DRESSED = ("app:", "news:", "own:")
"""The beginnings of the sources of dressed mail."""


@dataclass(frozen=True, slots=True)
class Modern:
    """Dressed mail to add: `count` messages made from the texts in `folder`."""

    folder: Path
    count: int


def is_generated(source: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Return a mask of the messages that were generated for training: synthetic and dressed mail."""
    return np.asarray((source == SYNTHETIC) | is_dressed(source))


def is_dressed(source: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Return a mask of the dressed mail. Its sources are such as `app:WooCommerce`, `news:R-Weekly`, `own:callback`."""
    return np.asarray(np.logical_or.reduce([np.char.startswith(source, prefix) for prefix in DRESSED]))


def collapsed(source: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return the sources with those of dressed mail as `app`, `news` and `own`, for lists of what was trained on."""
    prefix = np.array([name.partition(":")[0] for name in source.tolist()], source.dtype)
    return np.where(is_dressed(source), prefix, source)


def synthetic_mail(count: int, seed: int) -> Iterator[Labelled]:
    """Yield `count` messages of synthetic mail."""
    from .synthetic import generate

    for place, (label, raw, _) in enumerate(generate(seed=seed, count=count)):
        yield Labelled(f"{place:06}", label, SYNTHETIC, "", raw)


def dressed_mail(modern: Modern, seed: int) -> Iterator[tuple[Labelled, str]]:
    """Yield the dressed mail, each message with its kin."""
    from .synthetic.modern import modern_mail

    for place, one in enumerate(modern_mail(modern.folder, seed=seed, count=modern.count)):
        yield Labelled(f"{place:06}", one.label, one.source, "", one.raw), one.kin
