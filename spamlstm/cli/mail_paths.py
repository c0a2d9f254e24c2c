"""Find the mail under the paths of a command line."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from spamlstm.cli.terminal import complain
from spamlstm.corpus.paths import STDIN, FileMessage, GivenMessage, UnreadablePath, find_messages
from spamlstm.errors import ExitStatus


@dataclass(slots=True)
class MailPaths:
    """The paths of mail on a command line. The path `-` is standard input.

    Failures are reported on standard error. `failed` is the highest exit status of all failures, or 0 without failures.
    """

    paths: list[str]
    failed: int = 0

    def messages(self) -> Iterator[GivenMessage | FileMessage]:
        """Yield each message under the paths, and report each path that cannot be read."""
        for found in find_messages(self.paths, stdin=sys.stdin.buffer if STDIN in self.paths else None):
            if isinstance(found, UnreadablePath):
                self.fail(found.name, found.why)
            else:
                yield found

    def fail(self, name: str, why: str, status: int = ExitStatus.NO_INPUT) -> None:
        """Report that a message or path cannot be used, with the reason `why`, and record the exit status."""
        complain(name, why)
        self.failed = max(self.failed, status)
