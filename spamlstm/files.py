"""Functions that open, create and replace files and folders, without blocking on FIFOs or following unwanted links."""

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import Self

# The largest number of symbolic links in a path, as in the kernel. A path with more links is treated as a loop.
MOST_LINKS = 40
# A temporary file of `replacement` that is older than this number of seconds was left by a crash.
LEFTOVER_SECONDS = 3600.0

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NULL = os.makedev(1, 3)  # the device number of /dev/null in Linux


# --- reading --------------------------------------------------------------------------------------------------------


def open_regular(path: str | Path, *, follow: bool = True) -> FileIO:
    """Open a regular file for reading, without a buffer.

    Raises OSError if the path is not a regular file, for example a FIFO or a folder. Raises OSError (ELOOP) if the path
    is a symbolic link and `follow` is false.
    """
    return open(regular_descriptor(path, follow=follow), "rb", buffering=0)


def regular_descriptor(path: str | Path, *, follow: bool = True, dir_fd: int | None = None) -> int:
    """Return a descriptor of a regular file.

    `dir_fd` is the descriptor of the folder to which a relative `path` refers. Raises OSError like `open_regular`.
    """
    handle = _open(path, follow=follow, dir_fd=dir_fd)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return handle


def open_any(path: str | Path) -> FileIO:
    """Open a path given by the user for reading: a regular file, /dev/null, or a pipe of the shell (`<(command)`).

    Raises OSError for everything else. A FIFO or a terminal could block for ever, and a device could have no end.
    """
    handle = _open(path, follow=True)
    status = os.fstat(handle)
    if not (stat.S_ISREG(status.st_mode) or status.st_rdev == _NULL or _is_shell_pipe(handle)):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    # Opening did not wait for a writer of a pipe. Reading must wait for the data of the writer.
    os.set_blocking(handle, True)
    return open(handle, "rb", buffering=0)  # noqa: PTH123  a descriptor is opened here, not a path


def _is_shell_pipe(handle: int) -> bool:
    """Return whether a descriptor is a pipe without a name, whose writer the shell has started."""
    try:
        return str(Path(f"/proc/self/fd/{handle}").readlink()).startswith("pipe:")
    except OSError:
        return False


def _open(path: str | Path, *, follow: bool, dir_fd: int | None = None) -> int:
    try:
        return os.open(path, _READ if follow else _READ | os.O_NOFOLLOW, dir_fd=dir_fd)
    except OSError as error:
        if error.errno == errno.ENXIO:  # the path is a socket
            raise OSError(errno.EINVAL, "it is not a regular file", str(path)) from error
        raise


def open_directory(path: str) -> tuple[int, set[int]]:
    """Return a descriptor (O_PATH) of the directory at `path`, and the owners of all symbolic links that were followed.

    Raises OSError (ELOOP) if there are more than MOST_LINKS links.
    """
    handle = os.open("/" if path.startswith("/") else ".", _PLACE)
    pending = path.split("/")[::-1]
    owners: list[int] = []
    try:
        while pending:
            level = pending.pop()
            if level in ("", "."):
                continue
            below, link = _step(handle, level, path)
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


def _step(above: int, level: str, path: str) -> tuple[int | None, _Link | None]:
    """Return a descriptor of the next directory on a path, and the symbolic link to follow, if any.

    `level` is the next component of the path, in the directory `above`. If `level` is a symbolic link, the descriptor
    is that of the root directory for an absolute target, or None for a target relative to `above`. Raises
    NotADirectoryError if `level` is neither a directory nor a symbolic link.
    """
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


# --- writing --------------------------------------------------------------------------------------------------------


def make_private(folder: Path) -> None:
    """Create a folder and all missing parents, each with mode 0700.

    Path.mkdir(parents=True) would use the mode only for the last folder.
    """
    if not folder.parent.exists():
        make_private(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def sync_folder(folder: str | Path) -> None:
    """Make the file names in a folder durable (fsync)."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_names(handle)
    finally:
        os.close(handle)


def sync_names(folder: int) -> None:
    """Make the file names in an open folder durable (fsync), on file systems that can do so."""
    try:
        os.fsync(folder)
    except OSError as error:
        # Some file systems, such as those of virtual machines, refuse to sync any folder. SQLite ignores that too.
        if error.errno != errno.EINVAL:
            raise


def write_file(path: Path, text: str, *, mode: int | None = None, durable: bool = True) -> None:
    """Replace the file at `path` by a text in UTF-8. For `mode`, `durable` and errors, see `replacement`."""
    with replacement(path, mode=mode, durable=durable) as out:
        out.write(text.encode())


@contextlib.contextmanager
def replacement(path: Path, *, mode: int | None = None, durable: bool = True) -> Iterator[BufferedWriter]:
    """Yield a new file that replaces the file at `path` atomically when the `with` block ends.

    If the block raises an error, the file at `path` is left unchanged. Readers find either the complete old file or the
    complete new file, even after a crash. If `durable`, the new file is durable (fsynced) at the end. `mode` is the
    mode of the new file; by default the umask determines the mode. Other users may have write access to the folder, so
    the temporary name cannot be guessed, and links at `path` or at the temporary name are not followed. Raises OSError
    if the file cannot be written.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _remove_leftovers(folder, path.name)
        temporary = f".{path.name}.{os.urandom(8).hex()}"
        handle = os.open(temporary, CREATE, 0o666 if mode is None else 0o600, dir_fd=folder)
        try:
            with open(handle, "wb") as out:  # noqa: PTH123  a descriptor is opened here, not a path
                yield out
                out.flush()
                if mode is not None:
                    os.fchmod(handle, mode)
                if durable:
                    os.fsync(handle)
            os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            raise
        if durable:
            sync_names(folder)
    finally:
        os.close(folder)


def _remove_leftovers(folder: int, name: str) -> None:
    """Remove the temporary files of `name` that a crash left: old regular files of this user.

    Files younger than LEFTOVER_SECONDS are kept because another process may be writing to them.
    """
    pattern = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{16}}")
    for found in filter(pattern.fullmatch, os.listdir(folder)):
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(found, dir_fd=folder, follow_symlinks=False)
            is_ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
            if is_ours and status.st_mtime < time.time() - LEFTOVER_SECONDS:
                os.unlink(found, dir_fd=folder)


class Closable:
    """A base class for objects with a `close` method, which is also called at the end of a `with` block."""

    def close(self) -> None:
        """Release all resources."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
