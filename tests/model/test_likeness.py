"""Likeness to labelled mail: measured by what labelled messages have in common with earlier ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.model.likeness import LEAST, MOST, Likeness

Shares = st.lists(st.floats(0, 1, width=32), max_size=MOST + 9)


def likeness(shares) -> Likeness:
    found = Likeness()
    for share in shares:
        found.add(share)
    return found


@given(shares=Shares, some=st.lists(st.floats(0, 1), max_size=9))
def test_more_in_common_is_never_less_like(shares, some):
    """The likeness is from 0 to 1, grows with the share, and is 0 if nothing is in common with labelled mail."""
    found = likeness(shares)
    values = [found.of(share) for share in sorted(some)]
    assert values == sorted(values)
    assert all(0 <= value <= 1 for value in values)
    if not shares or min(shares) > 0:
        assert found.of(0.0) == 0


@pytest.mark.parametrize("level", [0.3, 0.6, 0.95])
def test_the_measure_is_the_mailbox_itself(level):
    """A share that is usual in this mailbox is like it, a share below all of its shares is not, whatever the level."""
    found = likeness(level + 0.04 * np.random.default_rng(0).random(900))
    assert found.of(level + 0.03) == 1
    assert found.of(level - 0.01) == 0


def test_the_first_labels_are_no_measure():
    """The range is not measured by the first labelled messages, which have little in common with those before them."""
    found = likeness(np.linspace(0.0, 0.9, 3 * LEAST - 1))
    assert found.of(0.5) == 0


def test_equal_mail():
    """If all labelled messages have everything in common, only mail that has so, too, is like them."""
    found = likeness([1.0] * 200)
    assert (found.of(1.0), found.of(0.99)) == (1, 0)


@pytest.mark.parametrize("seed", range(6))
def test_one_label_hardly_changes_the_likeness_of_other_mail(seed):
    """After 130 labels, the label of a message unlike all before it changes no likeness of other mail by 0.1 or more.

    Otherwise one label would change the verdicts on unrelated mail.
    """
    found, shares = likeness(0.9 + 0.08 * np.random.default_rng(seed).beta(5, 2, 130)), np.linspace(0, 1, 2001)
    before = np.array([found.of(share) for share in shares])
    found.add(0.2)
    after = np.array([found.of(share) for share in shares])
    assert np.abs(after - before).max() < 0.1


def test_before_there_are_enough_labels():
    """With few labels, only mail that is almost all in common with labelled mail is like it."""
    found = likeness([0.1] * (LEAST - 1))
    assert found.of(0.5) == 0
    assert found.of(1.0) == 1


@given(shares=Shares)
def test_what_is_kept(shares):
    """A state that was dumped and loaded is the same, also after further labels."""
    found = likeness(shares)
    again = Likeness.loaded(found.dump())
    for one in (found, again):
        one.add(0.5)
    assert again.dump() == found.dump()
    assert [again.of(share) for share in np.linspace(0, 1, 50)] == [found.of(share) for share in np.linspace(0, 1, 50)]


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + bytes(4),
        lambda raw: raw[:-4] + b"\0\0\xc0\x7f",
        lambda raw: raw[:8] + raw[16:24] + raw[8:16] + raw[24:],
        lambda raw: raw[:8] + b"\0\0\0\0\0\0\xf8\x7f" + raw[16:],
    ],
)
def test_damaged_states(change):
    """A state that `dump` cannot have written is refused."""
    with pytest.raises(ValueError, match="share"):
        Likeness.loaded(change(likeness([0.5, 0.25]).dump()))
