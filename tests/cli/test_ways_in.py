"""The same message gets the same score in every way in: with real model, daemon and sockets.

A further way is a function and a line in WAYS. IMAP needs Dovecot and is in tests/peers/test_imap_scores.py.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import maildirs
import pytest
from listening import exchange
from mta import LOCAL_CLIENT, added, connected_mta
from own_mail import COUNT, is_unchanged_by_servers, own_mail

from spamlstm.cli.filter import filter_here
from spamlstm.cli.filter_client import FilterOptions, _ask
from spamlstm.maildir.headers import points, untag
from spamlstm.model.classifier import Classifier
from spamlstm.verdict import Verdict

pytestmark = [pytest.mark.model, pytest.mark.timeout(240)]

PATIENCE = 200
# Points have one decimal, so a difference of 0.01 in the scores would change the points of 20 of the 200 messages.
LARGEST_DIFFERENCE = 0.0


@dataclass
class Site:
    """A running daemon with a Maildir, whose mail is always tagged, and all listeners in one folder."""

    folder: Path
    classifier: Classifier

    @property
    def maildir(self) -> str:
        return str(self.folder / "Maildir")


@pytest.fixture(scope="module")
def messages():
    found = own_mail()
    assert len(found) == COUNT
    return found


@pytest.fixture(scope="module")
def site(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    maildirs.make(folder / "Maildir")
    tables = [f'[[maildir]]\npath = "{folder}/Maildir"\nspam = ["tag"]\nunsure = ["tag"]\nham = ["tag"]']
    tables += [f'[{name}]\nlisten = "unix:{folder}/{name}.sock"' for name in ("filter", "http", "milter", "spamd")]
    (folder / "config.toml").write_text("\n".join(tables))
    command = [sys.executable, "-m", "spamlstm", "run", "--config", folder / "config.toml", "--state", folder / "state"]
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder / "data")}
    with subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr:
                if " ready " in line:
                    break
            # Nobody reads the log, so a full pipe must not stop the daemon.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield Site(folder, Classifier.open())
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def expected(site, messages):
    """The points of each message, classified alone."""
    threshold = site.classifier.policy.thresholds.spam
    judgements = [site.classifier.classify(raw) for raw in messages]
    found = [points(one, spam_threshold=threshold) for one in judgements]
    assert {one.verdict for one in judgements} == set(Verdict)
    assert len(set(found)) > COUNT / 4
    return found


# --- the ways ------------------------------------------------------------------------------------------------------


def in_header(message: bytes) -> float:
    """Return the score in the only X-Spam-Status header."""
    (score,) = re.findall(rb"(?m)^X-Spam-Status: \w+, score=([0-9.]+) ", message.partition(b"\n\n")[0])
    return float(score)


def in_maildir(site: Site, messages: list[bytes]) -> list[float]:
    for number, raw in enumerate(messages):
        maildirs.by_rename(site.maildir, f"{number:03}.host", raw)
    new, tick = Path(site.maildir, "new"), threading.Event()
    for _ in range(PATIENCE * 10):
        found = [path.read_bytes() for path in new.iterdir() if not re.fullmatch(r"\d+\.host", path.name)]
        if len(found) == len(messages):
            break
        tick.wait(0.1)
    scores = {untag(one): in_header(one) for one in found}
    return [scores[raw] for raw in messages]


def by_filter(site: Site, messages: list[bytes]) -> list[float]:
    return [in_header(_ask(f"{site.folder}/filter.sock", FilterOptions(), raw)[1]) for raw in messages]


def by_filter_alone(site: Site, messages: list[bytes]) -> list[float]:
    options = FilterOptions()
    options.state = str(site.folder / "none")
    return [
        in_header(filter_here(options, raw, open_classifier=lambda *_, **__: site.classifier)[1]) for raw in messages
    ]


def by_spamd(site: Site, messages: list[bytes]) -> list[float]:
    request = b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s"
    answers = [exchange(f"{site.folder}/spamd.sock", request % (len(raw), raw)) for raw in messages]
    return [float(re.search(rb"Spam: \w+ ; ([0-9.]+) /", answer)[1]) for answer in answers]


def by_http(site: Site, messages: list[bytes]) -> list[float]:
    request = b"POST /checkv2 HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s"
    answers = [exchange(f"{site.folder}/http.sock", request % (len(raw), raw)) for raw in messages]
    return [json.loads(answer.partition(b"\r\n\r\n")[2])["score"] for answer in answers]


WAYS: dict[str, Callable[[Site, list[bytes]], list[float]]] = {
    "Maildir": in_maildir,
    "filter, with the daemon": by_filter,
    "filter, alone": by_filter_alone,
    "http": by_http,
    "spamd": by_spamd,
}


@pytest.mark.parametrize("way", WAYS)
def test_the_same_score_in_every_way_in(site, messages, expected, way):
    """The points of all messages are those of a message alone, whatever is classified together with it."""
    differences = [abs(one - other) for one, other in zip(WAYS[way](site, messages), expected, strict=True)]
    assert max(differences) <= LARGEST_DIFFERENCE


def test_the_milter_gives_the_same_score(site, messages, expected):
    """Messages of a client on this machine get the points of a message alone, if a mail server need not repair them."""
    correct = [is_unchanged_by_servers(raw) for raw in messages]
    found = []
    with connected_mta(f"{site.folder}/milter.sock") as mta:
        mta.negotiate()
        mta.connect(LOCAL_CLIENT)
        for raw in compress(messages, correct):
            mta.content(raw.replace(b"\n", b"\r\n"))
            status = added(mta.verdict())["X-Spam-Status"]
            found.append(float(re.search("score=([0-9.]+) ", status)[1]))
    assert len(found) > COUNT / 2
    assert found == list(compress(expected, correct))


def test_the_status_counts_every_way(root, site):
    """Each listener and the Maildir counted all messages. This test comes after the ways."""
    command = [sys.executable, "-m", "spamlstm", "status", "--json", "--state", site.folder / "state"]
    status = json.loads(subprocess.run(command, cwd=root, capture_output=True, check=True).stdout)
    counted = {name: sum(one["judged"].values()) for name, one in status["listeners"].items()}
    assert counted == {"own": 0, "filter": COUNT, "http": COUNT, "milter": counted["milter"], "spamd": COUNT}
    assert sum(status["mail"]["judged"].values()) == COUNT
