"""Find the mail under the paths of a command line."""

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from spamlstm.cli.terminal import complain
from spamlstm.corpus.paths import STDIN, FileMessage, GivenMessage, Skips, UnreadablePath, find_messages
from spamlstm.errors import ExitStatus, UserError

_ID = re.compile(r"<[^<>\s]*>|[0-9a-f]{6,32}")
"""A Message-ID, or a content id or its beginning, as `spamlstm labels` shows it on a terminal."""


@dataclass(slots=True)
class MailPaths:
    """The paths of mail on a command line. The path `-` is standard input.

    Failures are reported on standard error. `failed` is the highest exit status of all failures, or 0 without failures.
    """

    paths: list[str]
    failed: int = 0
    for_ids: str = "name the file of the message"
    """What to do if a path does not exist and looks like a Message-ID or a content id."""

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
                is_id = _ID.fullmatch(found.name) is not None and not os.path.lexists(found.name)
                self.fail(found.name, f"{found.why}; {self.for_ids}" if is_id else found.why)
            else:
                yield found

    def fail(self, name: str, why: str, status: int = ExitStatus.NO_INPUT) -> None:
        """Report that a message or path cannot be used, with the reason `why`, and record the exit status."""
        complain(name, why)
        self.failed = max(self.failed, status)
