"""A retrained model is promoted only if a comparison on held-out ham and on held-out spam speaks for it."""

import pytest

from spamlstm.learning.comparison import Comparison, Figures, Sides, objections
from spamlstm.learning.label import Label
from spamlstm.learning.reference_mail import ReferenceVerdicts
from spamlstm.verdict import Verdict


def sides(ham, spam):
    """A candidate that is unsure of nothing, beside a model in use that is unsure of one message."""
    return Sides(Figures(ham, spam, 0, 0, 1, 0.2, None), Figures(ham, spam, 0, 0, 0, 0.0, None))


@pytest.mark.parametrize(("ham", "spam", "why"), [(4, 4, ""), (0, 4, "is ham"), (4, 0, "is spam")])
def test_both_kinds_are_compared(ham, spam, why):
    """A candidate that is better on one kind is not promoted if all labels of the other kind repeat earlier mail."""
    found = objections(Comparison(sides(ham, spam), sides(ham, spam)))
    assert [one for one in found if why in one] == found
    assert bool(found) == bool(why)


@pytest.mark.parametrize(("filed", "missed", "refused"), [(0, 0, False), (1, 1, False), (3, 0, True), (2, -5, False)])
def test_mail_unlike_the_labels(filed, missed, refused):
    """At most two reference messages may get a worse verdict, and better ones do not make up for more."""
    before = {Label.HAM: {Verdict.SPAM: 1}, Label.SPAM: {Verdict.SPAM: 30}}
    after = {Label.HAM: {Verdict.SPAM: 1 + filed}, Label.SPAM: {Verdict.SPAM: 30 - missed}}
    compared = Comparison(sides(4, 4), sides(4, 4), reference=ReferenceVerdicts(before, after))
    assert bool(objections(compared)) == refused
