"""An IMAP account whose daemon is killed, whose server changes all UIDs, and which other clients use too."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import threading
from collections import Counter

import pytest
from clients import marks, moved
from dovecot import running
from imap_account import SPECIAL, CuttingProxy, account_toml, served, shown_by
from import_guard import guarded
from watching import ROOT, number_of, until

from spamlstm.config import CatchUp, Config, DaemonConfig, LearningConfig
from spamlstm.daemon.imap.account_state import BegunMove, HandledMessage
from spamlstm.daemon.imap.records import AccountRecords

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]
# Commands of a connection that classifies new mail, from the first that asks for it to IDLE.
COMMANDS = range(8, 15)


@contextlib.contextmanager
def daemon(folder, model):
    """Run `spamlstm run` with the configuration in a folder."""
    command = guarded("run", "--config", folder / "config.toml", "--state", folder / "state")
    environment = {**os.environ, "SPAMLSTM_MODEL": str(model)}
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


@pytest.mark.timeout(600)  # the daemon starts 9 times, which takes a busy machine minutes
@pytest.mark.parametrize("before", [False, True], ids=["after", "before"])
def test_a_daemon_that_is_killed_at_any_command(before, tiny, tmp_path):
    """After kill -9 and a restart, each spam is in junk once, all other mail in the inbox, and nothing was learned."""
    with running(SPECIAL) as server, CuttingProxy(server.port, before=before) as proxy:
        (tmp_path / "config.toml").write_text(account_toml(proxy.port))
        with daemon(tmp_path, tiny):
            until(lambda: b"IDLE" in b"".join(proxy.commands))
        for at, commands in enumerate(COMMANDS):
            for number in range(3 * at, 3 * at + 3):
                server.deliver(number)
            with daemon(tmp_path, tiny) as process:
                proxy.cut = lambda process=process: process.send_signal(signal.SIGKILL)
                proxy.cut_after(commands)
                assert process.wait(120) == -signal.SIGKILL
        proxy.at = None
        count = 3 * len(COMMANDS)
        with daemon(tmp_path, tiny):
            until(lambda: shown_by(server)["Junk"] == list(range(1, count, 3)))
        assert Counter(shown_by(server)["INBOX"]) == Counter(number for number in range(count) if number % 3 != 1)
        assert not (tmp_path / "state" / "labels.sqlite").exists()
        assert server.complaints() == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("validity", [2_000_000_000, None], ids=["new", "same"])
def test_new_uids_of_the_server_change_nothing(validity, tiny, tmp_path):
    """After the server changed all UIDs, known mail is known, new mail is classified, and rescued mail stays.

    The new message came in the same second as a rescued one and has its size. A server that restored a backup may use
    other UIDs under the same UIDVALIDITY.
    """
    config = Config(learning=LearningConfig(learn_from_moves=False))
    with running(SPECIAL) as server, CuttingProxy(server.port) as proxy:
        server.deliver(10)
        for one in (server.maildir / "new").iterdir():
            os.utime(one, (1_700_000_000, 1_700_000_000))
        with served(server, tmp_path / "state", tiny, port=proxy.port, config=config) as account:
            for number in range(5):
                server.deliver(number)
            until(lambda: shown_by(server)["Junk"] == [1, 4])
            with server.session() as session:
                moved(session, "Junk", 4, "INBOX", "MOVE")
            account.visited()
        server.stop()
        server.renumber("", ".Junk", validity=validity)
        server.deliver(7)
        files = {number_of(path.read_bytes()): path for path in server.maildir.glob("[cn]*/*")}
        os.utime(files[7], (files[4].stat().st_mtime, files[4].stat().st_mtime))
        server.start()
        with served(server, tmp_path / "state", tiny, port=proxy.port, config=config) as account:
            until(lambda: shown_by(server)["Junk"] == [1, 7])
            account.visited()
            assert shown_by(server)["INBOX"] == [0, 2, 3, 4, 10]
            assert dict(account.tally.judged)["spam"] == 1


@pytest.mark.timeout(300)
def test_a_uid_alone_names_no_message(tiny, tmp_path):
    """After an interrupted copy, the original is removed, and not another message that has its UID by now.

    A server that restored a backup under the same UIDVALIDITY gives UIDs again. The other message has the same size and
    came in the same second.
    """
    with running(SPECIAL) as server:
        for number in (0, 1, 4):
            server.deliver(number)
        for one in (server.maildir / "new").iterdir():
            os.utime(one, (1_700_000_000, 1_700_000_000))
        config = Config(daemon=DaemonConfig(catch_up=CatchUp.ALL, dry_run=True))
        with served(server, tmp_path / "state", tiny, config=config) as account:
            until(lambda: sum(account.tally.judged.values()) == 3)
            key = account.account.key
        with server.session() as session, contextlib.closing(AccountRecords.open(tmp_path / "state", key)) as records:
            session.select("INBOX")
            uids = {mark: uid for uid, mark in marks(session).items()}
            session.uid("COPY", str(uids[1]), "Junk")  # a daemon without MOVE is killed here
            session.uid("STORE", str(uids[0]), "+FLAGS", r"(\Deleted)")
            session.expunge()
            inbox, junk = ({one.name: one for one in records.folders()}[name] for name in ("INBOX", "Junk"))
            copy = records.copy(inbox.id, uids[1])
            with records.change(durable=True):
                records.begin_moves([begun(copy, inbox, junk)])
        server.stop()
        server.renumber("")
        server.start()
        with server.session() as session:
            session.select("INBOX")
            assert {mark: uid for uid, mark in marks(session).items()} == {1: uids[0], 4: uids[1]}
        with served(server, tmp_path / "state", tiny, spam=()) as account:
            account.visited()
            assert shown_by(server) == {"INBOX": [4], "Junk": [1], "Archive": []}
            assert account.labels() == {}


def begun(copy, source, target):
    message = HandledMessage(
        source.id, target.id, source.validity, copy.uid, content=copy.content, size=copy.size, date=copy.date
    )
    return BegunMove(message, target.validity, target.next_uid)


@pytest.mark.timeout(300)
def test_two_filters_and_a_reader_share_an_account(tiny, tmp_path):
    """Two daemons of one account and a client that reads and moves lose nothing, and file all spam.

    In rare cases Dovecot lets both daemons move a message, which is then twice in the junk folder (decision 0032).
    """
    with running(SPECIAL) as server, contextlib.ExitStack() as stack:
        for name in ("one", "two"):
            stack.enter_context(served(server, tmp_path / name, tiny))
        over = threading.Event()

        def act():
            with server.session() as session:
                while not over.wait(0.02):
                    session.select("INBOX")
                    for uid, mark in marks(session).items():
                        if mark % 6 == 3:
                            session.uid("MOVE", str(uid), "Archive")
                        elif mark % 3 == 0:
                            session.uid("STORE", str(uid), "+FLAGS", r"(\Seen)")

        reader = threading.Thread(target=act)
        reader.start()
        for number in range(45):
            server.deliver(number)
            over.wait(0.02)
        until(lambda: set(shown_by(server)["Junk"]) == set(range(1, 45, 3)))
        over.set()
        reader.join()

        def outside_junk():
            return Counter(itertools.chain(*(marks for name, marks in shown_by(server).items() if name != "Junk")))

        # The server copies a message before it removes the original, so for a moment there are two.
        until(lambda: outside_junk() == Counter(number for number in range(45) if number % 3 != 1))
        assert set(shown_by(server)["Junk"]) == set(range(1, 45, 3))
