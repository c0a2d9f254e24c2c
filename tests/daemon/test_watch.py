"""Watching real folders: a delivery gives a hint at once, and a Maildir with missed events is rescanned."""

import contextlib
import errno
import os
import re
import shutil
import threading
import warnings
from pathlib import Path

import pytest
from maildirs import by_link, by_rename, by_writing, make

from spamlstm.daemon import status as status_module
from spamlstm.daemon.hints import NEW, Hints, Wakeup
from spamlstm.daemon.inotify import open_inotify
from spamlstm.daemon.status import inotify_limit
from spamlstm.daemon.watch import Watcher
from spamlstm.maildir.message_file import remote_devices
from spamlstm.maildir.names import DELIVERED, PARTS


@pytest.fixture
def box(tmp_path):
    return make(tmp_path / "Maildir")


@pytest.fixture
def wakeup():
    with Wakeup() as one:
        yield one


@pytest.fixture
def hints(wakeup):
    return Hints(wakeup.wake)


@pytest.fixture
def watcher(hints):
    with Watcher(hints) as one:
        yield one


def cover(watcher, *maildirs):
    """Cover the Maildirs, and drop the rescans that new watches ask for."""
    coverage = watcher.cover(maildirs)
    watcher.hints.clear()
    return coverage


def until(wakeup, ask):
    """Wait for a hint until `ask` returns something, and return that."""
    for _ in range(100):
        if answer := ask():
            return answer
        wakeup.wait(0.1)
    raise AssertionError("no hint came")


def next_hint(wakeup, hints):
    """Return the next Maildir to scan."""
    return until(wakeup, hints.take)


@pytest.mark.parametrize("way", [by_link, by_rename, by_writing])
def test_a_delivery_is_noticed(way, box, watcher, wakeup, hints):
    """A delivery gives a hint, whichever way the program that delivers has of making the file."""
    assert cover(watcher, box).watched == 1
    way(box, "1.a")
    assert next_hint(wakeup, hints) == (box, NEW)


def test_readers_cause_no_hint(box, tmp_path, watcher, wakeup, hints):
    """A message that is moved to cur, flagged, read or removed wakes nobody; nor do hidden files."""
    one, two = by_link(box, "1.a"), by_link(box, "2.b")
    second = make(tmp_path / "second")
    cover(watcher, box, second)
    one.read_bytes()
    one.rename(f"{box}/cur/1.a:2,").rename(f"{box}/cur/1.a:2,S")
    two.unlink()
    by_link(box, ".hidden")
    by_link(second, "3.c")  # the kernel keeps the order: with this hint all events before are handled
    assert next_hint(wakeup, hints) == (second, NEW)
    assert not hints


def test_many_folders_need_one_thread(tmp_path, watcher, wakeup, hints):
    """Watching 10,000 Maildirs must not take 10,000 threads."""
    boxes = [make(tmp_path / f"{number:03}") for number in range(100)]
    before = threading.active_count()
    assert cover(watcher, *boxes).watched == 100
    assert threading.active_count() == before + 1
    by_link(boxes[42], "1.a")
    assert next_hint(wakeup, hints) == (boxes[42], NEW)


def test_a_new_watch_asks_for_a_rescan(box, tmp_path, watcher, hints):
    """A scan of that Maildir alone finds what was delivered before it was watched."""
    cover(watcher, box)
    watcher.cover([box, make(tmp_path / "second")])
    assert [hints.take(), hints.take()] == [(str(tmp_path / "second"), DELIVERED), None]


def test_a_folder_that_vanishes_and_returns(box, watcher, wakeup, hints):
    """A Maildir that is deleted and created again, as from a backup, is rescanned and watched again."""
    cover(watcher, box)
    shutil.rmtree(box)
    assert next_hint(wakeup, hints) == (box, DELIVERED)
    watcher.poll()
    make(Path(box))
    watcher.poll()
    assert hints.take() == (box, DELIVERED)
    assert not watcher.polls
    by_rename(box, "1.a")
    assert next_hint(wakeup, hints) == (box, NEW)


def test_a_maildir_that_was_replaced(box, tmp_path, watcher, wakeup, hints):
    """No event reports that a Maildir was moved away and another took its place; the next `cover` finds it."""
    cover(watcher, box)
    Path(box).rename(tmp_path / "old")
    make(tmp_path / "Maildir")
    assert watcher.cover([box]).watched == 1
    assert hints.take() == (box, DELIVERED)
    by_link(str(tmp_path / "old"), "0.old")
    assert not hints
    by_link(box, "1.a")
    assert next_hint(wakeup, hints) == (box, NEW)


