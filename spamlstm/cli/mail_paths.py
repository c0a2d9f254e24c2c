"""Find the mail under the paths of a command line."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from spamlstm.cli.terminal import complain
from spamlstm.corpus.paths import STDIN, FileMessage, GivenMessage, Skips, UnreadablePath, find_messages
from spamlstm.errors import ExitStatus, UserError


@dataclass(slots=True)
class MailPaths:
    """The paths of mail on a command line. The path `-` is standard input.

    Failures are reported on standard error. `failed` is the highest exit status of all failures, or 0 without failures.
    """

    paths: list[str]
    failed: int = 0

    def __post_init__(self) -> None:
        """Raise UserError if standard input is named twice."""
        if self.paths.count(STDIN) > 1:
            raise UserError("- (standard input) can be read only once")

    def messages(self, skips: Skips | None = None) -> Iterator[GivenMessage | FileMessage]:
        """Yield each message under the paths, and report each path that cannot be read.

        `skips` is as in `find_messages`.
        """
        stdin = sys.stdin.buffer if STDIN in self.paths else None
        for found in find_messages(self.paths, stdin=stdin, **({"skips": skips} if skips else {})):
            if isinstance(found, UnreadablePath):
                self.fail(found.name, found.why)
            else:
                yield found

    def fail(self, name: str, why: str, status: int = ExitStatus.NO_INPUT) -> None:
        """Report that a message or path cannot be used, with the reason `why`, and record the exit status."""
        complain(name, why)
        self.failed = max(self.failed, status)
