"""The mail under the paths that a command line names."""

import sys
from collections.abc import Callable, Iterator

from spamlstm.corpus.paths import STDIN, FileMessage, GivenMessage, UnreadablePath, find_messages


def readable(paths: list[str], fail: Callable[[str, str], None]) -> Iterator[GivenMessage | FileMessage]:
    """Each message under the paths, `-` among them; `fail` is told the name of what is none, and why."""
    for found in find_messages(paths, stdin=sys.stdin.buffer if STDIN in paths else None):
        if isinstance(found, UnreadablePath):
            fail(found.name, found.why)
        else:
            yield found
