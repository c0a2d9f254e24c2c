"""Folders of any name and layout, with links and files in place of folders, which change during the work."""

import contextlib
import os
import random
from pathlib import Path

import on_disk
from fuzzing.findings import BrokenPromiseError, require
from fuzzing.scene import Scene
from tracked_maildir import TrackedMaildir

from spamlstm.config import Action
from spamlstm.errors import UserError
from spamlstm.maildir import junk_folder, names, paths
from spamlstm.maildir.folder_walk import below, folders
from spamlstm.maildir.folders import decoded, encoded, role_of
from spamlstm.maildir.opened import OpenMaildir

_NAMES = (
    *("Junk", ".Junk", ".junk", ".Spam", "Spam", ".INBOX.Junk", "INBOX", ".INBOX", "INBOX.Junk"),
    *(".Junk E-mail", ".Sent"),
    *("Trash", ".Trash", ".Archive", "Lists", ".Lists.Junk", "Bulk Mail", ".&BCEEPwQwBDw-", ".&-", ".&", "&AAAA-"),
    *("&2AA-", ".&AOQ", ".&,,,-", "..", "...", ".", "-", " ", ". ", ".Junk.", "new", "cur", "tmp", "maildirfolder"),
    *("\n", "é", ".Spamverdacht", ".\udcff", "x" * 255, "." + "y" * 254, "dovecot-keywords", "~", "*", "a:2,S"),
)
# The usual names of the junk folder.
_LIKELY = ("Junk", ".Junk", ".INBOX.Junk", ".Spam")
_JUNK_SETTINGS = (
    *("auto", "auto", "auto", "Junk", ".Junk", "INBOX.Junk", "Lists/Junk", "Lists.Junk", "Junk/", "/Junk"),
    "../outside",
    *("a/../b", "", " ", "\0", "new", "Junk/new", "é", "Спам", "a/b/c/d/e/f/g/h/i/j/k", "&", "&AOQ-", "x" * 300, "."),
)
_PARTS = ("new", "cur", "tmp")


def case(scene: Scene) -> None:
    """Inspect a tree of folders, then work in it while it changes."""
    chance = scene.chance
    options = chance.choice((*_JUNK_SETTINGS, any_name(chance)))
    _check_imap_name("".join(chr(chance.choice((*range(1, 0x500), 0x1F4A9, 0x2028))) for _ in range(9)))
    for _ in range(chance.randrange(10)):
        grow(scene)
    with scene.step("look"):
        look(scene, options)
    work(scene, options)


def any_name(chance: random.Random) -> str:
    """Return the name of a folder: a usual name, or any bytes."""
    data = bytes(chance.choices(range(1, 256), k=chance.randrange(1, 9))).replace(b"/", b"_")
    return chance.choice(chance.choice((_LIKELY, _NAMES, (os.fsdecode(data), "." + os.fsdecode(data)))))


def _check_imap_name(text: str) -> None:
    same = text.isascii() or decoded(encoded(text)) == text
    require(same, "a folder name changes when it is encoded and decoded", text)


# --- the tree -------------------------------------------------------------------------------------------------------


def grow(scene: Scene) -> None:
    """Add a folder, a part of one, a file, a FIFO or a link to the Maildir or a folder of it."""
    chance = scene.chance
    above = Path(chance.choice([scene.root, *_directories(scene)]))
    path = above / any_name(chance)
    with contextlib.suppress(OSError):  # the name is too long, or a parent is a file
        if os.path.lexists(path):
            return
        match chance.choice(("folder", "folder", "folder", "part", "file", "fifo", "link", "deep")):
            case "folder":
                maildir_at(path)
            case "part":
                (path / chance.choice(_PARTS)).mkdir(parents=True)
            case "file":
                path.touch(exist_ok=False)
            case "fifo":
                os.mkfifo(path)
            case "link":
                path.symlink_to(chance.choice(_targets(scene)))
            case "deep":
                maildir_at(path.joinpath(*"abcdefghijkl"))


def maildir_at(path: Path) -> None:
    """Create a folder with new, cur and tmp."""
    for part in _PARTS:
        (path / part).mkdir(parents=True)


