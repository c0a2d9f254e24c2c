"""The split into training and validation, and how often each message is sampled: by group, time and source."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .dataset import Dataset
from .generated import SYNTHETIC, is_disguised, is_dressed
from .label_errors import mislabelled

# The last twentieth of each class of each source, in the order of its corpus, validates.
VALIDATION = 0.05
# A source weighs the square root of its number of groups, so that large archives do not outweigh small ones.
SOURCE_POWER = 0.5
# A group of n near-duplicates, such as a spam campaign, weighs n to this power.
COPIES_POWER = 0.2


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into a Dataset. `held` are the messages of the sources that were left out."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    held: NDArray[np.int64]


def split(data: Dataset, *, leave_out: Collection[str] = (), left: NDArray[np.bool_] | None = None) -> Split:
    """Split `data`, leaving out whole sources (or the messages marked in `left`). No group is in two parts.

    Messages with a wrong label are in neither of the parts that are learned from.
    """
    held = np.isin(data.source, list(leave_out)) if left is None else left
    # The network must not train on a near-duplicate of a message that is left out.
    held_groups = np.unique(data.group[held])
    free = ~held & ~np.isin(data.group, held_groups)
    late = np.zeros(len(data), bool)
    # Class by class: a folder of ham/ and spam/ has its spam last, and both parts need both classes.
    for source in np.unique(data.source[free]):
        for label in (False, True):
            members = np.flatnonzero(free & (data.source == source) & (data.spam == label))
            late[members[math.ceil(len(members) * (1 - VALIDATION)) :]] = True
    # A group that begins before the cut stays in training as a whole.
    early = np.unique(data.group[free & ~late])
    validation = late & ~np.isin(data.group, early)
    right = ~mislabelled(data)
    train = free & ~validation & right
    return Split(np.flatnonzero(train), np.flatnonzero(validation & right), np.flatnonzero(held))


def evenly(indices: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return at most `most` of `indices`, at equal distances."""
    return indices[np.linspace(0, len(indices) - 1, min(most, len(indices))).astype(int)]


def group_weights(group: NDArray[np.int64]) -> tuple[NDArray[np.float64], int]:
    """Return a weight for each message, such that a group of n weighs n ** COPIES_POWER, and the number of groups."""
    _, index, copies = np.unique(group, return_inverse=True, return_counts=True)
    return np.asarray(copies[index] ** (COPIES_POWER - 1), np.float64), len(copies)


def probabilities(
    data: Dataset,
    train: NDArray[np.int64],
    *,
    synthetic: float,
    dressed: float = 0.0,
    disguised: float = 0.0,
    weights: Mapping[str, float] | None = None,
) -> NDArray[np.float64]:
    """Return the probability with which each message of `train` is sampled; their sum is 1.

    The two classes are equal, a source weighs the square root of its number of groups, and groups are nearly equal.
    `weights` has factors of the weights of sources.
    `synthetic` is the share of generated mail in each class, `dressed` that of dressed mail, and `disguised` that of
    disguised copies of real mail, if there is any.
    Dressed mail is generated evenly by kind and application, so its messages are sampled evenly.
    """
    factors = weights or {}
    probability = np.zeros(len(train))
    spam, source, group = data.spam[train], data.source[train], data.group[train]
    for label in (False, True):
        for name in np.unique(source[spam == label]):
            members = np.flatnonzero((spam == label) & (source == name))
            weight, groups = group_weights(group[members])
            probability[members] = weight / weight.sum() * groups**SOURCE_POWER * factors.get(str(name), 1.0)
        modern = (spam == label) & is_dressed(source)
        probability[modern] = 1.0
        generated = (spam == label) & (source == SYNTHETIC)
        copies = (spam == label) & is_disguised(source)
        real = (spam == label) & ~generated & ~modern & ~copies
        shares = ((generated, synthetic), (modern, dressed), (copies, disguised))
        made = [(part, share) for part, share in shares if part.any()]
        parts = [(real, 1 - sum(share for _, share in made)), *made] if real.any() else made
        total = sum(share for _, share in parts)
        for part, share in parts:
            probability[part] *= (share / total if total else 1.0) / probability[part].sum()
    normalized: NDArray[np.float64] = probability / probability.sum()
    return normalized
