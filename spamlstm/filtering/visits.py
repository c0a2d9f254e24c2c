"""The Maildirs that are open for the time of one visit."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from spamlstm.maildir.opened import OpenMaildir


class OpenMaildirs:
    """Opens each Maildir once, when it is first asked for, and keeps it until `close`. For one thread."""

    def __init__(self, open_maildir: Callable[[str], OpenMaildir] = OpenMaildir.open) -> None:
        self._open = open_maildir
        self._maildirs: dict[str, OpenMaildir] = {}

    def opened(self, maildir: str) -> OpenMaildir:
        """The Maildir at a path. An OSError if it cannot be opened."""
        if maildir not in self._maildirs:
            self._maildirs[maildir] = self._open(maildir)
        return self._maildirs[maildir]

    def close(self) -> None:
        """End the visit: close all of them. They may be asked for again."""
        while self._maildirs:
            self._maildirs.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
