"""Users, crashes and looks in any order: what holds as labels is a function of what users did between the looks."""

from dataclasses import dataclass
from pathlib import Path

import on_disk
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, precondition, rule
from interruption import CrashError, Interruption, crash
from learning_house import LearningHouse
from mailbox_machine import CALLS, Mailbox

from spamlstm.maildir.content_id import content_id
from spamlstm.maildir.folders import FolderRole
from spamlstm.maildir.names import Name
from spamlstm.tracking.listing import list_files
from spamlstm.tracking.rule import Observation, infer_label
from spamlstm.tracking.state import FlagSet, Pending


@dataclass(frozen=True)
class Seen:
    """A message as it lay at the last look."""

    kind: FolderRole
    base: str
    marks: FlagSet


class Taught(Mailbox):
    """A mailbox in which somebody looks now and then.

    `place` is where each message counts as lying: where the last look saw it, or we put it since. `expected` follows
    from that by the rule alone, without journal, databases or files.
    """

    kind = LearningHouse
    # Whose move it was, where a user and we move the same message at the same moment, is for tests of the journal.
    work_beside_a_mover = None
    work_beside_a_reader = None
    work_beside_a_deleter = None
    work_with_an_error = None
    crash = None

    def __init__(self):
        super().__init__()
        self.place: dict[int, FolderRole] = {}
        self.seen: dict[int, Seen] = {}
        self.expected: dict[int, str] = {}
        self.inbox.look()

    def teardown(self):
        self.inbox.label_stores.close()
        self.inbox.mailbox_state.close()
        super().teardown()

    # What we do; Mailbox has what users do.

    @precondition(lambda self: self.up)
    @rule()
    def work(self):
        with self._our_doing():
            super().work()

    @precondition(lambda self: self.up)
    @rule()
    def take_back(self):
        with self._our_doing():
            super().take_back()

    @precondition(lambda self: self.up)
    @rule()
    def look(self):
        self.inbox.look()
        self._expect()

    @precondition(lambda self: self.up)
    @rule(call=CALLS)
    def crash_while_looking(self, call):
        """A part of it is read, perhaps a label is said; the look after the restart makes it whole."""
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
    def look_again_and_again(self):
        """After a restart too."""
        self.inbox.again()
        self.inbox.look()
        self._expect()
        before = self.inbox.labels()
        self.inbox.look()
        assert self.inbox.labels() == before

    # What always holds, once somebody has looked.

    @invariant()
    def labels_follow_from_what_users_did(self):
        labels = self.inbox.labels()
        if self.up:
            told = {number: labels.get(content_id(raw)) for number, raw in self.mails.items()}
            assert told == {number: self.expected.get(number) for number in self.mails}

    def _our_doing(self):
        return _OurDoing(self)

    def _is_known(self, number):
        return number in self.judged or self.place.get(number) is FolderRole.JUNK

    def _sights(self):
        found = {}
        for number in self.mails:
            for entry in self._where(number):
                folder = Path(entry.folder).name
                kind = {".Junk": FolderRole.JUNK, ".Archive": FolderRole.FILED}.get(folder, FolderRole.INBOX)
                (marks,) = {one.marks for one in list_files(on_disk.opened(entry.folder)) if one.name == entry.name}
                found[number] = Seen(kind, Name.parse(entry.name).base, marks)
        return found

    def _expect(self):
        judged = {
            number for number, raw in self.mails.items() if self.inbox.journal.knows(self.inbox.root, content_id(raw))
        }
        for number, sight in self._sights().items():
            last = self.seen.get(number)
            self.seen[number] = sight
            if last == sight:
                continue
            before = self.place.get(number, FolderRole.INBOX if number in judged else None)
            again = last is not None and (last.kind, last.base) == (sight.kind, sight.base)
            answered = bool(sight.marks & FlagSet.ANSWERED) and not (again and last.marks & FlagSet.ANSWERED)
            lay = sight.kind if again else None
            meant = infer_label(Observation(before or lay, sight.kind, sight.marks, answered=answered))
            if meant.pending is Pending.ALWAYS or (meant.pending is Pending.IF_NONE and number not in self.expected):
                self.expected[number] = str(meant.label)
            # Mail that was never judged, and of which nothing was said where it lay, counts as lying nowhere yet.
            if before is not None or meant.label is not None or meant.place is not FolderRole.INBOX:
                self.place[number] = meant.place


class _OurDoing:
    """Within it all that moves is moved by us."""

    def __init__(self, machine):
        self.machine = machine

    def __enter__(self):
        self.before = self.machine._sights()

    def __exit__(self, *_):
        for number, sight in self.machine._sights().items():
            if number in self.before and self.before[number].kind is not sight.kind:
                self.machine.place[number] = sight.kind


TestTaught = Taught.TestCase
TestTaught.settings = settings(max_examples=40, stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow])
