"""Directories and files that are opened without following the links of others."""

import errno
import os
import stat

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A FIFO or a device never keeps us waiting, and a link is an error (ELOOP).
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class RefusedError(OSError):
    """A name in a Maildir is a symbolic link, belongs to somebody else, or has too much in it.

    `strerror` says which name and why.
    """

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


def is_link(name: str, above: int) -> bool:
    """Whether `name` in the directory `above` is a symbolic link; False if that cannot be known."""
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
    except OSError:
        return False
