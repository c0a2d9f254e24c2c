"""`spamlstm undo` on an IMAP account of a real Dovecot: filed mail returns, once, and is not filed or learned again."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter

import pytest
from clients import moved
from dovecot import running
from imap_account import SPECIAL, CuttingProxy, account_toml, served, shown_by
from watching import ROOT, message, until

from spamlstm.maildir.content_id import content_id

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]
# Commands of a connection that undoes one act, after the login.
COMMANDS = range(4, 13)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    return tmp_path


def undo(folder, port, *arguments, kill=None):
    """Run `spamlstm undo` as a process. Return its status, its lines as JSON objects, and its complaints.

    `kill` is called with the process.
    """
    (folder / "config.toml").write_text(account_toml(port))
    command = [sys.executable, "-m", "spamlstm", "undo", "--json", "--config", folder / "config.toml"]
    command += ["--state", folder / "state", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        if kill:
            kill(process)
        out, err = process.communicate(timeout=120)
    return process.returncode, [json.loads(line) for line in out.splitlines()], err


def id_of(number):
    return content_id(message(number))


def filed(server, folder, tiny, count, *, port=None):
    """Deliver messages, and wait until the daemon has filed the spam among them. One in three is spam."""
    with served(server, folder / "state", tiny, port=port) as account:
        for number in range(count):
            server.deliver(number)
        until(lambda: sum(account.tally.judged.values()) == count)
        until(lambda: account.places()["Junk"] == list(range(1, count, 3)))
        until(lambda: account.tally.acted["file"] == len(range(1, count, 3)))


def keywords(server):
    """Return the keywords of the messages in the inbox."""
    with server.session() as session:
        session.select("INBOX", readonly=True)
        flags = b" ".join(session.uid("FETCH", "1:*", "(FLAGS)")[1])
    return {word for word in flags.replace(b")", b" ").split() if word.startswith(b"$")}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("capabilities", ["", "imap_capability = IMAP4rev1 UIDPLUS\n"], ids=["modern", "old"])
def test_filed_mail_returns(capabilities, folder, tiny):
    """A dry run changes nothing; undo moves mail back unread and without keyword; the daemon then leaves it alone.

    No label follows, and what the user moved in the meantime is left where it is.
    """
    with running(SPECIAL + capabilities) as server:
        filed(server, folder, tiny, 9)
        with server.session() as session:
            moved(session, "Junk", 7, "Archive", "COPY")
        before = shown_by(server)
        status, rows, err = undo(folder, server.port, "--dry-run")
        assert (status, err) == (0, "")
        assert Counter(row["status"] for row in rows) == {"undone": 2, "elsewhere": 1}
        assert shown_by(server) == before
        status, rows, err = undo(folder, server.port)
        assert (status, err) == (0, "")
        assert {row["id"]: row["status"] for row in rows} == {
            id_of(1): "undone",
            id_of(4): "undone",
            id_of(7): "elsewhere",
        }
        assert {(row["from"], row["to"], row["account"]) for row in rows if row["status"] == "undone"} == {
            ("Junk", "INBOX", "127.0.0.1")
        }
        assert rows[0]["actions"] == ["keyword", "file"]
        assert shown_by(server) == {"INBOX": [0, 1, 2, 3, 4, 5, 6, 8], "Junk": [], "Archive": [7]}
        assert keywords(server) == set()
        assert [row["status"] for row in undo(folder, server.port)[1]] == ["elsewhere"]
        with served(server, folder / "state", tiny) as account:
            account.visited()
            assert account.labels() == {7: "ham"}  # its user moved it out of junk
            assert not sum(account.tally.judged.values())
            assert account.places()["INBOX"] == [0, 1, 2, 3, 4, 5, 6, 8]
        assert server.complaints() == []


@pytest.mark.timeout(300)
def test_one_message_is_named(folder, tiny):
    """A message is named by its Message-ID, its id or a copy of it; a stopped server and an unknown name are sentences.

    The UIDs of the junk folder have changed since, so messages are recognised by their content.
    """
    (folder / "copy.eml").write_bytes(message(4))
    with running(SPECIAL) as server:
        filed(server, folder, tiny, 9)
        server.stop()
        server.renumber(".Junk", validity=2_000_000_000)
        status, rows, _ = undo(folder, server.port, id_of(1))
        assert (status, [row["status"] for row in rows]) == (75, ["failed"])
        assert "no connection" in rows[0]["failure"]
        server.start()
        status, rows, err = undo(folder, server.port, "<none@example.org>")
        assert (status, rows) == (66, [])
        assert "no filed or tagged message has the Message-ID" in err
        for number, name in ((7, "<7.spam@mx>"), (1, id_of(1)), (4, folder / "copy.eml")):
            status, rows, err = undo(folder, server.port, name)
            assert (status, err) == (0, "")
            assert [(row["id"], row["status"]) for row in rows] == [(id_of(number), "undone")]
            assert number in shown_by(server)["INBOX"]
        assert shown_by(server)["INBOX"] == list(range(9))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("before", [False, True], ids=["after", "before"])
def test_an_undo_that_is_killed_at_any_command(before, folder, tiny):
    """After kill -9 at any command, a second undo and a restart of the daemon, each message exists once.

    Nothing is taken for a move of the user, and nothing is filed again.
    """
    count = 3 * len(COMMANDS)
    with running(SPECIAL) as server, CuttingProxy(server.port, before=before) as proxy:
        filed(server, folder, tiny, count, port=proxy.port)
        for at, commands in enumerate(COMMANDS):

            def kill(process, commands=commands):
                proxy.cut = lambda: process.send_signal(signal.SIGKILL)
                proxy.cut_after(commands)

            status, *_ = undo(folder, proxy.port, id_of(3 * at + 1), kill=kill)
            assert status in (-signal.SIGKILL, 0), status
            proxy.at = None
            if at % 2:  # what was begun is found out by the daemon, or by the next undo
                with served(server, folder / "state", tiny, port=proxy.port) as account:
                    account.visited()
                    assert account.labels() == {}
                    assert not sum(account.tally.judged.values())
        status, rows, _ = undo(folder, proxy.port)
        assert status == 0
        assert {row["status"] for row in rows} <= {"undone"}
        assert shown_by(server) == {"INBOX": list(range(count)), "Junk": [], "Archive": []}
        with served(server, folder / "state", tiny, port=proxy.port) as account:
            account.visited()
            assert account.labels() == {}
            assert not sum(account.tally.judged.values())
        assert shown_by(server)["INBOX"] == list(range(count))
        assert server.complaints() == []
