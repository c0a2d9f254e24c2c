"""Visits of the folders of an account, which record the messages that arrived, left or got other flags since the last.

The first visit only records the current mail. Later visits list only mail that is newer than the first visit, and the
old mail of the junk folder, so that a message that its user moves out of the junk folder is recognised.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from spamlstm.config import CatchUp
from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.daemon.imap.account_folders import inbox_in_capitals, sent_folders_of, visited_folders
from spamlstm.daemon.imap.account_session import AccountSession
from spamlstm.daemon.imap.account_state import AccountCopy, AccountFolder
from spamlstm.daemon.imap.answers import (
    UNCOMPARED,
    CommandRefusedError,
    FolderNumbers,
    ListedFolder,
    ListedMessage,
    RemoteFlag,
    was_deleted,
)
from spamlstm.daemon.imap.exchange import FLAGS, LEFT, NEW, SELECTED
from spamlstm.daemon.imap.reading import batches, bodies_of
from spamlstm.daemon.imap.recognition import recognized, recorded_content
from spamlstm.daemon.imap.records import NO_CONTENT
from spamlstm.filtering.event_log import emit
from spamlstm.maildir.folders import FolderRole
from spamlstm.maildir.headers import is_tagged_as_spam
from spamlstm.tracking.imports import MOST_MOVED
from spamlstm.tracking.state import CopyStatus

# The largest number of messages of the junk folder that are read at the first visit, and the largest size of each. The
# newest ones are read.
MOST_OLD_JUNK = 1000
MOST_OLD_BYTES = 1 << 20
# If the server does not support CONDSTORE, each visit asks for the flags of at most this number of messages.
_MOST_FLAGS = 1000
# The clocks of the server and of this machine may differ by this many seconds. If the server has changed all UIDs, mail
# that came up to this time before the last visit may be new.
CLOCKS_DIFFER = 300.0

_FLAGS_OF = {FolderRole.JUNK: frozenset(("\\junk",)), FolderRole.IGNORED: frozenset(("\\sent",))}
"""The flags with which a server would list a folder that has such a role."""


class FolderVisits:
    """A visitor of the folders of one account."""

    def __init__(self, session: AccountSession) -> None:
        self._session = session
        self._connection = session.connection
        self._records = session.records
        self._reported: set[str] = set()
        self.listed: list[ListedFolder] = []
        """The folders of the account at the last call of `find`."""

    def find(self, listed: Sequence[ListedFolder]) -> list[AccountFolder]:
        """Record the folders of the account, and return those that are visited, in the order of visits.

        The Sent folders, whose role is IGNORED, are the first. A renamed folder is recognised by its numbers, and
        keeps its records. A list may be incomplete, so a folder that is missing there but exists is visited too.
        """
        known = {one.name: one for one in self._records.folders()}
        created = self._session.clock() if known else 0.0
        roles = self._roles(listed)
        missing = {name: one for name, one in known.items() if name not in roles}
        renamed = self._renamed([name for name in roles if name not in known], missing)
        moved = {one.name for one in renamed.values()}
        self.listed = [*listed, *self._unlisted(listed, [one for name, one in missing.items() if name not in moved])]
        roles = self._roles(self.listed)
        missing = {name: one for name, one in known.items() if name not in roles}
        with self._records.change():
            for name, role in roles.items():
                former = known.get(name) or renamed.get(name)
                if former is None:
                    self._records.add_folder(name, role, created=created)
                elif (former.name, former.role) != (name, role):
                    missing.pop(former.name, None)
                    self._records.put_folder(replace(former, name=name, role=role))
            for one in missing.values():
                self._records.drop_folder(one.id)
        self._report_missing(roles)
        found = {one.name: one for one in self._records.folders()}
        return [found[name] for name in roles]

    def _report_missing(self, roles: dict[str, FolderRole]) -> None:
        """Log the folders of the setting `folders` that do not exist, each once in a connection."""
        names = {inbox_in_capitals(name) for name, role in roles.items() if role is FolderRole.INBOX}
        for name in self._session.account.folders:
            if inbox_in_capitals(name) not in names and name not in self._reported:
                self._reported.add(name)
                emit(logging.WARNING, "folder-missing", account=self._session.account.label, folder=name)

    def _roles(self, listed: Sequence[ListedFolder]) -> dict[str, FolderRole]:
        """Return the roles of the folders that are visited, by name, in the order of visits."""
        account, learning = self._session.account, self._session.config.learning
        roles = dict.fromkeys(sent_folders_of(listed, account) if learning.learn_from_moves else (), FolderRole.IGNORED)
        return roles | visited_folders(listed, account, ignore_folders=learning.ignore_folders)

    def _unlisted(self, listed: Sequence[ListedFolder], recorded: Iterable[AccountFolder]) -> list[ListedFolder]:
        """Return the recorded folders that exist although they are missing in the list of the server, and log them."""
        names = {inbox_in_capitals(one.name) for one in listed}
        delimiter = next((one.delimiter for one in listed), "/")
        found = [
            ListedFolder(one.name, delimiter, _FLAGS_OF.get(one.role, frozenset()))
            for one in recorded
            if one.validity and inbox_in_capitals(one.name) not in names and self._exists(one.name)
        ]
        for one in found:
            self._session.tally.failed["unlisted"] += 1
            if one.name not in self._reported:
                self._reported.add(one.name)
                emit(logging.WARNING, "folder-not-listed", account=self._session.account.label, folder=one.name)
        return found

    def _exists(self, name: str) -> bool:
        """Return whether the server knows a folder, by its numbers."""
        try:
            self._connection.numbers(name)
        except CommandRefusedError:
            return False
        return True

    def _renamed(self, names: Iterable[str], missing: dict[str, AccountFolder]) -> dict[str, AccountFolder]:
        """Return the former records of renamed folders, by the new name. A record has at most one new name.

        Some servers give all folders the same UIDVALIDITY. If several new names match a record, none of them is used.
        """
        if not missing:
            return {}
        found = {name: one for name in names if (one := self._former(name, missing)) is not None}
        counts = Counter(one.id for one in found.values())
        return {name: one for name, one in found.items() if counts[one.id] == 1}

    def _former(self, name: str, missing: dict[str, AccountFolder]) -> AccountFolder | None:
        try:
            numbers = self._connection.numbers(name)
        except CommandRefusedError:
            return None
        same = [one for one in missing.values() if one.validity == numbers.validity and one.validity]
        return same[0] if len(same) == 1 and same[0].next_uid <= numbers.next_uid else None

    def refresh(self, folder: AccountFolder) -> None:
        """Visit a folder that is not selected if its numbers changed. A folder that the server refuses is skipped."""
        try:
            numbers = self._connection.numbers(folder.name)
            before = folder.validity, folder.messages, folder.unseen, folder.modseq
            same = before == (numbers.validity, numbers.messages, numbers.unseen, numbers.modseq)
            if not same or numbers.next_uid > folder.next_uid:
                self.visit(folder, numbers)
        except CommandRefusedError:
            self._session.tally.failed["folder"] += 1

    def visit(
        self, folder: AccountFolder, status: FolderNumbers | None = None, *, changes: set[str] | None = None
    ) -> bool:
        """Record what changed in a folder. Return whether messages left it. `status` are its numbers before the visit.

        `changes` are the kinds of changes that the server has reported since the last visit, if the folder is still
        selected. Without them, all its messages are compared.
        """
        was_selected = self._connection.is_selected(folder.name)
        kinds = changes if was_selected and changes is not None and SELECTED not in changes else {NEW, FLAGS, *LEFT}
        if was_selected and kinds is not changes:
            self._connection.check()
        numbers = self._connection.select(folder.name, readonly=self._session.is_read_only(folder))
        # Messages from before the first visit, which are not known, may have left too.
        has_left = bool((changes or set()) & LEFT)
        if kinds is not changes:
            has_left |= bool(self._connection.take_events() & LEFT)
        if not folder.validity:
            folder = self._begin(folder, numbers)
        elif folder.validity != numbers.validity or (not was_selected and 0 < numbers.next_uid < folder.next_uid):
            # UIDs that become smaller are new ones too, for example those of a backup.
            folder = self._renumbered(folder, numbers)
        return has_left | self._compare(
            folder, kinds, status or FolderNumbers(numbers.validity, numbers.next_uid), numbers
        )

    def _compare(self, folder: AccountFolder, kinds: set[str], counted: FolderNumbers, numbers: FolderNumbers) -> bool:
        """Record changes of the given kinds in the selected folder. Return whether messages left it."""
        gone: set[int] = set()
        existing: set[int] = set()
        if kinds & LEFT:
            known = self._records.known(folder.id)
            existing = self._connection.existing(
                min(known, default=folder.next_uid), max(numbers.next_uid, folder.next_uid)
            )
            gone = known.keys() - existing
        elif NEW in kinds:
            existing = self._connection.existing(folder.next_uid, folder.next_uid)
        unknown = [uid for uid in existing if uid >= folder.next_uid and self._records.copy(folder.id, uid) is None]
        new = self._connection.details(unknown)
        flags, modseq = self._flags(folder) if FLAGS in kinds else ({}, folder.modseq)
        now = self._session.clock()
        with self._records.change():
            for uid in gone:
                self._record_gone(folder, uid)
            deleted = [uid for uid in flags.keys() - gone if self._record_flags(folder, uid, flags[uid])]
            self._records.put(self._arrived(folder, list(new.values()), now))
            self._records.put_folder(
                replace(
                    folder,
                    next_uid=max((folder.next_uid, *(uid + 1 for uid in new))),
                    messages=counted.messages,
                    unseen=counted.unseen,
                    modseq=max(modseq, numbers.modseq, counted.modseq),
                    visited=now,
                )
            )
        return bool(gone or deleted)

    def read(self, folder: AccountFolder, *, most: int) -> int:
        """Read the messages of a folder that is not classified, at most `most`. Return the number of messages."""
        unread = [one for one in self._records.unread(folder.id) if one.size <= MOST_BYTES][:most]
        if unread:
            self._connection.select(folder.name, readonly=self._session.is_read_only(folder))
        for batch in batches(unread):
            raws, refused = bodies_of(self._connection, batch)
            with self._records.change():
                for one in batch:
                    if one.uid in refused:
                        self._records.put([replace(one, content=NO_CONTENT, status=CopyStatus.SETTLED)])
                    elif one.uid not in raws:
                        self._records.drop(folder.id, [one.uid])
                    else:
                        self._records.put([self._read_copy(folder, one, raws[one.uid])])
        return len(unread)

    def _read_copy(self, folder: AccountFolder, one: AccountCopy, raw: bytes) -> AccountCopy:
        """Return the record of a message that was read."""
        content, status = recorded_content(self._records, one, raw), one.status
        if self._records.copies(content) or self._records.departures(content):
            status = CopyStatus.ARRIVED
        elif folder.role is FolderRole.JUNK and (one.flags & RemoteFlag.FILED or is_tagged_as_spam(raw)):
            status = CopyStatus.SETTLED  # not filed by the user, but by a filter or a mail rule for our headers
        return replace(one, content=content, status=status)

    def _begin(self, folder: AccountFolder, numbers: FolderNumbers) -> AccountFolder:
        """Record the current mail of a folder that is visited for the first time. Return the new record.

        A folder that its user created since the last visit may have mail that was moved there.
        """
        next_uid = numbers.next_uid or max(self._connection.existing(1, 1), default=0) + 1
        copies: list[AccountCopy] = []
        catch_up = self._session.config.daemon.catch_up
        if folder.visited and folder.role is not FolderRole.INBOX and numbers.messages <= MOST_MOVED:
            next_uid = 1
        elif folder.role is FolderRole.INBOX and catch_up is not CatchUp.NEW:
            uids = self._connection.existing(1, next_uid, unseen=catch_up is CatchUp.UNSEEN)
            found = self._connection.details(uid for uid in uids if uid < next_uid)
            copies = self._arrived(folder, list(found.values()), self._session.clock())
        elif folder.role is FolderRole.JUNK:
            newest = sorted(self._connection.existing(1, next_uid))[-MOST_OLD_JUNK:]
            found = self._connection.details(uid for uid in newest if uid < next_uid)
            small = [one for one in found.values() if one.size <= MOST_OLD_BYTES]
            copies = [replace(one, status=CopyStatus.SETTLED) for one in self._arrived(folder, small, 0.0)]
        begun = replace(folder, validity=numbers.validity, next_uid=next_uid)
        with self._records.change():
            self._records.put(copies)
            self._records.put_folder(begun)
        return begun

    def _renumbered(self, folder: AccountFolder, numbers: FolderNumbers) -> AccountFolder:
        """Find the messages of a folder again whose UIDs the server changed. Return the new record.

        Unknown messages are new if the server received them after the last visit.
        """
        listed = self._connection.details(self._connection.existing(1, numbers.next_uid))
        recorded = self._records.in_folder(folder.id)
        copies, unknown = recognized(self._connection, listed.values(), recorded)
        new = [one for one in unknown if one.date >= folder.visited - CLOCKS_DIFFER]
        copies += self._arrived(folder, new, self._session.clock())
        next_uid = max((numbers.next_uid, *(uid + 1 for uid in listed)))
        begun = replace(folder, validity=numbers.validity, next_uid=next_uid, modseq=0)
        with self._records.change():
            self._records.drop(folder.id, [one.uid for one in recorded])
            self._records.put(copies)
            self._records.put_folder(begun)
        self._session.tally.settled["renumbered"] += 1
        return begun

    def _arrived(self, folder: AccountFolder, found: Sequence[ListedMessage], now: float) -> list[AccountCopy]:
        """Return the records of messages that arrived. Those that need not be read have NO_CONTENT.

        Mail that a rule of the server filed is not read: a moved message has the size of a known message.
        """
        sizes = Counter(one.size for one in found)
        known = {size for size in sizes if folder.role is not FolderRole.FILED or self._records.has_size(size)}
        is_bulk = folder.role is FolderRole.JUNK and len(found) > MOST_MOVED
        copies = []
        for one in found:
            is_read = one.size in known and one.size <= MOST_BYTES and not one.flags & RemoteFlag.DELETED
            status = CopyStatus.SETTLED if is_bulk or not is_read else CopyStatus.ARRIVED
            content = None if is_read else NO_CONTENT
            copies.append(AccountCopy(folder.id, one.uid, one.flags, one.size, one.date, now, content, status))
        return copies

    def _flags(self, folder: AccountFolder) -> tuple[dict[int, RemoteFlag], int]:
        """Return the flags of messages whose flags may have changed, and the largest modseq."""
        known = self._records.known(folder.id)
        if not known:
            return {}, folder.modseq
        if self._connection.has_modseq and folder.modseq:
            return self._connection.changed_flags(min(known), since=folder.modseq)
        return self._connection.flags(sorted(known)[-_MOST_FLAGS:]), folder.modseq

    def _record_gone(self, folder: AccountFolder, uid: int) -> None:
        one = self._records.copy(folder.id, uid)
        if one is None or one.content in (None, NO_CONTENT) or was_deleted(one.flags):
            self._records.drop(folder.id, [uid])
        else:
            self._records.put([replace(one, flags=one.flags | RemoteFlag.GONE)])

    def _record_flags(self, folder: AccountFolder, uid: int, after: RemoteFlag) -> bool:
        """Record the flags of a message, if it is known. Return whether it was flagged as deleted."""
        one = self._records.copy(folder.id, uid)
        if one is None or one.flags & RemoteFlag.GONE:
            return False
        before = one.flags
        flags = after | (before & UNCOMPARED)
        if after & ~before & RemoteFlag.ANSWERED:
            flags |= RemoteFlag.REPLIED
        if after & ~before & RemoteFlag.SEEN and one.status is CopyStatus.UNFILED:
            flags |= RemoteFlag.OPENED
        if (after ^ before) & RemoteFlag.DELETED:
            flags ^= RemoteFlag.TOGGLED
        if flags != before:
            self._records.put([replace(one, flags=flags)])
        return bool(after & ~before & RemoteFlag.DELETED)
