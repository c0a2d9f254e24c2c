"""The wide part: each token and pair of a row counts once, wherever it stands and however often."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.errors import DataError
from spamlstm.model.wide import Wide, WideSpec, features

BUCKETS, PAIR = 97, (31, 7)
ROWS = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=12), min_size=1, max_size=5)


def padded(rows):
    lengths = np.array([len(row) for row in rows])
    ids = np.full((len(rows), lengths.max()), 9)  # what stands behind the end must not matter
    for line, row in zip(ids, rows, strict=True):
        line[: len(row)] = row
    return ids, lengths


def expected(row):
    places = {(one - 1) % (BUCKETS - 1) + 1 for one in row}
    return places | {
        (first * PAIR[0] + second * PAIR[1]) % (BUCKETS - 1) + 1 for first, second in itertools.pairwise(row)
    }


@given(ROWS)
def test_what_occurs_counts_once(rows):
    """The places of a row are those of its tokens and pairs, each once, with zeros for the rest and for padding."""
    for row, found in zip(rows, features(*padded(rows), buckets=BUCKETS, pair=PAIR), strict=True):
        assert sorted(found[found > 0].tolist()) == sorted(expected(row))


@given(ROWS)
def test_the_logit_is_the_sum_by_the_root_of_the_count(rows):
    """Together or alone, each row gets the scaled sum of its weights by the root of their number, and the bias."""
    table = (np.arange(BUCKETS) * 37 % 255 - 127).astype(np.int8)
    table[0] = 0
    wide = Wide(WideSpec(BUCKETS, PAIR, scale=0.25, bias=-1.0, deep_vote=0.5), table)
    wanted = [0.25 * sum(int(table[p]) for p in expected(row)) / len(expected(row)) ** 0.5 - 1 for row in rows]
    np.testing.assert_allclose(wide.logits(*padded(rows)), wanted, rtol=1e-6)


@pytest.mark.parametrize("table", [np.zeros(3, np.int8), np.zeros(BUCKETS), np.zeros((BUCKETS, 1), np.int8)])
def test_a_table_that_does_not_fit_is_refused(tmp_path, table):
    """Another size, type or shape than the manifest speaks of is a sentence."""
    np.save(tmp_path / "wide.npy", table)
    with pytest.raises(DataError, match="not the table"):
        Wide.load(tmp_path / "wide.npy", WideSpec(BUCKETS, PAIR, 1.0, 0.0, 1.0))
