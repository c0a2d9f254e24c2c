"""Watching where the kernel refuses watches or loses events: Maildirs are polled or scanned instead."""

import errno
import re
from pathlib import Path

import pytest
from maildirs import by_link, by_rename, make
from watches import cover, junk, until

from spamlstm.daemon import status as status_module
from spamlstm.daemon.inotify import open_inotify
from spamlstm.daemon.status import inotify_limit, watch_remarks
from spamlstm.daemon.watch import Watcher
from spamlstm.maildir.names import DELIVERED


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
        (errno.ENOSPC, r"sysctl fs\.inotify\.max_user_watches=[0-9]+$"),
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


@pytest.mark.parametrize(("most", "advised"), [(8192, 65_536), (192_536, 385_072), (1_048_576, 2_097_152)])
def test_the_advised_limits_are_above_the_present_ones(most, advised, monkeypatch, tmp_path):
    """If other programs use up a high limit, the remark never advises a lower limit, of watches or of instances."""
    monkeypatch.setattr(status_module, "LIMITS", tmp_path)
    for error, name in ((errno.ENOSPC, "max_user_watches"), (errno.EMFILE, "max_user_instances")):
        (tmp_path / name).write_text(f"{most}\n")
        (remark,) = watch_remarks(error, unwatched=1, remote=0, total=1)
        value = int(remark.partition(f"sysctl fs.inotify.{name}=")[2])
        assert value >= (advised if error == errno.ENOSPC else 2 * most)


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
