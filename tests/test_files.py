"""Files and folders: made private, replaced whole, opened only if they are regular."""

import contextlib
import errno
import os
import stat
from functools import partial

import pytest

from spamlstm import files


def test_folders_are_private_with_all_that_are_made_above_them(tmp_path):
    """A folder that exists keeps its mode, and making it again changes nothing."""
    tmp_path.chmod(0o755)
    for _ in range(2):
        files.make_private(tmp_path / "a" / "b" / "c")
    made = [tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"]
    assert [path.stat().st_mode & 0o777 for path in (tmp_path, *made)] == [0o755, 0o700, 0o700, 0o700]


@pytest.mark.parametrize("below", ["file/x", "file/x/y"])
def test_no_folder_is_made_below_a_file(tmp_path, below):
    """The error says that the file is no folder, at any depth."""
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        files.make_private(tmp_path / below)


@pytest.mark.parametrize(("mode", "wanted"), [(None, 0o640), (0o644, 0o644), (0o600, 0o600)])
def test_a_file_is_replaced(tmp_path, mode, wanted):
    """A file is replaced by one with the given mode or that of the umask, and no temporary file is left."""
    path = tmp_path / "x"
    path.write_text("old")
    before = path.stat().st_ino
    mask = os.umask(0o027)
    files.write_file(path, "new é", mode=mode)
    os.umask(mask)
    assert (path.read_text("utf-8"), path.stat().st_mode & 0o777, path.stat().st_ino != before) == (
        "new é",
        wanted,
        True,
    )
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_file_as_it_was(tmp_path):
    """If anything ends the block early, the old file and no temporary file is there."""
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), files.replacement(path) as out:
        out.write(b"%d" % (1 / 0))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _noted(calls, name, call, *arguments, **keywords):
    calls.append(name)
    return call(*arguments, **keywords)


@pytest.mark.parametrize("durable", [True, False])
def test_order_on_disk(tmp_path, monkeypatch, durable):
    """A durable file is on disk before it has its name, and its name is on disk at the end."""
    calls = []
    for name in ("fsync", "rename"):
        monkeypatch.setattr(os, name, partial(_noted, calls, name, getattr(os, name)))
    files.write_file(tmp_path / "x", "new", durable=durable)
    assert calls == (["fsync", "rename", "fsync"] if durable else ["rename"])


def test_a_file_system_that_cannot_sync_folders(tmp_path, monkeypatch):
    """Some network file systems refuse to sync folders (EINVAL). Files are replaced there too."""
    for number, expected in ((errno.EINVAL, contextlib.nullcontext()), (errno.EIO, pytest.raises(OSError))):
        monkeypatch.setattr(os, "fsync", partial(_refused_for_folders, os.fsync, number))
        with expected:
            files.write_file(tmp_path / "x", "new")
        with expected:
            files.sync_folder(tmp_path)


def _refused_for_folders(fsync, number, handle):
    if stat.S_ISDIR(os.fstat(handle).st_mode):
        raise OSError(number, os.strerror(number))
    fsync(handle)


def test_only_regular_files_are_opened(tmp_path):
    """A FIFO, a folder and, on request, a link are errors at once; `open_any` opens /dev/null too."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(OSError, match="not a regular file"):
            files.open_regular(path)
    with files.open_regular(tmp_path / "link") as stream:
        assert stream.read() == b"x"
    with pytest.raises(OSError):
        files.open_regular(tmp_path / "link", follow=False)
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        with pytest.raises(OSError, match="not a regular file"):
            files.open_any(path)
    with files.open_any("/dev/null") as stream:
        assert stream.read() == b""
