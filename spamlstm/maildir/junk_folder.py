"""The junk folder of a Maildir: detected, or created in the layout of the other folders."""

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

# The name of a newly created junk folder.
_NEW_FOLDER = "Junk"
# Folders that may contain a junk folder one level down. Dovecot with LAYOUT=fs and Courier keep everything below INBOX.
# Gmail keeps its own folders below [Gmail] or [Google Mail].
_ABOVE = (("inbox",), ("[gmail]",), ("[google mail]",))
_RANKS = {name: rank for rank, name in enumerate(JUNK_NAMES)}
# The largest number of folders that are examined to detect the layout of a Maildir, which may have 20,000 folders.
_MOST_FOR_LAYOUT = 100


def junk_folder(mailbox: OpenMaildir, configured: str = "auto") -> OpenFolder:
    """Return the folder to which the spam of a Maildir is filed. It may not exist yet.

    `configured` is a folder's name, on disk or as mail programs show it (`Junk`, `INBOX.Junk`, `Lists/Junk`), or
    'auto'. 'auto' selects the first of JUNK_NAMES that exists at the top level or below INBOX or [Gmail]. If none
    exists, 'auto' selects `Junk` in the layout of this Maildir. Raises NoInputError if `mailbox` is not a Maildir, and
    UserError if the name leads out of the Maildir.
    """
    if not mailbox.folder().exists():
        raise NoInputError(f"{mailbox.path} is not a Maildir: it lacks new, cur or tmp")
    # Switching to the owner's identity and back takes as long as ten stat calls.
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
    """Return the directories with the name of a junk folder, in the order of JUNK_NAMES.

    For the same name, top-level directories come first.
    """
    inner = []
    for name in names:
        if (name.casefold(),) in _ABOVE:
            with contextlib.suppress(OSError):  # it is a link, or another user owns it
                inner += [f"{name}/{below}" for below in subfolders(mailbox, name)]
    ranks = {name: rank for name in (*names, *inner) if (rank := _rank(name)) is not None}
    return sorted(ranks, key=ranks.__getitem__)


def _rank(name: str) -> int | None:
    """Return the index in JUNK_NAMES of a folder's name on disk, or None."""
    levels = display_levels(name)
    rank = _RANKS.get(levels[-1])
    # Mail programs do not show names that begin with two dots.
    if rank is None or name.startswith("..") or (levels[:-1] and levels[:-1] not in _ABOVE):
        return None
    return rank


def _layout(mailbox: OpenMaildir, names: list[str]) -> list[str]:
    """Return up to _MOST_FOR_LAYOUT folders, from which the layout is detected. Names with a leading dot come first."""
    ordered = sorted(names, key=lambda name: not name.startswith("."))[:MOST_FOLDERS]
    return list(itertools.islice((name for name in ordered if is_folder(mailbox, name)), _MOST_FOR_LAYOUT))


def _is_fs(folders: list[str]) -> bool:
    """Return whether the layout is fs (`Junk`) instead of Maildir++ (`.Junk`).

    Without folders, the layout is Maildir++.
    """
    return bool(folders) and not any(name.startswith(".") for name in folders)


def _configured(mailbox: OpenMaildir, configured: str) -> str:
    pieces = configured.split("/")
    if not configured.strip() or "\0" in configured or any(piece in ("", ".", "..", *PARTS) for piece in pieces):
        raise ConfigError(
            f"'{configured}' is not a folder name for {mailbox.path}; use a name such as 'Junk' or 'Lists/Junk'"
        )
    dotted = "." + configured.replace("/", ".").removeprefix(".")
    if ".." in dotted:
        raise ConfigError(
            f"'{configured}' is not a folder name for {mailbox.path}; use one without empty levels, such as 'Junk'"
        )
    for name in (configured, dotted, encoded(configured), encoded(dotted)):
        if _is_directory(mailbox, name):
            return name
    if not configured.startswith(".") and _is_fs(_layout(mailbox, subfolders(mailbox, ""))):
        return encoded(configured)
    return encoded(dotted)


def _is_directory(mailbox: OpenMaildir, name: str) -> bool:
    """Return whether the directory `name` exists. Raises RefusedError if the directory is a link."""
    try:
        os.close(mailbox.enter(name))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def create_folder(folder: OpenFolder) -> None:
    """Create the folder and the missing parts of new, cur, tmp and `maildirfolder`, and make them durable (fsynced).

    Owner, group and mode are those of the Maildir, so that the mail server can use the folder. The user's subscriptions
    are left unchanged. The function is safe to repeat, also while a server creates the same folder. Raises OSError if a
    level of the path is not a directory, and RefusedError (an OSError) if a level of the path is a link.
    """
    mailbox = folder.mailbox
    like = os.fstat(mailbox.handle)
    folder.close()
    levels = folder.name.split("/")
    with mailbox.owner.acting():
        for depth in range(1, len(levels) + 1):
            _make_folder(mailbox, "/".join(levels[: depth - 1]), levels[depth - 1], like)
        # new and cur are created last, because other programs then take the folder for a Maildir and need tmp for
        # deliveries.
        for part in ("tmp", "new", "cur"):
            _make_folder(mailbox, folder.name, part, like)
        # Maildir++ requires the marker file in every folder except the root. Dovecot also creates the marker in the fs
        # layout.
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
    # Raises an error if the existing entry is not a directory.
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
    """Return whether the folder is complete: it has new, cur, tmp and the marker file `maildirfolder`.

    `create_folder` creates the marker last. Without the marker, a crash may have interrupted the creation, and new, cur
    or tmp may not be on disk.
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
    """Check that new, cur and tmp of all `folders` are on one file system, so that a rename can move mail.

    Raises UserError if they are on different file systems.
    """
    first, *others = [(folder, part) for folder in folders for part in PARTS]
    device = os.fstat(first[0].handle("new")).st_dev
    for folder, part in others:
        if os.fstat(folder.handle(part)).st_dev != device:
            raise ConfigError(
                f"{first[0].path}/new and {folder.path}/{part} are on different file systems, between which mail"
                " cannot be moved safely; choose a junk folder on the same file system"
            )
