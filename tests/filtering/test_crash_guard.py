"""A message that ends the process is found and set aside; no other message is."""

# ruff: noqa: PTH104, PTH118  as in maildir

import contextlib
import logging
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from house import OPENED, House, WordJudge, make, raw
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_house import LearningHouse

from spamlstm.config import Config, MaildirConfig
from spamlstm.filtering.crash_guard import MOST_CRASHES, WHY, CrashGuard
from spamlstm.filtering.in_progress import Item
from spamlstm.filtering.inbox_index import DAY, REMEMBERED
from spamlstm.filtering.journal import NAME, Journal
from spamlstm.filtering.outcome import Counters, Status
from spamlstm.filtering.pipeline import Pipeline
from spamlstm.model.workers import same_modules

KILLED = -9


class CrashError(BaseException):
    """The end of the process; `crashed` then restores the journal as it was at that moment."""


class CrashingJudge(WordJudge):
    """Crashes at a message that says 'kill', and whenever `others` returns true."""

    def __init__(self, others=lambda house: False):
        super().__init__()
        self.house = None
        self.others = others

    def judge_many(self, mails, **how):
        def live(mails):
            for key, content in mails:
                if (content and b"kill" in content) or self.others(self.house):
                    crash(self.house)
                yield key, content

        return super().judge_many(live(mails), **how)


def crash(house):
    """Save the journal as it is now: a killed process writes nothing more, while this one still unwinds."""
    with contextlib.closing(sqlite3.connect(house.state / "crashed")) as target:
        house.journal._connection.backup(target)
    raise CrashError


def crashed(house, work):
    """Return whether `work` ends in a crash; if so, start the next process."""
    try:
        work()
    except CrashError:
        house.journal.close()
        for suffix in ("-wal", "-shm"):
            (house.state / (NAME + suffix)).unlink(missing_ok=True)
        (house.state / "crashed").rename(house.state / NAME)
        house.open()
        return True
    return False


def crashing_house(path, **how):
    judge = CrashingJudge(**how)
    house = House(make(path / "Maildir"), path / "state", {"spam": (), "unsure": ()}, judge=judge)
    judge.house = house
    return house.watch()


@pytest.fixture
def house(tmp_path):
    """One Maildir, and a judge that crashes at a message that says 'kill'."""
    return crashing_house(tmp_path)


def running(house):
    (count,) = house.journal._connection.execute("SELECT count(*) FROM in_progress WHERE running").fetchone()
    return count


def rows(house):
    (count,) = house.journal._connection.execute("SELECT count(*) FROM in_progress").fetchone()
    return count


def serve(house):
    """Run until there is no crash; returns the outcomes and the number of crashes."""
    outcomes, crashes = [], 0
    while crashed(house, lambda: outcomes.extend(house.pipeline.follow(house.pipeline.scan(house.root)))):
        crashes += 1
        assert crashes < 50
    return outcomes, crashes


