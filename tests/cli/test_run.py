"""`spamlstm run` and `spamlstm status`, as processes."""

import contextlib
import fcntl
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

import maildirs
import pytest
from listening import exchange
from tiny_bundle import HAM, SPAM, UNSURE

from spamlstm.maildir.headers import untag

# Seconds after which a process that does not end fails a test; far more than a busy machine needs.
PATIENCE = 60


@pytest.fixture
def maildir(tmp_path):
    maildirs.make(tmp_path / "Maildir")
    return tmp_path / "Maildir"


@pytest.fixture
def environment(tmp_path, tiny):
    """A user without configuration, models or state."""
    return {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "SPAMLSTM_MODEL": str(tiny),
    }


@pytest.fixture
def spamlstm(root, environment):
    """Run a command to its end; return its exit status, output and error output."""

    def run(*arguments):
        command = [sys.executable, "-m", "spamlstm", *map(str, arguments)]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def daemon(root, environment):
    """Start `spamlstm run`; return the process and a function that reads its log up to a word."""
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
    (maildir / "tmp" / name).write_bytes(b"Message-ID: <%d@mx>\r\n%s" % (time.monotonic_ns(), raw))
    (maildir / "tmp" / name).rename(maildir / "new" / name)


def test_from_start_to_stop(daemon, spamlstm, maildir):
    """Spam is filed, ham stays, the status counts both, and SIGTERM ends the daemon with 0."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    assert "verdict=spam" in log_until("base=1.spam")
    deliver(maildir, "2.ham", HAM)
    assert "verdict=ham" in log_until("base=2.ham")
    assert [path.name for path in (maildir / "new").iterdir()] == ["2.ham"]
    assert len(list((maildir / ".Junk" / "new").iterdir())) == 1
    answer = json.loads(spamlstm("status", "--json")[1])
    assert answer["mail"]["judged"] == {"spam": 1, "ham": 1}
    assert answer["by_maildir"] == {str(maildir): {"spam": 1, "ham": 1, "moved": 1}}
    status, out, _ = spamlstm("status")
    assert status == 0
    assert f"process {process.pid}" in out
    assert "2, 1 ham, 1 spam" in out
    assert "ham up to 0.2, spam from 0.98 (from the model)" in out
    process.send_signal(signal.SIGTERM)
    log_until(" stopped ")
    assert process.wait(PATIENCE) == 0
    status, _, err = spamlstm("status")
    assert (status, err.count("\n")) == (69, 1)


def test_a_scan_after_a_dry_run(daemon, spamlstm, maildir):
    """`scan` does what `run --dry-run` reported, once; `scan --dry-run` shows it and leaves no trace."""
    process, log_until = daemon("--dry-run", maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    assert " dry maildir=" in log_until("base=1.spam")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    for _ in range(2):
        status, out, _ = spamlstm("scan", "--dry-run", maildir)
        assert (status, out.count("\n"), "would tag, file to .Junk" in out) == (0, 1, True)
    assert [path.name for path in (maildir / "new").iterdir()] == ["1.spam"]
    assert "\ttag, file to .Junk" in spamlstm("scan", maildir)[1]
    assert list((maildir / "new").iterdir()) == []
    assert spamlstm("scan", maildir) == (0, "", "")


def test_mail_between_two_runs(daemon, maildir):
    """The second run judges what was delivered in between, and no message is judged twice."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    log_until("base=1.spam")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    deliver(maildir, "2.spam", SPAM)
    _, log_until = daemon(maildir)
    assert "1.spam" not in log_until("base=2.spam")


def test_a_message_that_is_written_in_new_itself(daemon, maildir):
    """Some programs write into new itself: such a message is judged when it is complete, and not before."""
    _, log_until = daemon(maildir)
    log_until(" ready ")
    with (maildir / "new" / "1.slow").open("wb") as slow:
        assert "kind=unfinished" in log_until("base=1.slow")
        slow.write(SPAM)
    assert "verdict=spam" in log_until("base=1.slow")
    (filed,) = (maildir / ".Junk" / "new").iterdir()
    assert untag(filed.read_bytes()) == SPAM


