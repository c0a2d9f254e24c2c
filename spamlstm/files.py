"""Opening what anyone may have made: nothing here waits for a FIFO or a device, and links have owners."""

import errno
import os
import stat
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

# As the kernel: more links than this in one path are a loop.
MOST_LINKS = 40

_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_regular(path: str | Path, *, follow: bool = True) -> FileIO:
    """A regular file, opened for reading without a buffer; an OSError for all else, such as a FIFO or a folder.

    Unless `follow`, a symbolic link is an OSError too.
    """
    handle = _open(path, follow=follow)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return open(handle, "rb", buffering=0)  # noqa: PTH123  it is open already


def open_any(path: str | Path) -> FileIO:
    """What a user named himself, which may be a pipe (`<(command)`). A FIFO that nobody writes to is empty.

    An OSError if it is a folder or cannot be read.
    """
    handle = _open(path, follow=True)
    # The opening does not wait for a writer; reading waits for one that is there.
    os.set_blocking(handle, True)
    return open(handle, "rb", buffering=0)  # noqa: PTH123


def _open(path: str | Path, *, follow: bool) -> int:
    try:
        return os.open(path, _READ if follow else _READ | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            raise OSError(errno.EINVAL, "it is not a regular file", str(path)) from error
        raise


def walk(path: str) -> tuple[int, set[int]]:
    """A descriptor (O_PATH) of the directory at `path`, and the owners of the symbolic links that led there."""
    handle = os.open("/" if path.startswith("/") else ".", _PLACE)
    pending = path.split("/")[::-1]
    owners: list[int] = []
    try:
        while pending:
            level = pending.pop()
            if level in ("", "."):
                continue
            below, link = _stepped(handle, level, path)
            if link is not None:
                owners.append(link.owner)
                pending += link.target.split("/")[::-1]
                if len(owners) > MOST_LINKS:
                    break
            if below is not None:
                os.close(handle)
                handle = below
    except BaseException:
        os.close(handle)
        raise
    if pending:
        os.close(handle)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    return handle, set(owners)


@dataclass(frozen=True, slots=True)
class _Link:
    target: str
    owner: int


def _stepped(above: int, level: str, path: str) -> tuple[int | None, _Link | None]:
    """Where one level of a path leads: the directory to go on from (None: the same), and the link that it is."""
    below = os.open(level, _PLACE, dir_fd=above)
    status = os.fstat(below)
    if stat.S_ISDIR(status.st_mode):
        return below, None
    try:
        if not stat.S_ISLNK(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        link = _Link(os.readlink("", dir_fd=below), status.st_uid)
    finally:
        os.close(below)
    return os.open("/", _PLACE) if link.target.startswith("/") else None, link
