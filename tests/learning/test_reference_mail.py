"""The reference mail: complete messages, and what counts as worse."""

from collections import Counter

import pytest
from tiny_bundle import HAM, make

from spamlstm.learning.label import Label
from spamlstm.learning.reference_mail import ReferenceVerdicts, judge_reference_mail, reference_mail
from spamlstm.message.message import parse_message
from spamlstm.model.classifier import Classifier
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.verdict import Verdict


def test_each_message_is_complete_and_different():
    """Forty messages of each label, in at least ten languages, each without defects and with a subject and a text."""
    mail = list(reference_mail())
    assert Counter(message.label for message in mail) == {Label.HAM: 40, Label.SPAM: 40}
    assert len({message.kind.rpartition("(")[2][:2] for message in mail}) >= 10
    assert len({message.raw for message in mail}) == len({(one.label, one.kind) for one in mail}) == 80
    for message in mail:
        parsed = parse_message(message.raw)
        assert parsed.defects == ()
        assert parsed.sender.endswith((".example", ".example>"))
        assert parsed.subject
        assert len(parsed.text) > 40


def test_all_are_judged(tmp_path):
    """Each message is counted once for its label, with the model alone and with labels."""
    classifier = Classifier.open(make(tmp_path / "tiny"), personal_features=True)
    layer, labelled = PersonalLayer(), classifier.assess(HAM)
    layer.learn(labelled.personal_features, prior=labelled.prior, spam=True)
    for one in (None, layer):
        assert [sum(counts.values()) for counts in judge_reference_mail(classifier, one).values()] == [40, 40]


def counts(*, caught, filed):
    return {
        Label.HAM: {Verdict.HAM: 40 - filed, Verdict.UNSURE: 0, Verdict.SPAM: filed},
        Label.SPAM: {Verdict.HAM: 0, Verdict.UNSURE: 40 - caught, Verdict.SPAM: caught},
    }


@pytest.mark.parametrize(
    ("caught", "filed", "worse"), [(30, 0, False), (28, 0, False), (27, 0, True), (40, 3, True), (29, 2, True)]
)
def test_more_than_a_few_are_worse(caught, filed, worse):
    """Two messages may become worse; a gain in spam does not make up for lost ham."""
    verdicts = ReferenceVerdicts(counts(caught=30, filed=0), counts(caught=caught, filed=filed))
    assert verdicts.is_worse is worse
