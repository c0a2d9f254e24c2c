"""Which messages train, which validate, and how often each is drawn: by group, by time, by source."""

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .dataset import SYNTHETIC, Dataset

# Of each source the last twentieth of each class, in the order of its stream, validates.
VALIDATION = 0.05
# A source counts by the root of how many groups it has: sqrt keeps large archives useful and small ones heard.
SOURCE_POWER = 0.5
# A campaign of n copies counts as n to this power.
COPIES_POWER = 0.2


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into a Dataset. `held` are the messages of the sources that were left out altogether."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    held: NDArray[np.int64]


def split(data: Dataset, *, leave_out: Collection[str] = (), left: NDArray[np.bool_] | None = None) -> Split:
    """Leave out whole sources (or the messages marked in `left`); no group stands on two sides."""
    held = np.isin(data.source, list(leave_out)) if left is None else left
    # What was left out was seen if a near-duplicate trains.
    known = np.unique(data.group[held])
    free = ~held & ~np.isin(data.group, known)
    late = np.zeros(len(data), bool)
    # Class by class: a folder of ham/ and spam/ has its spam last, and both must be on either side.
    for source in np.unique(data.source[free]):
        for label in (False, True):
            mine = np.flatnonzero(free & (data.source == source) & (data.spam == label))
            late[mine[math.ceil(len(mine) * (1 - VALIDATION)) :]] = True
    # A group that began before the cut stays in training, whole.
    early = np.unique(data.group[free & ~late])
    validation = late & ~np.isin(data.group, early)
    return Split(np.flatnonzero(free & ~validation), np.flatnonzero(validation), np.flatnonzero(held))


def weights(data: Dataset, train: NDArray[np.int64], *, synthetic: float) -> NDArray[np.float64]:
    """The chance of each message of `train` to be drawn: classes even, sources by their root, groups nearly even.

    `synthetic` is the share that mail we wrote ourselves has in each class, if there is any.
    """
    chance = np.zeros(len(train))
    spam, source, group = data.spam[train], data.source[train], data.group[train]
    for label in (False, True):
        for name in np.unique(source[spam == label]):
            cell = np.flatnonzero((spam == label) & (source == name))
            _, place, copies = np.unique(group[cell], return_inverse=True, return_counts=True)
            each = copies[place] ** (COPIES_POWER - 1)
            chance[cell] = each / each.sum() * len(copies) ** SOURCE_POWER
        written = (spam == label) & (source == SYNTHETIC)
        real = (spam == label) & ~written
        share = synthetic if written.any() and real.any() else float(written.any())
        for part, total in ((real, 1 - share), (written, share)):
            if part.any():
                chance[part] *= total / chance[part].sum()
    normal: NDArray[np.float64] = chance / chance.sum()
    return normal
