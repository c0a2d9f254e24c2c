"""The rule that infers a label from the folder a user moved a message to."""

import itertools

import pytest

from spamlstm.learning.label import Label
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.rule import Inference, Observation, infer_label
from spamlstm.tracking.state import FlagSet, Pending

INBOX, JUNK, FILED = FolderRole.INBOX, FolderRole.JUNK, FolderRole.FILED
SPAM, HAM = Label.SPAM, Label.HAM


@pytest.mark.parametrize(
    ("observation", "inference"),
    [
        (Observation(INBOX, JUNK, FlagSet.NONE), Inference(JUNK, SPAM, Pending.ALWAYS)),
        (Observation(FILED, JUNK, FlagSet.SEEN), Inference(JUNK, SPAM, Pending.ALWAYS)),
        (Observation(None, JUNK, FlagSet.NONE), Inference(JUNK, SPAM, Pending.ALWAYS)),
        (Observation(None, JUNK, FlagSet.NONE, bulk=True), Inference(JUNK)),
        (Observation(INBOX, JUNK, FlagSet.NONE, bulk=True), Inference(JUNK, SPAM, Pending.ALWAYS)),
        (Observation(INBOX, JUNK, FlagSet.NONE, tagged=True), Inference(JUNK)),
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
def test_infer_label(observation, inference):
    """Each row of the rule's table, and the exceptions that it names."""
    assert infer_label(observation) == inference


def test_a_second_visit_infers_nothing():
    """If a message stays where it was, no label follows."""
    roles, flags = (None, *FolderRole), (FlagSet.NONE, FlagSet.SEEN)
    for before, now, seen in itertools.product(roles, (INBOX, JUNK, FILED), flags):
        role = infer_label(Observation(before, now, seen)).role
        assert infer_label(Observation(role, now, seen)) == Inference(role)
