"""Files in a Maildir, opened without following links."""

import errno
import os
import stat

from spamlstm.files import regular_descriptor


class RefusedError(OSError):
    """A name in a Maildir is a symbolic link or no regular file, belongs to another user, or has too many entries.

    `strerror` says which name and why.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(errno.ELOOP, f"{path.rpartition('/')[2]} {why}", path)


def open_plain(name: str, above: int, *, shown: str) -> int:
    """Return a descriptor of the regular file `name` in the directory `above`. RefusedError for anything else."""
    try:
        return regular_descriptor(name, follow=False, dir_fd=above)
    except OSError as error:
        # ELOOP is a link.
        if error.errno in (errno.ELOOP, errno.EINVAL):
            raise RefusedError(shown, "is no regular file") from error
        raise


def is_link(name: str, above: int) -> bool:
    """Whether `name` in the directory `above` is a symbolic link; False if that cannot be found out."""
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
    except OSError:
        return False
