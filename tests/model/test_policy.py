"""The policy: every verdict has a reason, the allow list always wins, and thresholds follow from costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.config import Costs, PolicyConfig, Thresholds
from spamlstm.errors import ConfigError
from spamlstm.model.policy import Evidence, Policy, Reason, SenderList, thresholds_from_costs
from spamlstm.verdict import Verdict

THRESHOLDS = Thresholds(ham=0.2, spam=0.98)
probabilities = st.one_of(st.none(), st.floats(0, 1))
costs = st.builds(Costs, st.floats(0.01, 1e4), st.floats(0.01, 1e4), st.floats(0, 1e4))
evidences = st.builds(
    Evidence,
    sender=st.just("friend@x.org"),
    list_id=st.just("announce.x.org"),
    gtube=st.booleans(),
    not_mail=st.booleans(),
    no_text=st.booleans(),
    unknown_text=st.booleans(),
)


def policy(allow=(), deny=()) -> Policy:
    return Policy.of(PolicyConfig(allow=tuple(allow), deny=tuple(deny)), thresholds=THRESHOLDS)


@given(
    probabilities, evidences, st.sampled_from(["friend@x.org", "@x.org", "@org", "list:announce.x.org", "Friend@X.ORG"])
)
def test_allow_always_wins(probability, evidence, entry):
    """A message of an allowed sender is ham, whatever else is true of it, and even if the sender is denied too."""
    found = policy(allow=[entry], deny=["@x.org"]).decide(probability, evidence)
    assert found == (Verdict.HAM, Reason.ALLOW)


@given(probabilities, evidences)
def test_text_that_cannot_be_judged_is_never_ham_or_spam_by_score(probability, evidence):
    """Contract 7: a verdict by score requires text and a probability."""
    verdict, reason = policy().decide(probability, evidence)
    if reason is Reason.SCORE:
        assert probability is not None
        assert not any((evidence.no_text, evidence.unknown_text, evidence.not_mail))
    elif reason is not Reason.GTUBE:
        assert verdict is Verdict.UNSURE


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_probable_spam_is_never_judged_milder(one, other):
    """A higher probability never gives a milder verdict."""
    order = [Verdict.HAM, Verdict.UNSURE, Verdict.SPAM]
    low, high = (order.index(policy().thresholds.verdict(p)) for p in sorted((one, other)))
    assert low <= high


@given(costs, st.floats(0, 1))
def test_thresholds_give_the_cheapest_verdict(cost, probability):
    """No other verdict has a lower expected cost."""
    expected = {
        Verdict.HAM: cost.false_negative * probability,
        Verdict.SPAM: cost.false_positive * (1 - probability),
        Verdict.UNSURE: cost.unsure,
    }
    chosen = thresholds_from_costs(cost).verdict(probability)
    assert expected[chosen] <= min(expected.values()) + 1e-9 * sum(expected.values())


@given(costs, st.floats(1, 10))
def test_costlier_false_positives_raise_the_spam_threshold(cost, factor):
    """The higher the cost of lost ham, the less mail is judged spam."""
    dearer = Costs(cost.false_positive * factor, cost.false_negative, cost.unsure)
    assert thresholds_from_costs(dearer).spam >= thresholds_from_costs(cost).spam - 1e-12


def test_the_usual_costs():
    """Contract 8: the default costs are 10 : 1 : 0.2."""
    thresholds = thresholds_from_costs(Costs())
    assert (thresholds.ham, thresholds.spam) == pytest.approx((0.2, 0.98))


def test_what_sets_the_thresholds():
    """Configured thresholds precede configured costs, and these precede the thresholds of the bundle."""
    assert Policy.of(PolicyConfig(), thresholds=THRESHOLDS).thresholds == THRESHOLDS
    by_costs = Policy.of(PolicyConfig(costs=Costs(1, 1, 1)), thresholds=THRESHOLDS).thresholds
    assert by_costs == Thresholds(0.5, 0.5)
    own = Thresholds(0.1, 0.9)
    assert Policy.of(PolicyConfig(thresholds=own, costs=Costs()), thresholds=THRESHOLDS).thresholds == own


@pytest.mark.parametrize(
    ("entry", "sender", "covered"),
    [
        ("friend@x.org", "friend@x.org", True),
        ("friend@x.org", "friend@mail.x.org", False),
        ("friend@x.org", "otherfriend@x.org", False),
        ("@x.org", "any@x.org", True),
        ("@x.org", "any@deep.mail.x.org", True),
        ("@x.org", "any@notx.org", False),
        ("@x.org", "any@x.org.evil.net", False),
        ("@x.org", "", False),
    ],
)
def test_what_an_entry_covers(entry, sender, covered):
    """An address covers itself, a domain covers itself and its subdomains."""
    assert SenderList.of((entry,)).covers(sender=sender, list_id="") is covered


@pytest.mark.parametrize("entry", ["x.org", "", "@", "list:", "a b@x.org", "friend", "@."])
def test_an_entry_of_no_kind_is_refused(entry):
    """A mistyped entry is reported at the start and not ignored."""
    with pytest.raises(ConfigError, match="not an allow or deny entry"):
        SenderList.of((entry,))
