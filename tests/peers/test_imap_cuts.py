"""An IMAP account whose connection ends after any command: no message is lost or doubled, and all are handled."""

import shutil
from collections import Counter

import pytest
from clients import moved
from dovecot import running
from imap_account import SPECIAL, CuttingProxy, served, shown_by
from watching import until

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]
# What servers can: all, or neither MOVE, CONDSTORE nor IDLE, so that messages are copied and removed.
CAPABILITIES = {
    "modern": "",
    "old": "imap_capability = IMAP4rev1 UIDPLUS\n",
}
# More than the commands of one connection from its greeting to IDLE, with mail that is classified and moved.
COMMANDS = 22


@pytest.mark.timeout(300)
@pytest.mark.parametrize("before", [False, True], ids=["after", "before"])
@pytest.mark.parametrize("kind", CAPABILITIES)
def test_a_connection_that_ends_after_any_command(kind, before, tiny, tmp_path):
    """Each spam is in junk once, all other mail in the inbox, and nothing is taken for a move of the user."""
    with running(SPECIAL + CAPABILITIES[kind]) as server, CuttingProxy(server.port, before=before) as proxy:
        with served(server, tmp_path / "state", tiny, port=proxy.port) as account:
            for commands in range(1, COMMANDS):
                for number in range(3 * commands - 3, 3 * commands):
                    server.deliver(number)
                proxy.cut_after(commands)
                account.reconnect()
                spam = list(range(1, 3 * commands, 3))
                until(lambda spam=spam: shown_by(server)["Junk"] == spam)
            proxy.at = None
            account.visited()
            found = shown_by(server)
            assert account.labels() == {}
            assert Counter(found["INBOX"] + found["Junk"]) == Counter(range(3 * COMMANDS - 3))
            assert {number % 3 for number in found["Junk"]} == {1}
            assert account.tally.connections > COMMANDS
            assert not account.tally.failed
            with server.session() as session:
                moved(session, "Junk", 1, "INBOX", "MOVE")
                proxy.cut_after(12)
                account.reconnect()
                until(lambda: account.labels() == {1: "ham"})
                moved(session, "INBOX", 2, "Junk", "COPY")
                proxy.cut_after(14)
                account.reconnect()
                until(lambda: account.labels() == {1: "ham", 2: "spam"})
        assert server.complaints() == []