def test_a_folder_moved_away_and_back(box, watcher, wakeup, hints):
    """The kernel's watch follows the folder; ours ends and starts anew, without a warning from watchdog."""
    cover(watcher, box)
    Path(box, "new").rename(f"{box}/away")
    assert next_hint(wakeup, hints) == (box, DELIVERED)
    Path(box, "away").rename(f"{box}/new")
    assert cover(watcher, box).watched == 1
    by_link(box, "1.a")
    assert next_hint(wakeup, hints) == (box, NEW)


def test_a_maildir_that_is_not_covered_any_more(box, tmp_path, watcher, wakeup, hints):
    """Deliveries to a Maildir that is not covered any more give no hint."""
    second = make(tmp_path / "second")
    cover(watcher, box, second)
    assert cover(watcher, second).watched == 1
    by_link(box, "1.a")
    by_link(second, "2.b")
    assert next_hint(wakeup, hints) == (second, NEW)
    assert not hints


def test_a_dead_thread_is_replaced(box, watcher, wakeup, hints):
    """Another thread is started, and a rescan finds what was delivered in between."""
    cover(watcher, box)
    watcher._inotify.stop()
    watcher._inotify.join()
    assert watcher.has_died()
    by_link(box, "1.a")
    assert watcher.cover([box]).watched == 1
    assert hints.take() == (box, DELIVERED)
    assert (watcher.restarts, watcher.has_died()) == (1, False)
    by_link(box, "2.b")
    assert next_hint(wakeup, hints) == (box, NEW)


def test_an_overflow_asks_for_a_full_scan(box, watcher, wakeup, hints):
    """If more events come than the kernel's queue holds, all Maildirs are scanned."""
    cover(watcher, box)
    most = inotify_limit("max_queued_events")
    with watcher._inotify._lock:  # watchdog's thread waits for this before it reads again
        message = by_rename(box, "0")
        for number in range(most + 3000):  # one read may be under way, of at most 2,000 or so
            message = message.rename(f"{box}/new/{number + 1}")
    assert until(wakeup, hints.take_all)
    assert watcher.overflows >= 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errno.ENOSPC, "sysctl fs.inotify.max_user_watches=65536"),
        (errno.EACCES, r"2 of 3 Maildirs cannot be watched \(Permission denied\)"),
    ],
)
def test_maildirs_without_a_watch_are_polled(error, words, tmp_path, hints):
    """One remark gives the limit of the kernel, and polling finds the deliveries."""
    boxes = [make(tmp_path / name) for name in "abc"]
    with Watcher(hints, open_inotify=lambda: LimitedInotify(open_inotify(), most=1, error=error)) as watcher:
        coverage = watcher.cover(boxes)
        assert (coverage.watched, coverage.polled) == (1, 2)
        assert len(coverage.remarks) == 1
        assert re.search(words, coverage.remarks[0])
        hints.clear()
        watcher.poll()
        assert not hints
        by_link(boxes[2], "1.a")
        watcher.poll()
        assert [hints.take(), hints.take()] == [(boxes[2], DELIVERED), None]


class LimitedInotify:
    """Inotify that refuses watches after `most`."""

    def __init__(self, real, *, most, error):
        self._real, self._left, self._error = real, most, error

    def __getattr__(self, name):
        return getattr(self._real, name)

    def add_callback(self, *arguments):
        if not self._left:
            if self._error == errno.EACCES:
                return -1
            raise OSError(self._error, "no")
        self._left -= 1
        return self._real.add_callback(*arguments)


def test_without_inotify_all_maildirs_are_polled(box, hints):
    """Without an inotify instance a remark says why, and deliveries are found by polling."""

    def refuse():
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    with Watcher(hints, open_inotify=refuse) as watcher:
        coverage = watcher.cover([box])
        assert (coverage.watched, coverage.polled, watcher.polls) == (0, 1, True)
        assert "max_user_instances" in coverage.remarks[0]
        assert (watcher.has_died(), hints.take()) == (False, (box, DELIVERED))
        by_rename(box, "1.a")
        watcher.poll()
        assert hints.take() == (box, DELIVERED)


def test_remote_file_systems_are_polled(box, hints):
    """NFS reports no events of other clients, so a watch would not suffice."""
    device = Path(box).stat().st_dev
    with Watcher(hints, remote=lambda: frozenset([device])) as watcher:
        coverage = watcher.cover([box])
        assert (coverage.watched, coverage.polled) == (0, 1)
        assert "NFS" in coverage.remarks[0]


