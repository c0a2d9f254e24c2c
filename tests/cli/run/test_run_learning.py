"""`spamlstm run` as a process: what users do with their mail is learned."""

import contextlib
import json
import re
import signal
import sqlite3
import subprocess
from pathlib import Path

import maildirs
import pytest
from running_daemon import PATIENCE, deliver
from tiny_bundle import SPAM, UNSURE

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


def test_a_rescue_from_a_new_junk_folder_is_learned_at_once(daemon, spamlstm, maildir, wait, visited):
    """The daemon creates the junk folder for the first spam; a move out of it is learned before the next full scan.

    A message that is moved back within milliseconds, during the first visit after it was filed, gives no label.
    """
    process, log_until = daemon(maildir)
    log_until(" ready ")
    wait(lambda: json.loads(spamlstm("status", "--json")[1])["learning"]["rounds"])
    deliver(maildir, "1.spam", SPAM)
    log_until("base=1.spam")
    (filed,) = (maildir / ".Junk" / "new").iterdir()
    files = Path(f"/proc/{process.pid}/fdinfo")
    wait(lambda: sum(file.read_text().count("inotify wd:") for file in files.iterdir()) == 3)
    visited(process)
    scans = json.loads(spamlstm("status", "--json")[1])["scans"]
    filed.rename(maildir / "cur" / f"{filed.name}:2,S")
    assert "label=ham" in log_until(" learned ")
    assert json.loads(spamlstm("status", "--json")[1])["scans"] == scans


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
    assert "1 spam); 1 from moved mail since the start (1 spam); the last 0 min ago" in spamlstm("status")[1]
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
