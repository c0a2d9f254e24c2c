"""Where spam is filed to: the junk folder of a Maildir, found or made, in the layout that is there."""

import itertools
import os
import stat
from collections.abc import Iterator

from spamlstm.errors import NoInputError, UserError
from spamlstm.maildir.folders import MOST_ENTRIES, MOST_FOLDERS, is_folder
from spamlstm.maildir.imap_names import encoded
from spamlstm.maildir.opened import PARTS, OpenFolder, OpenMaildir
from spamlstm.maildir.transfer import dress

# What clients and servers call the folder, the likeliest first. Translated names are left to the configuration.
JUNK_NAMES = ("Junk", "Spam", "Junk E-mail", "Bulk Mail")
# So many folders tell in which layout a Maildir is kept; a Maildir may have 20,000.
_MOST_FOR_LAYOUT = 100
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def junk_folder(mailbox: OpenMaildir, configured: str = "auto") -> OpenFolder:
    """The folder that spam of a Maildir is filed to, whether it exists yet or not.

    'auto' takes the first of JUNK_NAMES that exists, in any case of its letters, also below INBOX, and else plans a
    `Junk` in the layout that is there. Any other wish is a folder's name, on disk or as mail programs show it
    (`Junk`, `INBOX.Junk`, `Lists/Junk`). NoInputError if it is no Maildir, UserError if the wish leads out of it.
    """
    if not mailbox.folder().exists():
        raise NoInputError(f"{mailbox.path} is no Maildir: it lacks new, cur or tmp")
    # Each change to the owner's identity and back takes as long as ten looks at folders.
    with mailbox.owner.acting():
        return mailbox.folder(_configured(mailbox, configured) if configured != "auto" else _detected(mailbox))


def _detected(mailbox: OpenMaildir) -> str:
    names = _names(mailbox, "")
    # Dovecot with LAYOUT=fs and Courier may keep everything below INBOX, which then is no message folder of its own.
    inner = _names(mailbox, "INBOX") if "INBOX" in names else []
    shown = {_shown(name): f"INBOX/{name}" for name in reversed(inner) if _is_junk(name)}
    shown |= {_shown(name): name for name in reversed(names) if _is_junk(name)}
    for wanted in JUNK_NAMES:
        name = shown.get(wanted.casefold())
        if name is not None and is_folder(mailbox, name):
            return name
    folders = list(itertools.islice(_folders(mailbox, names), _MOST_FOR_LAYOUT))
    if _is_fs(folders):
        return JUNK_NAMES[0]
    below_inbox = bool(folders) and all(name.startswith(".INBOX.") for name in folders)
    return (".INBOX." if below_inbox else ".") + JUNK_NAMES[0]


def _is_fs(folders: list[str]) -> bool:
    """Whether folders are kept as `Junk` (fs) and not as `.Junk` (Maildir++, also where there are none yet)."""
    return bool(folders) and not any(name.startswith(".") for name in folders)


def _folders(mailbox: OpenMaildir, names: list[str]) -> Iterator[str]:
    """Those that are Maildirs, the dotted ones first: one of them tells the layout. So many are looked at."""
    ordered = sorted(names, key=lambda name: not name.startswith("."))[:MOST_FOLDERS]
    return (name for name in ordered if is_folder(mailbox, name))


def _names(mailbox: OpenMaildir, name: str) -> list[str]:
    """The directories right below a folder, sorted; none if it cannot be looked at, or is a link."""
    try:
        handle = mailbox.enter(name)
    except OSError:
        return []
    try:
        with mailbox.owner.acting(), os.scandir(handle) as entries:
            return sorted(
                entry.name
                for entry in itertools.islice(entries, MOST_ENTRIES)
                if entry.name not in PARTS and entry.is_dir(follow_symlinks=False)
            )
    finally:
        os.close(handle)


def _is_junk(name: str) -> bool:
    return _shown(name) in _SHOWN


def _shown(name: str) -> str:
    return name.removeprefix(".").removeprefix("INBOX.").casefold()


