"""Hints: each Maildir once, what arrived first, and the loop is woken when there is something to do."""

import pytest

from spamlstm.daemon.hints import NEW, WHOLE, Hints


@pytest.fixture
def rings():
    return []


@pytest.fixture
def hints(rings):
    return Hints(lambda: rings.append(1))


def test_a_burst_is_one_look(hints, rings):
    """Thousands of deliveries cost no more memory than one, and wake the loop once."""
    for _ in range(3):
        hints.arrived("/a")
    hints.arrived("/b")
    assert (len(hints), rings) == (2, [1])
    assert [hints.take(), hints.take(), hints.take()] == [("/a", NEW), ("/b", NEW), None]
    assert not hints


def test_what_is_taken_may_come_again(hints, rings):
    """A delivery during the look at the one before is not forgotten."""
    hints.arrived("/a")
    hints.take()
    hints.arrived("/a")
    assert hints.take() == ("/a", NEW)
    assert rings == [1, 1]


def test_mail_goes_before_doubt(hints):
    """A scan of ten thousand Maildirs does not delay the message that came just now; one look answers both."""
    for maildir in ("/a", "/b", "/c"):
        hints.doubt(maildir)
    hints.arrived("/b")
    hints.arrived("/d")
    assert [hints.take() for _ in range(5)] == [("/b", WHOLE), ("/d", NEW), ("/a", WHOLE), ("/c", WHOLE), None]


def test_doubt_in_everything_is_answered_once(hints, rings):
    hints.doubt_all()
    hints.doubt_all()
    assert (bool(hints), rings, hints.take()) == (True, [1], None)
    assert [hints.take_all(), hints.take_all(), bool(hints)] == [True, False, False]


def test_clear_forgets_all(hints):
    hints.arrived("/a")
    hints.doubt("/b")
    hints.doubt_all()
    hints.clear()
    assert not hints
