"""The shipped model tells spam from ham in messages of our own writing, of kinds that it was made for.

No message is in a corpus or in the generator of `training/synthetic`. This is a smoke test of the shipped bundle, not a
measurement: the figures on held-out mail are in the README.
"""

import json

import pytest

from spamlstm.learning.label import Label
from spamlstm.learning.reference_mail import judge_reference_mail, reference_mail
from spamlstm.model.classifier import Classifier
from spamlstm.verdict import Verdict

pytestmark = pytest.mark.model

MAIL = {f"{message.label}: {message.kind}": message for message in reference_mail()}
# Messages that the model was made for. It may be unsure about the others.
ORDINARY = (
    "spam: pills (en)",
    "spam: advance fee (en)",
    "spam: bank phishing (en)",
    "spam: dating (en)",
    "spam: stock tip (en)",
    "spam: casino (de)",
    "spam: sextortion (en)",
    "spam: loan (en)",
    "spam: job scam (en)",
    "spam: inheritance (fr)",
    "spam: search engine offer (en)",
    "spam: account phishing (ja)",
    "ham: invitation (en)",
    "ham: work (en)",
    "ham: bug report (en)",
    "ham: school (en)",
    "ham: family (en)",
    "ham: personal (it)",
    "ham: newsletter (en)",
    "ham: promotion (en)",
    "ham: list (en)",
    "ham: delivery failure (en)",
    "ham: calendar (en)",
    "ham: support (en)",
)


@pytest.fixture(scope="module")
def classifier(root):
    """The shipped model, whatever model the user has installed."""
    return Classifier.open(root / "models/default")


@pytest.mark.parametrize("kind", ORDINARY)
def test_ordinary_mail_is_judged_right_by_its_score(classifier, kind):
    """Ordinary spam of each kind is caught by the network, not by a rule; ordinary ham of unknown senders stays ham."""
    judgement = classifier.classify(MAIL[kind].raw)
    assert (judgement.verdict, judgement.reason) == (Verdict(MAIL[kind].label.value), "score")


def test_no_reference_message_is_judged_the_wrong_way(classifier):
    """Of all reference messages no ham is spam, no spam is ham, and a third of each kind is judged right."""
    counts = judge_reference_mail(classifier, None)
    assert counts[Label.HAM][Verdict.SPAM] == counts[Label.SPAM][Verdict.HAM] == 0
    assert min(counts[Label.HAM][Verdict.HAM], counts[Label.SPAM][Verdict.SPAM]) >= 14


@pytest.mark.parametrize("name", ["default", "without-trec07p"])
def test_the_card_is_generated_from_the_manifest(root, name):
    """The README of a shipped bundle is what the trainer writes for its manifest, so that the two agree."""
    from training import card

    folder = root / "models" / name
    assert (folder / "README.md").read_text() == card.text(json.loads((folder / "manifest.json").read_text()))
