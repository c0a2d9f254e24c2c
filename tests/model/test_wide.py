"""The wide part: each token and bigram of a row counts once, however often it occurs."""

import io
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
    indices = {(one - 1) % (BUCKETS - 1) + 1 for one in row}
    return indices | {
        (first * PAIR[0] + second * PAIR[1]) % (BUCKETS - 1) + 1 for first, second in itertools.pairwise(row)
    }


@given(ROWS)
def test_what_occurs_counts_once(rows):
    """The indices of a row are those of its tokens and bigrams, each once, with zeros for the rest and for padding."""
    for row, found in zip(rows, features(*padded(rows), buckets=BUCKETS, pair=PAIR), strict=True):
        assert sorted(found[found > 0].tolist()) == sorted(expected(row))


@given(ROWS)
def test_the_logit_is_the_sum_by_the_root_of_the_count(rows):
    """In a batch or alone, a row gets the sum of its weights divided by the root of their number, plus the bias."""
    table = (np.arange(BUCKETS) * 37 % 255 - 127).astype(np.int8)
    table[0] = 0
    wide = Wide(WideSpec(BUCKETS, PAIR, scale=0.25, bias=-1.0, deep_vote=0.5), table)
    wanted = [0.25 * sum(int(table[p]) for p in expected(row)) / len(expected(row)) ** 0.5 - 1 for row in rows]
    np.testing.assert_allclose(wide.logits(*padded(rows)), wanted, rtol=1e-6)


@pytest.mark.parametrize("table", [np.zeros(3, np.int8), np.zeros(BUCKETS), np.zeros((BUCKETS, 1), np.int8)])
def test_a_table_that_does_not_fit_is_refused(table):
    """A table of another size, type or shape than in the manifest is refused with one sentence."""
    with pytest.raises(DataError, match="not the table"):
        read(saved(table))


def saved(table, **how) -> bytes:
    out = io.BytesIO()
    np.save(out, table, **how)
    return out.getvalue()


def read(raw):
    return Wide.read(raw, WideSpec(BUCKETS, PAIR, 1.0, 0.0, 1.0), shown="wide.npy")


def test_what_was_saved_is_read():
    """A table saved by NumPy is read."""
    table = np.arange(BUCKETS).astype(np.int8)
    np.testing.assert_array_equal(read(saved(table)).table, table)


def test_a_table_of_objects_is_not_made():
    """A pickle in the file is never run."""

    class Trap:
        def __reduce__(self):
            return exec, ("raise SystemExit('the pickle ran')",)

    with pytest.raises(DataError, match="not the table"):
        read(saved(np.array([Trap()] * BUCKETS, object), allow_pickle=True))


@pytest.mark.parametrize("count", [10**15, BUCKETS + 1, BUCKETS - 1])
def test_a_header_that_lies_about_the_size_is_refused(count):
    """A wrong size in the header is refused before memory is allocated."""
    raw = saved(np.zeros(BUCKETS, np.int8))
    lie = f"'shape': ({count},), }}".encode()
    start = raw.index(b"'shape'")
    with pytest.raises(DataError, match="not the table"):
        read(raw[:start] + lie + raw[start + len(lie) :])


@pytest.mark.parametrize("raw", [b"", b"no array", b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 70_000])
def test_what_is_no_table_is_refused(raw):
    """Any other file is refused."""
    with pytest.raises(DataError, match="not the table"):
        read(raw)
