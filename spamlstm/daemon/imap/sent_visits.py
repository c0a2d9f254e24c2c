"""Visits of the Sent folders of an account: the correspondents to whom the user wrote since the last visit are learned.

As on Maildirs (`spamlstm.tracking.sent_folders`), no labels are inferred from sent mail. Messages that were sent before
the first visit are not read; `adopt` reads them.
"""

from dataclasses import replace

from spamlstm.daemon.imap.account_session import DaemonSession
from spamlstm.daemon.imap.account_state import AccountFolder
from spamlstm.daemon.imap.answers import CommandRefusedError, FolderNumbers
from spamlstm.daemon.imap.folder_visits import CLOCKS_DIFFER
from spamlstm.daemon.imap.written_names import names_written
from spamlstm.tracking.sent_folders import MOST_MESSAGES


class SentVisits:
    """A visitor of the Sent folders of one account."""

    def __init__(self, session: DaemonSession) -> None:
        self._session = session
        self._connection = session.connection
        self._records = session.records

    def visit(self, folder: AccountFolder) -> None:
        """Learn the recipients of new messages in a folder. A folder that the server refuses is skipped.

        If the label store cannot be used now, the messages are read again at the next visit.
        """
        try:
            numbers = self._connection.numbers(folder.name)
            if (numbers.validity, numbers.next_uid) != (folder.validity, folder.next_uid) or not numbers.next_uid:
                self._read(folder, self._connection.select(folder.name, readonly=True))
        except CommandRefusedError:
            self._session.tally.failed["folder"] += 1

    def _read(self, folder: AccountFolder, numbers: FolderNumbers) -> None:
        now = self._session.clock()
        # After new UIDs, and in a folder that was created since the last visit, new messages are known by their dates.
        is_same = folder.validity == numbers.validity
        is_first = not folder.validity and not folder.visited
        since = 0.0 if is_same else folder.visited - CLOCKS_DIFFER
        uids = self._connection.existing(folder.next_uid if is_same else 1, numbers.next_uid)
        if not is_first:
            listed = self._connection.details(sorted(uids)[-MOST_MESSAGES:])
            dates = {uid: float(one.date) for uid, one in listed.items() if one.date >= since}
            names = names_written(self._connection, dates)
            if names and not self._session.learn_written(names):
                return
        next_uid = max((numbers.next_uid, *(uid + 1 for uid in uids)))
        with self._records.change():
            self._records.put_folder(replace(folder, validity=numbers.validity, next_uid=next_uid, visited=now))
