"""Check that only this user and root can change the state folder and the configuration, as sshd does for its files."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from spamlstm.errors import ConfigError, UserError, reason_of
from spamlstm.files import DIRECTORY, make_private
from spamlstm.wording import in_shell

# A folder on a read-only file system, or below /proc, cannot be created (EROFS, ENOENT).
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT)


def secured(folder: Path) -> bool:
    """Create the state folder if it is missing, and make it private to this user.

    Return True if other users could read the folder and its mode was changed. Raises ConfigError with instructions if
    the folder cannot be created, is a file or a link, belongs to another user or cannot be written, or if other users
    can write to the folder or a folder above it. Such users may have put files there.
    """
    try:
        with _permitted(folder, "opened or created"):
            # Check first and then create the folder, because the path may contain a link of another user.
            _check_above(folder, what=f"the state folder {folder}")
            make_private(folder)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(
            f"the state folder {folder} cannot be used, because it or a folder above it is not a folder; name another "
            "folder with --state"
        ) from error
    status, me = os.lstat(folder), os.geteuid()
    if stat.S_ISLNK(status.st_mode):
        raise ConfigError(f"the state folder {folder} is a symbolic link; name the target of the link with --state")
    if status.st_uid != me:
        # Root may only have mistaken the user.
        restored = _if_restored("-hR", in_shell(folder)) if me else ""
        raise ConfigError(
            f"the state folder {folder} belongs to {_user(status.st_uid)} and you are {_user(me)};{restored}"
            f" run spamlstm as {_user(status.st_uid)}, or name another folder with --state"
        )
    if _others_may_write(status):
        raise ConfigError(
            f"other users can write to the state folder {folder} (mode {_mode(status)}); check its contents, then run: "
            f"chmod 700 {in_shell(folder)}"
        )
    if status.st_mode & 0o300 != 0o300 and not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise ConfigError(
            f"{_user(me)} may not write to the state folder {folder} (mode {_mode(status)}); run: "
            f"chmod 700 {in_shell(folder)}"
        )
    if not status.st_mode & 0o077:
        return False
    with _permitted(folder, "made private"):
        handle = os.open(folder, DIRECTORY)
        try:
            os.fchmod(handle, 0o700)
        finally:
            os.close(handle)
    return True


@contextlib.contextmanager
def _permitted(folder: Path, what: str) -> Iterator[None]:
    """Raise ConfigError with instructions if the system refuses what the context does with the folder."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        raise ConfigError(
            f"the state folder {folder} cannot be {what} ({reason_of(error)}); name another folder with --state"
        ) from error


