"""The mail of an IMAP account for `adopt`, which only examines folders and never marks messages as read.

Messages are read in groups and kept in a temporary file, because `adopt` reads each message up to three times.
"""

import contextlib
import errno
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from spamlstm.config import ImapConfig
from spamlstm.daemon.imap.account_folders import sent_folders_of, visited_folders
from spamlstm.daemon.imap.answers import (
    AccountUnavailableError,
    CommandRefusedError,
    ListedFolder,
    ListedMessage,
    LoginRefusedError,
)
from spamlstm.daemon.imap.connection import ImapConnection
from spamlstm.daemon.imap.written_names import names_written
from spamlstm.errors import OutputError, reason_of
from spamlstm.learning import sent_mail
from spamlstm.learning.mailbox_mail import ListedMail, MailListing
from spamlstm.learning.survey import adoption_evidence
from spamlstm.maildir.folders import FolderRole
from spamlstm.maildir.names import GoneError

# The largest numbers of messages that are listed, of one folder and of all folders. The newest ones are listed, and at
# most 18,000 of them are learned.
MOST_IN_FOLDER = 50_000
MOST_IN_ACCOUNT = 200_000
# Larger messages are not read. Only the first 64 KiB of a message are learned.
MOST_MESSAGE_BYTES = 1 << 20
# The largest number of bytes that are read, and the longest time for that. After that, older messages are left out.
MOST_READ_BYTES = 512 << 20
MOST_SECONDS = 3600.0
# The largest number of messages that are read by one command, and of their bytes.
READ_TOGETHER, BYTES_TOGETHER = 50, 4 << 20
# The command fails after MOST_LOST lost connections, or after MOST_FAILED of them in a row without a result. Some
# providers end a connection after some megabytes.
MOST_LOST, MOST_FAILED = 100, 3

