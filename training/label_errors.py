"""Messages of the archives whose label is plainly wrong: an advertisement for pills that is labelled ham."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .dataset import Dataset

LIST = Path(__file__).with_name("label_errors.txt")


@cache
def _listed() -> frozenset[str]:
    """Return `source/id` of each message in LIST."""
    lines = (line.partition("#")[0].split() for line in LIST.read_text("utf-8").splitlines())
    return frozenset(line[0] for line in lines if line)


def mislabelled(data: "Dataset") -> NDArray[np.bool_]:
    """Return a mask of the messages in LIST and of their disguised copies, which have the name of the original as kin.

    They are not trained on and do not count for a calibration. Figures of left-out mail include them.
    """
    wrong = _listed()
    return np.array([f"{row.source}/{row.id}" in wrong or row.kin in wrong for row in data.rows], bool)
