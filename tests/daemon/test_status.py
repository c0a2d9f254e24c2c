"""The daemon's status: for its owner on a socket, for Prometheus as text."""

import contextlib
import os
import socket
import urllib.error
import urllib.request
from collections import Counter

import pytest

from spamlstm.daemon import prometheus
from spamlstm.daemon.imap.account_session import AccountTally
from spamlstm.daemon.listeners.listener_counts import ListenerCounts
from spamlstm.daemon.server import answering, ask
from spamlstm.daemon.status import Coverage, DaemonStatus
from spamlstm.errors import UnavailableError
from spamlstm.filtering.counters import Counters
from spamlstm.filtering.outcome import Candidate, Outcome, Status
from spamlstm.tracking.learning_status import LearningStatus, Pause
from spamlstm.verdict import Judgement, Verdict

SPAM = Judgement(Verdict.SPAM, 0.99, 4.6, "score", "tiny 1")


@pytest.fixture
def status():
    counters = Counters()
    counters.judged["spam"] += 2
    counters.acted["file"] += 1
    counters.latency.observe(0.004)
    counters.latency.observe(0.3)
    one = DaemonStatus(counters, model='ti"ny 1', coverage=Coverage(watched=3, missing=1))
    candidate = Candidate("/mail/ann", "new", "1")
    one.count(Outcome(candidate, Status.DONE, SPAM, folder="/mail/ann/.Junk"))
    one.count(Outcome(candidate, Status.FAILED, SPAM, kind="disk-full", failure="the disk is full"))
    one.count(Outcome(candidate, Status.GONE))
    return one


def test_the_owner_can_ask(tmp_path, status):
    """Each connection gets one JSON object, also if the folder's path is too long for a socket."""
    state = tmp_path / ("long" * 30)
    state.mkdir()
    with answering(state, status.snapshot):
        assert (state / "status.sock").stat().st_mode & 0o777 == 0o600
        for _ in range(2):
            answer = ask(state)
        assert answer["mail"]["judged"] == {"spam": 2}
        assert (answer["p50"], answer["p99"]) == (0.005, 0.5)
        assert answer["by_maildir"] == {"/mail/ann": {"spam": 1, "moved": 1, "failed": 1}}
    assert list(state.iterdir()) == []


