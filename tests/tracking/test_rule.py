"""The rule: what it says of a message that its user has it where he has it."""

import itertools

import pytest

from spamlstm.learning.label import Label
from spamlstm.maildir.folders import Kind
from spamlstm.tracking.rule import Meaning, Sight, meaning
from spamlstm.tracking.state import Mark, Owed

INBOX, JUNK, FILED = Kind.INBOX, Kind.JUNK, Kind.FILED
SPAM, HAM = Label.SPAM, Label.HAM


@pytest.mark.parametrize(
    ("sight", "said"),
    [
        (Sight(INBOX, JUNK, Mark.NONE), Meaning(JUNK, SPAM, Owed.ALWAYS)),
        (Sight(FILED, JUNK, Mark.SEEN), Meaning(JUNK, SPAM, Owed.ALWAYS)),
        (Sight(None, JUNK, Mark.NONE), Meaning(JUNK, SPAM, Owed.ALWAYS)),
        (Sight(None, JUNK, Mark.NONE, brought=True), Meaning(JUNK)),
        (Sight(INBOX, JUNK, Mark.NONE, brought=True), Meaning(JUNK, SPAM, Owed.ALWAYS)),
        (Sight(INBOX, JUNK, Mark.NONE, ours=True), Meaning(JUNK)),
        (Sight(JUNK, JUNK, Mark.ANSWERED, answered=True), Meaning(JUNK)),
        (Sight(JUNK, INBOX, Mark.NONE), Meaning(INBOX, HAM, Owed.ALWAYS)),
        (Sight(JUNK, FILED, Mark.NONE), Meaning(FILED, HAM, Owed.ALWAYS)),
        (Sight(INBOX, FILED, Mark.SEEN), Meaning(FILED, HAM, Owed.IF_NONE)),
        (Sight(INBOX, FILED, Mark.NONE), Meaning(INBOX)),
        (Sight(None, FILED, Mark.SEEN), Meaning(FILED)),
        (Sight(FILED, INBOX, Mark.SEEN), Meaning(INBOX)),
        (Sight(INBOX, INBOX, Mark.SEEN), Meaning(INBOX)),
        (Sight(INBOX, INBOX, Mark.ANSWERED, answered=True), Meaning(INBOX, HAM, Owed.IF_NONE)),
        (Sight(FILED, FILED, Mark.ANSWERED, answered=True), Meaning(FILED, HAM, Owed.IF_NONE)),
        (Sight(None, INBOX, Mark.ANSWERED, answered=True), Meaning(INBOX)),
    ],
)
def test_the_rule(sight, said):
    assert meaning(sight) == said


def test_a_second_look_says_nothing():
    """Whatever a look came to, the next one at the same place comes to nothing more."""
    kinds, marks = (None, *Kind), (Mark.NONE, Mark.SEEN)
    for before, now, seen in itertools.product(kinds, (INBOX, JUNK, FILED), marks):
        place = meaning(Sight(before, now, seen)).place
        assert meaning(Sight(place, now, seen)) == Meaning(place)