def test_remote_devices(tmp_path):
    """The mount table gives them by type of file system, whatever optional fields come before it."""
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
        "30 22 0:51 / /var/vmail rw shared:7 master:1 - nfs4 server:/vmail rw,vers=4.2\n"
        "31 22 0:52 / /with\\040space rw - fuse.sshfs me@host: rw\n"
        "broken\n"
    )
    assert remote_devices(table) == {os.makedev(0, 51), os.makedev(0, 52)}
    assert remote_devices(tmp_path / "none") == frozenset()


@pytest.mark.parametrize("last", PARTS)
def test_a_folder_without_new_cur_or_tmp_is_missing(tmp_path, watcher, hints, last):
    """A folder that is no Maildir yet is no error, and is watched once it is one."""
    (tmp_path / "box").mkdir()
    box = str(tmp_path / "box")
    for part in (one for one in PARTS if one != last):
        (tmp_path / "box" / part).mkdir()
    assert watcher.cover([box]).missing == 1
    (tmp_path / "box" / last).mkdir()
    watcher.poll()
    assert (hints.take(), watcher.polls) == ((box, DELIVERED), False)


def test_close_ends_the_thread(box, hints):
    """No thread is left."""
    before = threading.active_count()
    with contextlib.closing(Watcher(hints)) as watcher:
        watcher.cover([box])
    assert threading.active_count() == before


def junk(watcher, box):
    """Make a junk folder and watch it; return its cur."""
    cur = Path(make(Path(box, ".Junk")), "cur")
    watcher.watch_junk(box, str(cur), cur.stat().st_ino)
    return cur


def test_moves_into_and_out_of_the_junk_folder(watcher, hints, wakeup, box):
    """Each move gives a hint of another kind than deliveries."""
    cover(watcher, box)
    cur = junk(watcher, box)
    (cur / "1:2,").write_bytes(b"mail")
    assert until(wakeup, hints.take_moved) == [box]
    (cur / "1:2,").rename(Path(box, "cur", "1:2,"))
    assert until(wakeup, hints.take_moved) == [box]
    assert hints.take() is None


def test_a_junk_folder_that_is_made_anew(watcher, hints, wakeup, box):
    """The removal of a junk folder gives a hint. The new folder can be watched, and is watched only once."""
    cover(watcher, box)
    cur = junk(watcher, box)
    numbers = dict(watcher._junk_maildirs)
    watcher.watch_junk(box, str(cur), cur.stat().st_ino)
    assert watcher._junk_maildirs == numbers
    shutil.rmtree(cur.parent)
    assert until(wakeup, hints.take_moved) == [box]
    assert watcher._junk_maildirs == {}
    junk(watcher, box)
    (cur / "1:2,").write_bytes(b"mail")
    assert until(wakeup, hints.take_moved) == [box]


def test_moves_out_of_new(watcher, hints, wakeup, box):
    """Unread mail that leaves the junk folder gives a hint; mail that is filed into its `new` gives none."""
    cover(watcher, box)
    cur = junk(watcher, box)
    new = cur.parent / "new"
    watcher.watch_junk(box, str(new), new.stat().st_ino)
    (new / "1").write_bytes(b"mail")
    (new / "2").write_bytes(b"mail")
    (new / "1").rename(Path(box, "cur", "1:2,"))
    assert until(wakeup, hints.take_moved) == [box]
    assert hints.take_moved() == []


