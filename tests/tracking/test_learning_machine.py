"""Moves, copies, crashes and visits in any order: the labels follow from what users did between visits."""

# ruff: noqa: PTH108, PTH110, PTH118, PTH119  as in maildir

import os
import shutil
import time
from dataclasses import replace

import on_disk
from changed_mail import WAYS
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from interruption import CrashError, Interruption, crash
from mailbox_machine import CALLS, FOLDERS, Mailbox
from tracked_maildir import TrackedMaildir

from spamlstm.filtering.inbox_index import name_hash
from spamlstm.filtering.outcome import Status
from spamlstm.maildir import paths
from spamlstm.maildir.content_id import content_id
from spamlstm.maildir.file_evidence import UNKNOWN_FILE, FileEvidence, FileMark
from spamlstm.maildir.folders import FolderRole
from spamlstm.maildir.headers import untag
from spamlstm.maildir.message_file import read_message
from spamlstm.maildir.names import Name
from spamlstm.tracking.listing import list_files
from spamlstm.tracking.rule import FoundCopy, History, KnownCopy, infer_label
from spamlstm.tracking.state import FlagSet, Pending

ROLES = {"": FolderRole.INBOX, ".Junk": FolderRole.JUNK, ".Archive": FolderRole.FILED}
CHANGES = ["X-Antivirus added", "Received lost", "headers folded at each space", "headers in another order"]


