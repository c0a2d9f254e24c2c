"""The junk folder of a Maildir: found, or made in the layout of the other folders."""

import contextlib
import itertools
import os
import stat

from spamlstm.errors import ConfigError, NoInputError
from spamlstm.files import CREATE
from spamlstm.maildir.folders import JUNK_NAMES, MOST_FOLDERS, display_levels, encoded, is_folder, subfolders
from spamlstm.maildir.message_file import copy_owner
from spamlstm.maildir.names import PARTS
from spamlstm.maildir.opened import OpenFolder, OpenMaildir

# The folder that is made where there is none.
_NEW_FOLDER = "Junk"
# Folders that may hold a junk folder one level down: Dovecot with LAYOUT=fs and Courier keep everything below INBOX;
# Gmail keeps its own folders below the other two.
_ABOVE = (("inbox",), ("[gmail]",), ("[google mail]",))
_RANKS = {name: rank for rank, name in enumerate(JUNK_NAMES)}
# Folders whose names show the layout of a Maildir. More are not looked at, as a Maildir may have 20,000.
_MOST_FOR_LAYOUT = 100


def junk_folder(mailbox: OpenMaildir, configured: str = "auto") -> OpenFolder:
    """Return the folder that spam of a Maildir is filed to, whether it exists yet or not.

    `configured` is a folder's name, on disk or as mail programs show it (`Junk`, `INBOX.Junk`, `Lists/Junk`), or
    'auto': the first of JUNK_NAMES that exists, at the top or below INBOX or [Gmail], else a `Junk` in the layout of
    this Maildir. NoInputError if it is no Maildir, ConfigError if the name leads out of it.
    """
    if not mailbox.folder().exists():
        raise NoInputError(f"{mailbox.path} is no Maildir: it lacks new, cur or tmp")
    # A change to the owner's identity and back takes as long as ten calls of stat.
    with mailbox.owner.acting():
        return mailbox.folder(_configured(mailbox, configured) if configured != "auto" else _detected(mailbox))


def _detected(mailbox: OpenMaildir) -> str:
    names = subfolders(mailbox, "")
    found = next((name for name in _junk_names(mailbox, names) if is_folder(mailbox, name)), None)
    if found is not None:
        return found
    folders = _layout(mailbox, names)
    if _is_fs(folders):
        return _NEW_FOLDER
    below_inbox = bool(folders) and all(name.startswith(".INBOX.") for name in folders)
    return (".INBOX." if below_inbox else ".") + _NEW_FOLDER


def _junk_names(mailbox: OpenMaildir, names: list[str]) -> list[str]:
    """Return the directories with names of junk folders, in the order of JUNK_NAMES, those at the top first."""
    inner = []
    for name in names:
        if (name.casefold(),) in _ABOVE:
            with contextlib.suppress(OSError):  # it is a link, or another user owns it
                inner += [f"{name}/{below}" for below in subfolders(mailbox, name)]
    ranks = {name: rank for name in (*names, *inner) if (rank := _rank(name)) is not None}
    return sorted(ranks, key=ranks.__getitem__)


def _rank(name: str) -> int | None:
    """Return the place in JUNK_NAMES of a folder's name on disk, or None."""
    levels = display_levels(name)
    rank = _RANKS.get(levels[-1])
    # Mail programs do not show a name that begins with two dots.
    if rank is None or name.startswith("..") or (levels[:-1] and levels[:-1] not in _ABOVE):
        return None
    return rank


def _layout(mailbox: OpenMaildir, names: list[str]) -> list[str]:
    """Return up to _MOST_FOR_LAYOUT folders by which the layout is detected, those with a leading dot first."""
    ordered = sorted(names, key=lambda name: not name.startswith("."))[:MOST_FOLDERS]
    return list(itertools.islice((name for name in ordered if is_folder(mailbox, name)), _MOST_FOR_LAYOUT))


def _is_fs(folders: list[str]) -> bool:
    """Return whether the layout is fs (`Junk`), not Maildir++ (`.Junk`). Without folders it is Maildir++."""
    return bool(folders) and not any(name.startswith(".") for name in folders)


