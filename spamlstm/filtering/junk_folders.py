"""The junk folders of the Maildirs that one batch of messages lies in: found, and made ready before the first move."""

from spamlstm.maildir import junk_folder
from spamlstm.maildir.opened import OpenFolder, OpenMaildir


class JunkFolders:
    """Looks each one up once. For one batch: with the next, users may have renamed or removed them."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], OpenFolder] = {}
        self._ready: set[str] = set()

    def folder(self, mailbox: OpenMaildir, configured: str) -> OpenFolder:
        """Where spam of a Maildir goes, whether that exists or not; UserError or OSError if there is no such place."""
        key = mailbox.path, configured
        if key not in self._found:
            self._found[key] = junk_folder.junk_folder(mailbox, configured)
        return self._found[key]

    def make_ready(self, folder: OpenFolder) -> None:
        """Make the folder if it is not there; UserError or OSError if mail cannot be moved to it safely."""
        if folder.path in self._ready:
            return
        # What is there whole needs no fsync.
        if not junk_folder.is_whole(folder):
            junk_folder.create_folder(folder)
        junk_folder.check_one_file_system(folder.mailbox.folder(), folder)
        self._ready.add(folder.path)