def test_in_a_real_process(tmp_path):
    """SIGKILL at one message: all other mail is judged, and the message is set aside until it or the model changes."""
    ann, bob = make(tmp_path / "ann"), make(tmp_path / "bob")
    count = iter(range(100))

    def deliver(root, body, name=None):
        number = next(count)
        path = Path(root, "new", name or f"{number:02}.{body}")
        (path.parent.parent / "tmp" / path.name).write_bytes(raw(body, number))
        (path.parent.parent / "tmp" / path.name).rename(path)

    def run(model="words 1"):
        command = [
            sys.executable,
            Path(__file__).resolve().parents[1] / "fixtures" / "deadly.py",
            tmp_path / "state",
            model,
            ann,
            bob,
        ]
        return subprocess.run(command, env=same_modules(), capture_output=True, text=True, check=False)

    def judged():
        with contextlib.closing(sqlite3.connect(tmp_path / "state" / NAME)) as journal:
            return {base.decode() for (base,) in journal.execute("SELECT base FROM judgements")}

    for body in ("ham", "kill", "ham"):
        deliver(ann, body)
    for _ in range(2):
        deliver(bob, "ham")
    assert run().returncode == KILLED  # with all of Ann's mail in progress
    deliver(ann, "ham")
    assert run().returncode == KILLED  # alone
    assert judged() == {"00.ham", "03.ham", "04.ham", "05.ham"}
    assert run().returncode == KILLED  # alone
    assert judged() == {"00.ham", "02.ham", "03.ham", "04.ham", "05.ham"}
    last = run()
    assert (last.returncode, last.stdout) == (0, "{'unreadable': 1}\n"), last.stderr
    assert Path(ann, "new", "01.kill").exists()

    deliver(bob, "kill", "06.kill")  # alone from the beginning
    assert [run().returncode for _ in range(3)] == [KILLED, KILLED, 0]
    assert [run("words 2").returncode for _ in range(5)] == [KILLED] * 4 + [0]
    deliver(bob, "ham", "06.kill")
    assert run("words 2").returncode == 0
    assert "06.kill" in judged()
    assert "01.kill" not in judged()


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.sampled_from(["ham", "ham", "kill"]), max_size=4), min_size=1, max_size=3),
    st.lists(st.booleans(), max_size=30),
)
def test_no_innocent_message_is_set_aside(batches, kills):
    """Deadly messages among others, and kills from outside, at most one of them at any message that is alone.

    Each deadly message is set aside after three crashes at most, and all other mail is judged.
    """
    kills, hit = iter(kills), set()

    def killed(house):
        if not next(kills, False):
            return False
        alone = running(house) == 1
        files = house.journal._connection.execute("SELECT name FROM in_progress WHERE running").fetchall()
        if alone and files[0] in hit:
            return False
        hit.update(files if alone else [])
        return True

    with tempfile.TemporaryDirectory() as folder:
        house = crashing_house(Path(folder), others=killed)
        outcomes, crashes = [], 0
        for bodies in batches:
            for number, body in enumerate(bodies):
                house.deliver(body, name=f"{house.count}.{number}.{body}")
            more, times = serve(house)
            outcomes, crashes = outcomes + more, crashes + times
        house.clock.now += DAY
        assert house.run() == []
        while OPENED:
            OPENED.pop().close()
    wanted = [body for bodies in batches for body in bodies]
    aside = {one.candidate.name for one in outcomes if one.status is Status.FAILED}
    left = {one.candidate.name for one in outcomes if one.status is Status.LEFT}
    assert all(name.endswith("kill") for name in aside)
    assert (len(aside), len(left)) == (wanted.count("kill"), wanted.count("ham"))
    assert crashes <= 3 * wanted.count("kill") + 30


def test_it_is_said_once(house, caplog):
    """It is in the log, the counters and the outcomes, with a sentence; later scans open no file."""
    path = house.deliver("kill")
    with caplog.at_level(logging.DEBUG, "spamlstm"):
        (outcome,), crashes = serve(house)
        house.clock.now += DAY
        assert house.run() == []
    assert (outcome.kind, outcome.failure, crashes) == ("unreadable", WHY, MOST_CRASHES)
    assert house.counters.failed == {"unreadable": 1}
    warnings = [one.event for one in caplog.records if one.levelno == logging.WARNING]
    assert warnings == ["ended-while-judging"] * MOST_CRASHES + ["failed"]
    os.chmod(path, 0)  # noqa: PTH101  nobody reads it
    house.again()
    assert [one.failure for one in house.run()] == [WHY]


def test_a_message_that_changes_is_judged(house):
    """Another file under the name is judged, and so is the file with another mtime; a reader's rename is no change."""
    path = house.deliver("kill", name="1.host")
    serve(house)
    moved = os.path.join(house.root, "cur", "1.host:2,S")
    os.rename(path, moved)
    house.clock.now += DAY
    assert house.run() == []
    Path(moved).write_bytes(raw("ham", 2))
    os.utime(moved, (house.clock.now,) * 2)
    house.clock.now += DAY
    assert [one.status for one in house.run()] == [Status.LEFT]
    assert rows(house) == 0


def test_another_version_tries_again(house, monkeypatch):
    """Another version of the program or of the model judges the message again."""
    house.deliver("kill")
    serve(house)
    house.judge.bundle = SimpleNamespace(label="words 2")
    house.again()
    assert serve(house)[1] == MOST_CRASHES
    monkeypatch.setattr("spamlstm.filtering.crash_guard.__version__", "99")
    house.again()
    assert serve(house)[1] == MOST_CRASHES


def test_a_clean_end_leaves_no_suspect(house):
    """A signal between two messages, an error, or a caller that stops early leaves nothing in progress."""
    for _ in range(9):
        house.deliver("ham")
    stops = iter([False, False, True])
    house.pipeline.process(house.pipeline.scan(house.root), stop=lambda: next(stops, True))
    assert rows(house) == 0

    house.judge.others = lambda one: 1 / 0
    with pytest.raises(ZeroDivisionError):
        house.run()
    assert rows(house) == 0

    house.judge.others = lambda one: False
    for number in range(2):
        house.deliver(
            "ham" + "x" * 600_000, name=f"0{number}"
        )  # a run of two, so that the first batch ends in the second
    for _ in range(100):
        house.deliver("ham")
    following = house.pipeline.follow(house.pipeline.scan(house.root))
    next(following)
    assert rows(house) > 0
    following.close()
    assert rows(house) == 0


