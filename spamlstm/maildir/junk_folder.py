"""The junk folder of a Maildir: detected, or created in the layout of the other folders."""

import itertools
import os
import stat
from collections.abc import Callable, Collection, Iterator, Sequence

from spamlstm.errors import ConfigError, NoInputError
from spamlstm.files import CREATE, sync_names
from spamlstm.maildir.entry import PassingOver, RefusedError
from spamlstm.maildir.folder_walk import MOST_FOLDERS, is_folder, linked_folders, subfolders
from spamlstm.maildir.folders import ABOVE_JUNK, display_levels, encoded, junk_rank, possible_levels
from spamlstm.maildir.names import PARTS
from spamlstm.maildir.opened import OpenFolder, OpenMaildir
from spamlstm.maildir.owner import copy_owner
from spamlstm.maildir.subscriptions import subscribe

# The name of a newly created junk folder.
_NEW_FOLDER = "Junk"
# The largest number of folders that are examined to detect the layout of a Maildir, which may have 20,000 folders.
_MOST_FOR_LAYOUT = 100


def junk_folder(mailbox: OpenMaildir, configured: str = "auto") -> OpenFolder:
    """Return the folder to which the spam of a Maildir is filed. It may not exist yet.

    `configured` is a folder's name, on disk or as mail programs show it (`Junk`, `INBOX.Junk`, `Lists/Junk`), or
    'auto'. 'auto' selects the first of `existing_junk_folders`. A name selects the directory with exactly this name,
    otherwise the first folder that mail programs show under this name. If no folder is found, the result is the name of
    a new folder in the layout of this Maildir. Raises NoInputError if `mailbox` is not a Maildir, UserError if the name
    leads out of the Maildir, and RefusedError (an OSError) if the folder is a link.
    """
    if not mailbox.folder().exists():
        raise NoInputError(f"{mailbox.path} is not a Maildir: new, cur or tmp is missing in it")
    # Switching to the owner's identity and back takes as long as ten stat calls.
    with mailbox.owner.acting():
        return mailbox.folder(_configured(mailbox, configured) if configured != "auto" else _detected(mailbox))


def existing_junk_folders(mailbox: OpenMaildir) -> Iterator[str]:
    """Yield the names on disk of the junk folders at the top level or below INBOX or [Gmail], the preferred one first.

    The order is the order of JUNK_NAMES. For the same name, folders at the top level come first, then the order of the
    names on disk. Raises OSError if the Maildir cannot be read.
    """
    return _junk_folders(mailbox, _candidates(mailbox, ABOVE_JUNK))


def _junk_folders(mailbox: OpenMaildir, candidates: Sequence[str]) -> Iterator[str]:
    ranks = {name: rank for name in candidates if (rank := _rank(name)) is not None}
    return (name for name in sorted(ranks, key=ranks.__getitem__) if is_folder(mailbox, name))


def _detected(mailbox: OpenMaildir) -> str:
    candidates = _candidates(mailbox, ABOVE_JUNK)
    found = next(_junk_folders(mailbox, candidates), None)
    if found is not None:
        return found
    _check_links(mailbox, lambda name: _rank(name) is not None)
    return _new_name(mailbox, candidates, _NEW_FOLDER)


def _check_links(mailbox: OpenMaildir, is_meant: Callable[[str], bool]) -> None:
    """Raise RefusedError if the junk folder is a link, so that no folder is created beside the link."""
    for name in linked_folders(mailbox):
        if is_meant(name):
            raise RefusedError(f"{mailbox.path}/{name}", "is a symbolic link, and links in a Maildir are not followed")


def _candidates(mailbox: OpenMaildir, above: Collection[tuple[str, ...]]) -> list[str]:
    """Return the directories at the top level, then the directories below those that mail programs show as `above`.

    These may be one below the other: `INBOX/[Gmail]/Spam`.
    """
    found = level = subfolders(mailbox, "")
    for _ in range(2):
        inner: list[str] = []
        for name in level:
            if not name.startswith(".") and display_levels(name) in above:
                with PassingOver():  # it is a link, or another user owns it
                    inner += [f"{name}/{below}" for below in subfolders(mailbox, name)]
        found, level = found + inner, inner
    return found


