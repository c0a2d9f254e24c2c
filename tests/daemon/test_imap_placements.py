"""How a message came to a folder of an IMAP account, by what is recorded of it."""

import contextlib
from types import SimpleNamespace

import pytest
from imap_server import account

from spamlstm.config import Config
from spamlstm.daemon.imap.account_placements import AccountPlacements
from spamlstm.daemon.imap.account_session import AccountSession, AccountTally
from spamlstm.daemon.imap.account_state import AccountCopy
from spamlstm.daemon.imap.answers import RemoteFlag
from spamlstm.daemon.imap.records import AccountRecords
from spamlstm.filtering.placement import WAIT_SECONDS, Placement
from spamlstm.maildir.folders import FolderRole

CONTENT = "00112233445566778899aabbccddeeff"
DATE, NOW = 5, 1e6


@pytest.fixture
def placed(tmp_path):
    """Return a function: how a message came to the inbox whose other copies are given by folder, flags and time."""
    with contextlib.closing(AccountRecords.open(tmp_path / "state", "imap://x")) as records:

        def placement(*others, judged=None, since=NOW):
            with records.change():
                records.add_folder("INBOX", FolderRole.INBOX)
                records.add_folder("Junk", FolderRole.JUNK)
                for folder, flags, time in others:
                    records.put([AccountCopy(folder, 7, flags, 9, DATE, time, CONTENT)])
                if judged is not None:
                    records.add_judged(CONTENT, judged, is_junk=False, now=NOW)
            session = AccountSession(account(), Config(), None, records, AccountTally("h"), clock=lambda: NOW)
            visits = SimpleNamespace(refresh=lambda _: False)
            inbox = next(one for one in records.folders() if one.role is FolderRole.INBOX)
            arrived = AccountCopy(inbox.id, 8, RemoteFlag.NONE, 9, DATE, since)
            return AccountPlacements(session, visits).placed(inbox, arrived, CONTENT)

        yield placement


@pytest.mark.parametrize(
    ("judged", "wanted"),
    [(None, Placement.DELIVERED), (DATE, Placement.MOVED), (DATE + 1, Placement.DELIVERED)],
)
def test_a_classified_message_that_returns_was_moved(placed, judged, wanted):
    """A message that is in no folder was moved if it was classified and has its date. A second delivery has another."""
    assert placed(judged=judged) is wanted


@pytest.mark.parametrize(
    ("judged", "wanted"),
    [(None, Placement.DELIVERED), (DATE, Placement.MOVED), (DATE + 1, Placement.DELIVERED)],
)
def test_a_classified_message_that_gets_another_number_was_moved(placed, judged, wanted):
    """The same holds if the former copy in the folder is gone."""
    assert placed((1, RemoteFlag.GONE, NOW - 9), judged=judged) is wanted


@pytest.mark.parametrize("flag", [RemoteFlag.GONE, RemoteFlag.DELETED])
def test_a_message_whose_copy_leaves_another_folder_was_moved(placed, flag):
    """A copy that is gone or marked as deleted is the former place of the message."""
    assert placed((2, flag, NOW - 9)) is Placement.MOVED


@pytest.mark.parametrize(("waited", "wanted"), [(0.0, Placement.UNCLEAR), (WAIT_SECONDS, Placement.DELIVERED)])
def test_a_message_with_a_copy_in_junk_waits(placed, waited, wanted):
    """While the copy in the junk folder may still be removed, it is not clear whether the message was moved."""
    assert placed((2, RemoteFlag.NONE, NOW - 9), since=NOW - waited) is wanted
