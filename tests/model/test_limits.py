"""What labels may change in other mail: the threshold that labelled ham allows, for mail like labelled mail only."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_bundle import SPAM, UNSURE

from spamlstm.config import Config, Costs, PolicyConfig, Thresholds
from spamlstm.model.classifier import Classifier
from spamlstm.model.confidence import wilson
from spamlstm.model.ham_scores import HamScores
from spamlstm.model.limits import Limits
from spamlstm.model.personal_features import runs
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.model.policy import Reason
from spamlstm.verdict import Verdict, logit

MODEL = Thresholds(0.2, 0.98)
LIMITS = Limits.of(MODEL, max_false_positive_rate=0.001)


def ham_scores(*scores: float) -> HamScores:
    found = HamScores()
    for score in scores:
        found.add(score)
    return found


Scores = st.lists(st.floats(-20, 20, width=32), max_size=60)


@given(ham=Scores, rate=st.sampled_from([0.0, 0.001, 0.1, 0.3]))
def test_no_more_ham_is_filed_than_wanted(ham, rate):
    """Either the ham filed is shown to be at most the limit, or it is not shown to be more.

    A threshold below that of the policy needs the first.
    """
    limits = LIMITS._replace(max_false_positive_rate=rate)
    found = ham_scores(*ham)
    threshold = found.threshold(limits)
    filed = found.above(threshold)
    assert filed == sum(score >= threshold for score in ham)
    low, high = wilson(filed, len(ham)) if ham else (0, 1)
    assert low <= rate
    assert high <= rate or threshold >= limits.spam
    assert threshold >= 0


def test_one_odd_message_does_not_raise_the_threshold():
    """One ham message in 600 that scores like spam may have a wrong label. Four are a reason to raise it."""
    assert ham_scores(*[-5.0] * 599, 9.0).threshold(LIMITS) == LIMITS.spam
    assert ham_scores(*[-5.0] * 596, 9.0, 9.5, 10.0, 10.5).threshold(LIMITS) == pytest.approx(9.5, abs=1e-5)
    assert HamScores().threshold(LIMITS) == LIMITS.spam


def test_much_ham_lowers_the_threshold():
    """With 10,000 ham messages a few may be above the threshold, which is never below even odds."""
    found = ham_scores(*np.linspace(-9, 1, 9990), *range(2, 12))
    filed = found.above(found.threshold(LIMITS))
    assert 1 < filed < 10
    assert found.threshold(LIMITS) == pytest.approx(11 - filed, abs=1e-5)
    assert wilson(filed, 10_000)[1] <= 0.001
    assert ham_scores(*[-9.0] * 10_000).threshold(LIMITS) == 0


@pytest.mark.parametrize("ham", [[-9.0] * 10_000, [-5.0] * 596 + [9.0, 9.5, 10.0, 10.5], []])
def test_adjusted_scores_keep_their_order(ham):
    """A score at the threshold for this mail gets the threshold of the policy. Ham scores and all orders stay."""
    found = ham_scores(*ham)
    threshold = found.threshold(LIMITS)
    assert found.adjusted(threshold, LIMITS) == pytest.approx(LIMITS.spam)
    assert found.adjusted(LIMITS.ham, LIMITS) == LIMITS.ham
    scores = [found.adjusted(score, LIMITS) for score in np.linspace(-15, 15, 200)]
    assert scores == sorted(scores)


@given(prior=st.floats(-20, 20), score=st.floats(-20, 20))
def test_unlike_mail_keeps_its_verdict(prior, score):
    """What was spam stays spam, nothing else becomes spam, and what was likely spam does not become ham."""
    kept = LIMITS.kept(score, prior=prior)
    assert (kept >= LIMITS.spam) == (prior >= LIMITS.spam)
    if prior > 0:
        assert kept > LIMITS.ham
    assert LIMITS.kept(prior, prior=prior) == prior


def test_what_is_kept():
    """Scores of ham are kept to the bit, and damaged scores are refused."""
    found = ham_scores(0.1, -7.3)
    assert HamScores(found.dump()).threshold(LIMITS) == found.threshold(LIMITS)
    assert HamScores(found.dump()).dump() == found.dump()
    for damaged in (b"abc", np.array([math.nan], np.float32).tobytes()):
        with pytest.raises(ValueError, match="ham"):
            HamScores(damaged)


# --- in use ---------------------------------------------------------------------------------------------------------

HIGH = Thresholds(1e-7, 1 - 1e-7)


def judged(tiny, layer, raw, policy=None):
    classifier = Classifier.open(tiny, config=Config(policy=policy or PolicyConfig()), personal_features=True)
    return classifier.classify(raw, layer=layer)


@pytest.mark.parametrize("policy", [PolicyConfig(thresholds=MODEL), PolicyConfig(costs=Costs())])
def test_the_configured_thresholds_come_first(tiny, policy):
    """Scores are not adjusted to the user's ham if the configuration sets thresholds or costs."""
    classifier = Classifier.open(tiny, config=Config(policy=policy))
    found = ham_scores(*[9.0] * 20)
    assert found.threshold(classifier.limits) == classifier.limits.spam == logit(classifier.policy.thresholds.spam)
    assert found.threshold(Classifier.open(tiny).limits) > 9


@pytest.mark.parametrize("spam", [True, False])
@pytest.mark.parametrize("thresholds", [MODEL, HIGH])
def test_a_labelled_message_is_past_any_threshold(tiny, spam, thresholds):
    """A labelled message gets the verdict of its label with any thresholds."""
    layer = PersonalLayer()
    layer.learn(runs(UNSURE), prior=0.0, spam=spam)
    verdict = judged(tiny, layer, UNSURE, PolicyConfig(thresholds=thresholds)).verdict
    assert verdict is (Verdict.SPAM if spam else Verdict.HAM)


def test_other_mail_of_a_user_with_labels(tiny):
    """A label leaves the verdict on mail unlike the labelled message as it was."""
    layer = PersonalLayer()
    layer.learn(runs(b"From: ann@x.org\nSubject: the meeting\n\nSee you at nine."), prior=-3.0, spam=False)
    assert judged(tiny, layer, SPAM).verdict is judged(tiny, None, SPAM).verdict is Verdict.SPAM


def test_a_message_without_text_stays_unsure(tiny):
    """Labels of other mail give a message without text neither a score nor a verdict; its own label does."""
    classifier, layer = Classifier.open(tiny, personal_features=True), PersonalLayer()
    empty = classifier.assess(b"From: crook@evil.org\nTo: me@x.org\nSubject: \n\n")
    for raw in (SPAM, UNSURE):
        other = classifier.assess(raw)
        layer.learn(other.personal_features, prior=other.prior, spam=True)
    judgement = classifier.judge(empty, layer).judgement
    assert (judgement.verdict, judgement.reason, judgement.score) == (Verdict.UNSURE, Reason.NO_TEXT, None)
    layer.learn(empty.personal_features, prior=empty.prior, spam=True)
    assert classifier.judge(empty, layer).judgement.verdict is Verdict.SPAM
