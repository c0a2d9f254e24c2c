"""An IMAP account on a server that refuses to send damaged messages, as Yahoo and Exchange do, or to set keywords."""

import re
import shutil

import pytest
from clients import moved
from dovecot import running
from imap_account import SPECIAL, CuttingProxy, served
from watching import message, until

from spamlstm.config import Action, CatchUp, Config, DaemonConfig

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]


class RefusingProxy(CuttingProxy):
    """A proxy of a server that refuses to send the messages with the UIDs `refused`."""

    refused = frozenset((2,))

    def _forward(self, block, server):
        asked = re.search(rb"UID FETCH ([0-9,]+) \(UID.* BODY\.PEEK\[\]", block)
        if asked and self.refused & set(map(int, asked[1].split(b","))):
            block = block.replace(b"BODY.PEEK[]", b"BODY.PEEK[?]")
        return super()._forward(block, server)


def test_a_message_that_is_refused_delays_no_other(tiny, tmp_path):
    """New mail that is read together with a refused message is classified, and refused old junk stops nothing."""
    config = Config(daemon=DaemonConfig(catch_up=CatchUp.ALL))
    with running(SPECIAL) as server, RefusingProxy(server.port) as proxy:
        for number in range(6):
            server.deliver(number)
        with server.session() as session:
            for number in (10, 13, 16):
                session.append("Junk", None, None, message(number))
        with served(server, tmp_path / "state", tiny, port=proxy.port, config=config) as account:
            until(lambda: sum(account.tally.judged.values()) == 5)
            account.visited()
            assert account.tally.error == ""
            with server.session() as session:
                moved(session, "Junk", 10, "INBOX", "MOVE")
                until(lambda: account.labels() == {10: "ham"})
            connections = account.tally.connections
            account.visited()
            assert account.tally.connections == connections + 1
            proxy.refused = frozenset()
            until(lambda: sum(account.tally.judged.values()) == 6)
        assert server.complaints() == []


class KeywordsRefused(CuttingProxy):
    """A proxy of a server that refuses to set keywords."""

    def _forward(self, block, server):
        return super()._forward(block.replace(b"UID STORE", b"UID STARE"), server)


@pytest.mark.parametrize("spam", [(Action.FILE,), (Action.KEYWORD, Action.FILE)])
def test_spam_is_filed_although_keywords_are_refused(tiny, tmp_path, spam):
    """Keywords only help other daemons and mail programs. Without them, spam is filed by the next attempt."""
    with running(SPECIAL) as server, KeywordsRefused(server.port) as proxy:
        with served(server, tmp_path / "state", tiny, port=proxy.port, spam=spam) as account:
            for number in range(3):
                server.deliver(number)
            until(lambda: account.places() == {"INBOX": [0, 2], "Junk": [1], "Archive": []})
            account.visited()
            assert account.labels() == {}
            connections = account.tally.connections
            with server.session() as session:
                moved(session, "Junk", 1, "INBOX", "MOVE")
            until(lambda: account.tally.learned)
            account.visited()
            assert (account.labels(), account.places()["INBOX"]) == ({1: "ham"}, [0, 1, 2])
            assert account.tally.connections == connections + 1
        assert server.complaints() == []


def test_a_folder_that_the_server_cannot_read_delays_no_other(tiny, tmp_path):
    """New mail is classified although the server ends the connection when it reads a message of another folder.

    Dovecot does so if its disk cannot read a file. After some attempts, the folder is skipped for some time.
    """
    config = Config(daemon=DaemonConfig(catch_up=CatchUp.ALL))
    with running(SPECIAL) as server:
        with server.session() as session:
            for number in range(2, 50, 3):
                session.append("Junk", None, None, message(number))
        unreadable = [path for part in ("new", "cur") for path in (server.maildir / ".Junk" / part).iterdir()]
        for path in unreadable:
            path.chmod(0)
        with served(server, tmp_path / "state", tiny, config=config) as account:
            server.deliver(0)
            server.deliver(1)
            until(lambda: account.tally.judged == {"ham": 1, "spam": 1})
            assert account.tally.state == "connected"
            for path in unreadable:
                path.chmod(0o600)
