"""A message that ends the process is found and set aside; no other message is."""

# ruff: noqa: PTH104, PTH118  as in maildir

import contextlib
import logging
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from crashing import crash, crashed, crashing_inbox
from hypothesis import given, settings
from hypothesis import strategies as st
from inbox import OPENED, close_journals, raw
from maildirs import make
from tracked_maildir import TrackedMaildir

from spamlstm.config import Config, MaildirConfig
from spamlstm.filtering.counters import Counters
from spamlstm.filtering.crash_guard import MOST_CRASHES, WHY, CrashGuard
from spamlstm.filtering.in_progress import Item
from spamlstm.filtering.inbox_index import DAY, REMEMBERED
from spamlstm.filtering.journal import NAME, Journal
from spamlstm.filtering.outcome import Status
from spamlstm.filtering.pipeline import Pipeline
from spamlstm.model.workers import same_modules

KILLED = -9


@pytest.fixture
def inbox(tmp_path):
    """One Maildir, and a judge that crashes at a message that says 'kill'."""
    return crashing_inbox(tmp_path)


def running(inbox):
    (count,) = inbox.journal._connection.execute("SELECT count(*) FROM in_progress WHERE running").fetchone()
    return count


def rows(inbox):
    (count,) = inbox.journal._connection.execute("SELECT count(*) FROM in_progress").fetchone()
    return count


def serve(inbox):
    """Run until there is no crash; returns the outcomes and the number of crashes."""
    outcomes, crashes = [], 0
    while crashed(inbox, lambda: outcomes.extend(inbox.pipeline.follow(inbox.pipeline.scan(inbox.root)))):
        crashes += 1
        assert crashes < 50
    return outcomes, crashes


