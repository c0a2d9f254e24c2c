"""The placements of messages on an IMAP account: whether a new message was delivered, or its user moved it."""

from spamlstm.daemon.imap.account_session import AccountSession
from spamlstm.daemon.imap.account_state import AccountCopy, AccountFolder
from spamlstm.daemon.imap.answers import RemoteFlag
from spamlstm.daemon.imap.folder_visits import FolderVisits
from spamlstm.filtering.placement import WAIT_SECONDS, Placement
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.rule import MOVE_SECONDS


class AccountPlacements:
    """The placements of the messages of one account, found by its records. For Maildirs, see `filtering.placement`."""

    def __init__(self, session: AccountSession, visits: FolderVisits) -> None:
        self._session = session
        self._records = session.records
        self._visits = visits

    def placed(self, folder: AccountFolder, arrived: AccountCopy, content: str) -> Placement:
        """Return how a message with this content id came to a folder.

        A message with a keyword of this program was filed before, perhaps by another daemon, and its user moved it
        back.
        """
        placement = self._placed_by_records(folder, arrived, content)
        return Placement.MOVED if arrived.flags & (RemoteFlag.FILED | RemoteFlag.RETURNED) else placement

    def _placed_by_records(self, folder: AccountFolder, arrived: AccountCopy, content: str) -> Placement:
        """Return how a message came to a folder as far as the records say it.

        The other folders that have copies of the message are visited first. A message that was classified before and
        has its former date was moved, because a second delivery has another date.
        """
        if not self._records.copies(content) and not self._records.departures(content):
            is_back = self._records.was_judged(content, arrived.date)
            return Placement.MOVED if is_back else Placement.DELIVERED
        others = {other.id: other for other, _ in self._records.copies(content) if other.id != folder.id}
        for other in others.values():
            self._visits.refresh(other)
        now, may_be_moved = self._session.clock(), False
        for other, copy in self._records.copies(content):
            if copy.flags & (RemoteFlag.GONE | RemoteFlag.DELETED) and other.id != folder.id:
                return Placement.MOVED
            is_earlier = other.id != folder.id and min(copy.since, now) < arrived.since - WAIT_SECONDS
            may_be_moved |= other.role is FolderRole.JUNK or is_earlier
        departed = self._records.departures(content)
        if any(left.role is not FolderRole.INBOX and abs(now - left.time) < MOVE_SECONDS for left in departed):
            return Placement.MOVED
        here = [copy for _, copy in self._records.copies(content) if not copy.flags & RemoteFlag.GONE]
        if not here and self._records.was_judged(content, arrived.date):
            return Placement.MOVED
        return Placement.UNCLEAR if may_be_moved and now - arrived.since < WAIT_SECONDS else Placement.DELIVERED
