"""Resolve the paths of `[[maildir]]` sections: ~, wildcards, and which section applies to a Maildir."""

import fnmatch
import glob
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from spamlstm.config.values import MaildirConfig
from spamlstm.files import open_directory

Glob = Callable[[str], Iterable[str]]


def absolute(path: str) -> str:
    """Return `path` with ~ and ~user resolved and slashes normalised; ~user stays if there is no such user."""
    return os.path.normpath(os.path.expanduser(path))  # noqa: PTH111  pathlib raises for an unknown user


def has_magic(path: str) -> bool:
    """Return whether a path has wildcards."""
    return glob.has_magic(path)


def covers(pattern: str, path: str) -> bool:
    """Return whether `pattern` matches every path that `path` matches (it may have wildcards); both are `absolute`.

    As in a shell, *, ? and [] match no slash, and no leading dot. No file is read. A part with wildcards is known to
    be covered only by an equal part and by *; other cases return False.
    """
    wanted, given = pattern.split("/"), path.split("/")
    return len(wanted) == len(given) and all(map(_covers_part, wanted, given))


def _covers_part(pattern: str, part: str) -> bool:
    if part.startswith(".") and not pattern.startswith("."):
        return False
    return pattern in (part, "*") or (not has_magic(part) and _matches_part(pattern, part))


def section_of(maildirs: Iterable[MaildirConfig], path: Path) -> MaildirConfig | None:
    """Return the section that applies to a Maildir: the first that matches its path. Sections are not merged."""
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
    """Return the existing folders that the sections match, in the order of the sections and then by name.

    The folders need not be Maildirs. A folder that several sections match belongs to the first section. A folder with
    several names appears once: under the first name without a symbolic link, else under the first name with links that
    all belong to root, to this user or to the owner of the folder. So a user who links to the Maildir of another gains
    no control over it and cannot hide it. Folders that cannot be read are left out. `beat` is called before each
    folder: there may be 10,000, on a slow disk.
    """
    found: dict[Path, MaildirConfig] = {}
    names: dict[tuple[int, int], str] = {}
    for section in maildirs:
        for name in sorted(find(absolute(section.path))):
            beat()
            identity = folder_identity(name)
            if identity is None:
                continue
            before = names.get(identity)
            if before is None or _rank(name, identity) < _rank(before, identity):
                if before is not None:
                    del found[Path(before)]
                names[identity] = name
                found[Path(name)] = section
    return found


def _rank(name: str, identity: tuple[int, int]) -> int:
    """Rank a name of a folder: 0 without a link, 1 with links, 2 with a link of another user (lower is better).

    Its owner may have changed the link meanwhile: 2 if the name leads to another folder now.
    """
    try:
        handle, owners = open_directory(name)
    except (OSError, ValueError):
        return 2
    try:
        status = os.fstat(handle)
    finally:
        os.close(handle)
    if (status.st_dev, status.st_ino) != identity or owners - {0, os.geteuid(), status.st_uid}:
        return 2
    return int(bool(owners))


def folder_identity(name: str) -> tuple[int, int] | None:
    """Return device and inode of the directory at a path, or None if there is none."""
    try:
        status = os.stat(name)  # noqa: PTH116  half the time of Path, and there may be 10,000
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