def test_a_stop_in_the_middle_of_a_burst(daemon, maildir):
    """Each message is processed once, by this run or the next; none is lost or doubled."""
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
    assert process.wait(PATIENCE) == 0
    _, log_until = daemon(maildir)
    done = re.findall(r" done .* base=(\S+) ", first)
    while len(done) < count:
        done += re.findall(r" done .* base=(\S+) ", log_until(" done "))
    assert sorted(done) == sorted(f"{number}.x" for number in range(count))
    assert list((maildir / "new").iterdir()) == []
    assert len(list((maildir / ".Junk" / "new").iterdir())) == count


def test_a_reload_uses_the_new_configuration_or_says_why_not(daemon, spamlstm, maildir, tmp_path):
    """SIGHUP with a wrong configuration changes nothing; with a right one it applies to the next message."""
    file = tmp_path / "config.toml"
    file.write_text(f'[[maildir]]\npath = "{maildir}"\n')
    process, log_until = daemon("--config", file)
    log_until(" ready ")
    file.write_text(f'[[maildir]]\npath = "{maildir}"\nspam = ["tagg"]\n')
    process.send_signal(signal.SIGHUP)
    assert "did you mean 'tag'" in log_until("reload-failed")
    assert "did you mean 'tag'?; the previous configuration and model stay in use" in spamlstm("status")[1]
    deliver(maildir, "1.spam", SPAM)
    assert "actions=tag,file" in log_until("base=1.spam")
    file.write_text(f'[[maildir]]\npath = "{maildir}"\nspam = ["tag"]\n')
    process.send_signal(signal.SIGHUP)
    log_until(" ready ")
    assert json.loads(spamlstm("status", "--json")[1])["load_errors"] == {}
    deliver(maildir, "2.spam", SPAM)
    assert "actions=tag " in log_until("base=2.spam")


