"""The mail under the paths of a command line."""

import sys
from collections.abc import Callable, Iterator

from spamlstm.corpus.paths import STDIN, FileMessage, GivenMessage, UnreadablePath, find_messages


def readable(paths: list[str], fail: Callable[[str, str], None]) -> Iterator[GivenMessage | FileMessage]:
    """Yield each message under the paths, `-` being standard input; `fail` gets the name and reason of others."""
    for found in find_messages(paths, stdin=sys.stdin.buffer if STDIN in paths else None):
        if isinstance(found, UnreadablePath):
            fail(found.name, found.why)
        else:
            yield found
