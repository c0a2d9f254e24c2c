"""Pending labels: labels that are recorded in the mailbox state but not yet added to the label store.

A label is first recorded as pending, then added to the label store, and then the pending mark is cleared. So a crash
neither loses a label nor adds a label twice.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from spamlstm.filtering.crash_guard import CrashGuard
from spamlstm.filtering.event_log import emit
from spamlstm.filtering.in_progress import labelling
from spamlstm.filtering.journal import Journal
from spamlstm.maildir.content_id import content_ids
from spamlstm.maildir.entry import PassingOver
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.tracking.label_stores import LabelStores, StoreUnavailableError
from spamlstm.tracking.listing import ListedFile, list_files, read_listed
from spamlstm.tracking.mailbox_state import MailboxState
from spamlstm.tracking.state import Departure, FlagSet, KnownFolder, Pending, TrackedFile, TrackedMessage


@dataclass(frozen=True, slots=True)
class Settlement:
    """The result of a comparison of the files of one message, as it is recorded.

    `files` replace the records of these files, and the records of the files in `gone` are removed. `departures` and
    `message` are the new records of the message, or None if they are unchanged. `raw` is the message if a label is
    pending and the message is in memory.
    """

    content: str
    files: tuple[TrackedFile, ...]
    gone: tuple[TrackedFile, ...]
    departures: tuple[Departure, ...] | None
    message: TrackedMessage | None = None
    raw: bytes = b""


class PendingLabels:
    """A recorder of pending labels that adds them to the label stores.

    Only the thread that opened the journal may use an instance.
    """

    def __init__(
        self, *, mailbox_state: MailboxState, journal: Journal, label_stores: LabelStores, clock: Callable[[], float]
    ) -> None:
        self.maildirs: set[str] = set()
        """The Maildirs in which this process left pending labels."""
        self._added: set[str] = set()  # Maildirs with labels that may not be learned yet
        self._state = mailbox_state
        self._label_stores = label_stores
        self._guard = CrashGuard(journal, clock=clock)
        self._clock = clock

    def record_and_add(self, maildir: str, settlements: Sequence[Settlement]) -> Iterator[None]:
        """Record settlements, then add the pending labels of settlements with `raw` bytes; yields between steps.

        The settlements are recorded in one transaction. It is durable (fsynced) if a label is pending.
        """
        pending = any(one.message is not None and one.message.pending for one in settlements)
        with self._state.change(durable=pending):
            for one in settlements:
                for file in one.gone:
                    self._state.drop_file(file.folder, file.base)
                self._state.put_files(one.files)
                if one.departures is not None:
                    self._state.put_departures(maildir, one.content, one.departures)
                if one.message is not None:
                    self._state.put_message(maildir, one.message, now=self._clock())
        if pending:
            self.maildirs.add(maildir)
        yield
        for one in settlements:
            if one.message is not None and one.message.pending and one.raw:
                self._add(maildir, one.message, one.raw)
                yield

    def add_all(self, mailbox: OpenMaildir) -> Iterator[None]:
        """Add all pending labels of a Maildir; yields after each message.

        A label may still be pending after a crash, after an error of the label store, or because the message is large.
        """
        maildir = mailbox.path
        names: dict[str, dict[int, ListedFile]] = {}
        for message in self._state.pending(maildir):
            copies = [one for one in self._state.copies(maildir, message.content) if not one[1].flags & FlagSet.DELETED]
            raw = _find(mailbox, copies, message.content, names)
            if raw is None:
                # A deleted message cannot be learned. A moved message is found at the next visit.
                if not copies:
                    self._clear(maildir, message)
            elif not self._add(maildir, message, raw):
                return
            del raw  # otherwise two messages are in memory while the next message is read
            yield
        self.maildirs.discard(maildir)  # not before, because an error may end the loop
        if maildir in self._added:
            # Labels that replaced others are learned together, before the next message comes.
            self._added.discard(maildir)
            self._label_stores.layer(maildir)
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
            always = message.pending is Pending.ALWAYS
            wanted = always or self._label_stores.label(maildir, message.content, raw) is None
            with self._guard.attempt(item):
                new = wanted and self._label_stores.add_label(
                    maildir, raw, label, answered=self._is_answered(maildir, message)
                )
        except StoreUnavailableError:
            self.maildirs.add(maildir)
            return False
        self._clear(maildir, message)
        if new:
            self._added.add(maildir)
        level = logging.INFO if new else logging.DEBUG
        emit(level, "learned", maildir=maildir, id=message.content, label=label, folder=message.role)
        return True

    def _is_answered(self, maildir: str, message: TrackedMessage) -> bool:
        """Return whether a file of the message has the flag of answered mail."""
        return any(file.flags & FlagSet.ANSWERED for _, file in self._state.copies(maildir, message.content))

    def _clear(self, maildir: str, message: TrackedMessage) -> None:
        with self._state.change():
            self._state.clear_pending(maildir, message.content)


def _find(
    mailbox: OpenMaildir,
    copies: Sequence[tuple[KnownFolder, TrackedFile]],
    content: str,
    names: dict[str, dict[int, ListedFile]],
) -> bytes | None:
    """Return the bytes of a message from any of its recorded files, or None if no file can be read.

    `names` has the listings of the folders that were listed before.
    """
    for known, tracked in copies:
        name = known.folder.name
        with PassingOver():
            if name not in names:
                names[name] = {file.base: file for file in list_files(mailbox.folder(name))}
            file = names[name].get(tracked.base)
            stored = read_listed(mailbox.folder(name), file) if file is not None else None
            if stored is not None and content in content_ids(stored.content):
                return stored.content
    return None
