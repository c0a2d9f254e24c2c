"""The Maildirs that are open for one visit. A visit begins with the scan of a Maildir and ends after its acts."""

from collections.abc import Callable

from spamlstm.files import Closable
from spamlstm.maildir.opened import OpenMaildir


class OpenMaildirs(Closable):
    """The Maildirs that are open for one visit. Each Maildir is opened at its first use. Used only in one thread."""

    def __init__(self, open_maildir: Callable[[str], OpenMaildir]) -> None:
        self._open = open_maildir
        self._maildirs: dict[str, OpenMaildir] = {}

    def opened(self, maildir: str) -> OpenMaildir:
        """Return the Maildir at a path, opened if necessary. Raises OSError if the Maildir cannot be opened."""
        if maildir not in self._maildirs:
            self._maildirs[maildir] = self._open(maildir)
        return self._maildirs[maildir]

    def close(self) -> None:
        """End the visit and close all Maildirs. `opened` opens them again."""
        while self._maildirs:
            self._maildirs.popitem()[1].close()
