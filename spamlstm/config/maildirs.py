"""Resolve the paths of `[[maildir]]` sections, including ~ and wildcards, and find the section for a Maildir."""

import fnmatch
import glob
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from spamlstm.config.values import MaildirConfig
from spamlstm.files import open_directory
from spamlstm.xdg import with_home

Glob = Callable[[str], Iterable[str]]


def absolute(path: str) -> str:
    """Return `path` with ~ and ~user resolved and slashes normalised. ~user is unchanged if no such user exists."""
    normal = os.path.normpath(with_home(path))
    # As POSIX permits, normpath keeps two slashes at the beginning. In Linux they mean the same as one.
    return normal[1:] if normal.startswith("//") else normal


def has_magic(path: str) -> bool:
    """Return whether a path contains wildcards."""
    return glob.has_magic(path)


def covers(pattern: str, path: str) -> bool:
    """Return whether `pattern` matches every path that `path` matches.

    Both arguments are results of `absolute` and may contain wildcards. As in a shell, *, ? and [] do not match a slash
    or a leading dot. No file is read. A part of `path` with wildcards is treated as covered only by an equal part or by
    *, so the result may be False although `pattern` matches all these paths.
    """
    return _is_true_of_parts(_covers_part, pattern, path)


def _covers_part(pattern: str, part: str) -> bool:
    if part.startswith(".") and not pattern.startswith("."):
        return False
    return pattern in (part, "*") or (not has_magic(part) and _matches_part(pattern, part))


def section_of(maildirs: Iterable[MaildirConfig], path: Path) -> MaildirConfig | None:
    """Return the first section that matches the path of a Maildir, or None. Sections are not merged."""
    named = str(path)
    return next((one for one in maildirs if _is_true_of_parts(_matches_part, absolute(one.path), named)), None)


def _is_true_of_parts(test: Callable[[str, str], bool], pattern: str, path: str) -> bool:
    """Return whether `test` is true of each part of a pattern and the part of the path in the same place."""
    wanted, given = pattern.split("/"), path.split("/")
    return len(wanted) == len(given) and all(map(test, wanted, given))


def _matches_part(pattern: str, name: str) -> bool:
    hidden = name.startswith(".") and not pattern.startswith(".")
    return not hidden and fnmatch.fnmatchcase(name, pattern)


def expand_maildirs(
    maildirs: Iterable[MaildirConfig], *, find: Glob = glob.iglob, beat: Callable[[], None] = lambda: None
) -> dict[Path, MaildirConfig]:
    """Return the existing folders that the sections match, each with its section, ordered by section and name.

    The folders need not be Maildirs. If several sections match a folder, the first section is used.

    A folder with several paths appears once. Its first path without symbolic links is preferred, then its first path
    whose links all belong to root, to this user or to the owner of the folder. Thus a user who links to the Maildir of
    another user can neither control nor hide that Maildir.

    Folders that cannot be read are omitted. `beat` is called before each folder because there may be 10,000 folders on
    a slow disk.
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


def unmatched(maildirs: Iterable[MaildirConfig], found: Mapping[Path, MaildirConfig]) -> list[str]:
    """Return the paths of the sections that match no existing folder, with ~ resolved and perhaps with wildcards.

    `found` is the result of `expand_maildirs`, where a folder belongs to one section although others may match it.
    """
    used = set(map(id, found.values()))
    paths = [absolute(section.path) for section in maildirs if id(section) not in used]
    # Path.glob takes no absolute pattern.
    return [path for path in paths if not any(map(folder_identity, glob.iglob(path)))]  # noqa: PTH207


def _rank(name: str, identity: tuple[int, int]) -> int:
    """Return the rank of a folder's name, where lower is better.

    The rank is 0 without links, 1 with links of trusted users, and 2 with a link of another user. The rank is also 2 if
    the name now leads to another folder, because the owner of a link may have changed the link in the meantime.
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
    """Return device and inode of the path `name`, or None if the path does not exist or cannot be read."""
    try:
        status = os.stat(name)  # noqa: PTH116  os.stat takes half the time of Path.stat, and there may be 10,000 folders
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
