"""`spamlstm run` and `spamlstm status`, as a process that is started, asked and stopped."""

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_bundle import HAM, SPAM, UNSURE

from spamlstm.maildir.headers import untag


@pytest.fixture
def maildir(tmp_path):
    for part in ("tmp", "new", "cur"):
        (tmp_path / "Maildir" / part).mkdir(parents=True)
    return tmp_path / "Maildir"


@pytest.fixture
def environment(tmp_path, tiny):
    """A user with nothing of their own."""
    return {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "SPAMLSTM_MODEL": str(tiny),
    }


@pytest.fixture
def spamlstm(root, environment):
    """Run a command line to its end: gives (status, output, complaints)."""

    def run(*arguments):
        command = [sys.executable, "-m", "spamlstm", *map(str, arguments)]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def daemon(root, environment):
    """Start `spamlstm run`; gives the process and a function that reads its log up to a word."""
    started = []

    def start(*arguments, within=()):
        command = [*within, sys.executable, "-m", "spamlstm", "run", *map(str, arguments)]
        process = subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.PIPE, text=True)
        started.append(process)

        def log_until(word):
            lines = []
            for line in process.stderr:
                lines.append(line)
                if word in line:
                    return "".join(lines)
            raise AssertionError(f"it ended without {word!r}: {''.join(lines)}")

        return process, log_until

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def deliver(maildir, name, raw):
    (maildir / "tmp" / name).write_bytes(b"Received: by mx with id %d\r\n%s" % (time.monotonic_ns(), raw))
    (maildir / "tmp" / name).rename(maildir / "new" / name)


def test_from_start_to_stop(daemon, spamlstm, maildir):
    """Spam is filed, ham stays, the numbers tell of both, and SIGTERM ends it within a second, with 0."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    assert "verdict=spam" in log_until("base=1.spam")
    deliver(maildir, "2.ham", HAM)
    assert "verdict=ham" in log_until("base=2.ham")
    assert [path.name for path in (maildir / "new").iterdir()] == ["2.ham"]
    assert len(list((maildir / ".Junk" / "new").iterdir())) == 1
    told = json.loads(spamlstm("status", "--json")[1])
    assert told["mail"]["judged"] == {"spam": 1, "ham": 1}
    assert told["by_maildir"] == {str(maildir): {"spam": 1, "ham": 1, "moved": 1}}
    status, out, _ = spamlstm("status")
    assert status == 0
    assert f"process {process.pid}" in out
    assert "2, 1 ham, 1 spam" in out
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    assert time.monotonic() - began < 1.0
    status, _, err = spamlstm("status")
    assert (status, err.count("\n")) == (69, 1)


def test_what_came_meanwhile_is_caught_up_with(daemon, maildir):
    """Mail that is delivered between two runs is judged by the second one, and only by that."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    log_until("base=1.spam")
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 0
    deliver(maildir, "2.spam", SPAM)
    _, log_until = daemon(maildir)
    assert "1.spam" not in log_until("base=2.spam")


def test_a_message_that_is_written_in_new_itself(daemon, maildir):
    """Against the rules, but done: it is left alone until it is whole, and then judged at once."""
    _, log_until = daemon(maildir)
    log_until(" ready ")
    with (maildir / "new" / "1.slow").open("wb") as slow:
        assert "kind=unfinished" in log_until("base=1.slow")
        slow.write(SPAM)
    assert "verdict=spam" in log_until("base=1.slow")
    (filed,) = (maildir / ".Junk" / "new").iterdir()
    assert untag(filed.read_bytes()) == SPAM


def test_a_stop_in_the_middle_of_a_burst(daemon, maildir):
    """What is done is done once, the rest is done by the next start, and nothing is lost or doubled between."""
    count = 600
    process, log_until = daemon(maildir)
    log_until(" ready ")
    process.send_signal(signal.SIGSTOP)
    for number in range(count):
        deliver(maildir, f"{number}.x", SPAM)
    process.send_signal(signal.SIGCONT)
    first = log_until(" done ")
    process.send_signal(signal.SIGTERM)
    first += log_until(" stopped ")
    assert process.wait(10) == 0
    _, log_until = daemon(maildir)
    done = re.findall(r" done .* base=(\S+) ", first)
    while len(done) < count:
        done += re.findall(r" done .* base=(\S+) ", log_until(" done "))
    assert sorted(done) == sorted(f"{number}.x" for number in range(count))
    assert list((maildir / "new").iterdir()) == []
    assert len(list((maildir / ".Junk" / "new").iterdir())) == count