def test_a_dead_daemons_socket_is_replaced(tmp_path, status):
    """The socket that a kill leaves behind answers nobody, and the next start replaces it."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "status.sock"))
    with pytest.raises(UnavailableError, match="no spamlstm runs with the state folder"):
        ask(tmp_path)
    with answering(tmp_path, status.snapshot):
        assert ask(tmp_path)["version"]


def test_without_a_daemon_there_is_a_sentence(tmp_path):
    """Without a daemon, the sentence says how to start one."""
    with pytest.raises(UnavailableError, match="start it with 'spamlstm run'"):
        ask(tmp_path / "nowhere")


def test_a_silent_client_delays_nobody(tmp_path, status):
    """The server does not wait for a request."""
    with (
        answering(tmp_path, status.snapshot),
        socket.socket(socket.AF_UNIX) as silent,
    ):
        silent.connect(str(tmp_path / "status.sock"))
        assert ask(tmp_path)["version"]


def test_clients_that_do_not_read_delay_nobody(tmp_path, status):
    """The next client is answered, however long the answer is."""
    status.by_maildir = {f"/mail/{'x' * 200}/{number}": Counter(ham=1) for number in range(2_000)}
    with answering(tmp_path, status.snapshot), contextlib.ExitStack() as stack:
        for _ in range(40):
            silent = stack.enter_context(socket.socket(socket.AF_UNIX))
            silent.connect(str(tmp_path / "status.sock"))
        assert len(ask(tmp_path)["by_maildir"]) == 2_000


def test_paused_label_stores_are_counted(status):
    """The number of paused stores is a metric. The owners of the stores are shown only to the owner of the daemon."""
    pause = Pause("/mail/ann", "/state/maildirs/1", "it is damaged", 10.0)
    status.learning = LearningStatus(paused=(pause,)).snapshot
    assert status.snapshot()["learning"]["paused"] == [
        {"maildir": "/mail/ann", "state": "/state/maildirs/1", "why": "it is damaged", "delay": 10.0}
    ]
    text = prometheus.to_text(status.snapshot())
    assert "spamlstm_paused_label_stores 1" in text.splitlines()
    assert "/mail/ann" not in text


@pytest.mark.parametrize(("watched", "line"), [(1, "1 Maildir, "), (2, "2 Maildirs, ")])
def test_the_status_line(watched, line):
    """`systemctl status` shows the number of Maildirs in correct English."""
    assert DaemonStatus(Counters(), coverage=Coverage(watched=watched)).line().startswith(line)


def test_prometheus_text(status):
    """Each metric has help, type and value; buckets of histograms add up; no Maildir is named."""
    text = prometheus.to_text(status.snapshot())
    lines = text.splitlines()
    assert 'spamlstm_info{version="' in lines[2]
    assert 'model="ti\\"ny 1"' in lines[2]
    assert 'spamlstm_judged_total{verdict="spam"} 2' in lines
    assert 'spamlstm_maildirs{how="missing"} 1' in lines
    assert 'spamlstm_delivery_to_done_seconds_bucket{le="0.005"} 1' in lines
    assert 'spamlstm_delivery_to_done_seconds_bucket{le="+Inf"} 2' in lines
    assert "spamlstm_delivery_to_done_seconds_count 2" in lines
    assert "/mail/ann" not in text
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    samples = [line for line in lines if not line.startswith("#")]
    assert all(float(line.rpartition(" ")[2]) >= 0 for line in samples)


def test_prometheus_counts_accounts(status):
    """Each IMAP account has its messages by verdict and whether it is connected. No error is shown."""
    tally = AccountTally("imap.example.org")
    tally.judged["spam"] = 3
    tally.set("failed", "imap.example.org refused the login")
    status.accounts = lambda: {"work": tally.snapshot()}
    text = prometheus.to_text(status.snapshot())
    assert 'spamlstm_account_judged_total{account="work",verdict="spam"} 3' in text
    assert 'spamlstm_account_connected{account="work"} 0' in text
    assert "refused the login" not in text
    tally.set("connected")
    assert 'spamlstm_account_connected{account="work"} 1' in prometheus.to_text(status.snapshot())


def test_prometheus_counts_listeners(status):
    """Each listener has its requests by outcome and its connections; its address, perhaps a path, is not shown."""
    http, spamd = ListenerCounts("unix:/home/ann/s"), ListenerCounts("127.0.0.1:783")
    http.judged.update(spam=3, ham=1)
    http.refused, http.open, spamd.dropped = 2, 1, 4
    status.listeners = lambda: {"http": http.snapshot(), "spamd": spamd.snapshot()}
    text = prometheus.to_text(status.snapshot())
    assert "/home/ann" not in text
    lines = text.splitlines()
    assert [line for line in lines if "listener_judged" in line] == [
        "# HELP spamlstm_listener_judged_total Messages classified for clients.",
        "# TYPE spamlstm_listener_judged_total counter",
        'spamlstm_listener_judged_total{listener="http",verdict="ham"} 1',
        'spamlstm_listener_judged_total{listener="http",verdict="spam"} 3',
    ]
    assert 'spamlstm_listener_refused_total{listener="http"} 2' in lines
    assert 'spamlstm_listener_open_connections{listener="http"} 1' in lines
    assert 'spamlstm_listener_dropped_total{listener="spamd"} 4' in lines


def test_the_textfile_is_replaced_at_once(tmp_path):
    """The text file is replaced by a new file with mode 644, and no other file is left in the folder."""
    path = tmp_path / "x.prom"
    prometheus.write_textfile(path, "old\n")
    before = path.stat().st_ino
    prometheus.write_textfile(path, "new\n")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new\n", 0o644)
    assert path.stat().st_ino != before
    assert list(tmp_path.iterdir()) == [path]


def test_the_textfile_follows_no_link(tmp_path):
    """A link in place of the file is replaced, and its target stays as it is."""
    secret = tmp_path / "secret"
    secret.write_text("root:x:0:0")
    secret.chmod(0o600)
    path = tmp_path / "x.prom"
    path.symlink_to(secret)
    prometheus.write_textfile(path, "new\n")
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("root:x:0:0", 0o600)
    assert (path.is_symlink(), path.read_text()) == (False, "new\n")


def test_the_temporary_name_cannot_be_guessed(tmp_path, monkeypatch):
    """The temporary name is different each time. If a file has that name, nothing is written and the file stays."""
    path = tmp_path / "x.prom"
    names = []
    rename = os.rename
    monkeypatch.setattr(os, "rename", lambda old, new, **how: names.append(old) or rename(old, new, **how))
    prometheus.write_textfile(path, "1\n")
    prometheus.write_textfile(path, "2\n")
    assert len(set(names)) == 2
    monkeypatch.setattr(os, "urandom", bytes)
    (tmp_path / f".x.prom.{'00' * 8}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        prometheus.write_textfile(path, "3\n")
    assert (path.read_text(), (tmp_path / "elsewhere").exists()) == ("2\n", False)


def test_temporary_files_of_a_crash_are_removed(tmp_path):
    """The next write removes regular files with such a name that are older than an hour, and nothing else."""
    path = tmp_path / "x.prom"
    old, new, other = (tmp_path / f".x.prom.{letter * 16}" for letter in "abc")
    for one in (old, new, tmp_path / ".x.prom.bak"):
        one.write_text("x")
    for one in (old, tmp_path / ".x.prom.bak"):
        os.utime(one, (1, 1))
    other.symlink_to(new)
    os.utime(other, (1, 1), follow_symlinks=False)
    prometheus.write_textfile(path, "1\n")
    assert sorted(tmp_path.iterdir()) == sorted([path, new, other, tmp_path / ".x.prom.bak"])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_listener_serves_metrics_and_nothing_else(host):
    """On both loopback addresses; after the block nothing listens."""
    shown = f"[{host}]" if ":" in host else host
    with prometheus.served((host, 0), lambda: "x 1\n") as port:
        with urllib.request.urlopen(f"http://{shown}:{port}/metrics", timeout=5) as answer:
            assert (answer.read(), answer.headers["Content-Type"]) == (b"x 1\n", prometheus.CONTENT_TYPE)
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            urllib.request.urlopen(f"http://{shown}:{port}/", timeout=5)
        caught.value.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://{shown}:{port}/metrics", timeout=5)


def test_a_set_clock_does_not_change_the_uptime(monkeypatch):
    """A machine without a clock of its own starts in 1970 and is set later. The uptime stays the real one."""
    with monkeypatch.context() as before:
        before.setattr("time.time", lambda: 0.0)
        status = DaemonStatus(Counters())
    assert 0 <= status.snapshot()["uptime"] < 3600