@pytest.fixture
def run(tmp_path):
    """Run a daemon on the Maildirs `ann` and `bob` until it is idle or killed. Return its exit status and output."""
    script = Path(__file__).resolve().parents[1] / "fixtures" / "deadly.py"
    command = [sys.executable, script, tmp_path / "state", tmp_path / "ann", tmp_path / "bob"]
    # Threads of a library would not be in the processes that are forked.
    environment = {**same_modules(), "OPENBLAS_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen(command, env=environment, **pipes) as process:

        def run(model="words 1"):
            process.stdin.write(f"{model}\n")
            output = ""
            while not re.fullmatch(r"-?\d+\n", line := process.stdout.readline()):
                assert line, "the process that starts the daemons has ended"
                output += line
            return int(line), output

        yield run
        process.stdin.close()


def test_in_a_real_process(tmp_path, run):
    """SIGKILL at one message: all other mail is judged, and the message is set aside until it or the model changes."""
    ann, bob = make(tmp_path / "ann"), make(tmp_path / "bob")
    count = iter(range(100))

    def deliver(root, body, name=None):
        number = next(count)
        path = Path(root, "new", name or f"{number:02}.{body}")
        (path.parent.parent / "tmp" / path.name).write_bytes(raw(body, number))
        (path.parent.parent / "tmp" / path.name).rename(path)

    def judged():
        with contextlib.closing(sqlite3.connect(tmp_path / "state" / NAME)) as journal:
            return {base.decode() for (base,) in journal.execute("SELECT base FROM judgements")}

    for body in ("ham", "kill", "ham"):
        deliver(ann, body)
    for _ in range(2):
        deliver(bob, "ham")
    assert run() == (KILLED, "")  # with all of Ann's mail in progress
    deliver(ann, "ham")
    assert run() == (KILLED, "")  # alone
    assert judged() == {"00.ham", "03.ham", "04.ham", "05.ham"}
    assert run() == (KILLED, "")  # alone
    assert judged() == {"00.ham", "02.ham", "03.ham", "04.ham", "05.ham"}
    assert run() == (0, "{'unreadable': 1}\n")
    assert Path(ann, "new", "01.kill").exists()

    deliver(bob, "kill", "06.kill")  # alone from the beginning
    assert [run()[0] for _ in range(3)] == [KILLED, KILLED, 0]
    assert [run("words 2")[0] for _ in range(5)] == [KILLED] * 4 + [0]
    deliver(bob, "ham", "06.kill")
    assert run("words 2")[0] == 0
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

    def killed(inbox):
        if not next(kills, False):
            return False
        alone = running(inbox) == 1
        files = inbox.journal._connection.execute("SELECT name FROM in_progress WHERE running").fetchall()
        if alone and files[0] in hit:
            return False
        hit.update(files if alone else [])
        return True

    with tempfile.TemporaryDirectory() as folder:
        inbox = crashing_inbox(Path(folder), others=killed)
        outcomes, crashes = [], 0
        for bodies in batches:
            for number, body in enumerate(bodies):
                inbox.deliver(body, name=f"{inbox.count}.{number}.{body}")
            more, times = serve(inbox)
            outcomes, crashes = outcomes + more, crashes + times
        inbox.clock.now += DAY
        assert inbox.run() == []
        close_journals()
    wanted = [body for bodies in batches for body in bodies]
    aside = {one.candidate.name for one in outcomes if one.status is Status.FAILED}
    left = {one.candidate.name for one in outcomes if one.status is Status.LEFT}
    assert all(name.endswith("kill") for name in aside)
    assert (len(aside), len(left)) == (wanted.count("kill"), wanted.count("ham"))
    assert crashes <= 3 * wanted.count("kill") + 30


def test_it_is_said_once(inbox, caplog):
    """A message set aside is reported once: in the log, the counters and the outcomes. Later scans open no file."""
    path = inbox.deliver("kill")
    with caplog.at_level(logging.DEBUG, "spamlstm"):
        (outcome,), crashes = serve(inbox)
        inbox.clock.now += DAY
        assert inbox.run() == []
    assert (outcome.kind, outcome.failure, crashes) == ("unreadable", WHY, MOST_CRASHES)
    assert inbox.counters.failed == {"unreadable": 1}
    warnings = [one.event for one in caplog.records if one.levelno == logging.WARNING]
    assert warnings == ["ended-while-judging"] * MOST_CRASHES + ["failed"]
    os.chmod(path, 0)  # noqa: PTH101  nobody reads it
    inbox.again()
    assert [one.failure for one in inbox.run()] == [WHY]


def test_a_message_that_changes_is_judged(inbox):
    """Another file under the name is judged, and so is the file with another mtime; a reader's rename is no change."""
    path = inbox.deliver("kill", name="1.host")
    serve(inbox)
    moved = os.path.join(inbox.root, "cur", "1.host:2,S")
    os.rename(path, moved)
    inbox.clock.now += DAY
    assert inbox.run() == []
    Path(moved).write_bytes(raw("ham", 2))
    os.utime(moved, (inbox.clock.now,) * 2)
    inbox.clock.now += DAY
    assert [one.status for one in inbox.run()] == [Status.LEFT]
    assert rows(inbox) == 0


def test_another_version_tries_again(inbox, monkeypatch):
    """Another version of the program or of the model judges the message again."""
    inbox.deliver("kill")
    serve(inbox)
    inbox.judge.bundle = SimpleNamespace(label="words 2")
    inbox.again()
    assert serve(inbox)[1] == MOST_CRASHES
    monkeypatch.setattr("spamlstm.filtering.crash_guard.__version__", "99")
    inbox.again()
    assert serve(inbox)[1] == MOST_CRASHES


def test_a_clean_end_leaves_no_suspect(inbox):
    """A signal between two messages, an error, or a caller that stops early leaves nothing in progress."""
    for _ in range(9):
        inbox.deliver("ham")
    stops = iter([False, False, True])
    inbox.pipeline.process(inbox.pipeline.scan(inbox.root), stop=lambda: next(stops, True))
    assert rows(inbox) == 0

    inbox.judge.others = lambda one: 1 / 0
    with pytest.raises(ZeroDivisionError):
        inbox.run()
    assert rows(inbox) == 0

    inbox.judge.others = lambda one: False
    for number in range(2):
        inbox.deliver(
            "ham" + "x" * 600_000, name=f"0{number}"
        )  # a run of two, so that the first batch ends in the second
    for _ in range(100):
        inbox.deliver("ham")
    following = inbox.pipeline.follow(inbox.pipeline.scan(inbox.root))
    next(following)
    assert rows(inbox) > 0
    following.close()
    assert rows(inbox) == 0


def test_a_clean_end_forgets_no_crash(inbox):
    """A pass that is stopped before a suspect is judged leaves it a suspect."""
    inbox.deliver("kill")
    assert crashed(inbox, inbox.run)
    inbox.pipeline.process(inbox.pipeline.scan(inbox.root), stop=lambda: True)
    assert (rows(inbox), running(inbox)) == (1, 0)
    assert crashed(inbox, inbox.run)
    assert [one.failure for one in inbox.run()] == [WHY]


def test_one_crash_is_no_proof(inbox):
    """After one kill at ordinary mail, the message is judged at the next start, and nothing is remembered."""
    inbox.deliver("ham")
    kills = iter([True])
    inbox.judge.others = lambda one: next(kills, False)
    assert crashed(inbox, inbox.run)
    assert [one.status for one in inbox.run()] == [Status.LEFT]
    assert rows(inbox) == 0


def test_a_restart_of_the_machine_is_no_crash(tmp_path):
    """If the machine has restarted, it may have lost power: the message is not charged with the crash."""
    inbox = crashing_inbox(tmp_path)
    item = Item(inbox.root, 1, 2, 3, 4)
    for boot, crashes in ((50.0, 0), (49.0, 0), (60.0, 1)):
        guard = CrashGuard(inbox.journal, clock=inbox.clock, since_boot=lambda: 50.0)
        guard._record([item])
        CrashGuard(inbox.journal, clock=inbox.clock, since_boot=lambda boot=boot: boot - 0.5).recover()
        assert guard._crashes(item) == crashes


def test_a_file_of_any_date(inbox):
    """Inode and time may use 64 bits, as on XFS in the year 2400."""
    item = Item(inbox.root, 1, (1 << 64) - 5, 3, 1 << 63)
    guard = CrashGuard(inbox.journal, clock=inbox.clock)
    guard._record([item])
    guard.recover()
    assert guard._crashes(item) == 1


def test_suspects_are_forgotten_with_the_journal(inbox):
    """Suspects are forgotten after ninety days, like judgements."""
    inbox.deliver("kill")
    assert crashed(inbox, inbox.run)
    os.rename(os.path.join(inbox.root, "new", "1.host"), os.path.join(inbox.root, "tmp", "1.host"))
    inbox.clock.now += REMEMBERED - DAY
    inbox.run()
    assert rows(inbox) == 1
    inbox.clock.now += 2 * DAY
    inbox.run()
    assert rows(inbox) == 0


def test_a_dry_run_knows_what_is_set_aside(inbox):
    """A dry run leaves suspects alone too, in its copy of the journal, while the daemon uses the original."""
    inbox.deliver("kill")
    inbox.deliver("ham", name="2")
    serve(inbox)
    inbox.deliver("ham", name="3")
    copy = Journal.copy(inbox.state)
    OPENED.append(copy)
    config = Config(maildirs=(MaildirConfig(inbox.root, spam=()),))
    dry = Pipeline(config=config, classifier=inbox.judge, journal=copy, counters=Counters(), clock=inbox.clock)
    assert {one.candidate.name: one.status for one in dry.process(dry.scan(inbox.root))} == {
        "1.host": Status.FAILED,
        "3": Status.LEFT,
    }
    assert [one.status for one in inbox.run()] == [Status.LEFT]


def test_a_journal_that_cannot_be_written(inbox, monkeypatch):
    """Without a journal, mail is judged without the guard, and messages that cannot be recorded fail."""
    inbox.deliver("ham")
    inbox.journal._connection.execute("PRAGMA query_only = 1")
    assert [one.kind for one in inbox.run()] == ["journal"]
    inbox.journal._connection.execute("PRAGMA query_only = 0")
    inbox.clock.now += DAY
    assert [one.status for one in inbox.run()] == [Status.LEFT]


def test_a_message_that_ends_the_process_when_it_is_learned(tmp_path, caplog):
    """After two crashes its label is given up; labels of other mail are learned."""
    inbox = TrackedMaildir(make(tmp_path / "Maildir"), tmp_path / "state", {"spam": (), "unsure": ()}).watch()
    mails = [raw("ham", number) for number in range(2)]
    for content in mails:
        inbox.deliver(content=content)
    inbox.run()
    junk = inbox.folder(".Junk")
    inbox.look()
    for content in mails:
        inbox.move(content, junk)

    def look():
        add_label = inbox.label_stores.add_label

        def add_and_crash(maildir, content, label, *, answered):
            if content == mails[0]:
                crash(inbox)
            return add_label(maildir, content, label, answered=answered)

        inbox.label_stores.add_label = add_and_crash
        inbox.look()

    assert [crashed(inbox, look) for _ in range(3)] == [True, True, False]
    assert (inbox.label_of(mails[0]), inbox.label_of(mails[1])) == (None, "spam")
    assert "not-learned" in caplog.text
    caplog.clear()
    look()
    assert caplog.text == ""
