"""Deliveries, readers, users, crashes and our pipeline over one Maildir: each message is there once, unchanged."""

# ruff: noqa: PTH104, PTH108, PTH118  as in maildir

import os
import shutil
import tempfile
from pathlib import Path

import on_disk
from house import OPENED, House, make, raw
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule
from interruption import CrashError, Interruption, crash

from spamlstm.mail import maildir
from spamlstm.mail.content import content_id
from spamlstm.mail.maildir import Name
from spamlstm.mail.tagging import untag
from spamlstm.service.ledger import Ledger
from spamlstm.service.undo import undo

FOLDERS = ("", ".Junk", ".Archive")
# The acts on one message make about thirty calls, a group of some more.
CALLS = st.integers(0, 120)


class Mailbox(RuleBasedStateMachine):
    """One Maildir. `mails` holds what was delivered and not deleted: its bytes by the number in its Received line."""

    delivered = Bundle("delivered")
    kind = House

    def __init__(self):
        super().__init__()
        # Memory is as good as a disk here, and a hundred times as fast.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
        self.path = Path(tempfile.mkdtemp(dir=memory))
        self.house = self.kind(make(self.path / "Maildir"), self.path / "state").watch()
        on_disk.create_folder(self.house.root, os.path.join(self.house.root, ".Archive"))
        self.mails: dict[int, bytes] = {}
        self.judged: set[int] = set()
        self.rescued: set[int] = set()
        self.count = 0
        self.up = True

    def teardown(self):
        while OPENED:
            OPENED.pop().close()
        shutil.rmtree(self.path)

    # What others do.

    @rule(target=delivered, body=st.sampled_from(["spam", "unsure", "ham"]), how=st.sampled_from(["link", "rename"]))
    def deliver(self, body, how):
        self.count += 1
        content = raw(body, self.count)
        written, target = (
            os.path.join(self.house.root, part, f"{self.count}.mx,S={len(content)}") for part in ("tmp", "new")
        )
        Path(written).write_bytes(content)
        os.utime(written, (self.house.clock.now + 1,) * 2)
        if how == "link":
            os.link(written, target)
            os.unlink(written)
        else:
            os.rename(written, target)
        self.mails[self.count] = content
        return self.count

    @rule(folder=st.sampled_from(FOLDERS))
    def read(self, folder):
        """A reader opens a folder: what is new there is not new any more."""
        for entry in self._entries(folder):
            if entry.part == "new":
                name = Name.parse(entry.name).within("cur")
                os.rename(entry.path, os.path.join(entry.folder, "cur", str(name)))

    @rule(number=delivered, flag=st.sampled_from("FRS"))
    def flag(self, number, flag):
        for entry in self._where(number):
            if entry.part == "cur":
                flags = "".join(sorted({*Name.parse(entry.name).flags, flag}))
                os.rename(entry.path, os.path.join(entry.folder, "cur", entry.name.partition(":")[0] + ":2," + flags))

    @rule(number=delivered, folder=st.sampled_from(FOLDERS), how=st.sampled_from(["rename", "link", "copy"]))
    def move(self, number, folder, how):
        """A user moves a message: by a rename (mutt, afew), a link with a fresh name or a copy (IMAP servers)."""
        places = self._where(number)
        target = os.path.join(self.house.root, folder)
        if len(places) != 1 or places[0].folder.rstrip("/") == target.rstrip("/") or not maildir.is_maildir(target):
            return
        source = places[0].path
        name = places[0].name if how == "rename" else f"{maildir.unique()}:2,S"
        part = places[0].part if how == "rename" else "cur"
        if how == "rename":
            os.rename(source, os.path.join(target, part, name))
        else:
            (os.link if how == "link" else shutil.copy2)(source, os.path.join(target, part, name))
            os.unlink(source)
        if folder == "" and places[0].folder == self.house.junk:
            # Unless he had put it into the junk folder himself, before we came to judge it.
            if self._is_known(number):
                self.rescued.add(number)
        else:
            self.rescued.discard(number)

    @rule(number=consumes(delivered))
    def delete(self, number):
        for entry in self._where(number):
            os.unlink(entry.path)
        self._forget(number)

    # What we do.

    @precondition(lambda self: self.up)
    @rule()
    def work(self):
        self.house.run()

    @precondition(lambda self: self.up)
    @rule()
    def take_back(self):
        self._undo()

    @precondition(lambda self: self.up)
    @rule(call=CALLS, undoing=st.booleans())
    def crash(self, call, undoing):
        """Our process ends before some call; until the restart others go on."""
        with Interruption(call, crash) as interruption:
            try:
                self._undo() if undoing else self.house.run()
            except CrashError:
                self.up = False
        assert self.up or interruption.happened

    @precondition(lambda self: not self.up)
    @rule(call=CALLS, again=st.booleans())
    def restart(self, call, again):
        """We start again; that too may be cut short."""
        self.house.journal.close()
        if again:
            with Interruption(call, crash):
                try:
                    self.house.open()
                except CrashError:
                    return
        else:
            self.house.open()
        self.up = True

    @precondition(lambda self: self.up)
    @rule(call=CALLS, folder=st.sampled_from(FOLDERS), undoing=st.booleans())
    def work_beside_a_reader(self, call, folder, undoing):
        with Interruption(call, lambda: self.read(folder)):
            self._undo() if undoing else self.house.run()

    @precondition(lambda self: self.up)
    @rule(call=CALLS, number=delivered, folder=st.sampled_from(FOLDERS), how=st.sampled_from(["rename", "link"]))
    def work_beside_a_mover(self, call, number, folder, how):
        """He sees one of what may be two for a moment, and moves that."""

        def act():
            self.rescued.discard(number)
            self.move(number, folder, how)

        with Interruption(call, act):
            self.house.run()

    @precondition(lambda self: self.up)
    @rule(call=CALLS, number=consumes(delivered))
    def work_beside_a_deleter(self, call, number):
        """What is deleted in the moment in which it is there twice may stay once: better than the other mistake."""
        with Interruption(call, lambda: self.delete(number)) as interruption:
            self.house.run()
        if interruption.happened:
            self._drop(number)

    @precondition(lambda self: self.up)
    @rule(call=CALLS, code=st.sampled_from([28, 13, 30, 5]))
    def work_with_an_error(self, call, code):
        """The disk is full, a folder is forbidden: once, anywhere."""

        def fail():
            raise OSError(code, os.strerror(code))

        with Interruption(call, fail):
            self.house.run()

    @rule(seconds=st.sampled_from([1, 30, 1000, 100_000]))
    def wait(self, seconds):
        self.house.clock.now += seconds

    # What always holds.

    @invariant()
    def the_journal_is_asked(self):
        """While that is possible: it is closed between a crash and the restart, and is for one thread."""
        if self.up:
            knows = self.house.journal.knows
            self.judged = {number for number, raw in self.mails.items() if knows(self.house.root, content_id(raw))}

    @invariant()
    def each_message_is_there_once(self):
        found = {number: [on_disk.content(entry.path) for entry in self._where(number)] for number in self.mails}
        for number, copies in found.items():
            assert copies, f"{number} is lost"
            assert {untag(copy) for copy in copies} == {self.mails[number]}, f"{number} was changed"
            assert len(copies) == 1 or not self.up, f"{number} is there twice"

    @invariant()
    def what_a_user_took_back_stays(self):
        """Nobody fights a user for a message."""
        for number in self.rescued & set(self.mails):
            assert [entry.folder.rstrip("/") for entry in self._where(number)] == [self.house.root]

    @invariant()
    def names_tell_sizes(self):
        for folder in FOLDERS:
            for entry in self._entries(folder):
                size = Name.parse(entry.name).size
                assert size is None or size == os.stat(entry.path).st_size  # noqa: PTH116

    def _undo(self):
        ledger = Ledger(self.house.journal, counters=self.house.counters, clock=self.house.clock)
        ledger.settle(all_open=True)
        list(undo(self.house.journal, ledger, since=0, dry=False, clock=self.house.clock))

    def _entries(self, folder):
        path = os.path.join(self.house.root, folder)
        return list(on_disk.messages(path)) if maildir.is_maildir(path) else []

    def _where(self, number):
        mark = f"Received: by mx id {number}\n".encode()
        entries = [entry for folder in FOLDERS for entry in self._entries(folder)]
        return [entry for entry in entries if mark in on_disk.content(entry.path)]

    def _is_known(self, number):
        return number in self.judged

    def _forget(self, number):
        self.mails.pop(number, None)
        self.rescued.discard(number)

    def _drop(self, number):
        for entry in self._where(number):
            os.unlink(entry.path)
        self._forget(number)


TestMailbox = Mailbox.TestCase
TestMailbox.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
