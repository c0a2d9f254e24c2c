"""The loop, with a real watcher, a real Maildir, and a pipeline that only says what it was asked."""

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from maildirs import by_link, by_rename, make

from spamlstm.config import CatchUp, Config, DaemonConfig, MaildirConfig, MetricsConfig
from spamlstm.daemon.hints import NEW, WHOLE, Hints
from spamlstm.daemon.loop import TURN_SECONDS, Daemon
from spamlstm.daemon.sd_notify import Notifier
from spamlstm.daemon.status import DaemonStatus
from spamlstm.daemon.wakeup import Wakeup
from spamlstm.daemon.watch import Watcher
from spamlstm.errors import ConfigError, TemporaryError
from spamlstm.filtering.outcome import Candidate, Counters, Outcome, Status
from spamlstm.verdict import Judgement, Verdict

SPAM = Judgement(Verdict.SPAM, 0.99, 4.6, "score", "tiny 1")


@dataclass
class ListingPipeline:
    """Judges each name in `new` once, and remembers in which order it was asked for what."""

    config: Config
    classifier: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(bundle=SimpleNamespace(label="tiny 1")))
    asked: list = field(default_factory=list)
    done: list = field(default_factory=list)
    before_each: object = None
    suspects: tuple = ()

    def recover(self):
        self.asked.append("recover")

    def scan(self, maildir, *, parts=WHOLE, catch_up=None):
        self.asked.append((Path(maildir).name, parts, *([catch_up] if catch_up else [])))
        found = sorted(path.name for path in Path(maildir, "new").iterdir())
        return [Candidate(maildir, "new", name) for name in found if (maildir, name) not in self.done]

    def urgent(self, candidates):
        return [one for one in candidates if one.name not in self.suspects]

    def process(self, candidates, *, stop):
        outcomes = []
        for candidate in candidates:
            if stop():
                break
            if self.before_each:
                self.before_each(candidate)
            self.done.append((candidate.maildir, candidate.name))
            outcomes.append(Outcome(candidate, Status.LEFT, SPAM))
        return outcomes

    def reconfigure(self, *, config, classifier):
        self.config, self.classifier = config, classifier


class Heard(Notifier):
    """Keeps what systemd would hear."""

    def __init__(self):
        super().__init__({})
        self.lines = []

    def _send(self, *lines):
        self.lines.append(lines[0])


@dataclass
class House:
    """A daemon with all that it needs, in a thread of its own."""

    daemon: Daemon
    pipeline: ListingPipeline
    notifier: Heard
    thread: threading.Thread = None

    def start(self):
        self.thread = threading.Thread(target=self.daemon.run, daemon=True)
        self.thread.start()

    def stop(self):
        self.daemon.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()


@pytest.fixture
def box(tmp_path):
    return make(tmp_path / "ann")


@pytest.fixture
def house(tmp_path, box):
    """Watches every Maildir in tmp_path; `load` finds what the test puts into `house.next`."""
    config = Config(maildirs=(MaildirConfig(f"{tmp_path}/*"),))
    pipeline, notifier = ListingPipeline(config), Heard()
    with Wakeup() as wakeup:
        hints = Hints(wakeup.ring)
        with Watcher(hints) as watcher:
            status = DaemonStatus(Counters(), overflows=lambda: watcher.overflows, restarts=lambda: watcher.restarts)
            daemon = Daemon(
                pipeline=pipeline,
                watcher=watcher,
                hints=hints,
                wakeup=wakeup,
                notifier=notifier,
                status=status,
                load=lambda: house.next(),  # noqa: PLW0108  set later
            )
            house = House(daemon, pipeline, notifier)
            yield house
            if house.thread and house.thread.is_alive():
                house.stop()


def test_from_delivery_to_done(house, box, wait):
    """What lies there at the start is caught up with, what arrives is noticed, and systemd hears of it all."""
    by_link(box, "1.a")
    house.start()
    wait(lambda: house.pipeline.done == [(box, "1.a")])
    by_link(box, "2.b")
    wait(lambda: (box, "2.b") in house.pipeline.done)
    by_rename(box, "3.c")
    wait(lambda: (box, "3.c") in house.pipeline.done)
    house.stop()
    assert house.pipeline.asked[:3] == ["recover", ("ann", WHOLE), ("ann", WHOLE)]
    assert ("ann", NEW) in house.pipeline.asked
    assert house.notifier.lines[0].startswith("STATUS=")
    assert house.notifier.lines[1] == "READY=1"
    assert house.notifier.lines[-1] == "STOPPING=1"
    assert house.daemon.status.snapshot()["by_maildir"] == {box: {"spam": 3}}


