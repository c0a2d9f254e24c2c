"""The loop over Maildirs, with a real watcher, real Maildirs, and a pipeline that records how it is called."""

import logging
from pathlib import Path
from types import SimpleNamespace

from maildirs import by_link, by_rename, make

from spamlstm.config import CatchUp, Config, DaemonConfig, MaildirConfig, MetricsConfig
from spamlstm.daemon.hints import NEW
from spamlstm.daemon.loop import TURN_SECONDS
from spamlstm.errors import TemporaryError
from spamlstm.maildir.names import DELIVERED


def test_from_delivery_to_done(running, box, wait):
    """Mail is judged that lies there at the start or arrives later, and systemd gets the status."""
    by_link(box, "1.a")
    running.start()
    wait(lambda: running.pipeline.done == [(box, "1.a")])
    by_link(box, "2.b")
    wait(lambda: (box, "2.b") in running.pipeline.done)
    by_rename(box, "3.c")
    wait(lambda: (box, "3.c") in running.pipeline.done)
    running.stop()
    assert running.pipeline.calls[:3] == ["recover", ("ann", DELIVERED), ("ann", DELIVERED)]
    assert ("ann", NEW) in running.pipeline.calls
    assert running.notifier.lines[0].startswith("STATUS=")
    assert running.notifier.lines[1] == "READY=1"
    assert running.notifier.lines[-1] == "STOPPING=1"
    assert running.daemon.status.snapshot()["by_maildir"] == {box: {"spam": 3}}


def test_an_error_of_the_state_check_ends_it(running, box, wait):
    """The check is made before each scan of all Maildirs, and its error is no bug to survive."""
    checks = []

    def gone():
        checks.append(len(running.pipeline.calls))
        if len(checks) == 2:
            raise TemporaryError("the state folder is gone")

    now = 0.0
    running.daemon.clock = lambda: now
    running.daemon.check_state = gone
    ended = running.start_failing(TemporaryError)
    wait(lambda: running.daemon.status.scans == 1)
    now = 46.0
    running.daemon.wakeup.wake()
    wait(lambda: running.daemon.status.scans == 2)
    now = 92.0
    running.daemon.wakeup.wake()
    wait(lambda: ended)


def test_idle_it_sleeps_until_the_next_full_scan(running):
    """Without events the loop waits once, until the next scan of all Maildirs is due."""
    waits = []

    def wait(seconds):
        waits.append(seconds)
        # Events of the start, if any, have come by the second wait with nothing to do.
        if not running.daemon.hints and not running.daemon.wakeup._poll.poll(0):
            running.daemon.stop()
        return sleep(0)

    sleep, running.daemon.wakeup.wait = running.daemon.wakeup.wait, wait
    running.daemon.clock = lambda: 1000.0
    running.start()
    running.thread.join(5)
    assert not running.thread.is_alive()
    assert waits[-1] == 45.0
    assert len(waits) <= 2


def test_a_new_maildir_is_picked_up(running, tmp_path, wait):
    """Each full scan expands the globs again; the message for which a Maildir was created is new mail."""
    running.start()
    wait(lambda: ("ann", DELIVERED) in running.pipeline.calls)
    second = make(tmp_path / "bob")
    by_link(second, "1.a")
    running.daemon.hints.rescan_all()
    wait(lambda: (second, "1.a") in running.pipeline.done)
    assert ("bob", DELIVERED, CatchUp.UNSEEN) in running.pipeline.calls


def test_a_lost_event_is_found_by_the_scan(running, box, wait):
    """If the watcher misses a delivery, mail is late and not lost."""
    now = 0.0
    running.daemon.clock = lambda: now
    running.start()
    wait(lambda: running.daemon.status.scans == 1)
    running.daemon.watcher.on_event = lambda event: None
    by_link(box, "1.a")
    now = 46.0
    running.daemon.wakeup.wake()
    wait(lambda: running.pipeline.done == [(box, "1.a")])
    wait(lambda: running.daemon.status.scans == 2)


def test_a_dead_watcher_is_replaced(running, box, wait):
    """The next turn starts another one and scans all Maildirs."""
    running.start()
    wait(lambda: running.daemon.status.scans == 1)
    inotify = running.daemon.watcher._inotify
    inotify.stop()
    inotify.join()
    by_link(box, "1.a")
    running.daemon.wakeup.wake()
    wait(lambda: running.pipeline.done == [(box, "1.a")])
    assert running.daemon.status.snapshot()["restarts"] == 1


def test_a_flood_in_one_maildir_does_not_starve_another(running, tmp_path, box, wait):
    """After a flooded Maildir's turn the others come first, and then the rest of the flood."""
    now = 0.0

    def before_each(candidate):
        nonlocal now
        now += TURN_SECONDS / 3

    by_link(make(tmp_path / "bob"), "1")
    for number in range(9):
        by_link(box, str(number))
    running.daemon.clock = lambda: now
    running.pipeline.before_each = before_each
    running.start()
    wait(lambda: len(running.pipeline.done) == 10)
    order = [Path(maildir).name for maildir, _ in running.pipeline.done]
    assert order[:5] == ["ann"] * 4 + ["bob"]
    assert len(set(running.pipeline.done)) == 10


