"""`spamlstm run --dry-run` with an IMAP account on a real Dovecot."""

import os
import shutil
import signal
import subprocess

import pytest
from dovecot import running
from imap_account import SPECIAL, account_toml
from import_guard import guarded
from watching import ROOT, labels_by_mark, message, until

from spamlstm.config import CatchUp

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]


def contents(server):
    """Return the mail by the names of its files, the keywords, the folders and subscriptions, and the new messages."""
    ours = {path for path in server.maildir.rglob("*") if path.parent.name in ("cur", "new")}
    named = {str(path.relative_to(server.maildir)): path.read_bytes() for path in ours}
    keywords = {
        str(path.relative_to(server.maildir)): path.read_bytes() for path in server.maildir.rglob("dovecot-keywords")
    }
    with server.session() as session:
        listed, subscribed = (sorted(filter(None, answer[1])) for answer in (session.list(), session.lsub()))
        answers = listed, subscribed, session.status("INBOX", "(MESSAGES UNSEEN RECENT)")[1]
    return named, keywords, answers


def move(server, number, source, target):
    with server.session() as session:
        session.select(source)
        session.uid("MOVE", session.uid("SEARCH", "HEADER", "X-Mark", str(number))[1][0].decode(), target)


@pytest.mark.parametrize("has_junk", [False, True])
def test_a_dry_run_changes_nothing_on_the_server(tiny, tmp_path, has_junk):
    """No message, flag, keyword, folder or subscription changes, not even of mail whose move became a label."""
    config = tmp_path / "config.toml"
    names = ("Archive", "Junk") if has_junk else ("Archive",)
    with running(SPECIAL if has_junk else "", mailboxes=names) as server:
        for number in range(6):
            server.deliver(number)
        if has_junk:
            with server.session() as session:
                session.append("Junk", None, None, message(7))
        actions = 'spam = ["file", "keyword"]\nham = ["keyword"]\n'
        config.write_text(f'{account_toml(server.port)}{actions}[daemon]\ncatch_up = "{CatchUp.ALL}"\n')
        state, log = tmp_path / "state", tmp_path / "log"
        state.mkdir(mode=0o700)
        before = contents(server)
        environment = {**os.environ, "SPAMLSTM_MODEL": str(tiny)}
        command = guarded("run", "--dry-run", "--config", config, "--state", state)
        with log.open("w") as out, subprocess.Popen(command, cwd=ROOT, env=environment, stderr=out) as process:
            try:
                until(lambda: log.read_text().count(" dry ") == 6)
                until(lambda: " account-connected " in log.read_text())
                assert contents(server) == before
                if has_junk:
                    move(server, 7, "Junk", "INBOX")
                    moved = contents(server)
                    until(lambda: labels_by_mark(state) == {7: "ham"})
                    process.send_signal(signal.SIGHUP)
                    until(lambda: log.read_text().count(" ready ") == 2)
                    assert contents(server) == moved
            finally:
                process.terminate()
        assert process.returncode == 0
        assert server.complaints() == []
