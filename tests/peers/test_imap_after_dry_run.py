"""An IMAP account of a real Dovecot after a dry run: what the dry run only reported, or left as it was, is done."""

import contextlib
import shutil

import pytest
from clients import marks
from dovecot import running
from imap_account import SPECIAL, served, shown_by
from watching import until

from spamlstm.config import CatchUp, Config, DaemonConfig
from spamlstm.daemon.imap.account_state import BegunMove, HandledMessage
from spamlstm.daemon.imap.records import AccountRecords

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]


def test_a_later_run_files_what_a_dry_run_reported(tiny, tmp_path):
    """Spam that is still unread is filed by the next run. Spam that its user has read meanwhile stays, also later."""
    state = tmp_path / "state"
    with running(SPECIAL) as server:
        with served(server, state, tiny, dry_run=True) as account:
            for number in (1, 2, 4):
                server.deliver(number)
            until(lambda: account.tally.judged == {"spam": 2, "unsure": 1})
            account.visited()
            assert account.places() == {"INBOX": [1, 2, 4], "Junk": [], "Archive": []}
        with server.session() as session:
            session.select("INBOX")
            read = session.uid("SEARCH", "HEADER", "X-Mark", "4")[1][0].decode()
            session.uid("STORE", read, "+FLAGS", "(\\Seen)")
        for _ in range(2):
            with served(server, state, tiny) as account:
                until(lambda: account.places() == {"INBOX": [2, 4], "Junk": [1], "Archive": []})
                account.visited()
                assert account.labels() == {}
        assert account.tally.judged == {}
        with server.session() as session:
            session.select("INBOX")
            session.uid("STORE", read, "-FLAGS", "(\\Seen)")
        with served(server, state, tiny) as account:
            until(lambda: account.places() == {"INBOX": [2], "Junk": [1, 4], "Archive": []})
        assert server.complaints() == []


def test_a_dry_run_settles_nothing_on_the_server(tiny, tmp_path, caplog):
    """Moves that a killed run began stay as they are, copied, moved or not begun. The next run settles them.

    The dry run reports them, and neither run takes them for moves of the user.
    """
    caplog.set_level("INFO", logger="spamlstm")
    state, config = tmp_path / "state", Config(daemon=DaemonConfig(catch_up=CatchUp.ALL))
    with running(SPECIAL) as server:
        for number in (1, 4, 7):
            server.deliver(number)
        with served(server, state, tiny, config=config, dry_run=True) as account:
            until(lambda: account.tally.judged == {"spam": 3})
            key = account.account.key
        with server.session() as session, contextlib.closing(AccountRecords.open(state, key)) as records:
            session.select("INBOX")
            uids = {mark: uid for uid, mark in marks(session).items()}
            folders = {one.name: one for one in records.folders()}
            with records.change(durable=True):
                records.begin_moves(begun(records, folders, uid) for uid in uids.values())
            session.uid("COPY", str(uids[1]), "Junk")
            session.uid("MOVE", str(uids[4]), "Junk")
        for _ in range(2):
            with served(server, state, tiny, config=config, dry_run=True) as account:
                account.visited()
                assert shown_by(server) == {"INBOX": [1, 7], "Junk": [1, 4], "Archive": []}
                assert account.labels() == {}
        assert "would-settle" in caplog.text
        with served(server, state, tiny, config=config) as account:
            until(lambda: shown_by(server) == {"INBOX": [], "Junk": [1, 4, 7], "Archive": []})
            account.visited()
            assert shown_by(server) == {"INBOX": [], "Junk": [1, 4, 7], "Archive": []}
            assert account.labels() == {}
        assert server.complaints() == []


def begun(records, folders, uid):
    """Return the move to junk of a message of the inbox, as it is recorded before the move."""
    inbox, junk = folders["INBOX"], folders["Junk"]
    copy = records.copy(inbox.id, uid)
    mail = HandledMessage(inbox.id, junk.id, inbox.validity, uid, copy.content, copy.size, copy.date)
    return BegunMove(mail, junk.validity, junk.next_uid)