class TrackedMailbox(Mailbox):
    """A mailbox that the tracker visits now and then.

    `history` has for each message where its files were at the last visit, or where we put them since. `expected`
    follows from that by the rule alone, without journal, databases or files.
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
        self.files: dict[int, int] = {}
        self.deliveries = 0
        self.history: dict[int, History] = {}
        self.answered: dict[tuple[int, tuple[str, int]], bool] = {}
        self.acted: set[int] = set()
        """The messages that a user moved, copied or flagged."""
        self.backed_up: set[int] = set()
        """The messages with a backup that no visit has found beside its original."""
        self.expected: dict[int, str] = {}
        self.inbox.look()

    def teardown(self):
        self.inbox.label_stores.close()
        self.inbox.mailbox_state.close()
        super().teardown()

    # Users and other programs

    @rule(number=Mailbox.delivered, folder=st.sampled_from(FOLDERS), new=st.booleans(), way=st.sampled_from(CHANGES))
    def copy(self, number, folder, new, way):
        """A second file of a message: a second delivery, a rule, a backup, or the first step of a move."""
        places = self._where(number)
        if not places or len(places) > 2 or not paths.is_maildir(os.path.join(self.inbox.root, folder)):
            return
        content = WAYS[way](on_disk.content(places[0].path))
        self.inbox.put(content, os.path.join(self.inbox.root, folder), part="new" if new else "cur")
        self.files[number] = len(places) + 1
        self.rescued.discard(number)
        self.acted.add(number)

    @rule(number=Mailbox.delivered, folder=st.sampled_from(["", ".Archive"]))
    def deliver_again(self, number, folder):
        """A message is fetched or sent a second time."""
        places = self._where(number)
        if not places or len(places) > 2:
            return
        self.deliveries += 1
        content = b"Received: from pop by us id %d\n" % self.deliveries + untag(on_disk.content(places[0].path))
        path = self.inbox.put(content, os.path.join(self.inbox.root, folder), part="new")
        os.utime(path, (self.inbox.clock.now + 10 * self.deliveries,) * 2)
        self.files[number] = len(places) + 1
        self.rescued.discard(number)

    @rule(number=Mailbox.delivered, which=st.integers(0, 2))
    def back_up(self, number, which):
        """A program for files copies a file to another folder, with its name and date."""
        places = self._where(number)
        if not places or len(places) > 2:
            return
        source = places[which % len(places)]
        target = os.path.join(self.inbox.root, ".Archive", "cur", f"{Name.parse(source.name).base}:2,S")
        if source.folder.endswith(".Archive") or os.path.exists(target):
            return
        shutil.copy2(source.path, target)
        self.files[number] = len(places) + 1
        self.rescued.discard(number)
        self.backed_up.add(number)

    @rule(number=Mailbox.delivered, which=st.integers(0, 2))
    def remove_copy(self, number, which):
        """One of several files of a message is removed, or flagged as deleted first."""
        places = self._where(number)
        if len(places) > 1:
            if number in self.backed_up:
                self.acted.add(number)  # copied and removed between two visits, as some programs move
            os.unlink(places[which % len(places)].path)
            self.files[number] = len(places) - 1
            self.rescued.discard(number)

    @rule(
        number=Mailbox.delivered,
        folder=st.sampled_from(FOLDERS),
        way=st.sampled_from([None, *CHANGES]),
        which=st.integers(0, 2),
    )
    def move_one(self, number, folder, way, which):
        """A user moves one of several files of a message, and its headers may change on the way."""
        places = self._where(number)
        target = os.path.join(self.inbox.root, folder)
        if not places or not paths.is_maildir(target):
            return
        source = places[which % len(places)]
        if source.folder.rstrip("/") == target.rstrip("/"):
            return
        self.rescued.discard(number)
        self.acted.add(number)
        path = os.path.join(target, "cur", f"{self.inbox.unique()}:2,S")
        shutil.copy2(source.path, path)
        if way is not None:
            content = WAYS[way](on_disk.content(path))
            with open(path, "wb") as file:  # noqa: PTH123
                file.write(content)
        os.unlink(source.path)

    @rule(number=Mailbox.delivered, folder=st.sampled_from(FOLDERS), how=st.sampled_from(["rename", "link", "copy"]))
    def move(self, number, folder, how):
        self.acted.add(number)
        super().move(number, folder, how)

    @rule(number=Mailbox.delivered, flag=st.sampled_from("FRS"))
    def flag(self, number, flag):
        self.acted.add(number)
        super().flag(number, flag)

    # Our acts; Mailbox has those of users.

    @precondition(lambda self: self.up)
    @rule()
    def work(self):
        with _OurActs(self) as acts:
            acts.judged(self.inbox.run())

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
            assert {number for number, label in found.items() if label} <= self.acted, "a label without an act"

    @invariant()
    def each_message_is_there_once(self):
        """Each message has as many files as its user and other programs left."""
        for number, raw in self.mails.items():
            found = [content_id(on_disk.content(entry.path)) for entry in self._where(number)]
            assert found == [content_id(raw)] * self.files.get(number, 1), number

    @rule(seconds=st.sampled_from([1, 30, 100]))
    def wait(self, seconds):
        self.inbox.wait(seconds)

    def _is_known(self, number):
        history = self.history.get(number, History())
        return number in self.judged or any(copy.role is FolderRole.JUNK for copy in history.copies)

    def _forget(self, number):
        super()._forget(number)
        self.files.pop(number, None)

    def observe(self):
        """Return flags and evidence of the files of each message, by key."""
        found = {}
        for number in self.mails:
            found[number] = {}
            for entry in self._where(number):
                name = os.path.basename(entry.folder.rstrip("/"))
                folder = name if name in FOLDERS else ""
                (flags,) = {one.flags for one in list_files(on_disk.opened(entry.folder)) if one.name == entry.name}
                evidence = FileEvidence.of(entry.name, read_message(on_disk.entry(entry.path), most=1 << 20))
                found[number][folder, name_hash(Name.parse(entry.name).base)] = flags, evidence
        return found

    def _expect(self):
        now = time.time() + self.inbox.later
        self.backed_up.clear()
        for number, files in self.observe().items():
            found = []
            for key, (flags, evidence) in files.items():
                answered = bool(flags & FlagSet.ANSWERED)
                since = answered and not self.answered.get((number, key), False)
                self.answered[number, key] = answered
                found.append(FoundCopy(key, ROLES[key[0]], bool(flags & FlagSet.SEEN), since, evidence))
            inferred = infer_label(self.history.get(number, History()), found, time=now)
            self.history[number] = inferred.history
            if inferred.pending is Pending.ALWAYS or (
                inferred.pending is Pending.IF_NONE and number not in self.expected
            ):
                self.expected[number] = str(inferred.label)


class _OurActs:
    """In the block all moves are ours."""

    def __init__(self, machine):
        self.machine = machine

    def __enter__(self):
        self.before = self.machine.observe()
        return self

    def judged(self, outcomes):
        """Messages that were judged were delivered: they are no first step of a move."""
        machine = self.machine
        for one in outcomes:
            if one.status in (Status.LEFT, Status.DONE):
                (number,) = [number for number, raw in machine.mails.items() if content_id(raw) == one.content]
                self._know(number, ("", name_hash(one.candidate.base)))

    def _know(self, number, key):
        history = self.machine.history.get(number, History())
        copies = {copy.key: copy for copy in history.copies}
        known = copies.get(key) or KnownCopy(key, ROLES[key[0]], 0.0, was_visited=False)
        copies[key] = replace(known, is_open=False)
        self.machine.history[number] = replace(history, copies=tuple(copies.values()))

    def __exit__(self, *_):
        now = time.time() + self.machine.inbox.later
        for number, files in self.machine.observe().items():
            before = self.before.get(number, {})
            gone, came = sorted(before.keys() - files.keys()), sorted(files.keys() - before.keys())
            history = self.machine.history.get(number, History())
            copies = {copy.key: copy for copy in history.copies}
            for old, new in zip(gone, came, strict=True):
                known = copies.pop(old, None)
                visited = known is not None and known.was_visited
                evidence = UNKNOWN_FILE if known is None else known.evidence
                _, seen = files[new]
                evidence = evidence.filed(date=seen.mtime_ns // 10**9, is_tagged=FileMark.TAGGED in seen.marks)
                copies[new] = KnownCopy(new, ROLES[new[0]], now, was_visited=visited, evidence=evidence)
            self.machine.history[number] = replace(history, copies=tuple(copies.values()))


TestTrackedMailbox = TrackedMailbox.TestCase
TestTrackedMailbox.settings = settings(
    max_examples=40, stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow]
)