def test_a_junk_folder_that_is_renamed(watcher, hints, wakeup, box):
    """A renamed junk folder stays watched, without a warning of watchdog. A new folder of the old name can be, too."""
    cover(watcher, box)
    cur = junk(watcher, box)
    renamed = Path(box, ".Spam")
    cur.parent.rename(renamed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            watcher.watch_junk(box, f"{renamed}/cur", (renamed / "cur").stat().st_ino)
        cur = junk(watcher, box)
        watcher.watch_junk(box, f"{renamed}/cur", (renamed / "cur").stat().st_ino)
    assert len(watcher._junk_maildirs) == 2
    for folder in (renamed / "cur", cur):
        (folder / "1:2,").write_bytes(b"mail")
        assert until(wakeup, hints.take_moved) == [box]


def test_deliveries_come_first_where_watches_are_few(watcher, box, tmp_path):
    """Junk folders get at most half of the kernel's watches, and none without a watch of their Maildir."""
    cover(watcher, box)
    watcher._most = 2
    junk(watcher, box)
    assert watcher._junk_maildirs == {}
    watcher._most = 100
    junk(watcher, make(tmp_path / "other"))
    assert watcher._junk_maildirs == {}


def test_a_maildir_lacks_a_junk_folder_until_one_is_watched(watcher, box):
    """A Maildir that is not covered lacks nothing, nor does one for which the kernel allows no further watches."""
    assert not watcher.lacks_junk(box)
    cover(watcher, box)
    assert watcher.lacks_junk(box)
    watcher._most = 2
    assert not watcher.lacks_junk(box)
    watcher._most = 100
    junk(watcher, box)
    assert not watcher.lacks_junk(box)


def test_the_junk_folder_of_a_maildir_that_is_not_covered_any_more(watcher, box, tmp_path):
    """If a Maildir is not covered any more, the watch of its junk folder ends too."""
    cover(watcher, box)
    junk(watcher, box)
    cover(watcher, make(tmp_path / "other"))
    assert watcher._junk_maildirs == {}


def test_a_link_to_a_folder_that_is_watched_for_another(box, tmp_path, watcher, wakeup, hints):
    """A user whose Maildir is a link to a neighbour's neither gets the neighbour's hints nor ends the watch."""
    other = tmp_path / "another"
    other.mkdir()
    cover(watcher, str(other), box)
    other.rmdir()
    other.symlink_to(box)
    watcher.poll()
    watcher.poll()
    hints.clear()
    by_link(box, "1.a")
    assert next_hint(wakeup, hints) == (box, NEW)
    assert cover(watcher, box).watched == 1
    by_link(box, "2.b")
    assert next_hint(wakeup, hints) == (box, NEW)
    assert hints.take() is None


def test_a_link_to_a_junk_folder_that_is_watched_for_another(watcher, hints, wakeup, box, tmp_path):
    """A junk folder is not watched through a link of another Maildir."""
    second = make(tmp_path / "second")
    (tmp_path / "second" / ".Junk").symlink_to(f"{box}/.Junk")
    cover(watcher, box, second)
    cur = junk(watcher, box)
    watcher.watch_junk(second, f"{second}/.Junk/cur", cur.stat().st_ino)
    (cur / "1.a:2,").touch()
    assert until(wakeup, hints.take_moved) == [box]


@pytest.fixture
def hidden(monkeypatch, tmp_path):
    """The kernel's limits cannot be read, as if a unit sets ProcSubset=pid."""
    monkeypatch.setattr(status_module, "LIMITS", tmp_path / "none")


def test_an_unknown_limit_is_no_limit(hidden, watcher, hints, wakeup, box):
    """If /proc/sys is hidden, junk folders are watched all the same, so that moves are learned at once."""
    cover(watcher, box)
    cur = junk(watcher, box)
    (cur / "1:2,").write_bytes(b"mail")
    assert until(wakeup, hints.take_moved) == [box]
    assert inotify_limit("max_user_watches") is None


def test_deliveries_come_first_where_the_limit_is_unknown(hidden, hints, tmp_path):
    """If the kernel refuses a Maildir's watch, a junk folder gives up its own and gets no other."""
    kernel = CountingInotify(open_inotify(), most=4)
    with Watcher(hints, open_inotify=lambda: kernel) as watcher:
        boxes = [make(tmp_path / name) for name in "abc"]
        watcher.cover(boxes[:2])
        for box in boxes[:2]:
            junk(watcher, box)
        coverage = watcher.cover(boxes)
        assert (coverage.watched, coverage.polled, coverage.remarks) == (3, 0, ())
        assert list(watcher._junk_maildirs.values()) == [boxes[1]]
        watcher.watch_junk(boxes[0], f"{boxes[0]}/.Junk/cur", Path(boxes[0], ".Junk", "cur").stat().st_ino)
        assert list(watcher._junk_maildirs.values()) == [boxes[1]]


class CountingInotify:
    """Inotify that refuses a watch while there are `most` of them."""

    def __init__(self, real, *, most):
        self._real, self._left = real, most

    def __getattr__(self, name):
        return getattr(self._real, name)

    def add_callback(self, *arguments):
        if not self._left:
            raise OSError(errno.ENOSPC, "no")
        self._left -= 1
        return self._real.add_callback(*arguments)

    def remove_callbacks(self, callbacks):
        self._left += len(callbacks)
        self._real.remove_callbacks(callbacks)


def test_a_refusal_with_an_unknown_limit(hidden, hints, tmp_path):
    """The remark gives no number."""
    boxes = [make(tmp_path / name) for name in "ab"]
    with Watcher(hints, open_inotify=lambda: LimitedInotify(open_inotify(), most=1, error=errno.ENOSPC)) as watcher:
        (remark,) = watcher.cover(boxes).remarks
    assert remark.startswith("1 of 2 Maildirs cannot be watched (the kernel allows this user no more inotify watches)")
