"""The rule: what it says of a message that its user has it where he has it."""

import itertools

import pytest

from spamlstm.learning.label import Label
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.rule import Inference, Observation, infer_label
from spamlstm.tracking.state import FlagSet, Pending

INBOX, JUNK, FILED = FolderRole.INBOX, FolderRole.JUNK, FolderRole.FILED
SPAM, HAM = Label.SPAM, Label.HAM


@pytest.mark.parametrize(
    ("sight", "said"),
    [
        (Observation(INBOX, JUNK, FlagSet.NONE), Inference(JUNK, SPAM, Pending.ALWAYS)),
        (Observation(FILED, JUNK, FlagSet.SEEN), Inference(JUNK, SPAM, Pending.ALWAYS)),
        (Observation(None, JUNK, FlagSet.NONE), Inference(JUNK, SPAM, Pending.ALWAYS)),
        (Observation(None, JUNK, FlagSet.NONE, brought=True), Inference(JUNK)),
        (Observation(INBOX, JUNK, FlagSet.NONE, brought=True), Inference(JUNK, SPAM, Pending.ALWAYS)),
        (Observation(INBOX, JUNK, FlagSet.NONE, ours=True), Inference(JUNK)),
        (Observation(JUNK, JUNK, FlagSet.ANSWERED, answered=True), Inference(JUNK)),
        (Observation(JUNK, INBOX, FlagSet.NONE), Inference(INBOX, HAM, Pending.ALWAYS)),
        (Observation(JUNK, FILED, FlagSet.NONE), Inference(FILED, HAM, Pending.ALWAYS)),
        (Observation(INBOX, FILED, FlagSet.SEEN), Inference(FILED, HAM, Pending.IF_NONE)),
        (Observation(INBOX, FILED, FlagSet.NONE), Inference(INBOX)),
        (Observation(None, FILED, FlagSet.SEEN), Inference(FILED)),
        (Observation(FILED, INBOX, FlagSet.SEEN), Inference(INBOX)),
        (Observation(INBOX, INBOX, FlagSet.SEEN), Inference(INBOX)),
        (Observation(INBOX, INBOX, FlagSet.ANSWERED, answered=True), Inference(INBOX, HAM, Pending.IF_NONE)),
        (Observation(FILED, FILED, FlagSet.ANSWERED, answered=True), Inference(FILED, HAM, Pending.IF_NONE)),
        (Observation(None, INBOX, FlagSet.ANSWERED, answered=True), Inference(INBOX)),
    ],
)
def test_the_rule(sight, said):
    assert infer_label(sight) == said


def test_a_second_look_says_nothing():
    """Whatever a look came to, the next one at the same place comes to nothing more."""
    kinds, marks = (None, *FolderRole), (FlagSet.NONE, FlagSet.SEEN)
    for before, now, seen in itertools.product(kinds, (INBOX, JUNK, FILED), marks):
        place = infer_label(Observation(before, now, seen)).place
        assert infer_label(Observation(place, now, seen)) == Inference(place)
