"""Watching real folders: a delivery gives a hint at once, and a Maildir with missed events is rescanned."""

import contextlib
import shutil
import threading
from pathlib import Path

import pytest
from maildirs import by_link, by_rename, by_writing, make
from watches import cover, next_hint

from spamlstm.daemon.hints import NEW
from spamlstm.daemon.watch import Watcher
from spamlstm.maildir.names import DELIVERED, PARTS


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


def test_a_lack_of_memory_ends_only_the_thread(box, watcher, hints, monkeypatch, caplog):
    """If an event cannot be handled, the log names the reason and what follows, and another thread is started."""

    def fail(_event):
        raise MemoryError

    cover(watcher, box)
    monkeypatch.setattr(watcher, "on_event", fail)
    by_link(box, "1.a")
    watcher._inotify.join(timeout=30.0)
    assert watcher.has_died()
    assert "there is not enough memory: Maildirs are watched again, and scanned, by a new thread" in caplog.messages
    assert "Traceback" not in caplog.text
    monkeypatch.undo()
    assert watcher.cover([box]).watched == 1
    assert hints.take() == (box, DELIVERED)


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
