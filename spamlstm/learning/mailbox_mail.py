"""The mail of an existing mailbox, as `adopt` reads it: a Maildir, or by the same protocols an IMAP account."""

import contextlib
import errno
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from spamlstm.config.values import AUTO
from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.errors import reason_of
from spamlstm.learning import sent_mail
from spamlstm.maildir import message_file
from spamlstm.maildir.entry import Entry
from spamlstm.maildir.folder_walk import folders
from spamlstm.maildir.folders import FolderRole, role_of
from spamlstm.maildir.message_file import UnreadableMessageError
from spamlstm.maildir.names import GoneError, Name
from spamlstm.maildir.opened import OpenFolder, OpenMaildir


class MailboxMessage(Protocol):
    """A message of a mailbox."""

    @property
    def path(self) -> str:
        """Where the message is, for reports."""

    @property
    def name(self) -> str:
        """The order of messages that came at the same time."""

    def read(self) -> bytes:
        """Return the raw message. Raises GoneError if the message is gone, and OSError if it cannot be read."""


@dataclass(frozen=True, slots=True)
class ListedMail:
    """A message in a list. `stored` is the date of its file or of its arrival on the server, in seconds since 1970."""

    message: MailboxMessage
    role: FolderRole
    """The role of its folder."""
    flags: str
    """The flags of a Maildir name, such as `RS`."""
    stored: float


@dataclass(slots=True)
class MailListing:
    """All messages of a mailbox, in any order."""

    messages: list[ListedMail] = field(default_factory=list)
    large: int = 0
    """The number of messages that are too large to be read. They are not in `messages`."""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """The paths of the folders that cannot be read, each with the reason."""


class MailboxMail(Protocol):
    """The mail of a mailbox. Nothing is changed in the mailbox."""

    def listing(self) -> MailListing:
        """Return the list of all messages. Raises OSError if the inbox cannot be read."""

    def is_exhausted(self) -> bool:
        """Return whether no further message can be read, because a limit of this mailbox is reached."""

    def correspondents(self) -> dict[bytes, float]:
        """Return the hashes of the correspondents to whom the user wrote, each with the time of the latest message."""


@dataclass(frozen=True, slots=True)
class FolderNames:
    """The configured name of the junk folder, and additional folders to ignore."""

    junk: str = AUTO
    ignore_folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MaildirMessage:
    """A message of an open Maildir, even if it is renamed in its folder."""

    entry: Entry

    @property
    def path(self) -> str:
        """The path of the file when it was listed."""
        return self.entry.path

    @property
    def name(self) -> str:
        """The name of the file when it was listed."""
        return self.entry.name

    def read(self) -> bytes:
        """Return the raw message. Raises GoneError if the message is gone, and OSError if it cannot be read."""
        try:
            try:
                return message_file.read_message(self.entry, most=MOST_BYTES).content
            except GoneError:
                for now in self.entry.folder.find(Name.parse(self.entry.name).base):
                    return message_file.read_message(now, most=MOST_BYTES).content
                raise
        except UnreadableMessageError as error:
            raise OSError(errno.EFBIG, str(error), self.entry.path) from error


@dataclass(frozen=True, slots=True)
class MaildirMail:
    """The mail of a Maildir, which must stay open as long as the messages are read."""

    mailbox: OpenMaildir
    names: FolderNames

    def listing(self) -> MailListing:
        """Return the list of all messages. Raises OSError if the inbox cannot be read."""
        found = MailListing()
        for folder in folders(self.mailbox):
            role = role_of(folder.name, junk=self.names.junk, ignore_folders=self.names.ignore_folders)
            opened = self.mailbox.folder(folder.name)
            try:
                for entry, stored, is_large in _dated(opened):
                    if is_large:
                        found.large += 1
                        continue
                    flags = Name.parse(entry.name).flags
                    found.messages.append(ListedMail(MaildirMessage(entry), role, flags, stored))
            except OSError as error:
                found.unreadable.append((opened.path, reason_of(error)))
        return found

    def is_exhausted(self) -> bool:
        """Return False. A Maildir has no limits besides those of the survey."""
        return False

    def correspondents(self) -> dict[bytes, float]:
        """Return the hashes of the correspondents to whom the user wrote, each with the time of the latest message."""
        sent = sent_mail.newest(sent_mail.sent_folders(self.mailbox), most=sent_mail.MOST_MESSAGES)
        return sent_mail.written_names(sent)


def _dated(folder: OpenFolder) -> Iterator[tuple[Entry, float, bool]]:
    """Yield the messages of a folder with the dates of their files and whether they are too large to be classified."""
    for entry in folder.messages():
        with contextlib.suppress(FileNotFoundError):  # a mail program has just renamed the file
            status = entry.status()
            yield entry, status.st_mtime, status.st_size > MOST_BYTES