def _directories(scene: Scene) -> list[str]:
    """Return all directories in the Maildir except the parts of the inbox."""
    inbox = {os.path.join(scene.root, part) for part in _PARTS}  # noqa: PTH118  as in maildir
    found = (os.path.join(path, name) for path, names, _ in os.walk(scene.root) for name in sorted(names))  # noqa: PTH118
    return [path for path in found if path not in inbox and not os.path.islink(path)]  # noqa: PTH114


def _targets(scene: Scene) -> list[str]:
    """Return possible targets of links."""
    victim = str(scene.outside / "victim")
    return [*[victim] * 5, str(scene.outside / "file"), "nowhere", ".", scene.root, "/", "cur"]


def change(scene: Scene) -> None:
    """Move away a folder or a part of one, and perhaps put something else in its place."""
    directories = _directories(scene)
    if not directories or scene.chance.random() < 0.2:
        grow(scene)
        return
    likely = [path for path in directories if "Junk" in path]
    path = Path(scene.chance.choice(scene.chance.choice((likely or directories, directories))))
    with contextlib.suppress(OSError):
        if scene.chance.random() < 0.4:
            path.rename(path.parent / any_name(scene.chance))
        else:
            path.rename(scene.moved_away / str(len(list(scene.moved_away.iterdir()))))
        match scene.chance.choice(("nothing", "link", "link", "file", "folder")):
            case "link":
                path.symlink_to(scene.chance.choice(_targets(scene)))
            case "file":
                path.touch(exist_ok=False)
            case "folder":
                maildir_at(path)


# --- work -----------------------------------------------------------------------------------------------------------


def look(scene: Scene, options: str) -> None:
    """Run all queries of a tree; a problem of the tree is a UserError or an OSError."""
    ignore_folders = [any_name(scene.chance)]
    with contextlib.suppress(OSError), OpenMaildir.open(scene.root) as home:
        for folder in folders(home):
            role_of(folder.name, junk=options, ignore_folders=ignore_folders)
        list(below(home))
        with contextlib.suppress(OSError, UserError):
            junk = junk_folder.junk_folder(home, options)
            junk_folder.create_folder(junk)
            junk_folder.check_one_file_system(home.folder(), junk)
            _check_junk(
                scene, junk_folder.junk_folder(home, options).path, junk.path, whole=junk_folder.is_complete(junk)
            )


def _check_junk(scene: Scene, again: str, path: str, *, whole: bool) -> None:
    if not whole or again != path:
        raise BrokenPromiseError("a created junk folder is not found again")
    if os.path.realpath(path) != os.path.join(os.path.realpath(scene.root), os.path.relpath(path, scene.root)):  # noqa: PTH118
        raise BrokenPromiseError("a junk folder is behind a link")


def work(scene: Scene, options: str) -> None:
    """File spam and learn from moves while folders change; at the end, all mail must be somewhere."""
    chance = scene.chance
    section = {"spam": chance.choice([(Action.TAG, Action.FILE), (Action.FILE,)]), "junk": options}
    tracked = TrackedMaildir(scene.root, scene.state, section).watch()
    for _ in range(chance.randrange(1, 5)):
        for _ in range(chance.randrange(4)):
            scene.sent(tracked.deliver(chance.choice(("spam", "spam", "words"))))
        with scene.step("pass"):
            crashed = scene.interrupted(tracked.run, lambda: change(scene))
        with scene.step("moves"):
            crashed |= scene.interrupted(tracked.look, lambda: change(scene))
        if crashed:
            raise BrokenPromiseError("a change of a folder ended the process")
        tracked.clock.now += 90_000
        _move(scene)
    tracked.again()
    with scene.step("pass"):
        tracked.run()
    tracked.look()
    scene.check(taken_away=True)
    scene.check_log()
    tracked.label_stores.close()
    tracked.mailbox_state.close()
    tracked.journal.close()


def _move(scene: Scene) -> None:
    """Move a message from one folder to another, as a user does."""
    folders_without_links = [path for path in [scene.root, *_directories(scene)] if _is_plain(path)]
    source, target = (scene.chance.choice(folders_without_links) for _ in range(2))
    with contextlib.suppress(OSError):
        for one in list(on_disk.messages(source))[:1]:
            Path(one.path).rename(Path(target, "cur", f"{names.unique()}:2,S"))


def _is_plain(path: str) -> bool:
    """Return whether a path is a folder without links, which the filter does not follow."""
    return paths.is_maildir(path) and not any(Path(path, part).is_symlink() for part in _PARTS)