def test_a_dry_run_changes_no_mail(daemon, maildir):
    """`run --dry-run` changes no mail, even if a section of the configuration has dry_run = false."""
    _, log_until = daemon("--dry-run", maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    assert " dry " in log_until("base=1.spam")
    assert [path.name for path in (maildir / "new").iterdir()] == ["1.spam"]
    assert not (maildir / ".Junk").exists()


def test_it_ends_when_its_state_folder_is_gone(daemon, spamlstm, maildir, tmp_path):
    """Without its state folder the daemon ends with 75, so that systemd starts it again; the next start makes one."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    shutil.rmtree(tmp_path / "state")
    process.send_signal(signal.SIGHUP)  # causes a full scan, which checks the state folder
    assert "was removed or replaced while spamlstm was running" in process.stderr.read()
    assert process.wait(PATIENCE) == 75
    _, log_until = daemon(maildir)
    log_until(" ready ")
    assert spamlstm("status")[0] == 0


def test_a_state_folder_that_others_can_write_is_refused(spamlstm, maildir, tmp_path):
    """In such a folder no file is opened; a folder that others can only read is made private."""
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


# Hides what systemd's ProcSubset=pid hides and we read.
HIDDEN = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc/sys && exec "$0" "$@"')


def test_moves_are_learned_at_once_where_proc_sys_is_hidden(daemon, spamlstm, maildir, wait):
    """Moves are learned at once even if the kernel's limits cannot be read, as in a container."""
    if subprocess.run([*HIDDEN, "true"], capture_output=True, check=False).returncode:
        pytest.skip("only root with a mount namespace can hide /proc/sys")
    maildirs.make(maildir / ".Junk")
    (maildir / "cur" / "1.missed:2,S").write_bytes(b"Received: by mx with id 1\n" + UNSURE)
    _, log_until = daemon(maildir, within=HIDDEN)
    log_until(" ready ")
    answer = json.loads(spamlstm("status", "--json")[1])
    assert (answer["maildirs"]["watched"], answer["maildirs"]["most_watches"]) == (1, None)
    wait(lambda: json.loads(spamlstm("status", "--json")[1])["learning"]["rounds"])
    (maildir / "cur" / "1.missed:2,S").rename(maildir / ".Junk" / "cur" / "1.missed:2,S")
    log_until("learned")
    assert json.loads(spamlstm("status", "--json")[1])["scans"] == 1
    assert "(1 inotify watches)" in spamlstm("status")[1]


def test_a_maildir_that_another_process_has_locked(daemon, spamlstm, maildir):
    """The log reports the lock, and `status` counts the Maildir as refused."""
    handle = os.open(maildir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        _, log_until = daemon(maildir)
        assert f"another process holds a lock on {maildir}" in log_until(" ready ")
        assert "0 watched, 0 polled, 0 missing, 1 refused" in spamlstm("status")[1]
    finally:
        os.close(handle)


def test_status_names_maildirs_that_are_missing(daemon, spamlstm, maildir, tmp_path):
    """Each Maildir of the configuration that does not exist, or is not a Maildir, is counted and named with what to do.

    The log says the same, once.
    """
    home, plain, partial = tmp_path, tmp_path / "plain", tmp_path / "partial"
    plain.mkdir()
    (partial / "new").mkdir(parents=True)
    (home / "link").symlink_to(home / "nothing")
    names = (maildir.name, "typo", "plain", "partial", "link", "x*/Maildir")
    (home / "c.toml").write_text("".join(f'[[maildir]]\npath = "{home}/{name}"\n' for name in names))
    _, log_until = daemon("--config", home / "c.toml")
    log = log_until(" ready ")
    status, out, _ = spamlstm("status")
    assert (status, "1 watched, 0 polled, 4 missing" in out) == (0, True)
    remarks = [
        f"{home}/typo does not exist; correct the path, or create the Maildir, and it is watched",
        f"{home}/link is a symbolic link that leads to nothing; correct the link, or create its target",
        f"{partial} is not a Maildir, as new, cur or tmp is missing; it is watched once they exist",
        f"{plain} is not a Maildir, as new, cur or tmp is missing; it is watched once they exist",
        f"no folder matches {home}/x*/Maildir; correct the path, or create a Maildir",
    ]
    assert [line.strip() for line in out.splitlines() if line.strip() in remarks] == remarks
    assert [log.count(remark) for remark in remarks] == [1] * len(remarks)


def test_one_daemon_for_each_state_folder(daemon, spamlstm, maildir):
    """A second daemon on a state folder names the process of the first, and ends."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    status, _, err = spamlstm("run", maildir)
    assert status == 75
    assert f"(process {process.pid})" in err


@pytest.fixture
def visited(spamlstm, wait):
    """Make the daemon visit all folders and wait for that; return the learning part of its status."""

    def visit(process):
        def learning():
            return json.loads(spamlstm("status", "--json")[1])["learning"]

        before = learning()["rounds"]
        process.send_signal(signal.SIGHUP)
        wait(lambda: learning()["rounds"] > before)
        return learning()

    return visit


def score(log):
    return float(re.search(r" score=(\S+) .*$", log)[1])


def test_a_move_is_learned(daemon, spamlstm, maildir, visited):
    """Missed spam that is moved to junk is learned, and raises the score of similar mail; `undo` gives no label."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    log_until("base=1.spam")
    deliver(maildir, "2.missed", UNSURE)
    log_until("base=2.missed")
    assert visited(process)["moved"] == {}
    (missed,) = (maildir / "new").iterdir()
    missed.rename(maildir / ".Junk" / "cur" / f"{missed.name}:2,S")
    learned = log_until(" learned ").splitlines()[-1]
    assert re.search(r"learned maildir=\S+ id=[0-9a-f]{32} label=spam folder=junk$", learned)
    learning = visited(process)
    assert (learning["labels"], learning["moved"]) == ({"ham": 0, "spam": 1}, {"spam": 1})
    assert "1 spam; 1, 1 spam from moved mail since the start; the last 0 min ago" in spamlstm("status")[1]
    deliver(maildir, "3.like", UNSURE)
    assert score(log_until("base=3.like")) > 0.2
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)
    assert spamlstm("undo")[0] == 0
    process, log_until = daemon(maildir)
    log_until(" ready ")
    learning = visited(process)
    assert (learning["labels"], learning["moved"]) == ({"ham": 0, "spam": 1}, {})


def test_a_damaged_label_store_stops_no_mail(daemon, spamlstm, maildir, tmp_path):
    """The daemon files mail; the log says once what is wrong with the store, `status` as long as it is wrong."""
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
    assert f"the labels, retried every 10 s: {store} is damaged (label: 'maybe')" in line
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


def test_an_unreadable_act_in_the_journal_stops_no_mail(daemon, spamlstm, maildir, tmp_path):
    """The act is logged and left alone, and mail is filed."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    log_until("base=1.spam")
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / "spamlstm" / "journal.sqlite")) as database:
        database.execute("UPDATE acts SET state = 'open', actions = 'evil'")
        database.commit()
    process, log_until = daemon(maildir)
    assert "act-unreadable" in log_until(" ready ")
    deliver(maildir, "2.spam", SPAM)
    log_until("base=2.spam")
    assert len(list((maildir / ".Junk" / "new").iterdir())) == 2


def test_mail_that_a_user_moves_out_of_a_folder_of_sieve_stays_out(daemon, maildir, visited):
    """Mail that sieve files is learned as spam once read, and is not filed again when its user moves it out."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    maildirs.make(maildir / ".Junk")
    visited(process)
    (maildir / ".Junk" / "new" / "1.sieve").write_bytes(SPAM)
    (maildir / ".Junk" / "new" / "1.sieve").rename(maildir / ".Junk" / "cur" / "1.sieve:2,S")
    assert "label=spam" in log_until(" learned ")
    (maildir / ".Junk" / "cur" / "1.sieve:2,S").rename(maildir / "new" / "1.sieve")
    assert "label=ham" in log_until(" learned ")
    assert [path.name for path in (maildir / "new").iterdir()] == ["1.sieve"]


def test_labels_of_other_processes_count(daemon, spamlstm, maildir, tmp_path):
    """`spamlstm label` and `forget` take effect with the next message that the daemon judges."""
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


def test_learn_from_moves_off(daemon, maildir, tmp_path, visited, spamlstm):
    """With `learn_from_moves = false` no folder is visited."""
    file = tmp_path / "config.toml"
    file.write_text(f'[learning]\nlearn_from_moves = false\n[[maildir]]\npath = "{maildir}"\n')
    process, log_until = daemon("--config", file)
    log_until(" ready ")
    process.send_signal(signal.SIGHUP)
    log_until(" ready ")
    assert json.loads(spamlstm("status", "--json")[1])["learning"]["rounds"] == 0


def test_another_model_is_loaded_when_it_comes_into_use(daemon, maildir, environment, tiny, tmp_path):
    """A new model is used from the next message on; a damaged one is logged, and mail is judged as before."""
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
    log = log_until("model-load-failed")
    deliver(maildir, "2.spam", SPAM)
    log += log_until("base=2.spam")
    assert log.count("model=tiny-1") == 2
    use("two")
    deliver(maildir, "3.spam", SPAM)
    log = log_until("model-loaded")
    assert "load-failed" not in log
    deliver(maildir, "4.spam", SPAM)
    assert "model=tiny-2" in log_until("base=4.spam")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 78, "there is nothing to do"),
        (("{tmp}",), 66, "is not a Maildir"),
        (("--config", "none"), 78, "cannot be"),
    ],
)
def test_a_failed_start_is_a_sentence(spamlstm, tmp_path, arguments, status, words):
    """A failed start prints one line that says what is wrong; the exit status shows the kind of error."""
    got, _, err = spamlstm("run", *(one.format(tmp=tmp_path) for one in arguments))
    assert (got, err.count("\n")) == (status, 1)
    assert words in err


