"""The junk folders of the Maildirs that one group of messages lies in: found, and made ready before the first move."""

# ruff: noqa: PTH114, PTH118  as in maildir

import os

from spamlstm.errors import UserError
from spamlstm.mail import filing
from spamlstm.mail import maildir as maildirs


class JunkFolders:
    """Looks each one up once. For one group: with the next, users may have renamed or removed them."""

    def __init__(self) -> None:
        self._paths: dict[tuple[str, str], str] = {}
        self._ready: set[str] = set()

    def path(self, maildir: str, wish: str) -> str:
        """Where spam of `maildir` goes, whether that exists or not; UserError or OSError if there is no such place."""
        key = maildir, wish
        if key not in self._paths:
            self._paths[key] = filing.junk_folder(maildir, wish)
        return self._paths[key]

    def make_ready(self, maildir: str, folder: str) -> None:
        """Make the folder if it is not there; UserError or OSError if mail cannot be moved to it safely."""
        if folder in self._ready:
            return
        # What is there whole needs no fsync; without its marker it may be what a crash left of a folder of ours.
        if not (maildirs.is_maildir(folder) and os.path.lexists(os.path.join(folder, "maildirfolder"))):
            filing.create_folder(maildir, folder)
        filing.check_one_file_system(maildir, folder)
        _refuse_links(folder)
        self._ready.add(folder)


def _refuse_links(folder: str) -> None:
    """Whoever owns the Maildir could lead root's hand by a link to a place where only root may write."""
    if os.geteuid() == 0:
        for path in (folder, *(os.path.join(folder, part) for part in maildirs.PARTS)):
            if os.path.islink(path):
                raise UserError(f"{path} is a symbolic link, and as root mail is not moved along links of others")