def _rank(name: str) -> int | None:
    """Return the index in JUNK_NAMES of a folder's name on disk, or None."""
    levels = display_levels(name)
    rank = junk_rank(levels[-1])
    # Mail programs do not show names that begin with two dots.
    if rank is None or name.startswith("..") or (levels[:-1] and levels[:-1] not in ABOVE_JUNK):
        return None
    return rank


def _new_name(mailbox: OpenMaildir, candidates: Sequence[str], name: str) -> str:
    """Return the name on disk of a new folder, which mail programs are to show as `name`, without INBOX in front.

    `candidates` are directories, from which the layout is detected. The layout is fs (`Junk`) if there are folders and
    none begins with a dot. Otherwise, it is Maildir++ (`.Junk`). If all folders are below INBOX, so is the new folder.
    """
    # Names with a leading dot come first.
    ordered = sorted(candidates, key=lambda one: not one.startswith("."))[:MOST_FOLDERS]
    folders = list(itertools.islice((one for one in ordered if _is_shown(mailbox, one)), _MOST_FOR_LAYOUT))
    is_fs = bool(folders) and not any(one.startswith(".") for one in folders)
    inbox = "INBOX/" if is_fs else ".INBOX."
    if folders and all(one.startswith(inbox) for one in folders):
        return encoded(inbox + name)
    return encoded(name) if is_fs else encoded("." + name)


def _is_shown(mailbox: OpenMaildir, name: str) -> bool:
    """Return whether a directory is a folder, or has one below it in the fs layout (`Work/Projects` without `Work`).

    The folders below INBOX and [Gmail] are candidates themselves.
    """
    if is_folder(mailbox, name):
        return True
    if name.startswith(".") or display_levels(name) in ABOVE_JUNK:
        return False
    with PassingOver():  # it is a file, or another user owns it
        return any(is_folder(mailbox, f"{name}/{below}") for below in subfolders(mailbox, name))
    return False


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
    wanted = possible_levels(configured)
    candidates = _candidates(mailbox, {*ABOVE_JUNK, *(levels[:-1] for levels in wanted)})
    for name in candidates:
        if not name.startswith("..") and display_levels(name) in wanted and is_folder(mailbox, name):
            return name
    _check_links(mailbox, lambda name: display_levels(name) in wanted)
    if configured.startswith("."):
        return encoded(dotted)
    # Servers show `.Junk` as INBOX.Junk if everything is below INBOX (Courier, a prefix of Dovecot).
    shown = configured[6:] if configured[:6].casefold() in ("inbox.", "inbox/") else configured
    new = _new_name(mailbox, candidates, shown)
    return "." + new[1:].replace("/", ".") if new.startswith(".") else new


def _is_directory(mailbox: OpenMaildir, name: str) -> bool:
    """Return whether the directory `name` exists. Raises RefusedError if the directory is a link."""
    try:
        os.close(mailbox.enter(name))
    except (FileNotFoundError, NotADirectoryError, UnicodeEncodeError):
        return False  # UnicodeEncodeError: in the locale of this process, no file can have this name
    return True


def create_folder(folder: OpenFolder) -> None:
    """Create the folder and the missing parts of new, cur, tmp and `maildirfolder`, and make them durable (fsynced).

    Owner, group and mode are those of the Maildir, so that the mail server can use the folder. The user is subscribed
    to a folder that did not exist (see `subscribe`). The function is safe to repeat, also while a server creates the
    same folder. Raises OSError if a level of the path is not a directory, and RefusedError (an OSError) if a level of
    the path is a link.
    """
    mailbox = folder.mailbox
    like = os.fstat(mailbox.handle)
    folder.close()
    levels = folder.name.split("/")
    with mailbox.owner.acting():
        # The subscription comes first. After a crash, a subscription without a folder is harmless, and the next call
        # continues. A user may have unsubscribed from a folder that exists.
        if not _is_directory(mailbox, folder.name):
            subscribe(folder)
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
                sync_names(handle)


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
