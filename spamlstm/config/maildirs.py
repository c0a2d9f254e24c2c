"""Which Maildirs a path in the configuration means: ~ and globs, and what holds where several match."""

import fnmatch
import glob
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from spamlstm.config.values import MaildirConfig
from spamlstm.files import open_directory

Glob = Callable[[str], Iterable[str]]


def absolute(path: str) -> str:
    """`path` with ~ and ~user resolved, without doubled or trailing slashes; unchanged if there is no such user."""
    return os.path.normpath(os.path.expanduser(path))  # noqa: PTH111  pathlib raises for an unknown user


def has_magic(path: str) -> bool:
    """Whether there are globs in it."""
    return glob.has_magic(path)


def covers(pattern: str, path: str) -> bool:
    """Whether each path that `path` means (it may have globs too) is one that `pattern` means; both are `absolute`.

    As in a shell: *, ? and [] stand for no slash, and for a leading dot only where the dot is written. No file is
    looked at. Of two parts with globs only equal ones, and any below *, are known to cover.
    """
    wanted, given = pattern.split("/"), path.split("/")
    return len(wanted) == len(given) and all(map(_covers_part, wanted, given))


def _covers_part(pattern: str, part: str) -> bool:
    if part.startswith(".") and not pattern.startswith("."):
        return False
    return pattern in (part, "*") or (not has_magic(part) and _matches_part(pattern, part))


def section_of(maildirs: Iterable[MaildirConfig], path: Path) -> MaildirConfig | None:
    """The section that holds for a Maildir: the first that matches its path, whole; later ones add nothing to it."""
    return next((section for section in maildirs if _matches(absolute(section.path), str(path))), None)


def _matches(pattern: str, path: str) -> bool:
    wanted, given = pattern.split("/"), path.split("/")
    return len(wanted) == len(given) and all(map(_matches_part, wanted, given))


def _matches_part(pattern: str, name: str) -> bool:
    hidden = name.startswith(".") and not pattern.startswith(".")
    return not hidden and fnmatch.fnmatchcase(name, pattern)


def expand_maildirs(
    maildirs: Iterable[MaildirConfig], *, find: Glob = glob.iglob, beat: Callable[[], None] = lambda: None
) -> dict[Path, MaildirConfig]:
    """The folders that the sections mean now, in the order of the sections and sorted by name within each.

    Whether a folder is a Maildir is not asked. A folder that several sections match belongs to the first; one that
    has several names is there once, by the first that leads there without a symbolic link, else by the first whose
    links are all of root, of this user or of the folder's owner: who makes a link to somebody's Maildir neither gets it
    judged under his name nor keeps it from being judged. What cannot be looked at is left out.
    `beat` is called before each look: there may be 10,000, on a slow disk.
    """
    found: dict[Path, MaildirConfig] = {}
    names: dict[tuple[int, int], str] = {}
    for section in maildirs:
        for name in sorted(find(absolute(section.path))):
            beat()
            which = folder_identity(name)
            if which is None:
                continue
            before = names.get(which)
            if before is None or _rank(name, which) < _rank(before, which):
                if before is not None:
                    del found[Path(before)]
                names[which] = name
                found[Path(name)] = section
    return found


def _rank(name: str, which: tuple[int, int]) -> int:
    """How good a name it is for this folder: 0 without a link, 1 with links, 2 along a link of another user.

    Its user may change it meanwhile, so the folder that it leads to is looked at once more; 2 if it is another.
    """
    try:
        handle, owners = open_directory(name)
    except (OSError, ValueError):
        return 2
    try:
        status = os.fstat(handle)
    finally:
        os.close(handle)
    if (status.st_dev, status.st_ino) != which or owners - {0, os.geteuid(), status.st_uid}:
        return 2
    return int(bool(owners))


def folder_identity(name: str) -> tuple[int, int] | None:
    """Device and inode of the directory that a path leads to; None if it cannot be looked at."""
    try:
        status = os.stat(name)  # noqa: PTH116  half the time of Path, and there may be 10,000
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
