"""When Maildirs are visited: in slices, in rounds of low cost, and soon after an event in a junk folder."""

from types import SimpleNamespace

import pytest

from spamlstm.config import Config, LearningConfig
from spamlstm.tracking import rounds as module
from spamlstm.tracking.learning_status import LearningStatus
from spamlstm.tracking.rounds import LONGEST_PAUSE, REST_SECONDS, LearningRounds


class Steps:
    """A tracker in which each step takes 10 ms."""

    def __init__(self, clock):
        self.clock, self.rounds, self.steps = clock, [], 3

    def round(self, present):
        self.rounds.append(list(present))
        for _ in range(self.steps):
            self.clock.now += 0.01
            yield

    def reconfigure(self, _config):
        pass


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def moved():
    return []


@pytest.fixture
def feedback(clock, moved, monkeypatch):
    monkeypatch.setattr(module.time, "thread_time", clock)
    label_stores = SimpleNamespace(status=LearningStatus(), tally=lambda: None, reconfigure=lambda **_: None)

    def take():
        taken = list(moved)
        moved.clear()
        return taken

    steps = Steps(clock)
    made = LearningRounds(
        label_stores=label_stores,
        tracker=steps,
        config=Config(),
        present=lambda: ["a", "b"],
        moved=take,
        clock=clock,
    )
    made.steps = steps
    return made


def finish(feedback):
    slices = 1
    while feedback.work():
        slices += 1
    return slices


def test_a_round_goes_by_slices_and_comes_again(feedback, clock):
    """Mail is judged between two slices; the next round starts after the scan interval."""
    assert finish(feedback) == 4
    assert feedback.label_stores.status.rounds == 1
    assert not feedback.work()
    assert 1000 + 44 < feedback.due() <= 1000 + 45
    clock.now = feedback.due()
    finish(feedback)
    assert feedback.steps.rounds == [["a", "b"]] * 2


def test_slow_rounds_are_rarer(feedback, clock):
    """A round that takes long is followed by a longer pause, up to a bound; the first round does not count."""
    feedback.steps.steps = 50
    finish(feedback)
    assert feedback.due() == pytest.approx(1045)
    clock.now = feedback.due()
    finish(feedback)
    assert feedback.due() == pytest.approx(clock.now + 100)
    clock.now = feedback.due()
    feedback.steps.steps = 500
    finish(feedback)
    assert feedback.due() == pytest.approx(clock.now + LONGEST_PAUSE)


def test_a_move_causes_a_visit_soon(feedback, clock, moved):
    """After a move that Maildir alone is visited, once its client had time; many moves take a bounded share of time."""
    finish(feedback)
    clock.now += 10
    moved.append("b")
    assert not feedback.work()
    assert feedback.due() == clock.now + REST_SECONDS
    clock.now += REST_SECONDS
    finish(feedback)
    assert feedback.steps.rounds == [["a", "b"], ["b"]]
    moved.append("b")
    feedback.work()
    assert feedback.due() == pytest.approx(clock.now + 0.03 / 0.05)
    assert feedback.label_stores.status.rounds == 1


def test_no_visits_with_learn_from_moves_off(feedback, moved):
    """Events in junk folders cause none either."""
    moved.append("b")
    feedback.reconfigure(config=Config(learning=LearningConfig(learn_from_moves=False)), classifier=None)
    assert not feedback.work()
    assert feedback.due() == float("inf")
    assert feedback.steps.rounds == []


def test_labels_are_counted_with_learn_from_moves_off(feedback, clock):
    """Commands add labels too, so the status has their number; it is counted once in `scan_seconds`."""
    counts = []
    feedback.label_stores.tally = lambda: counts.append(clock.now)
    feedback.reconfigure(config=Config(learning=LearningConfig(learn_from_moves=False)), classifier=None)
    began = clock.now
    for seconds in (0, 1, 44, 45, 46):
        clock.now = began + seconds
        assert not feedback.work()
    assert counts == [began, began + 45]


def test_a_reload_starts_a_round_at_once(feedback):
    """The round in progress is dropped."""
    assert feedback.work()
    feedback.reconfigure(config=Config(), classifier=None)
    finish(feedback)
    assert len(feedback.steps.rounds) == 2
    assert feedback.label_stores.status.rounds == 1
