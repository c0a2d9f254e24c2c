"""Directories and files that are opened without following the links of others."""

import errno
import os
import stat
from dataclasses import dataclass

# As the kernel: more links than this in one path are a loop.
MOST_LINKS = 40

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# A FIFO or a device never keeps us waiting, and a link is an error (ELOOP).
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class RefusedError(OSError):
    """A name in a Maildir is a symbolic link or belongs to somebody else; `strerror` says which name and why."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(errno.ELOOP, f"{path.rpartition('/')[2]} {why}", path)


def open_plain(name: str, above: int, *, shown: str) -> int:
    """A descriptor of the regular file `name` in the directory `above`. RefusedError for all else, such as a FIFO."""
    try:
        handle = os.open(name, _READ, dir_fd=above)
    except OSError as error:
        # ELOOP is a link, ENXIO a socket or a FIFO.
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise RefusedError(shown, "is no regular file") from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise RefusedError(shown, "is no regular file")
    return handle


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


def is_link(name: str, above: int) -> bool:
    """Whether `name` in the directory `above` is a symbolic link; False if that cannot be known."""
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
    except OSError:
        return False