def _configured(mailbox: OpenMaildir, configured: str) -> str:
    pieces = configured.split("/")
    if not configured.strip() or "\0" in configured or any(piece in ("", ".", "..", *PARTS) for piece in pieces):
        raise ConfigError(
            f"'{configured}' is no folder name for {mailbox.path}; write a name such as 'Junk' or 'Lists/Junk'"
        )
    dotted = "." + configured.replace("/", ".").removeprefix(".")
    if ".." in dotted:
        raise ConfigError(
            f"'{configured}' is no folder name for {mailbox.path}; write a name without empty levels, such as 'Junk'"
        )
    for name in (configured, dotted, encoded(configured), encoded(dotted)):
        if _is_directory(mailbox, name):
            return name
    if not configured.startswith(".") and _is_fs(_layout(mailbox, subfolders(mailbox, ""))):
        return encoded(configured)
    return encoded(dotted)


def _is_directory(mailbox: OpenMaildir, name: str) -> bool:
    """Return whether the directory exists. RefusedError if it is a link."""
    try:
        os.close(mailbox.enter(name))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def create_folder(folder: OpenFolder) -> None:
    """Create the folder, and those of new, cur, tmp and `maildirfolder` that are missing, and bring all to disk.

    Owner, group and mode are those of the Maildir, so that the mail server can use the folder. Subscriptions are the
    user's and stay as they are. It is safe to repeat this, and to run it while a server creates the same folder. Raises
    OSError if a level of the path is no folder, and RefusedError, which is an OSError, if it is a link.
    """
    mailbox = folder.mailbox
    like = os.fstat(mailbox.handle)
    folder.close()
    levels = folder.name.split("/")
    with mailbox.owner.acting():
        for depth in range(1, len(levels) + 1):
            _make_folder(mailbox, "/".join(levels[: depth - 1]), levels[depth - 1], like)
        # new and cur come last: with them others take it for a Maildir, and need tmp to deliver to it.
        for part in ("tmp", "new", "cur"):
            _make_folder(mailbox, folder.name, part, like)
        # Maildir++ requires it in every folder but the root. Dovecot creates it in the fs layout as well.
        _make_marker(folder.handle(), like)
        for depth in range(len(levels), -1, -1):
            with mailbox.entered("/".join(levels[:depth])) as handle:
                os.fsync(handle)


def _make_folder(mailbox: OpenMaildir, above: str, name: str, like: os.stat_result) -> None:
    exists = False
    with mailbox.entered(above) as parent:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            exists = True
    # Raises if what exists is no folder.
    with mailbox.entered(f"{above}/{name}" if above else name) as handle:
        if not exists:
            copy_owner(handle, like, stat.S_IMODE(like.st_mode))


def _make_marker(above: int, like: os.stat_result) -> None:
    try:
        handle = os.open("maildirfolder", CREATE, 0o600, dir_fd=above)
    except FileExistsError:
        return
    try:
        copy_owner(handle, like, like.st_mode & 0o666)
    finally:
        os.close(handle)


def is_complete(folder: OpenFolder) -> bool:
    """Return whether the folder has all that `create_folder` makes: new, cur, tmp and the file `maildirfolder`.

    `create_folder` makes that file last. A folder without it may be left from a crash, with parts that are not on disk.
    """
    if not folder.exists():
        return False
    try:
        with folder.mailbox.owner.acting():
            os.stat("maildirfolder", dir_fd=folder.handle(), follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def check_one_file_system(*folders: OpenFolder) -> None:
    """Raise ConfigError unless new, cur and tmp of all `folders` are on one file system, where a rename moves mail."""
    first, *others = [(folder, part) for folder in folders for part in PARTS]
    device = os.fstat(first[0].handle("new")).st_dev
    for folder, part in others:
        if os.fstat(folder.handle(part)).st_dev != device:
            raise ConfigError(
                f"{first[0].path}/new and {folder.path}/{part} are on different file systems, between which mail"
                " cannot be moved safely; choose a junk folder on the same file system"
            )
