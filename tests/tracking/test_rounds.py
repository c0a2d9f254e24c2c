"""When folders are looked at: in slices, in rounds that cost little, and soon after the kernel tells of a move."""

from types import SimpleNamespace

import pytest

from spamlstm.config import Config, LearningConfig
from spamlstm.tracking import rounds as module
from spamlstm.tracking.label_stores import LearningStatus
from spamlstm.tracking.rounds import LONGEST_PAUSE, REST_SECONDS, LearningRounds


class Steps:
    """A reading of moves in which each step takes a hundredth of a second by the clock."""

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
        moves=steps,
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
    """Between two slices mail has its turn; the next round waits for the scan's interval."""
    assert finish(feedback) == 4
    assert feedback.label_stores.status.rounds == 1
    assert not feedback.work()
    assert 1000 + 44 < feedback.due() <= 1000 + 45
    clock.now = feedback.due()
    finish(feedback)
    assert feedback.steps.rounds == [["a", "b"]] * 2


def test_what_takes_long_is_done_more_rarely(feedback, clock):
    """But not for ever; and the first look, which reads much, does not count."""
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


def test_a_move_is_looked_at_soon(feedback, clock, moved):
    """One Maildir, once its client is done; many moves in a row take their share of the time and no more."""
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


def test_nothing_is_looked_at_where_that_is_not_wanted(feedback, moved):
    moved.append("b")
    feedback.reconfigure(config=Config(learning=LearningConfig(learn_from_moves=False)), classifier=None)
    assert not feedback.work()
    assert feedback.due() == float("inf")
    assert feedback.steps.rounds == []


def test_another_configuration_begins_a_round_at_once(feedback):
    """The round under way is no more."""
    assert feedback.work()
    feedback.reconfigure(config=Config(), classifier=None)
    finish(feedback)
    assert len(feedback.steps.rounds) == 2
    assert feedback.label_stores.status.rounds == 1