def test_what_the_look_at_the_state_raises_ends_it(house, box, wait):
    """It is asked before each look at all, and is no bug to live through."""
    asked = []

    def gone():
        asked.append(len(house.pipeline.asked))
        if len(asked) == 2:
            raise TemporaryError("the state folder is gone")

    now = 0.0
    house.daemon.clock = lambda: now
    house.daemon.check_state = gone
    ended = []

    def run():
        with pytest.raises(TemporaryError):
            house.daemon.run()
        ended.append(True)

    house.thread = threading.Thread(target=run, daemon=True)
    house.thread.start()
    wait(lambda: house.daemon.status.scans == 1)
    now = 46.0
    house.daemon.wakeup.ring()
    wait(lambda: house.daemon.status.scans == 2)
    now = 92.0
    house.daemon.wakeup.ring()
    wait(lambda: ended)


def test_idle_it_sleeps(house, wait):
    """Between events the loop does not turn at all: no scan, no look, no wake-up."""
    turns = []
    sleep = house.daemon.wakeup.wait
    house.daemon.wakeup.wait = lambda seconds: turns.append(seconds) or sleep(seconds)
    house.start()
    wait(lambda: turns)
    count = len(turns)
    threading.Event().wait(0.3)  # idleness has no event to wait for
    assert len(turns) <= count + 1
    assert 30 < turns[-1] <= 45


def test_a_new_maildir_is_picked_up(house, tmp_path, wait):
    """Globs are resolved again at each look; the message for which it was made is new mail, not an archive."""
    house.start()
    wait(lambda: ("ann", WHOLE) in house.pipeline.asked)
    second = make(tmp_path / "bob")
    by_link(second, "1.a")
    house.daemon.hints.doubt_all()
    wait(lambda: (second, "1.a") in house.pipeline.done)
    assert ("bob", WHOLE, CatchUp.UNSEEN) in house.pipeline.asked


def test_a_lost_event_is_found_by_the_scan(house, box, wait):
    """With a watcher that is deaf, mail is late and not lost."""
    now = 0.0
    house.daemon.clock = lambda: now
    house.start()
    wait(lambda: house.daemon.status.scans == 1)
    house.daemon.watcher.on_event = lambda event: None
    by_link(box, "1.a")
    now = 46.0
    house.daemon.wakeup.ring()
    wait(lambda: house.pipeline.done == [(box, "1.a")])
    wait(lambda: house.daemon.status.scans == 2)


def test_a_dead_watcher_is_replaced(house, box, wait):
    """At the next turn, with a look at everything."""
    house.start()
    wait(lambda: house.daemon.status.scans == 1)
    inotify = house.daemon.watcher._inotify
    inotify.stop()
    inotify.join()
    by_link(box, "1.a")
    house.daemon.wakeup.ring()
    wait(lambda: house.pipeline.done == [(box, "1.a")])
    assert house.daemon.status.snapshot()["restarts"] == 1


def test_a_flood_in_one_maildir_does_not_starve_another(house, tmp_path, box, wait):
    """After its turn the others come first, and then the rest of the flood."""
    now = 0.0

    def before_each(candidate):
        nonlocal now
        now += TURN_SECONDS / 3

    by_link(make(tmp_path / "bob"), "1")
    for number in range(9):
        by_link(box, str(number))
    house.daemon.clock = lambda: now
    house.pipeline.before_each = before_each
    house.start()
    wait(lambda: len(house.pipeline.done) == 10)
    order = [Path(maildir).name for maildir, _ in house.pipeline.done]
    assert order[:5] == ["ann"] * 4 + ["bob"]
    assert len(set(house.pipeline.done)) == 10


def test_mail_that_may_end_the_process_comes_last(house, tmp_path, box, wait):
    """What was in progress at a crash waits until the mail of all Maildirs is judged, and for mail that comes then."""
    second = make(tmp_path / "bob")
    by_link(box, "1.suspect")
    by_link(box, "2")
    by_link(second, "1.suspect")
    by_link(second, "2")
    house.pipeline.suspects = ("1.suspect",)

    def before_each(candidate):
        if candidate.name == "1.suspect" and candidate.maildir == box:
            by_link(second, "3")

    house.pipeline.before_each = before_each
    house.start()
    wait(lambda: len(house.pipeline.done) == 5)
    order = [(Path(maildir).name, name) for maildir, name in house.pipeline.done]
    assert sorted(order[:2]) == [("ann", "2"), ("bob", "2")]
    assert ("bob", "3") in order[2:]
    assert sorted(one for one in order[2:] if one[1] == "1.suspect") == [("ann", "1.suspect"), ("bob", "1.suspect")]


