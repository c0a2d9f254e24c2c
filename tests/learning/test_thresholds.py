"""Thresholds for one user's mail: no lower than the ham allows, and used only with their base model."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_bundle import SPAM, UNSURE, make

from spamlstm.config import Config, Costs, PolicyConfig, Thresholds
from spamlstm.evaluation.metrics import rate_pct
from spamlstm.learning.label import Label
from spamlstm.learning.thresholds import MARGIN, REHEARSED, Trial, find_thresholds, rehearse, verdict_of
from spamlstm.model.classifier import Classifier
from spamlstm.model.personal_features import runs
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.verdict import Verdict, logistic

MODEL = Thresholds(0.2, 0.98)
ODDS = math.log(0.98 / 0.02)


def trial(ham, spam=()) -> Trial:
    return Trial(np.array([False] * len(ham) + [True] * len(spam), np.bool_), np.array([*ham, *spam], np.float64))


def spam_threshold(found) -> float:
    """Return the spam threshold as log-odds."""
    return math.log(found.thresholds.spam / (1 - found.thresholds.spam))


Scores = st.lists(st.floats(-20, 20) | st.just(math.nan), max_size=60)


@given(ham=Scores, spam=Scores, wanted=st.sampled_from([0.0, 0.001, 0.1, 0.3]))
def test_no_more_ham_is_filed_than_wanted(ham, spam, wanted):
    """At most the wanted share of ham is above the threshold. With too little ham to show that share, none is, and the
    threshold is not below the model's. The ham threshold is never above the spam threshold.
    """
    found = find_thresholds(trial(ham, spam), max_false_positive_rate=wanted, model=MODEL)
    known = [score for score in ham if not math.isnan(score)]
    filed = sum(verdict_of(score, found.thresholds) is Verdict.SPAM for score in known)
    assert (found.ham, found.filed) == (len(known), filed)
    assert filed <= wanted * max(len(known), 1)
    figure = rate_pct(filed, len(known))
    assert found.bound == (figure.high / 100 if figure else 1)
    if found.bound > wanted:
        assert filed == 0
        assert found.thresholds.spam >= MODEL.spam
    assert found.thresholds.ham == min(MODEL.ham, found.thresholds.spam)


def test_little_ham_keeps_or_raises_the_model_s_threshold():
    """Ten messages cannot lower the threshold; one of them above it raises it past that message, with a margin."""
    assert find_thresholds(trial([-5.0] * 10), max_false_positive_rate=0.001, model=MODEL).thresholds == MODEL
    assert spam_threshold(
        find_thresholds(trial([-5.0] * 9 + [ODDS + 2]), max_false_positive_rate=0.001, model=MODEL)
    ) == pytest.approx(ODDS + 2 + MARGIN)
    assert find_thresholds(trial([]), max_false_positive_rate=0.001, model=MODEL).thresholds == MODEL


def test_much_ham_lowers_the_threshold():
    """With 10,000 ham messages a few may be above the threshold, which is never below 0.5."""
    ham = [*np.linspace(-9, 1, 9990), *range(2, 12)]
    found = find_thresholds(trial(ham), max_false_positive_rate=0.001, model=MODEL)
    assert found.bound <= 0.001
    assert 1 < found.filed < 10
    assert spam_threshold(found) == pytest.approx(11 - found.filed)
    assert find_thresholds(trial([-9.0] * 10_000), max_false_positive_rate=0.001, model=MODEL).thresholds.spam == 0.5


def test_a_rehearsal_knows_no_more_than_was_known_then():
    """Each block is judged by thresholds from earlier mail only: one spam-like ham is filed, and the next is not."""
    ham = [-5.0] * 1500
    for at in (700, 900):  # in two blocks of the last thousand
        ham[at] = ODDS + 1
    counts = rehearse(trial(ham), max_false_positive_rate=0.001, model=MODEL)
    assert counts[Label.HAM] == {Verdict.HAM: REHEARSED - 2, Verdict.UNSURE: 1, Verdict.SPAM: 1}
    assert sum(counts[Label.SPAM].values()) == 0


def test_without_a_score_it_is_unsure():
    """A message without a score counts as unsure."""
    assert rehearse(trial([math.nan]), max_false_positive_rate=0.001, model=MODEL)[Label.HAM][Verdict.UNSURE] == 1


# --- in use ---------------------------------------------------------------------------------------------------------

HIGH = Thresholds(1e-7, 1 - 1e-7)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make(tmp_path_factory.mktemp("models") / "tiny")


def judged(bundle, layer, raw, policy=None):
    classifier = Classifier.open(bundle, config=Config(policy=policy or PolicyConfig()), personal_features=True)
    return classifier.classify(raw, layer=layer)


def layer_with(thresholds) -> PersonalLayer:
    layer = PersonalLayer()
    layer.thresholds = thresholds
    return layer


def test_thresholds_hold_with_their_base_only(bundle):
    """Thresholds are used only with the base model that they were found with, and only with their layer."""
    assert judged(bundle, layer_with({"tiny-1": HIGH}), SPAM).verdict is Verdict.UNSURE
    assert judged(bundle, layer_with({"tiny-2": HIGH}), SPAM).verdict is Verdict.SPAM
    assert judged(bundle, None, SPAM).verdict is Verdict.SPAM


@pytest.mark.parametrize("policy", [PolicyConfig(thresholds=MODEL), PolicyConfig(costs=Costs())])
def test_the_configured_thresholds_come_first(bundle, policy):
    """Configured thresholds or costs precede those that were found."""
    assert judged(bundle, layer_with({"tiny-1": HIGH}), SPAM, policy).verdict is Verdict.SPAM


@pytest.mark.parametrize("spam", [True, False])
def test_a_labelled_message_is_past_any_threshold(bundle, spam):
    """A labelled message gets the verdict of its label with any thresholds, also after these change."""
    layer = layer_with({"tiny-1": HIGH})
    layer.learn(runs(UNSURE), prior=0.0, spam=spam)
    assert judged(bundle, layer, UNSURE).verdict is (Verdict.SPAM if spam else Verdict.HAM)
    assert judged(bundle, layer, UNSURE).probability == pytest.approx(float(spam), abs=1e-7)
    layer.thresholds = {}
    assert judged(bundle, layer, UNSURE).probability == pytest.approx(logistic(5.0 if spam else -2.0))
