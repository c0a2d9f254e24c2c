"""The bounds of the label store: a label's age is counted in later months with labels, not by one wrong clock."""

import contextlib

import pytest

from spamlstm.learning import label_rows
from spamlstm.learning.label import Label, LabelRequest
from spamlstm.learning.label_rows import MONTH, MOST_MONTHS, surplus
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer
from spamlstm.maildir.content_id import content_id

START = 1_700_000_000.0
YEAR = 365 * 86_400.0


def rows(times):
    """Return rows as the store gives them, the latest first; `times` are in the order of labelling."""
    return [(number, 100, time, False) for number, time in enumerate(times, start=1)][::-1]


def test_what_is_older_than_36_months_of_labels_goes():
    """Of one label a month for four years, those of the last 36 months stay."""
    times = [START + month * MONTH for month in range(48)]
    assert sorted(surplus(rows(times))) == list(range(1, 48 - MOST_MONTHS + 1))


def test_who_labels_rarely_keeps_labels_longer():
    """Ten labels in ten years all stay."""
    assert surplus(rows([START + year * YEAR for year in range(10)])) == []


@pytest.mark.parametrize("wrong", [START + 4 * YEAR, START + 400 * YEAR, 0.0, START - 9 * YEAR])
@pytest.mark.parametrize("number", [1, 500])
@pytest.mark.parametrize("index", [0, 20, 40])
def test_a_wrong_clock_costs_no_label(wrong, number, index):
    """Any number of labels with a clock that is wrong by years, at any time, makes no label too old."""
    times = [START + day * 86_400 for day in range(40)]
    times[index:index] = [wrong + second for second in range(number)]
    assert surplus(rows(times)) == []


def test_labels_after_a_wrong_clock_are_not_old_beside_it():
    """Months of labels after one that is dated in the future all stay, as do those before it."""
    times = [START, START + 4 * YEAR, *(START + month * MONTH for month in range(MOST_MONTHS - 2))]
    assert surplus(rows(times)) == []


def test_a_label_under_a_wrong_clock_through_the_store(tmp_path):
    """One label dated four years ahead removes none of the others, then or after the clock is right again."""
    now, notes = [START], []
    with contextlib.closing(LabelStore.open(tmp_path, clock=lambda: now[0])) as labels:
        trainer = Trainer(labels, tell=notes.append)

        def say(number):
            raw = b"Subject: %d\n\n" % number
            labels.add(LabelRequest(content_id(raw), raw, "", 0.0, "m"), Label.HAM)
            trainer.prune()

        for number in range(40):
            say(number)
        now[0] += 4 * YEAR
        say(40)
        now[0] -= 4 * YEAR
        say(41)
        assert labels.counts()[Label.HAM] == 42
    assert notes == []


def test_what_is_removed_is_reported(tmp_path, monkeypatch):
    """When labels are removed, a sentence names the store and their number."""
    monkeypatch.setattr(label_rows, "MOST_LABELS", 10)
    notes = []
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        trainer = Trainer(labels, tell=notes.append)
        for number in range(12):
            raw = b"Subject: %d\n\n" % number
            labels.add(LabelRequest(content_id(raw), raw, "", 0.0, "m"), Label.HAM)
        trainer.prune()
    assert len(notes) == 1
    assert "labels.sqlite: 3 labels" in notes[0]
