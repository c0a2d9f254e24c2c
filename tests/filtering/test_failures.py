"""Disks and folders that refuse: mail stays as it was, the failure is counted and logged, and work goes on."""

# ruff: noqa: PTH101  as in maildir

import errno
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from inbox import Clock, Inbox, raw
from maildirs import make

from spamlstm.filtering.backoff import FIRST_DELAY, LONGEST_DELAY, Backoff
from spamlstm.filtering.failures import FailureKind, kind_of, sentence
from spamlstm.filtering.journal import NAME, Journal
from spamlstm.filtering.outcome import Status

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
LATER = 1000


@pytest.fixture
def disk(tmp_path):
    """A disk of 1 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", path], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("this machine does not let root mount")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def test_a_lack_of_memory_is_no_bug():
    """It is counted and reported under its own name."""
    assert (kind_of(MemoryError()), sentence(MemoryError())) == ("memory", "there is not enough memory")
    assert kind_of(ValueError()) is FailureKind.BUG


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


def fill(disk, *, left):
    """Fill the disk except for some bytes."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(b"x" * (free - left))


@root_only
def test_a_full_disk(disk, tmp_path):
    """Without room for the tagged copy the message stays, and is tagged when there is room; ham is judged meanwhile."""
    one = Inbox(make(disk / "Maildir"), tmp_path / "state").watch()
    path = one.deliver(content=raw("spam " * 20_000))
    small = one.deliver("ham")
    fill(disk, left=8192)
    before = Path(path).read_bytes()

    assert sorted(statuses(one.run())) == [Status.FAILED, Status.LEFT]
    assert one.counters.failed == {"disk-full": 1}
    assert Path(path).read_bytes() == before
    assert list(Path(one.junk, "tmp").iterdir()) == []
    assert Path(small).exists()
    assert one.run() == []
    (disk / "filler").unlink()
    one.clock.now += LATER
    assert statuses(one.run()) == [Status.DONE]


@root_only
def test_no_room_for_the_junk_folder(disk, tmp_path):
    """If there are no inodes for the junk folder, the message stays, and is filed when there are."""
    subprocess.run(["mount", "-o", "remount,nr_inodes=12", disk], check=True)
    one = Inbox(make(disk / "Maildir"), tmp_path / "state").watch()
    one.deliver()
    count = 0
    try:
        while True:
            (disk / str(count)).touch()
            count += 1
    except OSError:
        pass

    assert [outcome.kind for outcome in one.run()] == ["disk-full"]
    for number in range(count):
        (disk / str(number)).unlink()
    one.clock.now += LATER
    subprocess.run(["mount", "-o", "remount,nr_inodes=100", disk], check=True)
    assert statuses(one.run()) == [Status.DONE]


@root_only
def test_no_room_for_the_journal(disk, tmp_path):
    """An act that cannot be recorded is not carried out."""
    one = Inbox(make(tmp_path / "Maildir"), disk / "state").watch()
    for _ in range(300):
        one.deliver()
    fill(disk, left=0)
    outcomes = one.run()

    assert {outcome.kind for outcome in outcomes if outcome.status is Status.FAILED} == {"journal"}
    assert len(one.names()) + len(one.names(one.junk)) == 300
    (disk / "filler").unlink()
    for _ in range(3):
        one.clock.now += LATER
        one.run()
    assert (len(one.names()), len(one.names(one.junk))) == (0, 300)


@root_only
def test_a_disk_that_is_read_only(disk, tmp_path):
    """On a disk that is read-only the message stays as it was, and is filed once the disk can be written."""
    one = Inbox(make(disk / "Maildir"), tmp_path / "state").watch()
    path = one.deliver()
    before = Path(path).read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)

    assert [outcome.kind for outcome in one.run()] == ["read-only"]
    assert Path(path).read_bytes() == before
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    one.clock.now += LATER
    assert statuses(one.run()) == [Status.DONE]


@root_only
def test_another_file_system(disk, tmp_path, inbox):
    """A junk folder on another disk cannot be reached by a rename: that is reported, and nothing is copied."""
    one = inbox(junk="Junk")
    shutil.copytree(make(tmp_path / "Empty"), disk / "Junk")
    Path(one.junk).mkdir()
    subprocess.run(["mount", "--bind", disk / "Junk", one.junk], check=True)
    try:
        one.deliver()
        (outcome,) = one.run()
        assert (outcome.kind, len(one.names())) == ("folder", 1)
        assert "different file systems" in outcome.failure
    finally:
        subprocess.run(["umount", "-l", one.junk], check=True)


