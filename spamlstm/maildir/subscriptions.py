"""The user's subscriptions: lists of the folders that mail programs show, which Dovecot and Courier keep."""

import contextlib
import errno
import os
import stat
from collections.abc import Callable

from spamlstm.files import CREATE
from spamlstm.maildir.entry import open_plain
from spamlstm.maildir.opened import OpenFolder, OpenMaildir
from spamlstm.maildir.owner import copy_owner

# The largest list that is changed. A Maildir has at most some thousand folders.
_MOST_BYTES = 1 << 20
# The first lines of a list of Dovecot since 2.2.17. Older lists have no header.
_VERSION_2 = b"V\t2\n\n"


def subscribe(folder: OpenFolder) -> None:
    """Add a folder to the lists of subscriptions of Dovecot and Courier that exist in its Maildir.

    A list is replaced by one rename, and keeps its owner and mode. A list that cannot be changed now is left unchanged,
    because mail can be filed without it: a link, a list that the server has locked, or one of more than 1 MiB. The
    caller makes the rename durable.
    """
    shown = folder.name.removeprefix(".")
    if not shown.isprintable():
        return  # each line is a name, and Dovecot escapes control characters
    separator = "." if folder.name.startswith(".") else "/"
    entries: dict[str, Callable[[bytes], str]] = {
        "subscriptions": lambda old: shown.replace(separator, "\t") if old.startswith(_VERSION_2) else shown,
        "courierimapsubscribed": lambda _old: f"INBOX.{shown.replace(separator, '.').removeprefix('INBOX.')}",
    }
    with folder.mailbox.owner.acting():
        for name, entry in entries.items():
            with contextlib.suppress(OSError):
                _add_line(folder.mailbox, name, entry)


def _add_line(mailbox: OpenMaildir, name: str, entry: Callable[[bytes], str]) -> None:
    """Add a line to the list `name`, unless the line is already there. `entry` returns the line for the old list.

    Dovecot's protocol: whoever creates NAME.lock may change the list, and renames the lock to the list. Dovecot removes
    a lock that a crash left behind after 30 seconds. Raises OSError if the list is missing or cannot be changed.
    """
    os.stat(name, dir_fd=mailbox.handle, follow_symlinks=False)  # no lock is created if there is no list
    lock = f"{name}.lock"
    new = os.open(lock, CREATE, 0o600, dir_fd=mailbox.handle)
    try:
        status, content = _read(mailbox, name)
        line = os.fsencode(entry(content))
        if line in content.split(b"\n"):
            os.unlink(lock, dir_fd=mailbox.handle)
            return
        end = b"" if not content or content.endswith(b"\n") else b"\n"
        left = memoryview(content + end + line + b"\n")
        while left:
            left = left[os.write(new, left) :]
        copy_owner(new, status, stat.S_IMODE(status.st_mode) & 0o777)
        os.fsync(new)
        os.rename(lock, name, src_dir_fd=mailbox.handle, dst_dir_fd=mailbox.handle)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(lock, dir_fd=mailbox.handle)
        raise
    finally:
        os.close(new)


def _read(mailbox: OpenMaildir, name: str) -> tuple[os.stat_result, bytes]:
    """Return the status and the content of a list. Raises OSError if it is a link or has more than _MOST_BYTES."""
    handle = open_plain(name, mailbox.handle, shown=f"{mailbox.path}/{name}")
    try:
        status = os.fstat(handle)
        content = os.read(handle, _MOST_BYTES + 1)
    finally:
        os.close(handle)
    if len(content) != status.st_size or len(content) > _MOST_BYTES:
        raise OSError(errno.EFBIG, "the list of subscriptions is too large", name)
    return status, content
