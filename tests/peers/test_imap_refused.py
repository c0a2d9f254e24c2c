"""An IMAP account with messages that the server refuses to send, as Yahoo and Exchange do with damaged ones."""

import re
import shutil

import pytest
from clients import moved
from dovecot import running
from imap_account import SPECIAL, CuttingProxy, served
from watching import message, until

from spamlstm.config import CatchUp, Config, DaemonConfig

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