def open_private(path: Path) -> int:
    """Open a file in the state folder for reading and writing, and return its descriptor. A new file gets mode 0600.

    Raises ConfigError with instructions if `path` is not a regular file of this user, or cannot be opened for writing.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    check_regular(path)
    me = os.geteuid()
    try:
        handle = os.open(path, flags, 0o600)
    except PermissionError:
        if not os.path.lexists(path):
            raise
        status = os.lstat(path)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        raise ConfigError(
            f"{path} cannot be written ({reason_of(error)}); name a state folder on another file system with --state"
        ) from error
    else:
        status = os.fstat(handle)
        if stat.S_ISREG(status.st_mode) and status.st_uid == me:
            return handle
        os.close(handle)
    if status.st_uid == me:
        what = f"{_user(me)} may not read and write {path}"
        if status.st_mode & 0o600 != 0o600:
            raise ConfigError(f"{what} (mode {_mode(status)}); run: chmod 600 {in_shell(path)}")
        raise ConfigError(
            f"{what}, although its mode ({_mode(status)}) permits it; check its attributes (lsattr) and the security"
            " modules, such as AppArmor"
        )
    # SQLite keeps parts of a database in files with longer names.
    how = f"{_if_restored('-h', f'{in_shell(path)}*')} move it away to begin anew"
    raise ConfigError(f"{path} belongs to {_user(status.st_uid)} and you are {_user(me)};{how}")


def check_regular(path: Path) -> None:
    """Raise ConfigError with instructions if there is a link or a folder in the place of a file in the state folder."""
    if path.is_symlink():
        raise ConfigError(f"{path} is a symbolic link, which spamlstm never creates; remove the link")
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path} is not a regular file; move it away to begin anew")


def _if_restored(option: str, paths: object) -> str:
    """Return the advice for files that root restored from a backup.

    With -h, chown changes no file behind a link, which the user may have put there.
    """
    command = f"chown {option} {_name(os.geteuid())} {paths}"
    return f" if it was restored from a backup, run as root: {command}; otherwise"


def check_configuration(path: Path, status: os.stat_result) -> None:
    """Raise ConfigError with instructions if another user can change the configuration at `path`.

    Files that are not regular, such as /dev/null or a pipe, are accepted because the user named them on purpose.
    """
    if not stat.S_ISREG(status.st_mode):
        return
    me = _user(os.geteuid())
    if status.st_uid not in _trusted():
        raise ConfigError(
            f"the configuration {path} belongs to {_user(status.st_uid)}, who can change what spamlstm does for {me};"
            f" check its contents, then run: chown {_name(os.geteuid())} {in_shell(path)}"
        )
    if _others_may_write(status):
        raise ConfigError(
            f"other users can change the configuration {path} (mode {_mode(status)}); check its contents, then run: "
            f"chmod go-w {in_shell(path)}"
        )
    _check_above(path, what=f"the configuration {path}")


def check_private(path: Path, status: os.stat_result) -> None:
    """Raise ConfigError with instructions if other users can read or change the file at `path`.

    Its group may read the file.
    """
    if status.st_uid not in _trusted():
        raise ConfigError(
            f"the file {path} belongs to {_user(status.st_uid)}; run: chown {_name(os.geteuid())} {in_shell(path)}"
        )
    if status.st_mode & stat.S_IRWXO or _others_may_write(status):
        raise ConfigError(
            f"other users can read or change the file {path} (mode {_mode(status)}); run: chmod o=,g-w {in_shell(path)}"
        )


def why_unreadable(path: Path) -> str:
    """Return why this user may not read the configuration at `path`, with the command that permits it.

    Return an empty string if the user may read it, or if the reason is not a mode, for example a security module.
    """
    name = os.path.realpath(path)
    for folder in reversed(Path(name).parents):
        if not may_enter(folder):
            return _refused("enter", folder, "g+x")
    return "" if os.access(name, os.R_OK, effective_ids=True) else _refused("read", Path(name), "g+r")


def may_enter(folder: Path) -> bool:
    """Return whether this user may enter a folder."""
    return os.access(folder, os.X_OK, effective_ids=True)


def why_closed(folder: Path, group: str) -> str:
    """Return why the group may not enter a folder, with the command that permits it, or an empty string if it may."""
    status = folder.stat()
    permission = stat.S_IXGRP if status.st_gid == group_number(group) else stat.S_IXOTH
    if status.st_mode & permission:
        return ""
    return (
        f"the group {group} may not enter {folder} (mode {_mode(status)}); run as root: "
        f"chgrp {group} {in_shell(folder)} && chmod g+x {in_shell(folder)}"
    )


def _refused(what: str, path: Path, permission: str) -> str:
    me, status = _user(os.geteuid()), os.stat(path)  # noqa: PTH116  the folder above can be entered
    return (
        f"{me} may not {what} {path} (owner {_user(status.st_uid)}, mode {_mode(status)}); run as root: "
        f"chgrp {_group()} {in_shell(path)} && chmod {permission} {in_shell(path)}"
    )


def group_number(name: str, *, advice: str = "name an existing group, or create it") -> int:
    """Return the number of a group. Raises UserError with `advice` if there is no such group."""
    import grp  # only needed for a group in the configuration

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise UserError(f"there is no group {name!r}; {advice}") from error


def _group() -> str:
    import grp  # only needed for an error

    try:
        return grp.getgrgid(os.getegid()).gr_name
    except KeyError:
        return str(os.getegid())


def _check_above(path: Path, *, what: str) -> None:
    """Raise ConfigError if another user can write to a folder above `path` and could replace `path`.

    In a sticky folder only the owner of a file can replace the file, so a sticky folder is accepted. The folders of the
    path as written and of the resolved path are checked.
    """
    trusted = _trusted()
    for folder in {*Path(os.path.abspath(path)).parents, *Path(os.path.realpath(path)).parents}:  # noqa: PTH100
        try:
            status = os.stat(folder)  # noqa: PTH116  many times faster
        except (FileNotFoundError, NotADirectoryError):
            continue  # the folder will be created with mode 0700, or cannot be created
        if status.st_uid not in trusted:
            raise ConfigError(
                f"{what} is below {folder}, which belongs to {_user(status.st_uid)}, who can replace it; use a folder"
                f" of your own, or run spamlstm as {_user(status.st_uid)}"
            )
        if not stat.S_ISDIR(status.st_mode):
            continue  # such as /dev/null, the home folder of some users
        if _others_may_write(status) and not status.st_mode & stat.S_ISVTX:
            raise ConfigError(
                f"{what} is below {folder}, to which other users can write (mode {_mode(status)}), so they can replace"
                f" it; run: chmod go-w {in_shell(folder)}"
            )


def _trusted() -> set[int]:
    """Return the ids of this user and of root. With systemd's PrivateUsers= the kernel may show another id for root."""
    return {0, os.geteuid(), os.stat("/").st_uid}  # noqa: PTH116


def _others_may_write(status: os.stat_result) -> bool:
    """Return whether users other than the owner can write. The owner's private group is ignored."""
    group = bool(status.st_mode & stat.S_IWGRP) and not _is_own_group(status.st_uid, status.st_gid)
    return group or bool(status.st_mode & stat.S_IWOTH)


def _is_own_group(user: int, group: int) -> bool:
    import grp  # only needed if a group can write
    import pwd

    try:
        one, all_of = pwd.getpwuid(user), grp.getgrgid(group)
    except KeyError:
        return False
    return (one.pw_gid, one.pw_name) == (group, all_of.gr_name) and set(all_of.gr_mem) <= {one.pw_name}


def _name(number: int) -> str:
    """Return the name of a user, or the number if there is no name. chown accepts both."""
    import pwd  # only needed for an error

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _user(number: int) -> str:
    name = _name(number)
    return f"user {name}" if name.isdecimal() else name


def _mode(status: os.stat_result) -> str:
    return f"{stat.S_IMODE(status.st_mode):04o}"