def test_the_heart_beats_with_each_maildir(house, tmp_path, wait):
    """A look at many Maildirs on a slow disk is no standstill, nor is their first scan."""
    for number in range(20):
        make(tmp_path / f"user{number}")
    beats = []
    house.notifier.beat = lambda: beats.append(None)
    house.start()
    wait(lambda: house.daemon.status.scans == 1)
    assert len(beats) > 4 * 20  # found, watched, scanned, and scanned again


def test_stop_ends_after_the_message_in_hand(house, box):
    """The rest waits for the next start."""
    for number in range(9):
        by_link(box, str(number))
    house.pipeline.before_each = lambda candidate: house.daemon.stop()
    house.start()
    house.thread.join(5)
    assert house.pipeline.done == [(box, "0")]
    assert house.notifier.lines[-1] == "STOPPING=1"


def test_a_bug_does_not_end_it(house, tmp_path, box, wait, caplog):
    """It is told with its place, without the words of a message, and the next Maildir's mail is judged."""
    second = make(tmp_path / "bob")

    def before_each(candidate):
        if candidate.maildir == box:
            raise ZeroDivisionError("Dear Bob")

    by_link(box, "1")
    by_link(second, "1")
    house.pipeline.before_each = before_each
    house.start()
    wait(lambda: house.pipeline.done == [(second, "1")])
    house.stop()
    assert house.daemon.status.errors >= 1


def test_the_layer_of_a_user_with_whose_mail_something_failed_is_suspended(house, box, wait):
    """It may be that layer: without it the mail is judged with the next scan. The loop goes on."""
    suspended, failing = [], [True]

    class Feedback:
        def suspend(self, maildir, error):
            suspended.append((maildir, type(error)))
            failing.clear()

        def work(self):
            return False

        def due(self):
            return float("inf")

    def before_each(candidate):
        if failing:
            raise ZeroDivisionError

    house.daemon.feedback = Feedback()
    house.pipeline.before_each = before_each
    by_link(box, "1")
    house.start()
    wait(lambda: suspended)
    by_link(box, "2")
    wait(lambda: len(house.pipeline.done) == 2)
    assert suspended == [(box, ZeroDivisionError)]


def test_reload_takes_what_is_new(house, tmp_path, box, wait):
    """Another model and other Maildirs, from the next message on."""
    house.start()
    wait(lambda: house.daemon.status.scans == 1)
    other = make(tmp_path / "other" / "carl")
    by_link(other, "1")
    classifier = SimpleNamespace(bundle=SimpleNamespace(label="tiny 2"))
    house.next = lambda: (Config(maildirs=(MaildirConfig(f"{tmp_path}/other/*"),)), classifier)
    house.daemon.reload()
    wait(lambda: house.pipeline.done == [(other, "1")])
    by_link(box, "2")
    house.stop()
    assert house.pipeline.done == [(other, "1")]
    assert house.daemon.status.snapshot()["model"] == "tiny 2"
    lines = [line for line in house.notifier.lines if not line.startswith("STATUS=")]
    assert lines == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]


@pytest.mark.parametrize(
    "told",
    [(ConfigError("c.toml:1: policy.alow: is not a setting"), "policy.alow"), (KeyError("a bug"), "KeyError")],
)
def test_a_wrong_configuration_is_not_taken(house, box, wait, caplog, told):
    """It says why, tells systemd that the reload is over, and goes on as before."""

    def refuse():
        raise told[0]

    house.start()
    wait(lambda: house.daemon.status.scans == 1)
    house.next = refuse
    with caplog.at_level(logging.ERROR, "spamlstm"):
        house.daemon.reload()
        wait(lambda: house.notifier.lines.count("READY=1") == 2)
    assert told[1] in caplog.text
    by_link(box, "1")
    wait(lambda: house.pipeline.done == [(box, "1")])
    assert house.daemon.status.reloads == 0


def test_metrics_are_written_where_asked(house, tmp_path, wait):
    """The file is there after the first look."""
    target = tmp_path / "x.prom"
    house.pipeline.config = Config(house.pipeline.config.policy, metrics=MetricsConfig(textfile=str(target)))
    house.start()
    wait(target.exists)
    assert 'spamlstm_info{version="' in target.read_text()


def test_a_dry_run_says_so(house, wait):
    """Whoever looks at the status sees at once that nothing is touched."""
    house.pipeline.config = Config(maildirs=house.pipeline.config.maildirs, daemon=DaemonConfig(dry_run=True))
    house.start()
    wait(lambda: "READY=1" in house.notifier.lines)
    assert house.daemon.status.line().startswith("dry run, 1 Maildirs")