def test_a_clean_end_forgets_no_crash(house):
    """A pass that is stopped before a suspect is judged leaves it a suspect."""
    house.deliver("kill")
    assert crashed(house, house.run)
    house.pipeline.process(house.pipeline.scan(house.root), stop=lambda: True)
    assert (rows(house), running(house)) == (1, 0)
    assert crashed(house, house.run)
    assert [one.failure for one in house.run()] == [WHY]


def test_one_crash_is_no_proof(house):
    """After one kill at ordinary mail, the message is judged at the next start, and nothing is remembered."""
    house.deliver("ham")
    kills = iter([True])
    house.judge.others = lambda one: next(kills, False)
    assert crashed(house, house.run)
    assert [one.status for one in house.run()] == [Status.LEFT]
    assert rows(house) == 0


def test_a_restart_of_the_machine_is_no_crash(tmp_path):
    """If the machine has restarted, it may have lost power: the message is not charged with the crash."""
    house = crashing_house(tmp_path)
    item = Item(house.root, 1, 2, 3, 4)
    for boot, crashes in ((50.0, 0), (49.0, 0), (60.0, 1)):
        guard = CrashGuard(house.journal, clock=house.clock, since_boot=lambda: 50.0)
        guard._record([item])
        CrashGuard(house.journal, clock=house.clock, since_boot=lambda boot=boot: boot - 0.5).recover()
        assert guard._crashes(item) == crashes


def test_a_file_of_any_date(house):
    """Inode and time may use 64 bits, as on XFS in the year 2400."""
    item = Item(house.root, 1, (1 << 64) - 5, 3, 1 << 63)
    guard = CrashGuard(house.journal, clock=house.clock)
    guard._record([item])
    guard.recover()
    assert guard._crashes(item) == 1


def test_suspects_are_forgotten_with_the_journal(house):
    """Suspects are forgotten after ninety days, like judgements."""
    house.deliver("kill")
    assert crashed(house, house.run)
    os.rename(os.path.join(house.root, "new", "1.host"), os.path.join(house.root, "tmp", "1.host"))
    house.clock.now += REMEMBERED - DAY
    house.run()
    assert rows(house) == 1
    house.clock.now += 2 * DAY
    house.run()
    assert rows(house) == 0


def test_a_dry_run_knows_what_is_set_aside(house):
    """A dry run leaves suspects alone too, in its copy of the journal, while the daemon uses the original."""
    house.deliver("kill")
    house.deliver("ham", name="2")
    serve(house)
    house.deliver("ham", name="3")
    copy = Journal.copy(house.state)
    OPENED.append(copy)
    config = Config(maildirs=(MaildirConfig(house.root, spam=()),))
    dry = Pipeline(config=config, classifier=house.judge, journal=copy, counters=Counters(), clock=house.clock)
    assert {one.candidate.name: one.status for one in dry.process(dry.scan(house.root))} == {
        "1.host": Status.FAILED,
        "3": Status.LEFT,
    }
    assert [one.status for one in house.run()] == [Status.LEFT]


def test_a_journal_that_cannot_be_written(house, monkeypatch):
    """Then mail is judged without the guard, and messages that cannot be recorded fail as before."""
    house.deliver("ham")
    house.journal._connection.execute("PRAGMA query_only = 1")
    assert [one.kind for one in house.run()] == ["journal"]
    house.journal._connection.execute("PRAGMA query_only = 0")
    house.clock.now += DAY
    assert [one.status for one in house.run()] == [Status.LEFT]


def test_a_message_that_ends_the_process_when_it_is_learned(tmp_path, caplog):
    """After two crashes its label is given up; labels of other mail are learned."""
    house = LearningHouse(make(tmp_path / "Maildir"), tmp_path / "state", {"spam": (), "unsure": ()}).watch()
    mails = [raw("ham", number) for number in range(2)]
    for content in mails:
        house.deliver(content=content)
    house.run()
    junk = house.folder(".Junk")
    house.look()
    for content in mails:
        house.move(content, junk)

    def look():
        said = house.label_stores.add_label

        def say(maildir, content, label):
            if content == mails[0]:
                crash(house)
            return said(maildir, content, label)

        house.label_stores.add_label = say
        house.look()

    assert [crashed(house, look) for _ in range(3)] == [True, True, False]
    assert (house.label_of(mails[0]), house.label_of(mails[1])) == (None, "spam")
    assert "not-learned" in caplog.text
    caplog.clear()
    look()
    assert caplog.text == ""
