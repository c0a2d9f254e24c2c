"""The queue between the listeners and the daemon's loop."""

import logging
import threading
from types import SimpleNamespace

import pytest
from listening import PATIENCE, listening
from maildirs import make as make_maildir
from tiny_bundle import HAM, SPAM

from spamlstm.config import Config, LabelScope, LearningConfig, MaildirConfig
from spamlstm.config.users import UserProblem
from spamlstm.daemon.listeners import judging
from spamlstm.daemon.listeners.judging import JudgeRequest, Judging, JudgingError, LabelRequestOfClient
from spamlstm.learning.label import Label
from spamlstm.model.classifier import Classifier, Judged
from spamlstm.verdict import Judgement, Verdict


@pytest.mark.parametrize(("user", "problem"), [("ann", None), ("eve", UserProblem.UNKNOWN), ("", None)])
def test_the_problem_of_a_user_is_found_only_if_asked_for(tmp_path, classifier, user, problem):
    """A request that asks is told why its user has no effect. Others, whose protocol cannot show it, do not wait."""
    make_maildir(tmp_path / "vmail" / "ann")
    learning = LearningConfig(labels=LabelScope.PER_MAILDIR, user_maildir=f"{tmp_path}/vmail/{{user}}")
    config = Config(maildirs=(MaildirConfig(f"{tmp_path}/vmail/*"),), learning=learning)
    with listening(tmp_path / "state", classifier, config) as one:
        asked, other = JudgeRequest(SPAM, user, explains_user=True), JudgeRequest(SPAM, user)
        for request in (asked, other):
            one.requests.submit(request)
        assert asked.answer.result(PATIENCE).user_problem is problem
        assert other.answer.result(PATIENCE).user_problem is None


@pytest.fixture
def queue():
    """A queue with a clock of the test, and what it woke."""

    class Queue(Judging):
        now = 0.0

        def __init__(self):
            self.woken = []
            super().__init__(
                classifier=None,
                config=None,
                label_stores=None,
                wake=lambda: self.woken.append(bool(self)),
                clock=lambda: self.now,
            )

        def add(self, size, at):
            self.now = at
            self.submit(JudgeRequest(bytes(size)))

        def sizes(self):
            """Take all usual requests, and return their sizes in the order of their turns."""
            return [len(one.raw) for some in iter(lambda: self._take(judging.MOST_AT_ONCE), []) for one in some]

    return Queue()


def test_clients_that_always_wait_with_larger_messages_delay_nobody(queue):
    """A small message comes before those of 255 clients that have each sent one of 120 KB."""
    for number in range(255):
        queue.add(120_000, 0.001 * number)
    queue.add(2_000, 1.0)
    assert queue.sizes()[:2] == [2_000, 120_000]


def test_no_message_waits_forever_for_smaller_ones(queue):
    """A message is overtaken only by those that come within seconds; messages of one size keep their order."""
    queue.add(120_000, 0.0)
    late = judging.YIELD_SECONDS * 120_000
    for number in range(100):
        queue.add(500 + number % 2, number * late / 50)
    order = queue.sizes()
    assert order.index(120_000) == 50
    assert late < 10


def test_few_large_messages_are_taken_together(queue):
    """What is classified together has few bytes, so that a message that comes meanwhile waits briefly."""
    for _ in range(9):
        queue.add(100_000, 0.0)
    assert len(queue._take(judging.MOST_AT_ONCE)) == judging.LARGE_BYTES // 100_000
    queue.add(10, 0.1)
    assert [len(one.raw) for one in queue._take(judging.MOST_AT_ONCE)] == [10, 100_000, 100_000]
    assert len(queue._take(1)) == 1


def test_a_request_after_the_last_was_taken_wakes_the_loop(queue):
    """A loop that took the last request may sleep, so the next request wakes it. A loop that has work is not woken."""
    queue.add(1, 0.0)
    queue.add(2, 0.0)
    assert queue.sizes() == [1, 2]
    queue.add(3, 0.0)
    assert queue.woken == [True, True]


def test_usual_messages_do_not_wait_for_all_large_ones(tmp_path, classifier):
    """Of the large messages that wait, each turn of the loop answers few, and before them a usual one that came later.

    In the end all have answers.
    """
    held, turns = threading.Event(), []
    mails = [SPAM.ljust(judging.LARGE_BYTES + 1, b"x")] * (2 * judging.MOST_LARGE + 1) + [SPAM]
    asked = [JudgeRequest(mail) for mail in mails]

    def work(requests):
        held.wait(PATIENCE)
        requests.work()
        turns.append([one.answer.done() for one in asked])

    with listening(tmp_path / "state", classifier, work=work) as one:
        for request in asked:
            one.requests.submit(request)
        held.set()
        assert [request.answer.result(PATIENCE).judgement.verdict for request in asked] == ["spam"] * len(asked)
    assert [sum(turn[:-1]) for turn in turns[:3]] == [judging.MOST_LARGE, 2 * judging.MOST_LARGE, len(asked) - 1]
    assert turns[0][-1]