def test_mail_that_may_end_the_process_comes_last(running, tmp_path, box, wait):
    """Mail that was in progress at a crash waits for all other mail, also for mail that arrives meanwhile."""
    second = make(tmp_path / "bob")
    by_link(box, "1.suspect")
    by_link(box, "2")
    by_link(second, "1.suspect")
    by_link(second, "2")
    running.pipeline.suspects = ("1.suspect",)

    def before_each(candidate):
        if candidate.name == "1.suspect" and candidate.maildir == box:
            by_link(second, "3")

    running.pipeline.before_each = before_each
    running.start()
    wait(lambda: len(running.pipeline.done) == 5)
    order = [(Path(maildir).name, name) for maildir, name in running.pipeline.done]
    assert sorted(order[:2]) == [("ann", "2"), ("bob", "2")]
    assert ("bob", "3") in order[2:]
    assert sorted(one for one in order[2:] if one[1] == "1.suspect") == [("ann", "1.suspect"), ("bob", "1.suspect")]


def test_the_watchdog_is_notified_with_each_maildir(running, tmp_path, wait):
    """A scan of many Maildirs on a slow disk does not look like a standstill."""
    for number in range(20):
        make(tmp_path / f"user{number}")
    beats = []
    running.notifier.beat = lambda: beats.append(None)
    running.start()
    wait(lambda: running.daemon.status.scans == 1)
    assert len(beats) > 4 * 20  # found, watched, scanned, and scanned again


def test_stop_ends_after_the_message_in_progress(running, box):
    """The rest of the mail waits for the next start."""
    for number in range(9):
        by_link(box, str(number))
    running.pipeline.before_each = lambda candidate: running.daemon.stop()
    running.start()
    running.thread.join(5)
    assert running.pipeline.done == [(box, "0")]
    assert running.notifier.lines[-1] == "STOPPING=1"


def test_a_bug_does_not_end_it(running, tmp_path, box, wait, caplog):
    """A bug is logged, and the mail of the next Maildir is judged."""
    second = make(tmp_path / "bob")

    def before_each(candidate):
        if candidate.maildir == box:
            raise ZeroDivisionError("Dear Bob")

    by_link(box, "1")
    by_link(second, "1")
    running.pipeline.before_each = before_each
    running.start()
    wait(lambda: running.pipeline.done == [(second, "1")])
    running.stop()
    assert running.daemon.status.errors >= 1


def test_after_a_bug_the_user_s_layer_is_suspended(running, box, wait):
    """The layer may be the cause: the next scan judges the mail without it, and the loop goes on."""
    suspended, failing = [], [True]

    def suspend(maildir, error):
        suspended.append((maildir, type(error)))
        failing.clear()

    class Learning:
        label_stores = SimpleNamespace(suspend=suspend)

        def work(self):
            return False

        def due(self):
            return float("inf")

    def before_each(candidate):
        if failing:
            raise ZeroDivisionError

    running.daemon.learning = Learning()
    running.pipeline.before_each = before_each
    by_link(box, "1")
    running.start()
    wait(lambda: suspended)
    by_link(box, "2")
    wait(lambda: len(running.pipeline.done) == 2)
    assert suspended == [(box, ZeroDivisionError)]


def test_metrics_are_written_where_asked(running, tmp_path, wait):
    """The file exists after the first scan of all Maildirs."""
    target = tmp_path / "x.prom"
    running.pipeline.config = Config(running.pipeline.config.policy, metrics=MetricsConfig(textfile=str(target)))
    running.start()
    wait(target.exists)
    assert 'spamlstm_info{version="' in target.read_text()


def test_a_dry_run_says_so(running, wait):
    """The status line starts with it."""
    running.pipeline.config = Config(maildirs=running.pipeline.config.maildirs, daemon=DaemonConfig(dry_run=True))
    running.start()
    wait(lambda: "READY=1" in running.notifier.lines)
    assert running.daemon.status.line().startswith("dry run, 1 Maildir, ")


def warnings(caplog):
    return [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]


def test_nothing_to_watch_is_a_warning(running, box, wait, caplog):
    """If no Maildir of the configuration exists, one line says so, below the lines that say why."""
    running.pipeline.config = Config(maildirs=(MaildirConfig(f"{box}/none/*"),))
    with caplog.at_level(logging.INFO, "spamlstm"):
        running.start()
        wait(lambda: running.daemon.status.scans == 1)
    assert warnings(caplog) == [
        f'not-watched why="no folder matches {box}/none/*; correct the path, or create a Maildir"',
        'maildirs watched=0 polled=0 missing=0 why="there is nothing to watch, for the reasons above"',
    ]


def test_linked_folders_are_named_at_the_start(running, tmp_path, box, wait, caplog):
    """Folders that are symbolic links are skipped: one warning for each Maildir names them, at the start only."""
    for number in range(7):
        Path(box, f".Folder{number}").symlink_to(tmp_path)
    Path(box, ".dovecot.sieve").symlink_to(tmp_path)
    running.start()
    wait(lambda: running.daemon.status.scans == 1)
    running.daemon.hints.rescan_all()
    wait(lambda: running.daemon.status.scans == 2)
    (line,) = warnings(caplog)
    names = ", ".join(f".Folder{number}" for number in range(5))
    assert line.startswith(f'linked-folders maildir={box} count=7 folders="{names}" why="symbolic links are not')
