"""Pending labels: labels that are recorded in the mailbox state but not yet added to the label store.

A label is first recorded as pending, then added to the label store, and then the pending mark is cleared. So a crash
neither loses a label nor adds a label twice.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence

from spamlstm.filtering.crash_guard import CrashGuard, labelling
from spamlstm.filtering.failures import emit
from spamlstm.filtering.journal import Journal
from spamlstm.maildir.content_id import content_id
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.tracking.label_stores import LabelStores, StoreUnavailableError
from spamlstm.tracking.listing import list_files, read_listed
from spamlstm.tracking.mailbox_state import MailboxState
from spamlstm.tracking.rule import FileUpdate
from spamlstm.tracking.state import FlagSet, Pending, TrackedMessage


class PendingLabels:
    """A recorder of pending labels that adds them to the label stores.

    Only the thread that opened the journal may use an instance.
    """

    def __init__(
        self, *, mailbox_state: MailboxState, journal: Journal, label_stores: LabelStores, clock: Callable[[], float]
    ) -> None:
        self.maildirs: set[str] = set()
        """The Maildirs in which this process left pending labels."""
        self._state = mailbox_state
        self._label_stores = label_stores
        self._guard = CrashGuard(journal, clock=clock)
        self._clock = clock

    def record(self, maildir: str, updates: Sequence[FileUpdate]) -> None:
        """Record files, messages and pending labels in one transaction.

        If a label is pending, the transaction is durable (fsynced).
        """
        messages = [one.message for one in updates if one.message is not None]
        pending = any(message.pending for message in messages)
        with self._state.change(durable=pending):
            self._state.put_files(one.file for one in updates)
            for message in messages:
                self._state.put_message(maildir, message, now=self._clock())
        if pending:
            self.maildirs.add(maildir)

    def record_and_add(self, maildir: str, updates: Sequence[FileUpdate]) -> Iterator[None]:
        """Record updates, then add the pending labels of updates with `raw` bytes; yields between steps."""
        self.record(maildir, updates)
        yield
        # A message with two files has two updates. The last update is used.
        for message, raw in {one.message.content: (one.message, one.raw) for one in updates if one.message}.values():
            if message.pending and raw:
                self._add(maildir, message, raw)
                yield

    def add_all(self, mailbox: OpenMaildir) -> Iterator[None]:
        """Add all pending labels of a Maildir; yields after each message.

        A label may still be pending after a crash, after an error of the label store, or because the message is large.
        """
        maildir = mailbox.path
        self.maildirs.discard(maildir)
        for message in self._state.pending(maildir):
            raw = self._find(mailbox, message.content)
            if raw is None:
                # A deleted message cannot be learned. A moved message is found at the next visit.
                if not self._state.copies(maildir, message.content):
                    self._clear(maildir, message)
            elif not self._add(maildir, message, raw):
                return
            del raw  # otherwise two messages are in memory while the next message is read
            yield

    def _add(self, maildir: str, message: TrackedMessage, raw: bytes) -> bool:
        """Add a pending label and clear its pending mark. Return False if the label store cannot be used now.

        If the program crashed twice while it learned this message, the message is not learned and the mark is cleared.
        """
        label = message.label
        assert label is not None  # noqa: S101  a message with a pending label has a label
        self._guard.model = self._label_stores.model
        item = labelling(maildir, message.content)
        if self._guard.is_set_aside(item):
            why = "the program crashed twice while it learned this message"
            emit(logging.WARNING, "not-learned", maildir=maildir, id=message.content, error=why)
            self._clear(maildir, message)
            return True
        try:
            wanted = message.pending is Pending.ALWAYS or self._label_stores.label(maildir, message.content) is None
            with self._guard.attempt(item):
                new = wanted and self._label_stores.add_label(
                    maildir, raw, label, answered=self._is_answered(maildir, message)
                )
        except StoreUnavailableError:
            self.maildirs.add(maildir)
            return False
        self._clear(maildir, message)
        level = logging.INFO if new else logging.DEBUG
        emit(level, "learned", maildir=maildir, id=message.content, label=label, folder=message.role)
        return True

    def _is_answered(self, maildir: str, message: TrackedMessage) -> bool:
        """Return whether a file of the message has the flag of answered mail."""
        return any(file.flags & FlagSet.ANSWERED for _, file in self._state.copies(maildir, message.content))

    def _clear(self, maildir: str, message: TrackedMessage) -> None:
        with self._state.change():
            self._state.clear_pending(maildir, message.content)

    def _find(self, mailbox: OpenMaildir, content: str) -> bytes | None:
        """Return the bytes of a message from any of its recorded files, or None if no file can be read."""
        for known, tracked in self._state.copies(mailbox.path, content):
            folder = mailbox.folder(known.folder.name)
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                for file in list_files(folder):
                    raw = read_listed(folder, file) if file.base == tracked.base else None
                    if raw is not None and content_id(raw) == content:
                        return raw
        return None
