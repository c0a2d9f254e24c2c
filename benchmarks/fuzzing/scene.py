"""One case of a fuzz of Maildirs: a Maildir in a folder of its own, and what must be true of it whatever happens."""

import contextlib
import logging
import os
import random
import re
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from inbox import make
from interruption import CrashError, Interruption, crash

from spamlstm.maildir.headers import untag

_NUMBER = re.compile(rb"by mx id (\d+)")


class BrokenPromiseError(AssertionError):
    """Mail that is lost, doubled or changed, or something else that a docstring of the project rules out."""


class Scene:
    """The folder of one case: the Maildir, the state folder, what is outside, and the attic that folders are taken to.

    All that is drawn by chance is drawn by `chance`, so that a case is repeated by its seed.
    """

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.mistakes = Mistakes()
        self.folder = folder
        self.chance = chance
        self.root = make(folder / "Maildir")
        self.state = folder / "state"
        self.attic = folder / "attic"
        self.outside = folder / "outside"
        self.attic.mkdir()
        self._build_outside()
        self._before = _snapshot(self.outside)
        self._sent: dict[int, bytes] = {}
        self.seconds: Counter[str] = Counter()
        """The longest that a step took, in seconds of processor time."""

    def _build_outside(self) -> None:
        self.outside.mkdir()
        victim = Path(make(self.outside / "victim"))
        (victim / "cur" / "1.victim:2,S").write_bytes(b"From: a@b\n\nspam of somebody else\n")
        (self.outside / "file").write_bytes(b"a file of somebody else\n")

    def sent(self, path: str | Path) -> None:
        """Keep in mind what was delivered, for `check`."""
        raw = Path(path).read_bytes()
        self._sent[_number(raw)] = raw

    @property
    def messages(self) -> int:
        """How many were delivered."""
        return len(self._sent)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure the block."""
        start = time.process_time()
        try:
            yield
        finally:
            self.seconds[name] = max(self.seconds[name], time.process_time() - start)

    def interrupted(self, work: Callable[[], object], act: Callable[[], None] = crash) -> bool:
        """Do some work, and before one of its first hundred calls of the system something else; whether it crashed."""
        with Interruption(self.chance.randrange(100), act):
            try:
                work()
            except CrashError:
                return True
        return False

    def check(self, *, taken_away: bool = False) -> None:
        """Raise unless each message is there once with its bytes, nothing is left in tmp and nothing outside changed.

        Where whole folders were `taken_away` or renamed meanwhile, a message may be there twice, and in tmp: better
        than never.
        """
        found: dict[int, int] = Counter()
        for path in self._files():
            raw = path.read_bytes()
            number = _number(raw)
            _demand(taken_away or path.parent.name != "tmp", "a file is left in tmp", path)
            _demand(number in self._sent, "a file is no message that was delivered", path)
            _demand(untag(raw) == untag(self._sent[number]), "a message was changed", path)
            found[number] += 1
        lost = sorted(set(self._sent) - set(found))
        doubled = sorted(number for number, count in found.items() if count > 1)
        _demand(not lost, "a message is lost", lost)
        _demand(taken_away or not doubled, "a message is there twice", doubled)
        _demand(_snapshot(self.outside) == self._before, "something outside of the Maildir changed", self.outside)

    def check_log(self, *, damaged: bool = False) -> None:
        """Raise if the log tells of a mistake of ours, or of a journal that fails though it is not `damaged`."""
        kinds = ("bug",) if damaged else ("bug", "journal")
        for kind in kinds:
            found = [line for line in self.mistakes.lines if f"kind={kind} " in line]
            _demand(not found, f"a failure of the kind {kind}", found[:1])

    def _files(self) -> Iterator[Path]:
        """All files in new, cur or tmp, wherever they are; and none elsewhere but what servers keep there."""
        for top in (self.root, self.attic):
            for path, _, names in os.walk(top):
                for name in names:
                    file = Path(path, name)
                    if _is_message(file):
                        yield file


class Mistakes(logging.Handler):
    """The warnings and errors that spamlstm logs: an error that ends no pass is only seen there."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        logger = logging.getLogger("spamlstm")
        logger.propagate = False
        logger.handlers = [self]

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.getMessage()} ")


def _is_message(file: Path) -> bool:
    return stat.S_ISREG(file.lstat().st_mode) and _NUMBER.search(file.read_bytes()) is not None


def _number(raw: bytes) -> int:
    found = _NUMBER.search(raw)
    return int(found[1]) if found else -1


def _snapshot(folder: Path) -> dict[str, object]:
    """What each path below is, and what is in it."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
        found[str(path)] = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, content)
    return found


def _demand(kept: bool, otherwise: str, about: object) -> None:  # noqa: FBT001  as assert
    if not kept:
        error = BrokenPromiseError(otherwise)
        error.add_note(repr(about))
        raise error