def test_a_reload_takes_the_new_configuration_or_says_why_not(daemon, maildir, tmp_path):
    """SIGHUP with a mistake changes nothing; without it the next message is treated by the new rule."""
    file = tmp_path / "config.toml"
    file.write_text(f'[[maildir]]\npath = "{maildir}"\n')
    process, log_until = daemon("--config", file)
    log_until(" ready ")
    file.write_text(f'[[maildir]]\npath = "{maildir}"\nspam = ["tagg"]\n')
    process.send_signal(signal.SIGHUP)
    assert "did you mean 'tag'" in log_until("not-reloaded")
    deliver(maildir, "1.spam", SPAM)
    assert "actions=tag,file" in log_until("base=1.spam")
    file.write_text(f'[[maildir]]\npath = "{maildir}"\nspam = ["tag"]\n')
    process.send_signal(signal.SIGHUP)
    log_until(" ready ")
    deliver(maildir, "2.spam", SPAM)
    assert "actions=tag " in log_until("base=2.spam")


def test_a_dry_run_touches_nothing(daemon, maildir):
    """Not by what the sections say either."""
    _, log_until = daemon("--dry-run", maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    assert " dry " in log_until("base=1.spam")
    assert [path.name for path in (maildir / "new").iterdir()] == ["1.spam"]
    assert not (maildir / ".Junk").exists()


def test_it_ends_when_its_state_folder_is_gone(daemon, spamlstm, maildir, tmp_path):
    """With 75, so that systemd starts it again; and it starts, with a state folder made anew."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    shutil.rmtree(tmp_path / "state")
    process.send_signal(signal.SIGHUP)  # what asks for a look at all
    assert "was removed or replaced while spamlstm was at work" in process.stderr.read()
    assert process.wait(5) == 75
    _, log_until = daemon(maildir)
    log_until(" ready ")
    assert spamlstm("status")[0] == 0


def test_a_state_folder_of_others_is_refused(spamlstm, maildir, tmp_path):
    """Before anything is opened there; what others could only read is closed to them."""
    state = tmp_path / "open"
    state.mkdir()
    state.chmod(0o777)
    for command in (["run"], ["scan"]):
        status, _, err = spamlstm(*command, maildir, "--state", state)
        assert (status, err.count("\n")) == (78, 1)
        assert f"chmod 700 {state}" in err
    assert list(state.iterdir()) == []
    state.chmod(0o755)
    assert spamlstm("scan", maildir, "--state", state)[0] == 0
    assert state.stat().st_mode & 0o777 == 0o700


# What systemd's ProcSubset=pid does, as far as it concerns us.
HIDDEN = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc/sys && exec "$0" "$@"')


def test_moves_are_learned_at_once_where_proc_sys_is_hidden(daemon, spamlstm, maildir):
    """Under the units nobody can read the kernel's limits; learning does not wait for a scan all the same."""
    if subprocess.run([*HIDDEN, "true"], capture_output=True, check=False).returncode:
        pytest.skip("only root with a mount namespace can hide /proc/sys")
    for part in ("tmp", "new", "cur"):
        (maildir / ".Junk" / part).mkdir(parents=True)
    (maildir / "cur" / "1.missed:2,S").write_bytes(b"Received: by mx with id 1\n" + UNSURE)
    _, log_until = daemon(maildir, within=HIDDEN)
    log_until(" ready ")
    told = json.loads(spamlstm("status", "--json")[1])
    assert (told["maildirs"]["watched"], told["maildirs"]["most_watches"]) == (1, None)
    while not json.loads(spamlstm("status", "--json")[1])["learning"]["rounds"]:
        pass
    (maildir / "cur" / "1.missed:2,S").rename(maildir / ".Junk" / "cur" / "1.missed:2,S")
    log_until("learned")
    assert json.loads(spamlstm("status", "--json")[1])["scans"] == 1
    assert "(1 inotify watches)" in spamlstm("status")[1]


def test_one_for_each_state_folder(daemon, spamlstm, maildir):
    """The second says who is there, and leaves."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    status, _, err = spamlstm("run", maildir)
    assert status == 75
    assert f"(process {process.pid})" in err


@pytest.fixture
def looked(spamlstm, wait):
    """Let the daemon look at all folders, and wait until it has; gives what it has learned since the start."""

    def look(process):
        def told():
            return json.loads(spamlstm("status", "--json")[1])["learning"]

        before = told()["rounds"]
        process.send_signal(signal.SIGHUP)
        wait(lambda: told()["rounds"] > before)
        return told()

    return look


def score(log):
    return float(re.search(r" score=(\S+) .*$", log)[1])


def test_what_a_user_does_is_learned(daemon, spamlstm, maildir, looked):
    """Missed spam that is moved to the junk folder is spam from then on, and so is its like; `undo` is no user."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    log_until("base=1.spam")
    deliver(maildir, "2.missed", UNSURE)
    log_until("base=2.missed")
    assert looked(process)["moved"] == {}
    (missed,) = (maildir / "new").iterdir()
    missed.rename(maildir / ".Junk" / "cur" / f"{missed.name}:2,S")
    learned = log_until(" learned ").splitlines()[-1]
    assert re.search(r"learned maildir=\S+ id=[0-9a-f]{32} label=spam place=junk$", learned)
    told = looked(process)
    assert (told["labels"], told["moved"]) == ({"ham": 0, "spam": 1}, {"spam": 1})
    assert "1 spam; since the start 1, 1 spam from what was done with mail; the last 0 min ago" in spamlstm("status")[1]
    deliver(maildir, "3.like", UNSURE)
    assert score(log_until("base=3.like")) > 0.2
    process.send_signal(signal.SIGTERM)
    process.wait(5)
    assert spamlstm("undo")[0] == 0
    process, log_until = daemon(maildir)
    log_until(" ready ")
    told = looked(process)
    assert (told["labels"], told["moved"]) == ({"ham": 0, "spam": 1}, {})


def test_a_damaged_label_store_stops_no_mail(daemon, spamlstm, maildir, tmp_path):
    """The daemon starts and files; the log says once what is wrong, and `status` for as long as it is."""
    path = tmp_path / "message.eml"
    path.write_bytes(UNSURE)
    assert spamlstm("label", "ham", path)[0] == 0
    store = tmp_path / "state" / "spamlstm" / "labels.sqlite"
    with contextlib.closing(sqlite3.connect(store)) as database:
        database.execute("UPDATE labels SET label = 'maybe'")
        database.commit()
    process, log_until = daemon(maildir)
    log = log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    log += log_until("base=1.spam")
    deliver(maildir, "2.spam", SPAM)
    log += log_until("base=2.spam")
    assert log.count("not-learned") == 1
    assert log.count(f"{store} is damaged") == 1
    assert "bug" not in log
    (paused,) = json.loads(spamlstm("status", "--json")[1])["learning"]["paused"]
    assert (paused["maildir"], paused["state"]) == (None, str(store.parent))
    (line,) = (line for line in spamlstm("status")[1].splitlines() if line.strip().startswith("paused"))
    assert f"the labels, asked again every 10 s: {store} is damaged (label: 'maybe')" in line
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0


def test_an_unknown_act_does_not_keep_the_daemon_from_starting(daemon, spamlstm, maildir, tmp_path):
    """It is told and left alone; mail is filed. `undo` names it."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    log_until("base=1.spam")
    process.send_signal(signal.SIGTERM)
    process.wait(5)
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / "spamlstm" / "journal.sqlite")) as database:
        database.execute("UPDATE acts SET state = 'open', actions = 'evil'")
        database.commit()
    process, log_until = daemon(maildir)
    assert "act-unreadable" in log_until(" ready ")
    deliver(maildir, "2.spam", SPAM)
    log_until("base=2.spam")
    assert len(list((maildir / ".Junk" / "new").iterdir())) == 2


def test_what_others_filed_and_its_user_takes_out_stays_out(daemon, maildir, looked):
    """Nobody judged it; the kernel tells of what is read in the junk folder, so that it is known when it comes out."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    for part in ("tmp", "new", "cur"):
        (maildir / ".Junk" / part).mkdir(parents=True)
    looked(process)
    (maildir / ".Junk" / "new" / "1.sieve").write_bytes(SPAM)
    (maildir / ".Junk" / "new" / "1.sieve").rename(maildir / ".Junk" / "cur" / "1.sieve:2,S")
    assert "label=spam" in log_until(" learned ")
    (maildir / ".Junk" / "cur" / "1.sieve:2,S").rename(maildir / "new" / "1.sieve")
    assert "label=ham" in log_until(" learned ")
    assert [path.name for path in (maildir / "new").iterdir()] == ["1.sieve"]


def test_what_another_process_was_told_counts(daemon, spamlstm, maildir, tmp_path):
    """A word on the command line is true for the next message that the daemon judges; so is its taking back."""
    _, log_until = daemon(maildir)
    log_until(" ready ")
    path = tmp_path / "message.eml"
    path.write_bytes(UNSURE)
    deliver(maildir, "1.like", UNSURE)
    assert score(log_until("base=1.like")) == 0
    assert spamlstm("label", "spam", path)[0] == 0
    deliver(maildir, "2.like", UNSURE)
    assert score(log_until("base=2.like")) > 0.05
    assert spamlstm("forget", path)[0] == 0
    deliver(maildir, "3.like", UNSURE)
    assert score(log_until("base=3.like")) == 0


def test_nothing_is_learned_where_that_is_not_wanted(daemon, maildir, tmp_path, looked, spamlstm):
    """`learn_from_moves = false`: labels are said by commands only."""
    file = tmp_path / "config.toml"
    file.write_text(f'[learning]\nlearn_from_moves = false\n[[maildir]]\npath = "{maildir}"\n')
    process, log_until = daemon("--config", file)
    log_until(" ready ")
    process.send_signal(signal.SIGHUP)
    log_until(" ready ")
    assert json.loads(spamlstm("status", "--json")[1])["learning"]["rounds"] == 0


def test_another_model_is_loaded_when_it_is_in_use(daemon, maildir, environment, tiny, tmp_path):
    """It takes over between two messages; one that is damaged does not, is told of once, and mail goes on."""
    models = tmp_path / "data" / "spamlstm" / "models"
    models.mkdir(parents=True)
    del environment["SPAMLSTM_MODEL"]
    environment["XDG_DATA_HOME"] = str(tmp_path / "data")

    def use(name):
        (models / "next").symlink_to(name)
        (models / "next").rename(models / "current")

    for name in ("one", "two", "broken"):
        shutil.copytree(tiny, models / name)
    manifest = json.loads((tiny / "manifest.json").read_text())
    (models / "two" / "manifest.json").write_text(json.dumps({**manifest, "version": "2"}))
    (models / "broken" / "model.onnx").write_bytes(b"half a mod")
    use("one")
    _, log_until = daemon(maildir)
    assert "model=tiny-1" in log_until(" ready ")
    use("broken")
    deliver(maildir, "1.spam", SPAM)
    log = log_until("model-not-loaded")
    deliver(maildir, "2.spam", SPAM)
    log += log_until("base=2.spam")
    assert log.count("model=tiny-1") == 2
    use("two")
    deliver(maildir, "3.spam", SPAM)
    log = log_until("model-loaded")
    assert "not-loaded" not in log
    deliver(maildir, "4.spam", SPAM)
    assert "model=tiny-2" in log_until("base=4.spam")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [((), 78, "there is nothing to watch"), (("{tmp}",), 66, "is no Maildir"), (("--config", "none"), 78, "cannot be")],
)
def test_what_cannot_be_started_is_a_sentence(spamlstm, tmp_path, arguments, status, words):
    got, _, err = spamlstm("run", *(one.format(tmp=tmp_path) for one in arguments))
    assert (got, err.count("\n")) == (status, 1)
    assert words in err


def test_the_log_has_no_text_of_mail(daemon, maildir):
    """No subject, no address, no word of the body."""
    _, log_until = daemon(maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    line = log_until("base=1.spam")
    assert not [word for word in ("plain subject", "ann@x.org", "pills") if word in line]


def test_the_state_is_its_owners(daemon, maildir, tmp_path):
    """Who gets which mail, and what it was judged, is nobody else's business."""
    _, log_until = daemon(maildir)
    log_until(" ready ")
    state = tmp_path / "state" / "spamlstm"
    assert state.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in Path(state).iterdir()} == {0}
