"""Generated training mail as labelled mail, disguised copies of real mail, and the names of their sources."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spamlstm.corpus.labelled_mail import Labelled

SYNTHETIC = "synthetic"
OWN = "own:"
DRESSED = ("app:", "news:", OWN)
"""The beginnings of the sources of dressed mail."""


EVADED = "evaded:"
"""The beginning of the source of a disguised copy. The rest is the source of the message that was copied."""


@dataclass(frozen=True, slots=True)
class Modern:
    """Dressed mail to add: `count` messages made from the texts in `folder`; without it, of this project alone."""

    folder: Path | None
    count: int


def is_generated(source: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Return a mask of the messages made for training: synthetic and dressed mail, and disguised copies."""
    return np.asarray((source == SYNTHETIC) | is_dressed(source) | is_disguised(source))


def is_disguised(source: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Return a mask of the disguised copies."""
    return np.asarray(np.char.startswith(source, EVADED))


def is_dressed(source: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Return a mask of the dressed mail. Its sources are such as `app:WooCommerce`, `news:R-Weekly`, `own:callback`."""
    return np.asarray(np.logical_or.reduce([np.char.startswith(source, prefix) for prefix in DRESSED]))


def is_own(source: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Return a mask of the dressed mail whose texts are those of this project."""
    return np.asarray(np.char.startswith(source, OWN))


def collapsed(source: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return the sources for lists of what was trained on.

    Those of dressed mail become `app`, `news` and `own`, those of disguised copies `evaded`.
    """
    prefix = np.array([name.partition(":")[0] for name in source.tolist()], source.dtype)
    return np.where(is_dressed(source) | is_disguised(source), prefix, source)


def synthetic_mail(count: int, seed: int) -> Iterator[Labelled]:
    """Yield `count` messages of synthetic mail."""
    from .synthetic import generate

    for place, (label, raw, _) in enumerate(generate(seed=seed, count=count)):
        yield Labelled(f"{place:06}", label, SYNTHETIC, "", raw)


def dressed_mail(modern: Modern, seed: int) -> Iterator[tuple[Labelled, str]]:
    """Yield the dressed mail, each message with its kin."""
    from .synthetic.modern import modern_mail, own_mail

    if modern.folder is None:
        mail = own_mail(seed=seed, count=modern.count)
    else:
        mail = modern_mail(modern.folder, seed=seed, count=modern.count)
    for place, one in enumerate(mail):
        yield Labelled(f"{place:06}", one.label, one.source, "", one.raw), one.kin
