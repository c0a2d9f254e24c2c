"""The files that lately came to ignored folders, such as Trash.

Suppose that another program copies a message and the user then deletes the message. The copy looks like a move, from
which a label would follow. Therefore the ignored folders are searched for the deleted file before such a label is
given. The folders are not read otherwise, and those with copies of other mail are never read.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.maildir import message_file
from spamlstm.maildir.content_id import content_id
from spamlstm.maildir.entry import Entry, PassingOver
from spamlstm.maildir.file_evidence import FileEvidence
from spamlstm.maildir.folder_walk import Folder
from spamlstm.maildir.folders import has_copies
from spamlstm.maildir.message_file import UnreadableMessageError
from spamlstm.maildir.names import DELIVERED, GoneError
from spamlstm.maildir.opened import OpenMaildir

# The clock of a file server may differ from the clock of this program by this many seconds.
_SKEW = 60.0
# The most messages with one date that are read, and the most files whose status is read.
_MOST_READ, _MOST_FILES = 8, 50_000
_SECOND = 10**9


@dataclass(slots=True)
class DiscardedMail:
    """The files that came to the ignored `folders` of a Maildir at most `age` seconds before `now`."""

    mailbox: OpenMaildir
    folders: Sequence[Folder]
    now: float
    age: float
    _by_date: dict[int, list[tuple[int, Entry]]] | None = field(default=None, init=False)

    def has_changed(self) -> bool:
        """Return whether a file may have left or come to one of the folders."""
        since = (self.now - self.age - _SKEW) * _SECOND
        return any(max(folder.new_ns, folder.cur_ns) >= since for folder in self.folders)

    def has(self, evidence: FileEvidence, content: str) -> bool:
        """Return whether one of the folders has the file with this evidence, or a copy of the file with the same date.

        `content` is the content id of the message in the file.
        """
        if evidence.mtime_ns is None:
            return False
        if self._by_date is None:
            self._by_date = self._found()
        same_date = self._by_date.get(evidence.mtime_ns // _SECOND, [])
        if evidence.inode and evidence.inode in [inode for inode, _ in same_date]:
            return True
        return any(_content(entry) == content for _, entry in same_date[:_MOST_READ])

    def _found(self) -> dict[int, list[tuple[int, Entry]]]:
        """Return the inode and the entry of each file, by the date of the file in seconds."""
        found: dict[int, list[tuple[int, Entry]]] = {}
        since = self.now - self.age - _SKEW
        left = _MOST_FILES
        for folder in self.folders:
            if has_copies(folder.name):
                continue
            for part, changed_ns in zip(DELIVERED, (folder.new_ns, folder.cur_ns), strict=True):
                if changed_ns < since * _SECOND:
                    continue
                entries: list[Entry] = []
                with PassingOver():
                    entries = list(self.mailbox.folder(folder.name).messages((part,)))
                for entry in entries[:left]:
                    with PassingOver():
                        status = entry.status()
                        if status.st_ctime >= since:
                            found.setdefault(status.st_mtime_ns // _SECOND, []).append((status.st_ino, entry))
                left = max(0, left - len(entries))
        return found


def _content(entry: Entry) -> str | None:
    with PassingOver(), contextlib.suppress(GoneError, UnreadableMessageError):
        return content_id(message_file.read_message(entry, most=MOST_BYTES).content)
    return None
