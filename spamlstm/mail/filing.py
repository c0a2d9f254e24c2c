"""Where spam is filed to: the junk folder of a Maildir, found or made, in the layout that is there."""

# os, as in maildir:
# ruff: noqa: PTH102, PTH112, PTH116, PTH118, PTH120

import os
import stat
from typing import Literal

from spamlstm.errors import NoInputError, UserError
from spamlstm.mail.imap_names import encoded
from spamlstm.mail.maildir import PARTS, is_maildir
from spamlstm.mail.moving import dress, sync

# What clients and servers call the folder, the likeliest first. Translated names are left to the configuration.
JUNK_NAMES = ("Junk", "Spam", "Junk E-mail", "Bulk Mail")


def layout(root: str) -> Literal["maildir++", "fs"]:
    """How the folders below a Maildir are kept: `.Junk` (Maildir++, also where there are none yet) or `Junk` (fs)."""
    folders = _folders(root)
    dotted = any(name.startswith(".") for name in folders)
    return "fs" if folders and not dotted else "maildir++"


def _folders(root: str) -> list[str]:
    """The names of the Maildirs right below `root`."""
    with os.scandir(root) as entries:
        names = [entry.name for entry in entries if entry.name not in PARTS]
    return sorted(name for name in names if is_maildir(os.path.join(root, name)))


def junk_folder(root: str, wish: str = "auto") -> str:
    """The path of the folder that spam of the Maildir `root` is filed to, whether it exists yet or not.

    'auto' takes the first of JUNK_NAMES that exists, in any case of its letters, also below INBOX, and else plans a
    `Junk` in the layout that is there. Any other wish is a folder's name, on disk or as mail programs show it
    (`Junk`, `INBOX.Junk`, `Lists/Junk`). NoInputError if `root` is no Maildir, UserError if the wish leads out of it.
    """
    if not is_maildir(root):
        raise NoInputError(f"{root} is no Maildir: it lacks new, cur or tmp")
    return _wished(root, wish) if wish != "auto" else _detected(root)


def _detected(root: str) -> str:
    folders = _folders(root)
    shown = {_shown(name): name for name in reversed(folders)}
    # Dovecot with LAYOUT=fs and Courier may keep everything below INBOX, which then is no message folder of its own.
    if os.path.isdir(os.path.join(root, "INBOX")):
        inner = _folders(os.path.join(root, "INBOX"))
        shown = {**{_shown(name): os.path.join("INBOX", name) for name in inner}, **shown}
    for name in JUNK_NAMES:
        if name.casefold() in shown:
            return os.path.join(root, shown[name.casefold()])
    if layout(root) == "fs":
        return os.path.join(root, JUNK_NAMES[0])
    below_inbox = bool(folders) and all(name.startswith(".INBOX.") for name in folders)
    return os.path.join(root, (".INBOX." if below_inbox else ".") + JUNK_NAMES[0])


def _shown(name: str) -> str:
    return name.removeprefix(".").removeprefix("INBOX.").casefold()


def _wished(root: str, wish: str) -> str:
    pieces = wish.split("/")
    if not wish.strip() or "\0" in wish or any(piece in ("", ".", "..", *PARTS) for piece in pieces):
        raise UserError(f"'{wish}' is no name of a folder below {root}; write it like 'Junk' or 'Lists/Junk'")
    dotted = "." + wish.replace("/", ".").removeprefix(".")
    if ".." in dotted:
        raise UserError(f"'{wish}' is no name of a folder below {root}; write it without empty levels, like 'Junk'")
    for name in (wish, dotted, encoded(wish), encoded(dotted)):
        if os.path.isdir(os.path.join(root, name)):
            return os.path.join(root, name)
    return os.path.join(root, encoded(wish if layout(root) == "fs" and not wish.startswith(".") else dotted))


def create_folder(root: str, folder: str) -> None:
    """Make `folder` (a path below `root`) with new, cur, tmp and `maildirfolder`; what exists is left as it is.

    Owner, group and mode are those of `root`, so that the mail server can use it; all is on disk when this returns.
    Subscriptions are the user's and are not touched. Safe to repeat, and beside a server that makes the same folder.
    """
    like = os.stat(root)
    levels = [folder]
    while (parent := os.path.dirname(levels[-1])) != root and len(parent) > len(root):
        levels.append(parent)
    for path in reversed(levels):
        _make_folder(path, like)
    # new and cur come last: only with them it is a Maildir to others, and then tmp is there to deliver into.
    for part in ("tmp", "new", "cur"):
        _make_folder(os.path.join(folder, part), like)
    # The Maildir++ specification wants it in every folder but the root; Dovecot makes it in the fs layout as well.
    _make_marker(os.path.join(folder, "maildirfolder"), like)
    sync([folder, *(os.path.dirname(path) for path in levels)])


def _make_folder(path: str, like: os.stat_result) -> None:
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        dress(handle, like, stat.S_IMODE(like.st_mode))
    finally:
        os.close(handle)


def _make_marker(path: str, like: os.stat_result) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    try:
        dress(handle, like, like.st_mode & 0o666)
    finally:
        os.close(handle)


def check_one_file_system(*folders: str) -> None:
    """A UserError unless new, cur and tmp of all `folders` are on one file system, where a move is one rename."""
    paths = [os.path.join(folder, part) for folder in folders for part in PARTS]
    for path in paths[1:]:
        if os.stat(path).st_dev != os.stat(paths[0]).st_dev:
            raise UserError(
                f"{paths[0]} and {path} are on different file systems, and mail can only be moved safely within one;"
                " choose a junk folder on the same one"
            )
