"""The reader of Sent folders: learns the correspondents to whom a user wrote since the last visit.

Only the recipients of new sent messages are read. No labels are inferred from sent mail.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from spamlstm.learning.sent_mail import newest, written_names
from spamlstm.maildir.folder_walk import Folder
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.tracking.label_stores import LabelStores, StoreUnavailableError
from spamlstm.tracking.listing import chunks
from spamlstm.tracking.visit_work import settled_times

# The most messages that one visit reads, and the messages that one step reads.
MOST_MESSAGES = 200
READS = 16


class SentFolders:
    """The Sent folders of all Maildirs. Messages sent before the first visit are not read, `adopt` reads them.

    Only the thread of the tracker may use an instance.
    """

    def __init__(self, label_stores: LabelStores, *, clock: Callable[[], float]) -> None:
        self._label_stores = label_stores
        self._clock = clock
        self._read: dict[str, tuple[Folder, ...]] = {}
        self._latest: dict[str, float] = {}
        """The time of the latest message that was read, by Maildir."""

    def visit(self, mailbox: OpenMaildir, sent: Sequence[Folder]) -> Iterator[None]:
        """Learn the recipients of new messages in the folders `sent`, if a folder has changed; yields between steps.

        Messages are read again at the next visit if the label store cannot be used now.
        """
        maildir, now = mailbox.path, self._clock()
        if not sent or self._read.get(maildir) == tuple(sent):
            return
        with contextlib.suppress(StoreUnavailableError):
            latest = self._latest.get(maildir) or self._label_stores.last_written(maildir) or now
            opened = [mailbox.folder(folder.name) for folder in sent]
            found = newest(opened, after=latest, most=MOST_MESSAGES)
            names: dict[bytes, float] = {}
            for chunk in chunks(found, READS):
                yield
                names.update(written_names(chunk))
            if names:
                self._label_stores.add_written(maildir, names)
            self._latest[maildir] = max([latest, *(sent_at for sent_at, _ in found)])
            self._read[maildir] = tuple(settled_times(folder, now=now) for folder in sent)
