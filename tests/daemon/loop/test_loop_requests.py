"""Requests of listeners, which the loop answers between messages."""

import pytest
from maildirs import by_rename

from spamlstm.maildir.names import DELIVERED


class Requests:
    """A queue of requests, which calls `then` for each request that the loop answers."""

    def __init__(self, then=lambda: None):
        self.waiting, self.answered, self.then, self.is_closed = 0, 0, then, False

    def __bool__(self):
        return self.waiting > 0

    def work(self):
        self.waiting -= 1
        self.answered += 1
        self.then()

    def close(self):
        self.is_closed = True


def test_requests_of_listeners_are_answered_between_messages(running, box, wait):
    """Clients do not wait until all mail of a Maildir is classified, and no mail is forgotten for them."""
    requests = running.daemon.requests = Requests()
    for number in range(5):
        by_rename(box, f"{number}", b"mail")
    clock = [0.0]
    running.daemon.clock = lambda: clock[0]
    orders = []

    def before_each(candidate):
        orders.append((candidate.name, requests.answered))
        clock[0] += 1.0
        requests.waiting += 1

    running.pipeline.before_each = before_each
    by_rename(box, "5", b"mail")
    running.start()
    running.daemon.hints.rescan(box)
    wait(lambda: len(running.pipeline.done) == 6 and requests.answered == 6)
    running.stop()
    assert [answered for _, answered in orders] == [0, 1, 2, 3, 4, 5]
    assert requests.is_closed


def test_a_bug_in_an_answer_does_not_stop_the_loop(running, box, wait):
    """The loop counts the bug, answers the next request, and filters mail."""

    def fail():
        if requests.answered == 1:
            raise AssertionError

    requests = running.daemon.requests = Requests(fail)
    requests.waiting = 2
    running.start()
    wait(lambda: requests.answered == 2)
    by_rename(box, "1", b"mail")
    wait(lambda: running.pipeline.done)
    running.stop()
    assert running.daemon.status.errors == 1


class FailedListeners:
    """Listeners whose thread has ended with an error after a number of calls of `check`."""

    def __init__(self, calls):
        self.calls = calls

    def check(self):
        self.calls -= 1
        if self.calls < 0:
            raise MemoryError


@pytest.mark.parametrize("calls", [0, 1, 3])
def test_an_error_that_ends_the_loop_refuses_requests(running, box, calls):
    """Nobody waits for the answer of a loop that has ended, whether its error came in the first scan or later."""
    requests = running.daemon.requests = Requests()
    running.daemon.listeners = FailedListeners(calls)
    ended = running.start_failing(MemoryError)
    running.daemon.wakeup.wake()
    running.thread.join(30)
    assert ended
    assert requests.is_closed
    # The first check is made before the first scan of the Maildir.
    assert (("ann", DELIVERED) in running.pipeline.calls) == (calls > 0)
