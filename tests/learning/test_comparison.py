"""A retrained model is promoted only if a comparison on held-out ham and on held-out spam speaks for it."""

import shutil
from pathlib import Path

import pytest

from spamlstm.config import Config
from spamlstm.corpus.paths import FileMessage
from spamlstm.learning import comparison
from spamlstm.learning.comparison import (
    Comparison,
    Figures,
    ShippedLosses,
    Sides,
    objections,
    shipped_losses,
)
from spamlstm.learning.label import Label, Origin
from spamlstm.learning.opposed_labels import objection_to_labels, opposed_labels
from spamlstm.learning.reference_mail import ReferenceVerdicts
from spamlstm.learning.snapshot import LabelledMail
from spamlstm.model import registry
from spamlstm.model.classifier import Classifier
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


@pytest.mark.parametrize(
    ("running", "candidate", "refused"), [(0, 2, False), (2, 2, False), (0, 3, True), (2, 3, True), (5, 5, False)]
)
def test_small_losses_do_not_add_up(running, candidate, refused):
    """A candidate may lose two reference messages of the shipped model, whatever earlier retrainings lost.

    A model in use that lost more before, because it is no child of the shipped model, may lose no further ones.
    """
    compared = Comparison(sides(4, 4), sides(4, 4), shipped=ShippedLosses(running, candidate))
    assert bool(objections(compared)) == refused


def test_the_losses_are_counted_without_labels(tiny, tmp_path, monkeypatch):
    """All models judge the reference mail without a personal layer. Without a shipped model nothing is counted."""
    found = iter((36, 34, 37))

    def judge(_classifier, layer):
        assert layer is None
        return {Label.HAM: {Verdict.SPAM: 0}, Label.SPAM: {Verdict.SPAM: next(found)}}

    monkeypatch.setattr(comparison, "judge_reference_mail", judge)
    monkeypatch.setattr(registry, "_SHIPPED", (Path(shutil.copytree(tiny, tmp_path / "shipped")),))
    classifier = Classifier.open(tiny)
    assert shipped_losses(classifier, classifier, Config()) == ShippedLosses(running=1, candidate=3)
    monkeypatch.setattr(registry, "_SHIPPED", (tiny / "none",))
    assert shipped_losses(classifier, classifier, Config()) is None


def test_a_shipped_model_in_use_is_not_loaded_again(tiny, monkeypatch):
    """If the model in use is the shipped model, its verdicts are those of both, and it judges the mail once."""
    found = {"running": 36, "candidate": 34}

    def judge(classifier, _layer):
        return {Label.HAM: {Verdict.SPAM: 0}, Label.SPAM: {Verdict.SPAM: found.pop(names[classifier])}}

    monkeypatch.setattr(comparison, "judge_reference_mail", judge)
    monkeypatch.setattr(registry, "_SHIPPED", (tiny,))
    running, candidate = Classifier.open(tiny), Classifier.open(tiny)
    names = {running: "running", candidate: "candidate"}
    assert shipped_losses(running, candidate, Config()) == ShippedLosses(running=0, candidate=2)
    assert found == {}


def test_labels_against_the_model():
    """Only a label that is the opposite of a verdict counts, the most certain first; unsure has no opposite."""
    verdicts = (Verdict.HAM, Verdict.HAM, Verdict.SPAM, Verdict.SPAM, Verdict.UNSURE, Verdict.UNSURE)
    labelled = [
        LabelledMail(row, str(row), label, row, FileMessage(str(row), ""), Origin.COMMAND)
        for row, label in enumerate((Label.SPAM, Label.HAM) * 3)
    ]
    opposed = opposed_labels(labelled, verdicts, (-3.0, -4.0, 5.0, 6.5, 0.1, -0.1))
    assert [(one.id, one.label, one.score) for one in opposed] == [("3", "ham", 6.5), ("0", "spam", -3.0)]
    assert objection_to_labels(opposed, 14) == ""
    assert objection_to_labels(opposed, 13).startswith("2 of 13 labels are the opposite of the verdict of the model")
