"""Reading files that anyone may have made: nothing here waits for a FIFO or a device."""

import errno
import os
import stat
from io import FileIO
from pathlib import Path

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
