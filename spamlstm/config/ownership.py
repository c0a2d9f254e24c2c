"""Who could change a file or folder that we rely on: it is used only if that is this user and root, as sshd has it."""

import os
import stat
from pathlib import Path

from spamlstm.errors import ConfigError
from spamlstm.files import DIRECTORY, make_private


def secured(folder: Path) -> bool:
    """Make the state folder, if it is not there, and see that nobody else can change it or read it.

    True if its mode had to be changed: others could read it. A ConfigError says what to do if it is a link, belongs to
    somebody else, or if others may write to it or to a folder above it: what lies in it may then be theirs.
    """
    # Before anything is made: the way there may lead along somebody's link.
    _check_above(folder, what=f"the state folder {folder}")
    make_private(folder)
    status, me = os.lstat(folder), os.geteuid()
    if stat.S_ISLNK(status.st_mode):
        raise ConfigError(f"the state folder {folder} is a link; name the folder itself with --state")
    if status.st_uid != me:
        raise ConfigError(
            f"the state folder {folder} belongs to {_user(status.st_uid)} and this is {_user(me)}; run spamlstm as "
            f"{_user(status.st_uid)}, or name another folder with --state"
        )
    if _others_may_write(status):
        raise ConfigError(
            f"others may write to the state folder {folder} (mode {_mode(status)}); look at what lies in it, then run: "
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
    """A descriptor of a file in the state folder, to read and write; made, for its owner alone, if it is not there.

    A ConfigError says what to do where there is anything else than a regular file of this user.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    if path.is_symlink():
        raise ConfigError(f"{path} is a link, which spamlstm never makes there; remove it")
    handle = os.open(path, flags, 0o600)
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
        return handle
    os.close(handle)
    raise ConfigError(f"{path} is no file of {_user(os.geteuid())}'s; move it away to begin anew")


def check_configuration(path: Path, status: os.stat_result) -> None:
    """ConfigError, with what to do, if another user could change the configuration at `path`, whose status this is.

    What is no regular file, such as /dev/null or a pipe, was chosen by whoever named it.
    """
    if not stat.S_ISREG(status.st_mode):
        return
    me = _user(os.geteuid())
    if status.st_uid not in _trusted():
        raise ConfigError(
            f"the configuration {path} belongs to {_user(status.st_uid)}, who could change what spamlstm does for {me};"
            f" look at what it says, then run: chown {me} {path}"
        )
    if _others_may_write(status):
        raise ConfigError(
            f"others may change the configuration {path} (mode {_mode(status)}); look at what it says, then run: "
            f"chmod go-w {path}"
        )
    _check_above(path, what=f"the configuration {path}")


def _check_above(path: Path, *, what: str) -> None:
    """Who may write to a folder above could put something else in the place of what is below: not where it is sticky.

    That holds for the folders of the name and, where links are among them, for those that it leads to.
    """
    trusted = _trusted()
    for folder in {*Path(os.path.abspath(path)).parents, *Path(os.path.realpath(path)).parents}:  # noqa: PTH100
        try:
            status = os.stat(folder)  # noqa: PTH116  for each start, and many times as fast
        except FileNotFoundError:
            continue  # it is yet to be made, for its owner alone
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
    """The user of this process, and root by the number that the kernel shows: with PrivateUsers= it may be nobody's."""
    return {0, os.geteuid(), os.stat("/").st_uid}  # noqa: PTH116


def _others_may_write(status: os.stat_result) -> bool:
    """Whether anybody but the owner may; a group of the owner's own, as many systems give each user, is nobody."""
    group = bool(status.st_mode & stat.S_IWGRP) and not _is_own_group(status.st_uid, status.st_gid)
    return group or bool(status.st_mode & stat.S_IWOTH)


def _is_own_group(user: int, group: int) -> bool:
    import grp  # only where a group may write
    import pwd

    try:
        one, all_of = pwd.getpwuid(user), grp.getgrgid(group)
    except KeyError:
        return False
    return (one.pw_gid, one.pw_name) == (group, all_of.gr_name) and set(all_of.gr_mem) <= {one.pw_name}


def _user(number: int) -> str:
    import pwd  # only for a complaint

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _mode(status: os.stat_result) -> str:
    return f"{stat.S_IMODE(status.st_mode):04o}"
