"""Padded rows: what the deep part learns to correct."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.batches import FACTS_END, SECTION_IDS, Example
from training.recombination import Recombination, lesson, lessons

BODY = SECTION_IDS["body"]
PLAIN = Recombination(thinned=0.0, padded=0.0)
FIRST_WORD = BODY + 50


def example(start, size, *, spam):
    """A message with two facts, a section, and a body of `size` distinct words."""
    header = np.array([1, 2, FACTS_END, start, BODY], np.uint16)
    return Example(header, (np.arange(start + 1, start + 1 + size).astype(np.uint16),), spam)


SPAM = example(FIRST_WORD, 60, spam=1.0)
HAM = example(FIRST_WORD + 100, 90, spam=0.0)
FILLER = example(FIRST_WORD + 300, 150, spam=0.0)
WHOLE = np.concatenate((SPAM.header, SPAM.windows[0])).tolist()


def made(how, *, seed=1, longest=300):
    return lesson(SPAM, FILLER, longest=longest, rng=np.random.default_rng(seed), how=how)


def test_an_unchanged_row_is_that_of_the_filter():
    """Without changes, the row has the facts, sections and words of a message in their order, and is its original."""
    found = made(PLAIN)

    assert found.row.tolist() == found.original.tolist() == WHOLE


@given(st.integers(0, 10_000), st.integers(20, 300))
def test_every_row_has_its_bounds(seed, longest):
    """Rows have at least one token and at most `longest`, however they are changed."""
    found = made(Recombination(thinned=0.9, most_thinned=1.0), seed=seed, longest=longest)

    assert 1 <= len(found.row) <= longest
    assert 1 <= len(found.original) <= longest


@given(st.integers(0, 10_000))
def test_the_original_has_no_padding(seed):
    """A padded row has words of ham that its original lacks; without them the two rows are the same."""
    found = made(replace(PLAIN, padded=1.0, bare=0.0), seed=seed)
    padding = set(FILLER.windows[0].tolist())

    assert padding & set(found.row.tolist())
    assert [word for word in found.row.tolist() if word not in padding] == found.original.tolist() == WHOLE


@given(st.integers(0, 10_000))
def test_a_bare_row_has_no_header(seed):
    """Some padded rows have only a short piece of the body, so that there too the words decide."""
    found = made(replace(PLAIN, padded=1.0, bare=1.0), seed=seed)

    assert found.original[0] == BODY
    assert not (found.row < FACTS_END).any()


@pytest.mark.parametrize("count", [1, 7, 64])
def test_lessons_come_in_batches(count):
    """All lessons are in batches of at most `size` rows, aligned with their originals; the padding is sampled ham."""
    found = list(
        lessons(
            [SPAM, HAM, FILLER],
            np.array([0.75, 0.25, 0.0]),
            count=count,
            size=16,
            rng=np.random.default_rng(1),
            how=Recombination(),
        )
    )

    assert sum(len(batch.rows.lengths) for batch in found) == count
    assert all(len(batch.rows.lengths) == len(batch.originals.lengths) <= 16 for batch in found)
    assert all((batch.rows.ids < FILLER.header[3]).all() for batch in found)