T = TypeVar("T")
_Group = tuple[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class AccountMessage:
    """A message in a folder of the account."""

    mail: "AccountMail"
    folder: str
    uid: int
    size: int

    @property
    def path(self) -> str:
        """The account, the folder and the UID."""
        return f"{self.mail.name}, folder {self.folder}, UID {self.uid}"

    @property
    def name(self) -> str:
        """The UID, with the same number of digits for all UIDs."""
        return f"{self.uid:010}"

    def read(self) -> bytes:
        """Return the raw message. Raises GoneError if the message is gone, and OSError if it cannot be read.

        Raises AccountUnavailableError if the server cannot be used now.
        """
        return self.mail.read(self)


class AccountMail:
    """The mail of an account. Methods raise AccountUnavailableError if the server cannot be used now.

    `connect` returns a new connection. `pause` is called before each further call of `connect`, and waits for some
    seconds. `spool` is an empty temporary file.
    """

    def __init__(
        self,
        account: ImapConfig,
        *,
        ignore_folders: tuple[str, ...],
        connect: Callable[[], ImapConnection],
        spool: BinaryIO,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = account.label
        self._account = account
        self._ignore_folders = ignore_folders
        self._connect = connect
        self._spool = spool
        self._pause = pause
        self._connection: ImapConnection | None = None
        self._lost = self._failed = 0
        self._has_worked = False
        self._until = time.monotonic() + MOST_SECONDS
        self._kept: dict[tuple[str, int], tuple[int, int] | None] = {}
        """Offset and length of each message in the spool, or None if it is gone, by folder and UID."""
        self._validities: dict[str, int] = {}
        self._groups: dict[_Group, list[AccountMessage]] = defaultdict(list)
        self._places: dict[AccountMessage, tuple[_Group, int]] = {}
        self._folders: list[ListedFolder] | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def is_exhausted(self) -> bool:
        """Return whether no further message is read, because of MOST_READ_BYTES or MOST_SECONDS."""
        return self._spool.tell() >= MOST_READ_BYTES or time.monotonic() > self._until

    def listing(self) -> MailListing:
        """Return the list of the newest messages of all folders. Messages that are read together become groups."""
        found, count = MailListing(), 0
        roles = visited_folders(self._listed(), self._account, ignore_folders=self._ignore_folders)
        for name, role in reversed(roles.items()):
            try:
                messages = self._details(name, most=min(MOST_IN_FOLDER, MOST_IN_ACCOUNT - count))
            except CommandRefusedError as error:
                found.unreadable.append((f"{self.name}, folder {name}", str(error)))
                continue
            count += len(messages)
            for one in sorted(messages, key=lambda one: -one.uid):
                if one.size > MOST_MESSAGE_BYTES:
                    found.large += 1
                    continue
                message = AccountMessage(self, name, one.uid, one.size)
                self._add_to_group(message, role, one.letters)
                found.messages.append(ListedMail(message, role, one.letters, float(one.date)))
        return found

    def correspondents(self) -> dict[bytes, float]:
        """Return the hashes of the correspondents to whom the user wrote, from the newest messages of the Sent folders.

        A folder that the server refuses is skipped.
        """
        sent: list[tuple[int, int, str]] = []
        for name in sent_folders_of(self._listed(), self._account):
            try:
                details = self._details(name, most=sent_mail.MOST_MESSAGES)
            except CommandRefusedError:
                continue
            sent += [(one.date, one.uid, name) for one in details]
        dates: dict[str, dict[int, float]] = defaultdict(dict)
        for date, uid, name in sorted(sent)[-sent_mail.MOST_MESSAGES :]:
            dates[name][uid] = date
        names: dict[bytes, float] = {}
        for folder, wanted in dates.items():

            def read(connection: ImapConnection, folder: str = folder, wanted: dict[int, float] = wanted) -> None:
                if self._is_same(connection, folder):
                    for key, at in names_written(connection, wanted).items():
                        names[key] = max(at, names.get(key, 0.0))

            with contextlib.suppress(CommandRefusedError):
                self._with_connection(read)
        return names

    def read(self, message: AccountMessage) -> bytes:
        """Return a message of the listing. The next messages of its group are read with it, and kept for later calls.

        Raises GoneError if the message is gone, and OSError if it is not read because of a limit or the server refuses.
        """
        key = message.folder, message.uid
        if key not in self._kept:
            if self.is_exhausted():
                raise OSError(errno.EFBIG, "not read, because the limit of the account is reached")
            try:
                self._with_connection(lambda connection: self._read_group(connection, message))
            except CommandRefusedError as error:
                raise OSError(errno.EIO, str(error)) from error
        place = self._kept.get(key)
        if place is None:
            raise GoneError(message.path)
        start, length = place
        end = self._spool.tell()
        self._spool.seek(start)
        try:
            return self._spool.read(length)
        finally:
            self._spool.seek(end)

    def _add_to_group(self, message: AccountMessage, role: FolderRole, letters: str) -> None:
        evidence = adoption_evidence(role, letters, age=float("inf"))
        group = message.folder, evidence.label if evidence else None
        self._places[message] = group, len(self._groups[group])
        self._groups[group].append(message)

    def _read_group(self, connection: ImapConnection, message: AccountMessage) -> None:
        if not self._is_same(connection, message.folder):
            self._kept[message.folder, message.uid] = None
            return
        batch = list(self._next_of_group(message))
        raws = connection.bodies({one.uid: one.size for one in batch})
        for one in batch:
            raw = raws.get(one.uid)
            self._kept[one.folder, one.uid] = None if raw is None else (self._spool.tell(), len(raw))
            try:
                self._spool.write(raw or b"")
                self._spool.flush()
            except OSError as error:
                raise OutputError(f"the mail cannot be kept in {tempfile.gettempdir()}: {reason_of(error)}") from error

    def _next_of_group(self, message: AccountMessage) -> Iterator[AccountMessage]:
        group, at = self._places[message]
        size = 0
        for one in self._groups[group][at : at + READ_TOGETHER]:
            size += one.size
            if one is not message and size > BYTES_TOGETHER:
                return
            if (one.folder, one.uid) not in self._kept:
                yield one

    # --- the connection ---------------------------------------------------------------------------------------------

    def _listed(self) -> list[ListedFolder]:
        if self._folders is None:
            self._folders = self._with_connection(lambda connection: connection.folders())
        return self._folders

    def _details(self, folder: str, *, most: int) -> list[ListedMessage]:
        """Return the newest messages of a folder, at most `most`."""

        def read(connection: ImapConnection) -> list[ListedMessage]:
            numbers = connection.select(folder, readonly=True)
            self._validities[folder] = numbers.validity
            uids = sorted(connection.existing(1, numbers.next_uid))
            return list(connection.details(uids[-most:] if most > 0 else []).values())

        return self._with_connection(read)

    def _is_same(self, connection: ImapConnection, folder: str) -> bool:
        """Select a folder. Return whether its UIDs are still those of the list."""
        return connection.select(folder, readonly=True).validity == self._validities[folder]

    def _with_connection(self, action: Callable[[ImapConnection], T]) -> T:
        """Return the result of an action. After a lost connection, the action is begun again.

        Raises CommandRefusedError if the server refuses a command of the action.
        """
        while True:
            if time.monotonic() > self._until + MOST_SECONDS:
                raise AccountUnavailableError("the server takes too long")
            try:
                if self._connection is None:
                    self._connection = self._connect()
                result = action(self._connection)
            except (CommandRefusedError, LoginRefusedError):
                raise
            except AccountUnavailableError:
                self.close()
                self._lost += 1
                self._failed += 1
                if not self._has_worked or self._failed >= MOST_FAILED or self._lost >= MOST_LOST:
                    raise
                self._pause(float(self._failed))
            else:
                self._has_worked, self._failed = True, 0
                return result