def test_a_library_that_cannot_be_loaded(root, environment, tmp_path, maildir):
    """A damaged installation is named as such, and is not a bug (70), for which systemd would restart the daemon."""
    (tmp_path / "numpy.py").write_text("raise ImportError('libx.so: no such file', name='numpy')")
    command = [sys.executable, "-m", "spamlstm", "run", str(maildir)]
    path = f"{tmp_path}:{root}"
    done = subprocess.run(
        command, cwd=root, env={**environment, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (69, 1)
    assert "the installation is damaged (libx.so: no such file); install spamlstm again" in done.stderr


def test_a_failed_start_has_the_priority_of_an_error(root, environment, tmp_path):
    """`journalctl -p err` shows each line of the reason; a line on another standard error has no priority."""
    config = tmp_path / "config.toml"
    config.write_text("[polcy]\n[learnin]\n")
    for is_journal in (True, False):
        with (tmp_path / "log").open("w+") as log:
            status = os.fstat(log.fileno())
            journal = f"{status.st_dev if is_journal else 9}:{status.st_ino}"
            subprocess.run(
                [sys.executable, "-m", "spamlstm", "run", "--config", str(config)],
                cwd=root,
                env={**environment, "JOURNAL_STREAM": journal},
                stderr=log,
                check=False,
            )
            lines = (tmp_path / "log").read_text().splitlines()
        assert len(lines) == 3
        assert {line.startswith("<3>") for line in lines} == {is_journal}


def test_the_log_has_no_text_of_mail(daemon, maildir):
    """The log contains no subject, no address and no words of a body."""
    _, log_until = daemon(maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    line = log_until("base=1.spam")
    assert not [word for word in ("plain subject", "ann@x.org", "pills") if word in line]


def test_the_state_is_private(daemon, maildir, tmp_path):
    """Other users can read nothing in the state folder."""
    _, log_until = daemon(maildir)
    log_until(" ready ")
    state = tmp_path / "state" / "spamlstm"
    assert state.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in Path(state).iterdir()} == {0}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_during_the_start(root, number):
    """SIGHUP requests a reload instead of ending the process; SIGTERM and SIGINT end it with status 0."""
    script = f"""
import os
from spamlstm.cli.run import _signals_while_starting

with _signals_while_starting() as requests:
    os.kill(os.getpid(), {int(signal.SIGHUP)})
    print(len(requests), flush=True)
    os.kill(os.getpid(), {int(number)})
print("still running")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_a_failed_start_restores_the_signal_handlers(spamlstm, tmp_path):
    """A start that fails leaves the signal handlers of the process as they were."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    assert spamlstm("run", tmp_path / "none")[0] == 66
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_daemon_without_maildirs(daemon, environment, tmp_path, spamlstm):
    """With a listener, the daemon needs no Maildir. SIGHUP moves the listener, and a stop removes its socket."""
    config, first, second = tmp_path / "c.toml", tmp_path / "first", tmp_path / "second"
    config.write_text(f'[spamd]\nlisten = "unix:{first}"\n')
    process, read_until = daemon("--config", config)
    read_until("ready")
    assert exchange(str(first), b"PING SPAMC/1.5\r\n\r\n") == b"SPAMD/1.5 0 PONG\r\n"
    config.write_text(f'[spamd]\nlisten = "unix:{second}"\n')
    process.send_signal(signal.SIGHUP)
    read_until("ready")
    assert exchange(str(second), b"PING SPAMC/1.5\r\n\r\n") == b"SPAMD/1.5 0 PONG\r\n"
    assert f"listener spamd    unix:{second}: 0 classified" in spamlstm("status")[1]
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert not first.exists()
    assert not second.exists()