class SlowClassifier:
    """A classifier that needs ten seconds of a test's clock for each message."""

    def __init__(self, clock):
        self.clock = clock

    def classify_many(self, mails, **_):
        for key, _ in mails:
            self.clock.now += 10.0
            yield Judged(key, Judgement(Verdict.HAM, 0.1, -2.0, "score", "tiny 1"), spam_threshold=0.9)


@pytest.fixture
def slow():
    """A queue whose messages each take ten seconds of its clock."""
    clock = SimpleNamespace(now=0.0)
    return Judging(
        classifier=lambda: SlowClassifier(clock), config=Config, label_stores=StubStores(), clock=lambda: clock.now
    )


class StubStores:
    def layer(self, _maildir):
        return None


@pytest.mark.parametrize("size", [judging.LARGE_BYTES, judging.LARGE_BYTES + 1], ids=["usual", "large"])
def test_a_stop_takes_bounded_time(slow, size):
    """What cannot be answered in time is refused, as by a daemon that does not run, before systemd kills the daemon."""
    asked = [JudgeRequest(bytes(size)) for _ in range(60)]
    for one in asked:
        slow.submit(one)
    gone = asked.pop()
    gone.answer.cancel()
    slow.close()
    assert asked.pop(0).answer.result(0).judgement.verdict == "ham"
    for one in asked:
        with pytest.raises(JudgingError, match="is stopping"):
            one.answer.result(0)
    assert not slow


def test_slow_messages_do_not_prolong_a_turn(slow):
    """The loop does its other work, such as a stop, although many messages wait that take long to read."""
    asked = [JudgeRequest(bytes(judging.LARGE_BYTES)) for _ in range(3)]
    for one in asked:
        slow.submit(one)
    for number in range(3):
        assert [one.answer.done() for one in asked].count(True) == number
        slow.work()
    assert not slow


def test_a_bug_affects_one_request(tmp_path, config, classifier, monkeypatch, caplog):
    """If a message raises an unexpected error, its client gets an error, and other clients their answers.

    The labels are not used for a time, because they may be the cause.
    """

    def classify_many(mails, **arguments):
        mails = list(mails)
        if any(b"deadly" in raw for _, raw in mails):
            raise AssertionError
        return Classifier.classify_many(classifier, mails, **arguments)

    monkeypatch.setattr(classifier, "classify_many", classify_many)
    with listening(tmp_path / "state", classifier, config) as one, caplog.at_level(logging.ERROR):
        suspended = []
        monkeypatch.setattr(one.stores, "suspend", lambda maildir, error: suspended.append((maildir, type(error))))
        requests = [JudgeRequest(mail, "") for mail in (SPAM, b"deadly", HAM)]
        for request in requests:
            one.requests.submit(request)
        assert requests[0].answer.result(PATIENCE).judgement.verdict == "spam"
        assert requests[2].answer.result(PATIENCE).judgement.verdict == "ham"
        with pytest.raises(JudgingError, match="because of a bug"):
            requests[1].answer.result(PATIENCE)
    assert set(suspended) == {("", AssertionError)}


def test_a_lack_of_memory_affects_one_request(tmp_path, config, classifier, monkeypatch, caplog):
    """If there is not enough memory for a message, log and client hear this, and others get their answers."""
    classify_many = classifier.classify_many

    def failing(mails, **arguments):
        mails = list(mails)
        if any(b"large" in raw for _, raw in mails):
            raise MemoryError
        return classify_many(mails, **arguments)

    monkeypatch.setattr(classifier, "classify_many", failing)
    with listening(tmp_path / "state", classifier, config) as one, caplog.at_level(logging.ERROR):
        requests = [JudgeRequest(mail, "") for mail in (SPAM, b"large")]
        for request in requests:
            one.requests.submit(request)
        assert requests[0].answer.result(PATIENCE).judgement.verdict == "spam"
        with pytest.raises(JudgingError, match="cannot be answered because there is not enough memory"):
            requests[1].answer.result(PATIENCE)
    assert "there is not enough memory: a request cannot be answered" in caplog.messages
    assert "bug" not in caplog.text


def test_a_bug_with_a_label_affects_one_request(tmp_path, config, classifier, monkeypatch, caplog):
    """If a label raises an unexpected error, its client gets an error and need not wait, and others their answers."""
    with listening(tmp_path / "state", classifier, config) as one, caplog.at_level(logging.ERROR):
        add_label = one.stores.add_label

        def failing(maildir, raw, label, **arguments):
            if b"deadly" in raw:
                raise AssertionError
            return add_label(maildir, raw, label, **arguments)

        monkeypatch.setattr(one.stores, "add_label", failing)
        requests = [LabelRequestOfClient(mail, label=Label.SPAM) for mail in (b"deadly", SPAM)]
        for request in requests:
            one.requests.submit(request)
        assert requests[1].answer.result(PATIENCE)
        with pytest.raises(JudgingError, match="because of a bug"):
            requests[0].answer.result(PATIENCE)