_SHOWN = frozenset(map(_shown, JUNK_NAMES))


def _configured(mailbox: OpenMaildir, configured: str) -> str:
    pieces = configured.split("/")
    if not configured.strip() or "\0" in configured or any(piece in ("", ".", "..", *PARTS) for piece in pieces):
        raise UserError(
            f"'{configured}' is no name of a folder below {mailbox.path}; write it like 'Junk' or 'Lists/Junk'"
        )
    dotted = "." + configured.replace("/", ".").removeprefix(".")
    if ".." in dotted:
        raise UserError(
            f"'{configured}' is no name of a folder below {mailbox.path}; write it without empty levels, like 'Junk'"
        )
    for name in (configured, dotted, encoded(configured), encoded(dotted)):
        if _is_directory(mailbox, name):
            return name
    folders = list(itertools.islice(_folders(mailbox, _names(mailbox, "")), _MOST_FOR_LAYOUT))
    return encoded(configured if _is_fs(folders) and not configured.startswith(".") else dotted)


def _is_directory(mailbox: OpenMaildir, name: str) -> bool:
    """Whether it is there. A link is not taken for one that is missing: it is a RefusedError."""
    try:
        os.close(mailbox.enter(name))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def create_folder(folder: OpenFolder) -> None:
    """Make a folder with new, cur, tmp and `maildirfolder`; what exists is left as it is.

    Owner, group and mode are those of the Maildir, so that the mail server can use it; all is on disk when this
    returns. Subscriptions are the user's and are not touched. Safe to repeat, and beside a server that makes the same
    folder. An OSError, a RefusedError among them, if one of its levels is a link or something else than a folder.
    """
    mailbox = folder.mailbox
    like = os.fstat(mailbox.handle)
    folder.close()
    levels = folder.name.split("/")
    with mailbox.owner.acting():
        for depth in range(1, len(levels) + 1):
            _make_folder(mailbox, "/".join(levels[: depth - 1]), levels[depth - 1], like)
        # new and cur come last: only with them it is a Maildir to others, and then tmp is there to deliver into.
        for part in ("tmp", "new", "cur"):
            _make_folder(mailbox, folder.name, part, like)
        # The Maildir++ specification wants it in every folder but the root; Dovecot makes it in the fs layout as well.
        _make_marker(folder.handle(), like)
        for depth in range(len(levels), -1, -1):
            _sync(mailbox, "/".join(levels[:depth]))


def _make_folder(mailbox: OpenMaildir, above: str, name: str, like: os.stat_result) -> None:
    parent = mailbox.enter(above)
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        # An error if it is something else than a folder.
        os.close(mailbox.enter(f"{above}/{name}" if above else name))
        return
    finally:
        os.close(parent)
    handle = mailbox.enter(f"{above}/{name}" if above else name)
    try:
        dress(handle, like, stat.S_IMODE(like.st_mode))
    finally:
        os.close(handle)


def _make_marker(above: int, like: os.stat_result) -> None:
    try:
        handle = os.open("maildirfolder", _CREATE, 0o600, dir_fd=above)
    except FileExistsError:
        return
    try:
        dress(handle, like, like.st_mode & 0o666)
    finally:
        os.close(handle)


def _sync(mailbox: OpenMaildir, name: str) -> None:
    handle = mailbox.enter(name)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_whole(folder: OpenFolder) -> bool:
    """Whether a folder needs no `create_folder`: it has its parts and its marker.

    Without the marker it may be what a crash left of a folder of ours, of which not all is on disk.
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
    """A UserError unless new, cur and tmp of all `folders` are on one file system, where a move is one rename."""
    first, *others = [(folder, part) for folder in folders for part in PARTS]
    device = os.fstat(first[0].handle("new")).st_dev
    for folder, part in others:
        if os.fstat(folder.handle(part)).st_dev != device:
            raise UserError(
                f"{first[0].path}/new and {folder.path}/{part} are on different file systems, and mail can only be"
                " moved safely within one; choose a junk folder on the same one"
            )
