"""Files of an open Maildir by their names, without following links."""

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spamlstm.files import CREATE, regular_descriptor
from spamlstm.maildir.names import AnyPart, GoneError

if TYPE_CHECKING:
    from spamlstm.maildir.opened import OpenFolder


_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class PassingOver:
    """A block that ends silently with an OSError, because a file or directory is missing, unreadable or refused.

    If this process or the machine lacks descriptors or memory, the error is raised. Such an error says nothing about
    the file or directory, which must not be mistaken for a missing one.
    """

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        """Suppress an OSError, except one of a shortage."""
        return isinstance(error, OSError) and error.errno not in _SHORTAGES


# The disk, its file system or a file server cannot read the folder, or its owner may not.
_UNREADABLE = (errno.EIO, errno.EUCLEAN, errno.EBADMSG, errno.ESTALE, errno.EREMOTEIO, errno.EACCES, errno.EPERM)


def is_of_one_folder(error: OSError) -> bool:
    """Return whether an error says that one folder cannot be read, so that other folders can still be read."""
    return isinstance(error, RefusedError) or error.errno in _UNREADABLE


class RefusedError(OSError):
    """Raised for a name in a Maildir that is not safe to use.

    The name is a symbolic link or is not a regular file, belongs to another user, or has too many entries. `strerror`
    gives the name and the reason.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(errno.ELOOP, f"{path.rpartition('/')[2]} {why}", path)


def open_plain(name: str, above: int, *, shown: str) -> int:
    """Return a descriptor of the regular file `name` in the directory `above`.

    Raises RefusedError if `name` is not a regular file.
    """
    try:
        return regular_descriptor(name, follow=False, dir_fd=above)
    except OSError as error:
        # The error of a link is ELOOP.
        if error.errno in (errno.ELOOP, errno.EINVAL):
            raise RefusedError(shown, "is not a regular file") from error
        raise


@dataclass(frozen=True, slots=True)
class Entry:
    """A file name in a part of an open folder. The message may have another name by now, or be gone."""

    folder: "OpenFolder"
    part: AnyPart
    name: str

    @property
    def path(self) -> str:
        """The path, used only for messages and the journal. It is never used to open the file."""
        return f"{self.folder.path}/{self.part}/{self.name}"

    def status(self) -> os.stat_result:
        """Return the file's status without following a link. Raises FileNotFoundError if the name is missing."""
        with self.folder.mailbox.owner.acting():
            return os.stat(self.name, dir_fd=self.folder.handle(self.part), follow_symlinks=False)

    def open(self) -> int:
        """Return a descriptor for reading.

        Raises RefusedError if the file is not a regular file, and FileNotFoundError if the file is gone.
        """
        with self.folder.mailbox.owner.acting():
            return open_plain(self.name, self.folder.handle(self.part), shown=self.path)

    def create(self) -> int:
        """Create the file with mode 0600 and return a descriptor for writing. Raises FileExistsError if it exists."""
        with self.folder.mailbox.owner.acting():
            return os.open(self.name, CREATE, 0o600, dir_fd=self.folder.handle(self.part))

    def exists(self) -> bool:
        """Return whether a file, a link or any other entry has this name."""
        try:
            self.status()
        except FileNotFoundError:
            return False
        return True

    def rename(self, target: "Entry") -> None:
        """Rename the file to `target` in the same Maildir.

        Raises GoneError if the file is gone, and FileExistsError if the new name exists.
        """
        if target.exists():
            raise FileExistsError(errno.EEXIST, "the name is taken", target.path)
        there, here = target.folder.handle(target.part), self.folder.handle(self.part)
        with self.folder.mailbox.owner.acting():
            try:
                os.rename(self.name, target.name, src_dir_fd=here, dst_dir_fd=there)
            except FileNotFoundError as error:
                # The kernel reports the same error if the target folder was removed. The message then still exists.
                if os.fstat(there).st_nlink:
                    raise GoneError(self.path) from error
                raise

    def unlink(self) -> None:
        """Remove the name. Raises FileNotFoundError if the name is missing."""
        with self.folder.mailbox.owner.acting():
            os.unlink(self.name, dir_fd=self.folder.handle(self.part))
