"""A retrained model is promoted only if a comparison on held-out ham and on held-out spam speaks for it."""

import pytest

from spamlstm.learning.comparison import Comparison, Figures, Sides, objections


def sides(ham, spam):
    """A candidate that is unsure of nothing, beside a model in use that is unsure of one message."""
    return Sides(Figures(ham, spam, 0, 0, 1, 0.2, None), Figures(ham, spam, 0, 0, 0, 0.0, None))


@pytest.mark.parametrize(("ham", "spam", "why"), [(4, 4, ""), (0, 4, "is ham"), (4, 0, "is spam")])
def test_both_kinds_are_compared(ham, spam, why):
    """A candidate that is better on one kind is not promoted if all labels of the other kind repeat earlier mail."""
    found = objections(Comparison(sides(ham, spam), sides(ham, spam)))
    assert [one for one in found if why in one] == found
    assert bool(found) == bool(why)
