"""The same message gets the same score in a Maildir, in `spamlstm filter`, from the milter and by spamd's protocol."""

import os
import re
import subprocess
import sys
from pathlib import Path

import maildirs
import pytest
from listening import exchange
from mta import added, connected_mta
from tiny_bundle import SPAM

from spamlstm.cli.filter import filter_here
from spamlstm.cli.filter_client import FilterOptions, _filtered
from spamlstm.maildir.headers import points
from spamlstm.model.classifier import Classifier

COUNT = 50


def mails():
    """Messages with different scores, each with its number."""
    words = ("pills", "meeting", "neither", "pills and meeting", "meeting and meeting", "of pills and pills")
    return [SPAM.replace(b"buy cheap pills", f"{number} {words[number % 6]}".encode()) for number in range(COUNT)]


@pytest.fixture
def daemon(root, tmp_path, tiny, state):
    """A daemon on a Maildir whose mail is always tagged, with a milter and a listener for spamd's protocol."""
    box = maildirs.make(tmp_path / "Maildir")
    (tmp_path / "config.toml").write_text(
        f'[[maildir]]\npath = "{box}"\nspam = ["tag"]\nham = ["tag"]\n[spamd]\nlisten = "unix:{tmp_path}/spamd.sock"\n'
        f'[milter]\nlisten = "unix:{tmp_path}/milter.sock"\n'
    )
    command = [sys.executable, "-m", "spamlstm", "run", "--config", str(tmp_path / "config.toml")]
    environment = {**os.environ, "SPAMLSTM_MODEL": str(tiny), "STATE_DIRECTORY": str(state)}
    with subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if " ready " in line:
                break
        yield Path(box)
        process.terminate()


def scores(output):
    """Return the scores in the X-Spam-Status headers."""
    return re.findall(rb"(?m)^X-Spam-Status: \w+, score=([0-9.]+) ", output)


def test_the_same_score_in_every_way_in(daemon, state, tiny, spamlstm, wait):
    """Maildir, filter with and without the daemon, milter, spamd and the classifier give 50 messages the same score."""
    classifier = Classifier.open(tiny)
    expected = []
    for mail in mails():
        judgement = classifier.classify(mail)
        expected.append(f"{points(judgement, spam_threshold=classifier.policy.thresholds.spam):.1f}".encode())
    assert len(set(expected)) > 3
    for number, mail in enumerate(mails()):
        maildirs.by_rename(str(daemon), f"{number:02}.host", mail)
    by_daemon, alone = FilterOptions(), FilterOptions()
    by_daemon.state = alone.state = str(state)
    by_daemon.socket = str(state / "filter.sock")
    assert [scores(_filtered(by_daemon, mail)[1]) for mail in mails()] == [[one] for one in expected]
    assert [scores(filter_here(alone, mail)[1]) for mail in mails()] == [[one] for one in expected]
    request = b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s"
    answers = [exchange(f"{daemon.parent}/spamd.sock", request % (len(mail), mail)) for mail in mails()]
    assert [re.search(rb"; ([0-9.]+) /", answer)[1] for answer in answers] == expected

    with connected_mta(f"{daemon.parent}/milter.sock") as mta:
        mta.negotiate()
        mta.connect()
        by_milter = []
        for mail in mails():
            mta.content(mail)
            by_milter.append(added(mta.verdict())["X-Spam-Status"])
    assert [re.search("score=([0-9.]+) ", status)[1].encode() for status in by_milter] == expected

    def tagged():
        found = [path.read_bytes() for path in (daemon / "new").iterdir()]
        return found if len(found) == COUNT and all(map(scores, found)) else []

    wait(tagged)
    by_number = {int(re.search(rb"(?m)^(\d+) ", one)[1]): scores(one) for one in tagged()}
    assert [by_number[number] for number in range(COUNT)] == [[one] for one in expected]
    status, output, _ = spamlstm("status")
    assert re.search(rf"listener milter +unix:{daemon.parent}/milter.sock: {COUNT}, ", output)
    assert status == 0
    assert re.search(rf"listener spamd +unix:{daemon.parent}/spamd.sock: {COUNT}, ", output)
    assert re.search(rf"listener own +unix:{state}/filter.sock: {COUNT}, ", output)
