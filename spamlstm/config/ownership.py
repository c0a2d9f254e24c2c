"""Check who can change the state folder and the configuration: only this user and root may, as for sshd."""

import os
import stat
from pathlib import Path

from spamlstm.errors import ConfigError
from spamlstm.files import DIRECTORY, make_private


def secured(folder: Path) -> bool:
    """Make the state folder if it is missing, and check that no other user can change or read it.

    Returns True if others could read the folder and its mode was changed. ConfigError says what to do if the folder is
    a link, belongs to another user, or if others can write to it or to a folder above it: they may have put
    files there.
    """
    # Before anything is made: the path may contain a link of another user.
    _check_above(folder, what=f"the state folder {folder}")
    make_private(folder)
    status, me = os.lstat(folder), os.geteuid()
    if stat.S_ISLNK(status.st_mode):
        raise ConfigError(f"the state folder {folder} is a symbolic link; name its target with --state")
    if status.st_uid != me:
        raise ConfigError(
            f"the state folder {folder} belongs to {_user(status.st_uid)} and you are {_user(me)}; run spamlstm as "
            f"{_user(status.st_uid)}, or name another folder with --state"
        )
    if _others_may_write(status):
        raise ConfigError(
            f"others may write to the state folder {folder} (mode {_mode(status)}); check its contents, then run: "
            f"chmod 700 {folder}"
        )
    if not status.st_mode & 0o077:
        return False
    handle = os.open(folder, DIRECTORY)
    try:
        os.fchmod(handle, 0o700)
    finally:
        os.close(handle)
    return True


def open_private(path: Path) -> int:
    """Open a file in the state folder for reading and writing, and return its descriptor; a new file has mode 0600.

    ConfigError says what to do if there is anything but a regular file of this user.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    if path.is_symlink():
        raise ConfigError(f"{path} is a symbolic link, which spamlstm never makes; remove it")
    handle = os.open(path, flags, 0o600)
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
        return handle
    os.close(handle)
    raise ConfigError(f"{path} is not a regular file of {_user(os.geteuid())}; move it away to begin anew")


def check_configuration(path: Path, status: os.stat_result) -> None:
    """Raise ConfigError, which says what to do, if another user can change the configuration at `path`.

    Anything but a regular file, such as /dev/null or a pipe, is accepted: the user named it on purpose.
    """
    if not stat.S_ISREG(status.st_mode):
        return
    me = _user(os.geteuid())
    if status.st_uid not in _trusted():
        raise ConfigError(
            f"the configuration {path} belongs to {_user(status.st_uid)}, who can change what spamlstm does for {me};"
            f" check its contents, then run: chown {me} {path}"
        )
    if _others_may_write(status):
        raise ConfigError(
            f"others may change the configuration {path} (mode {_mode(status)}); check its contents, then run: "
            f"chmod go-w {path}"
        )
    _check_above(path, what=f"the configuration {path}")


def _check_above(path: Path, *, what: str) -> None:
    """Raise ConfigError if another user can write to a folder above `path`, and so replace what is below.

    In a sticky folder only owners can. Both the folders of the path as written and those of its resolved form count.
    """
    trusted = _trusted()
    for folder in {*Path(os.path.abspath(path)).parents, *Path(os.path.realpath(path)).parents}:  # noqa: PTH100
        try:
            status = os.stat(folder)  # noqa: PTH116  many times as fast
        except FileNotFoundError:
            continue  # it will be made with mode 0700
        if status.st_uid not in trusted:
            raise ConfigError(
                f"{what} lies below {folder}, which belongs to {_user(status.st_uid)}, who could put another in its"
                f" place; use a folder of your own, or run spamlstm as {_user(status.st_uid)}"
            )
        if _others_may_write(status) and not status.st_mode & stat.S_ISVTX:
            raise ConfigError(
                f"{what} lies below {folder}, to which others may write (mode {_mode(status)}), so that they could put"
                f" another in its place; run: chmod go-w {folder}"
            )


def _trusted() -> set[int]:
    """Return the ids of this user and of root; with systemd's PrivateUsers= the kernel may show another id for root."""
    return {0, os.geteuid(), os.stat("/").st_uid}  # noqa: PTH116


def _others_may_write(status: os.stat_result) -> bool:
    """Return whether others than the owner can write. A private group of the owner does not count."""
    group = bool(status.st_mode & stat.S_IWGRP) and not _is_own_group(status.st_uid, status.st_gid)
    return group or bool(status.st_mode & stat.S_IWOTH)


def _is_own_group(user: int, group: int) -> bool:
    import grp  # only needed where a group can write
    import pwd

    try:
        one, all_of = pwd.getpwuid(user), grp.getgrgid(group)
    except KeyError:
        return False
    return (one.pw_gid, one.pw_name) == (group, all_of.gr_name) and set(all_of.gr_mem) <= {one.pw_name}


def _user(number: int) -> str:
    import pwd  # only needed for an error

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _mode(status: os.stat_result) -> str:
    return f"{stat.S_IMODE(status.st_mode):04o}"
