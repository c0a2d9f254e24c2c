"""Moves, crashes and visits in any order: the labels follow from what users did between visits."""

from dataclasses import dataclass
from pathlib import Path

import on_disk
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, precondition, rule
from interruption import CrashError, Interruption, crash
from mailbox_machine import CALLS, Mailbox
from tracked_maildir import TrackedMaildir

from spamlstm.maildir.content_id import content_id
from spamlstm.maildir.folders import FolderRole
from spamlstm.maildir.names import Name
from spamlstm.tracking.listing import list_files
from spamlstm.tracking.rule import Observation, infer_label
from spamlstm.tracking.state import FlagSet, Pending


@dataclass(frozen=True)
class LastSeen:
    """A message as it was at the last visit."""

    role: FolderRole
    base: str
    flags: FlagSet


class TrackedMailbox(Mailbox):
    """A mailbox that the tracker visits now and then.

    `role` is that of the folder each message counts as being in: where the last visit found it, or where we put it
    since. `expected` follows from that by the rule alone, without journal, databases or files.
    """

    kind = TrackedMaildir
    # Who moved a message that a user and we move at the same moment is for the tests of the journal.
    work_beside_a_mover = None
    work_beside_a_reader = None
    work_beside_a_deleter = None
    work_with_an_error = None
    crash = None

    def __init__(self):
        super().__init__()
        self.role: dict[int, FolderRole] = {}
        self.last: dict[int, LastSeen] = {}
        self.expected: dict[int, str] = {}
        self.inbox.look()

    def teardown(self):
        self.inbox.label_stores.close()
        self.inbox.mailbox_state.close()
        super().teardown()

    # Our acts; Mailbox has those of users.

    @precondition(lambda self: self.up)
    @rule()
    def work(self):
        with _OurActs(self):
            super().work()

    @precondition(lambda self: self.up)
    @rule()
    def take_back(self):
        with _OurActs(self):
            super().take_back()

    @precondition(lambda self: self.up)
    @rule()
    def visit(self):
        self.inbox.look()
        self._expect()

    @precondition(lambda self: self.up)
    @rule(call=CALLS)
    def crash_during_a_visit(self, call):
        """The visit after the restart completes the one that was interrupted."""
        with Interruption(call, crash):
            try:
                self.inbox.look()
            except CrashError:
                self.up = False
        if not self.up:
            self.inbox.again()
            self.up = True
            self.inbox.look()
        self._expect()

    @precondition(lambda self: self.up)
    @rule()
    def visit_again(self):
        """A second visit changes no label, even after a restart."""
        self.inbox.again()
        self.inbox.look()
        self._expect()
        before = self.inbox.labels()
        self.inbox.look()
        assert self.inbox.labels() == before

    # What holds at any time.

    @invariant()
    def labels_follow_from_what_users_did(self):
        labels = self.inbox.labels()
        if self.up:
            found = {number: labels.get(content_id(raw)) for number, raw in self.mails.items()}
            assert found == {number: self.expected.get(number) for number in self.mails}

    def _is_known(self, number):
        return number in self.judged or self.role.get(number) is FolderRole.JUNK

    def observe(self):
        found = {}
        for number in self.mails:
            for entry in self._where(number):
                folder = Path(entry.folder).name
                role = {".Junk": FolderRole.JUNK, ".Archive": FolderRole.FILED}.get(folder, FolderRole.INBOX)
                (flags,) = {one.flags for one in list_files(on_disk.opened(entry.folder)) if one.name == entry.name}
                found[number] = LastSeen(role, Name.parse(entry.name).base, flags)
        return found

    def _expect(self):
        judged = {
            number for number, raw in self.mails.items() if self.inbox.journal.knows(self.inbox.root, content_id(raw))
        }
        for number, now in self.observe().items():
            last = self.last.get(number)
            self.last[number] = now
            if last == now:
                continue
            before = self.role.get(number, FolderRole.INBOX if number in judged else None)
            same = last is not None and (last.role, last.base) == (now.role, now.base)
            answered = bool(now.flags & FlagSet.ANSWERED) and not (same and last.flags & FlagSet.ANSWERED)
            before_or_same = before or (now.role if same else None)
            inferred = infer_label(Observation(before_or_same, now.role, now.flags, answered=answered))
            if inferred.pending is Pending.ALWAYS or (
                inferred.pending is Pending.IF_NONE and number not in self.expected
            ):
                self.expected[number] = str(inferred.label)
            # Mail that was never judged and gave no label has no role yet.
            if before is not None or inferred.label is not None or inferred.role is not FolderRole.INBOX:
                self.role[number] = inferred.role


class _OurActs:
    """In the block all moves are ours."""

    def __init__(self, machine):
        self.machine = machine

    def __enter__(self):
        self.before = self.machine.observe()

    def __exit__(self, *_):
        for number, now in self.machine.observe().items():
            if number in self.before and self.before[number].role is not now.role:
                self.machine.role[number] = now.role


TestTrackedMailbox = TrackedMailbox.TestCase
TestTrackedMailbox.settings = settings(
    max_examples=40, stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow]
)
