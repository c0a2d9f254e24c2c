"""Known correspondents: what a sender sent before moves the score, within bounds, and never by a forged name."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.features.sender_identity import SenderIdentity
from spamlstm.model import correspondents
from spamlstm.model.correspondents import MOST_HAM, MOST_SHARED_HAM, MOST_SPAM, PROVEN, Correspondents

SHOP = SenderIdentity("shop.example", "dmarc example.org")
OTHER = SenderIdentity("other.example", "dmarc example.org")
RELAYED = SenderIdentity("shop.example", "host relay.test", shared=True)


def taught(*labels: tuple[SenderIdentity | None, bool], answered: bool = False) -> Correspondents:
    known = Correspondents()
    for sender, spam in labels:
        known.learn(sender, spam=spam, answered=answered)
    return known


def shift(known: Correspondents, sender: SenderIdentity | None) -> float:
    found = known.evidence(sender)
    return found.shift if found else 0.0


def test_ham_of_a_sender_moves_its_mail_towards_ham():
    """The shift grows with the number of ham messages, is bounded, and concerns this sender only."""
    shifts = [shift(taught(*[(SHOP, False)] * number), SHOP) for number in range(60)]
    assert shifts == sorted(shifts, reverse=True)
    assert shifts[0] == 0 > shifts[1]
    assert shifts[-1] == -MOST_HAM
    known = taught(*[(SHOP, False)] * 9)
    assert known.evidence(OTHER) is None
    assert known.evidence(SHOP._replace(proof="dkim example.org")) is None
    assert known.evidence(None) is None
    assert known.evidence(SHOP)[:4] == (9, 0, 0, False)


def test_spam_of_a_sender_moves_its_mail_towards_spam():
    """The shift is bounded, and smaller if others may have the same proof."""
    for number in (1, 5, 50):
        labels = [(SHOP, True)] * number, [(RELAYED, True)] * number
        proven, shared = shift(taught(*labels[0]), SHOP), shift(taught(*labels[1]), RELAYED)
        assert 0 < shared < proven <= MOST_SPAM


def test_one_wrong_label_does_little():
    """Ten ham messages and one spam, or the reverse, give no shift; many ham messages outweigh one spam."""
    for first in (False, True):
        known = taught(*[(SHOP, first)] * 10, (SHOP, not first))
        assert known.evidence(SHOP) is None
    assert shift(taught(*[(SHOP, False)] * 40, (SHOP, True)), SHOP) < -1
    assert shift(taught(*[(SHOP, False)] * 100, *[(SHOP, True)] * 5), SHOP) == 0


def test_an_answer_is_strong_evidence():
    """One answered message moves the score further than three that were not answered."""
    assert shift(taught((SHOP, False), answered=True), SHOP) <= shift(taught(*[(SHOP, False)] * 4), SHOP)
    assert taught((SHOP, False), answered=True).evidence(SHOP).answered == 1
    assert shift(taught((SHOP, True), answered=True), SHOP) > 0  # an answered message with a spam label is spam


def test_a_host_that_hands_over_spam_proves_little():
    """Ham through a forwarder is no evidence once the forwarder hands over spam of other names."""
    ham = [(RELAYED, False)] * 20
    assert shift(taught(*ham), RELAYED) == -MOST_SHARED_HAM
    spam = [(RELAYED._replace(name=f"spam{number}.test"), True) for number in range(4)]
    assert shift(taught(*ham, *spam), RELAYED) == 0
    assert shift(taught(*[(SHOP, False)] * 20, *[(OTHER, True)] * 4), SHOP) < -MOST_HAM + 0.1


def test_a_mailing_list_is_bounded_like_a_weak_proof():
    """Anybody may write to a list. Spam of other names with the same method says nothing about the list."""
    posts = SenderIdentity("list:friends.lists.test", "dkim example.org", shared=True)
    known = taught(*[(posts, False)] * 20, *[(posts._replace(name=f"{number}.test"), True) for number in range(9)])
    assert shift(known, posts) == pytest.approx(-MOST_SHARED_HAM, abs=0.1)


def test_a_sender_to_whom_the_user_wrote():
    """Mail of a correspondent is known, if the receiving server writes results that prove other ham too."""
    known = Correspondents()
    known.written = frozenset({SHOP.name_key})
    assert known.evidence(SHOP) is None  # the results may be forged
    assert known.evidence(RELAYED) is None  # the host is not the correspondent's
    own = SenderIdentity("shop.example", "host shop.example")
    assert shift(known, own) == -MOST_HAM
    for _ in range(PROVEN):
        known.learn(OTHER, spam=False)
    assert known.evidence(SHOP) == (0, 0, 0, True, -MOST_HAM)
    assert known.evidence(OTHER._replace(name="third.example")) is None
    assert known.evidence(RELAYED) is None


def test_forged_results_at_a_server_that_writes_none():
    """The genuine mail has the host as its proof, so the forged results lead to an unknown sender."""
    known = taught(*[(SenderIdentity("shop.example", "host shop.example"), False)] * 20)
    known.written = frozenset({SHOP.name_key})
    assert known.evidence(SHOP) is None


def test_trust_ages_with_labels():
    """A sender without labels for a long time is trusted less. The age is counted in labels, not in time."""
    known = taught(*[(SHOP, False)] * 9)
    before = shift(known, SHOP)
    for _ in range(correspondents.HALF_AGE):
        known.learn(None, spam=True)
    assert shift(known, SHOP) == pytest.approx(before / 2)


def test_memory_is_bounded(monkeypatch):
    """Senders without recent labels are forgotten first."""
    monkeypatch.setattr(correspondents, "MOST_ENTRIES", 9)
    known = Correspondents()
    for number in itertools.chain(range(50), (42, 49)):
        known.learn(SHOP._replace(name=f"{number}.example"), spam=False)
    assert len(known.dump()) == len(Correspondents().dump()) + 9 * 24
    found = [number for number in range(50) if known.evidence(SHOP._replace(name=f"{number}.example"))]
    assert found == [42, 43, 44, 45, 46, 47, 48, 49]  # and the proof


@given(st.lists(st.tuples(st.sampled_from((SHOP, OTHER, RELAYED, None)), st.booleans(), st.booleans()), max_size=30))
def test_a_saved_state_is_the_state(labels):
    """A loaded state answers and learns as before. Equal labels give equal bytes."""
    known, again = Correspondents(), Correspondents()
    for sender, spam, answered in labels:
        known.learn(sender, spam=spam, answered=answered)
        again.learn(sender, spam=spam, answered=answered)
    loaded = Correspondents.loaded(known.dump())
    for one in (known, loaded):
        one.learn(SHOP, spam=True)
        one.learn(RELAYED, spam=False)
    assert loaded.dump() == known.dump() != again.dump()
    for sender in (SHOP, OTHER, RELAYED, None):
        assert loaded.evidence(sender) == known.evidence(sender)


@pytest.mark.parametrize("damage", [b"", b"1234567", b"\0" * 8 + b"1", b"\0" * 32 + b"\0" * 24 * 10_000])
def test_a_damaged_state_is_refused(damage):
    """A state of a wrong size, or with counts that no labels give, is refused."""
    with pytest.raises(ValueError):
        Correspondents.loaded(damage)
    state = taught((SHOP, False), (OTHER, True)).dump()
    for broken in (state[:-1], b"\0" * 8 + state[8:], state[:8] + state[32:56] + state[8:32] + state[56:]):
        with pytest.raises(ValueError):
            Correspondents.loaded(broken)
