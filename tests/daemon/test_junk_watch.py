"""Watching of junk folders: each move of a user gives a hint, and deliveries come first."""

import shutil
import warnings
from pathlib import Path

from maildirs import make
from watches import cover, junk, until


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


def test_a_link_to_a_junk_folder_that_is_watched_for_another(watcher, hints, wakeup, box, tmp_path):
    """A junk folder is not watched through a link of another Maildir."""
    second = make(tmp_path / "second")
    (tmp_path / "second" / ".Junk").symlink_to(f"{box}/.Junk")
    cover(watcher, box, second)
    cur = junk(watcher, box)
    watcher.watch_junk(second, f"{second}/.Junk/cur", cur.stat().st_ino)
    (cur / "1.a:2,").touch()
    assert until(wakeup, hints.take_moved) == [box]
