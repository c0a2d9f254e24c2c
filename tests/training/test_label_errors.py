"""Messages with a wrong label are judged, and never learned from."""

import numpy as np
import pytest

from training.dataset import Dataset, Row
from training.label_errors import mislabelled
from training.sampling import split


@pytest.fixture
def data():
    """Ham of trec07p, of which 034524 offers copied software, a disguised copy of it, and its near-duplicate."""
    rows = [Row(str(at), "trec07p", "", at, spam=at % 2 == 0, windows=("",)) for at in range(40)]
    rows += [
        Row("034524", "trec07p", "", 40, spam=False, windows=("",)),
        Row("034524", "evaded:trec07p", "", 40, spam=False, windows=("",), kin="trec07p/034524"),
        Row("034524", "lists", "", 0, spam=False, windows=("",)),
        Row("41", "trec07p", "", 41, spam=True, windows=("",)),
    ]
    group = np.array([*range(40), 40, 40, 41, 40])
    return Dataset(rows, group, np.array([row.spam for row in rows]), np.array([row.source for row in rows]))


def test_the_message_and_its_copies_are_marked(data):
    """The mark is for source and id, and for disguised copies; a near-duplicate with its own label is not marked."""
    assert np.flatnonzero(mislabelled(data)).tolist() == [40, 41]


def test_it_is_in_no_part_that_is_learned_from(data):
    """Neither training nor validation has it, even though its near-duplicate is in training."""
    part = split(data)

    assert not {40, 41} & {*part.train.tolist(), *part.validation.tolist()}
    assert 43 in part.train


def test_it_is_judged_where_its_source_is_left_out(data):
    """Figures of left-out mail include it."""
    assert 40 in split(data, leave_out=["trec07p"]).held
