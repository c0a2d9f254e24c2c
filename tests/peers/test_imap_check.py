"""An IMAP account with `check_seconds` on a real Dovecot, with and without IDLE."""

import shutil

import pytest
from clients import moved
from imap_account import CuttingProxy, served
from watching import until

from spamlstm.daemon.imap import account_work

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]


class WithoutIdle(CuttingProxy):
    """A proxy of a server that does not offer IDLE."""

    def answer(self, block):
        return block.replace(b" IDLE", b"")


@pytest.mark.parametrize("kind", [CuttingProxy, WithoutIdle])
def test_new_mail_is_found_by_asking(server, tiny, tmp_path, kind):
    """New spam is filed and moves are learned at the next question, without a visit of all folders."""
    with (
        kind(server.port) as proxy,
        served(server, tmp_path / "state", tiny, port=proxy.port, check_seconds=0.1) as account,
    ):
        visits = account.tally.visits
        for number in range(3):
            server.deliver(number)
        until(lambda: account.places() == {"INBOX": [0, 2], "Junk": [1], "Archive": []})
        until(lambda: sum(account.tally.judged.values()) == 3)
        with server.session() as session:
            moved(session, "INBOX", 2, "Junk", "MOVE")
            until(lambda: account.labels() == {2: "spam"})
            moved(session, "Junk", 1, "INBOX", "MOVE")
            until(lambda: account.labels() == {2: "spam", 1: "ham"})
        assert (account.tally.visits, account.tally.connections) == (visits, 1)
        assert any(one.endswith(b"NOOP") for one in proxy.commands)
        assert any(one.endswith(b"IDLE") for one in proxy.commands) is (kind is CuttingProxy)
        assert not account.tally.failed
    assert server.complaints() == []


@pytest.mark.parametrize("kind", [CuttingProxy, WithoutIdle])
def test_all_folders_are_visited_between_questions(server, tiny, tmp_path, kind, monkeypatch):
    """Questions for new mail do not delay the visits of the other folders, from which moves are learned."""
    monkeypatch.setattr(account_work, "RENEW_SECONDS", (0.5, 0.6))
    with (
        kind(server.port) as proxy,
        served(server, tmp_path / "state", tiny, port=proxy.port, check_seconds=0.1) as account,
        server.session() as session,
    ):
        server.deliver(0)
        until(lambda: sum(account.tally.judged.values()) == 1)
        moved(session, "INBOX", 0, "Archive", "MOVE")
        visits = account.tally.visits
        until(lambda: account.tally.visits > visits + 1)
        moved(session, "Archive", 0, "Junk", "MOVE")
        until(lambda: account.labels() == {0: "spam"})
        assert account.tally.connections == 1
    assert server.complaints() == []


def test_a_connection_that_ends_between_questions(server, tiny, tmp_path):
    """If the connection ends at any command of a wait, the account connects again, and files what came meanwhile."""
    with (
        CuttingProxy(server.port) as proxy,
        served(server, tmp_path / "state", tiny, port=proxy.port, check_seconds=0.1) as account,
    ):
        for cut in range(1, 7):
            proxy.before = bool(cut % 2)
            proxy.cut_after(cut)
            until(lambda cut=cut: account.tally.connections > cut)
            server.deliver(3 * cut + 1)
            until(lambda cut=cut: account.places()["Junk"] == list(range(4, 3 * cut + 2, 3)))
        until(lambda: account.places()["INBOX"] == [])  # Dovecot removes a message after it has the copy
        assert account.labels() == {}
    assert server.complaints() == []