def test_a_file_system_that_cannot_sync_folders(tmp_path, monkeypatch):
    """On a file system that refuses to sync folders, such as some network file systems, spam is tagged and filed."""
    one = Inbox(make(tmp_path / "Maildir"), tmp_path / "state").watch()
    one.deliver()
    sync = os.fsync

    def refused(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(handle)

    monkeypatch.setattr(os, "fsync", refused)
    assert statuses(one.run()) == [Status.DONE]
    assert (len(one.names()), len(one.names(one.junk))) == (0, 1)


@root_only
def test_a_full_disk_of_temporary_files(disk, tmp_path):
    """If a dry run cannot copy the journal, the error does not blame the journal. It says what to do."""
    Journal.open(tmp_path / "state").close()
    with closing(sqlite3.connect(tmp_path / "state" / NAME)) as large:
        large.executescript("CREATE TABLE other (x); INSERT INTO other VALUES (zeroblob(8000000))")
    script = """
import sys
from pathlib import Path
from spamlstm.filtering.journal import Journal
Journal.copy(Path(sys.argv[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "state"],
        env={**os.environ, "SQLITE_TMPDIR": str(disk), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "OutputError: a temporary copy of " in done.stderr
    assert f"{NAME} cannot be written (the disk is full); name another folder with the variable TMPDIR" in done.stderr


@contextmanager
def as_nobody():
    """Root may do everything, so the test works as another user."""
    nobody = 65534
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(nobody)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared():
    """A folder that everyone may enter and write to, unlike those of pytest."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o1777)
    yield path
    for folder in path.rglob("*"):
        if folder.is_dir():
            folder.chmod(0o700)
    shutil.rmtree(path)


@pytest.mark.parametrize(("part", "spam"), [("tmp", ("tag",)), ("new", ("tag",)), ("new", ("file",))])
def test_a_folder_that_may_not_be_written(shared, part, spam):
    """The message stays, and the next one, in another Maildir, is filed."""
    with as_nobody():
        from spamlstm.config import Action

        one = Inbox(make(shared / "Maildir"), shared / "state", {"spam": tuple(map(Action, spam))}).watch()
        path = one.deliver()
        before = Path(path).read_bytes()
        folder = Path(one.root, part)
        folder.chmod(0o500)

        assert [outcome.kind for outcome in one.run()] == ["permission"]
        assert Path(path).read_bytes() == before
        assert list(Path(one.root, "tmp").iterdir()) == []
        folder.chmod(0o700)
        one.clock.now += LATER
        assert statuses(one.run()) == [Status.DONE]
        one.journal.close()


def test_a_message_that_may_not_be_read(shared):
    """A message without read permission is counted as a failure, and the next message is judged."""
    with as_nobody():
        one = Inbox(make(shared / "Maildir"), shared / "state").watch()
        os.chmod(one.deliver(), 0)
        one.deliver("ham")
        assert sorted(statuses(one.run())) == [Status.FAILED, Status.LEFT]
        assert one.counters.failed == {"permission": 1}
        one.journal.close()


def test_a_folder_that_vanishes(inbox):
    """If a user removes the junk folder between two batches, it is made again."""
    one = inbox()
    one.deliver()
    one.run()
    shutil.rmtree(one.junk)
    one.deliver()
    assert statuses(one.run()) == [Status.DONE]
    assert len(one.names(one.junk)) == 1


def test_a_part_that_vanished(inbox):
    """A junk folder without its tmp is made whole."""
    one = inbox()
    one.deliver()
    one.run()
    Path(one.junk, "tmp").rmdir()
    one.deliver()
    assert statuses(one.run()) == [Status.DONE]


@root_only
def test_a_link_that_leads_away(inbox, tmp_path):
    """Root moves no mail along a link that a user made, who could so write where only root may."""
    one = inbox()
    make(tmp_path / "Elsewhere")
    Path(one.junk).symlink_to(tmp_path / "Elsewhere")
    one.deliver()

    assert [outcome.kind for outcome in one.run()] == ["folder"]
    assert len(one.names()) == 1


def test_kinds():
    """Every error has a kind, unexpected ones too."""
    assert kind_of(OSError(28, "")) is FailureKind.DISK_FULL
    assert kind_of(OSError(9999, "")) is FailureKind.IO
    assert kind_of(ValueError()) is FailureKind.BUG


def test_retries_grow():
    """The delay doubles with each failure, up to a bound, and starts again after a success."""
    now = 0.0
    retries = Backoff(lambda: now)
    waits = []
    for _ in range(10):
        retries.failed("a")
        assert not retries.is_due("a")
        begun = now
        while not retries.is_due("a"):
            now += 5
        waits.append(now - begun)
    assert (waits[:3], waits[-1]) == ([FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY], LONGEST_DELAY)
    retries.succeeded("a")
    assert retries.is_due("a")


@pytest.mark.parametrize("years", [10, -10])
def test_a_wrong_clock_keeps_no_message_waiting(inbox, years):
    """A message that failed is tried again after its delay by the monotonic clock."""
    one = inbox()
    one.monotonic = Clock()
    one.again()
    Path(one.root, ".Junk").mkdir()
    Path(one.root, ".Junk", "new").touch()
    one.deliver("spam")
    assert [outcome.status for outcome in one.run()] == [Status.FAILED]
    Path(one.root, ".Junk", "new").unlink()
    one.clock.now += years * 365 * 86_400
    assert one.run() == []
    one.monotonic.now += FIRST_DELAY + 1
    assert [outcome.status for outcome in one.run()] == [Status.DONE]


def test_retries_are_bounded():
    """A hundred thousand failures do not fill the memory."""
    retries = Backoff(lambda: 0.0)
    for number in range(50_000):
        retries.failed(number)
    assert len(retries._waiting) <= 20_000
