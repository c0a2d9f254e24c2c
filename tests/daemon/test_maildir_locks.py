"""One program at a time works on a Maildir."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from maildirs import make

from spamlstm.daemon import maildir_locks
from spamlstm.daemon.maildir_locks import MaildirLocks
from spamlstm.errors import NoInputError, TemporaryError

_HOLDER = """
import sys
from spamlstm.daemon.maildir_locks import MaildirLocks
with MaildirLocks() as locks:
    locks.lock(sys.argv[1])
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def box(tmp_path):
    return make(tmp_path / "Maildir")


@pytest.fixture
def elsewhere():
    """Start another process that holds the lock of a Maildir until it is ended."""
    running = []

    def hold(box):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLDER, box],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        running.append(process)
        assert process.stdout.readline() == "locked\n"
        return process

    yield hold
    for process in running:
        process.communicate("", timeout=60)


def test_two_processes(box, elsewhere, tmp_path):
    """The second process is refused, whatever path it uses; a kill drops the lock."""
    (tmp_path / "link").symlink_to(box)
    first = elsewhere(box)
    with MaildirLocks() as locks:
        for path in (box, str(tmp_path / "link")):
            with pytest.raises(TemporaryError, match="another process holds a lock on"):
                locks.lock(path)
        assert locks.keep([box]) == []
        assert list(locks.refused) == [box]
        first.kill()
        first.wait()
        assert locks.keep([box]) == [box]
        assert locks.refused == {}


def test_a_maildir_that_is_made_anew(box, tmp_path):
    """If its user moves a Maildir away and makes another, the new one is locked and opened."""
    with MaildirLocks() as locks:
        locks.lock(box)
        Path(box).rename(tmp_path / "away")
        assert locks.keep([box]) == [box]
        make(Path(box))
        with locks.opened(box) as opened:
            assert opened.identity == (os.stat(box).st_dev, os.stat(box).st_ino)  # noqa: PTH116  as the identity
        assert locks.keep([box]) == [box]
        with MaildirLocks() as others:
            assert others.keep([box, str(tmp_path / "away")]) == [str(tmp_path / "away")]


def test_what_is_not_there_is_not_refused(tmp_path):
    """A missing Maildir is not refused, as it may be created later."""
    with MaildirLocks() as locks:
        assert locks.keep([str(tmp_path / "none")]) == [str(tmp_path / "none")]
        assert locks.refused == {}


def test_maildirs_that_are_not_kept_are_unlocked(box):
    """A reloaded configuration may name other Maildirs."""
    with MaildirLocks() as locks, MaildirLocks() as others:
        locks.lock(box)
        assert others.keep([box]) == []
        locks.keep([])
        assert others.keep([box]) == [box]


def test_as_many_as_files_may_be_open(tmp_path):
    """Further Maildirs are used without a lock, and nothing fails."""
    boxes = [make(tmp_path / str(number)) for number in range(5)]
    with MaildirLocks(most=3) as locks, MaildirLocks() as others:
        assert locks.keep(boxes) == boxes
        assert others.keep(boxes) == boxes[3:]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a link of another user")
def test_a_link_of_another_user(box, tmp_path):
    """A Maildir that is a link of another user is refused with a sentence; the others are used."""
    link = tmp_path / "link"
    link.symlink_to(box)
    os.chown(link, 20_001, 20_001, follow_symlinks=False)
    with MaildirLocks() as locks:
        assert locks.keep([str(link), box]) == [box]
        with pytest.raises(NoInputError, match="symbolic link of another user"):
            locks.lock(str(link))


@pytest.fixture
def stranger():
    """Start another user's process that holds the lock of a directory until the test ends."""
    running = []

    def hold(box, user):
        # Forked, not started: Python itself may be in a folder that only root can read.
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            handle = os.open(box, os.O_RDONLY | os.O_DIRECTORY)
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            fcntl.flock(handle, fcntl.LOCK_SH)
            os.write(writer, b"x")
            signal.pause()
            os._exit(0)
        running.append(child)
        assert os.read(reader, 1) == b"x"
        os.close(reader)
        os.close(writer)

    yield hold
    for child in running:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")
@pytest.mark.skipif(not os.access("/proc/locks", os.R_OK), reason="the kernel does not show here who holds a lock")
def test_a_lock_of_another_user(box, stranger):
    """A user who locks a neighbour's Maildir does not stop the neighbour's mail; the owner's own lock counts."""
    os.chown(box, 20_001, 20_001)
    stranger(box, 20_002)
    with MaildirLocks() as locks:
        assert locks.keep([box]) == [box]
        assert locks.refused == {}
        stranger(box, 20_001)
        assert locks.keep([box]) == []


def test_a_lock_whose_holder_is_hidden(box, elsewhere, monkeypatch):
    """The units hide /proc/locks: the sentence says what to do about a lock of another user."""
    monkeypatch.setattr(maildir_locks, "_locks", lambda: iter(()))
    elsewhere(box)
    for mode, words in ((0o700, "with another state folder$"), (0o755, "chmod 700")):
        os.chmod(box, mode)  # noqa: PTH101
        with MaildirLocks() as locks, pytest.raises(TemporaryError, match=words):
            locks.lock(box)
