"""Maildirs by plain paths: how tests look at what lies there, and how they hand a path to code that wants it opened."""

# The tests speak the language of os:
# ruff: noqa: PTH100, PTH118

import os
import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spamlstm.mail import filing
from spamlstm.mail.maildir import PARTS, is_maildir
from spamlstm.mail.opened import Entry, OpenFolder, OpenMaildir

# What is opened here stays open for as long as a test may use it, and no longer.
_OPENED: deque[OpenMaildir] = deque()
_MOST = 20


@dataclass(frozen=True)
class Lying:
    """A message in a folder, by its path."""

    folder: str
    part: str
    name: str

    @property
    def path(self) -> str:
        return os.path.join(self.folder, self.part, self.name)


def messages(folder) -> Iterator[Lying]:
    """What a mail program would show of a folder, that in new first; an OSError if it is not there."""
    for part in ("new", "cur"):
        with os.scandir(os.path.join(folder, part)) as entries:
            names = [one.name for one in entries if not one.name.startswith(".") and one.is_file(follow_symlinks=False)]
        yield from (Lying(str(folder), part, name) for name in names)


def content(path) -> bytes:
    """The bytes of a file."""
    return Path(path).read_bytes()


def opened(folder) -> OpenFolder:
    """The folder at a path, opened by way of the outermost Maildir that it lies in."""
    folder = os.path.abspath(folder)
    # Whatever lies in the folder of all temporary files is none of the test's.
    above = [
        path for path in (folder, *map(str, Path(folder).parents)) if Path(tempfile.gettempdir()) in Path(path).parents
    ]
    root = next((path for path in reversed(above) if is_maildir(path)), folder)
    home = OpenMaildir.open(root)
    _OPENED.append(home)
    if len(_OPENED) > _MOST:
        _OPENED.popleft().close()
    return home.folder_at(folder)


def close() -> None:
    """Close all that was opened here."""
    while _OPENED:
        _OPENED.pop().close()


def entry(path) -> Entry:
    """The message at a path, in an opened folder."""
    above, name = os.path.split(path)
    folder, part = os.path.split(above)
    assert part in PARTS
    return opened(folder).entry(part, name)


def beside(one: Entry, folder) -> OpenFolder:
    """Another folder of the Maildir that an entry lies in."""
    return one.folder.home.folder_at(str(folder))


def create_folder(root, folder) -> None:
    """Make a folder of a Maildir."""
    name = os.path.relpath(folder, root)
    filing.create_folder(opened(root).home.folder(name))
