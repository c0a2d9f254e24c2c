"""Each Maildir is queued once, deliveries come first, and the loop is woken when the queue was empty."""

import pytest

from spamlstm.daemon.hints import NEW, Hints
from spamlstm.maildir.names import DELIVERED


@pytest.fixture
def calls():
    return []


@pytest.fixture
def hints(calls):
    return Hints(lambda: calls.append(1))


def test_a_burst_is_one_scan(hints, calls):
    """Many deliveries to a Maildir take no more memory than one, and wake the loop once."""
    for _ in range(3):
        hints.arrived("/a")
    hints.arrived("/b")
    assert (len(hints), calls) == (2, [1])
    assert [hints.take(), hints.take(), hints.take()] == [("/a", NEW), ("/b", NEW), None]
    assert not hints


def test_what_is_taken_may_come_again(hints, calls):
    """A delivery during the scan for an earlier one is queued again."""
    hints.arrived("/a")
    hints.take()
    hints.arrived("/a")
    assert hints.take() == ("/a", NEW)
    assert calls == [1, 1]


def test_deliveries_come_before_rescans(hints):
    """A scan of all Maildirs does not delay new mail, and one scan serves both reasons."""
    for maildir in ("/a", "/b", "/c"):
        hints.rescan(maildir)
    hints.arrived("/b")
    hints.arrived("/d")
    assert [hints.take() for _ in range(5)] == [
        ("/b", DELIVERED),
        ("/d", NEW),
        ("/a", DELIVERED),
        ("/c", DELIVERED),
        None,
    ]


def test_a_full_scan_is_asked_for_once(hints, calls):
    """Two requests are one scan, and wake the loop once."""
    hints.rescan_all()
    hints.rescan_all()
    assert (bool(hints), calls, hints.take()) == (True, [1], None)
    assert [hints.take_all(), hints.take_all(), bool(hints)] == [True, False, False]


def test_clear_forgets_all(hints):
    """A scan of all Maildirs follows, so nothing is lost."""
    hints.arrived("/a")
    hints.rescan("/b")
    hints.rescan_all()
    hints.clear()
    assert not hints
