"""One case of fuzzing Maildirs: a Maildir in a folder of its own, and what must always be true of it."""

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

from fuzzing.findings import require
from interruption import CrashError, Interruption, crash
from maildirs import make

from spamlstm.maildir.headers import untag

_NUMBER = re.compile(rb"by mx id (\d+)")


class Scene:
    """The folder of one case: the Maildir, the state folder, files outside, and the folders that were moved away.

    All random choices use `chance`, so that a seed repeats a case.
    """

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.failures = LoggedFailures()
        self.folder = folder
        self.chance = chance
        self.root = make(folder / "Maildir")
        self.state = folder / "state"
        self.moved_away = folder / "moved_away"
        self.outside = folder / "outside"
        self.moved_away.mkdir()
        self._build_outside()
        self._before = _snapshot(self.outside)
        self._sent: dict[int, bytes] = {}
        self.seconds: Counter[str] = Counter()
        """The longest processor time of each step, in seconds."""

    def _build_outside(self) -> None:
        self.outside.mkdir()
        victim = Path(make(self.outside / "victim"))
        (victim / "cur" / "1.victim:2,S").write_bytes(b"From: a@b\n\nspam of another user\n")
        (self.outside / "file").write_bytes(b"a file of another user\n")

    def sent(self, path: str | Path) -> None:
        """Record a delivered message, for `check`."""
        raw = Path(path).read_bytes()
        self._sent[_number(raw)] = raw

    @property
    def messages(self) -> int:
        """The number of delivered messages."""
        return len(self._sent)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure the processor time of the block."""
        start = time.process_time()
        try:
            yield
        finally:
            self.seconds[name] = max(self.seconds[name], time.process_time() - start)

    def interrupted(self, work: Callable[[], object], act: Callable[[], None] = crash) -> bool:
        """Run `work`, with `act` before one of its first hundred system calls; return whether it crashed."""
        with Interruption(self.chance.randrange(100), act):
            try:
                work()
            except CrashError:
                return True
        return False

    def check(self, *, taken_away: bool = False) -> None:
        """Raise unless each message is there once, unchanged, tmp is empty and nothing outside changed.

        If whole folders were `taken_away` or renamed during the work, a message may be there twice or in tmp.
        """
        found: dict[int, int] = Counter()
        for path in self._files():
            raw = path.read_bytes()
            number = _number(raw)
            require(taken_away or path.parent.name != "tmp", "a file is left in tmp", path)
            require(number in self._sent, "a file is not a delivered message", path)
            require(untag(raw) == untag(self._sent[number]), "a message was changed", path)
            found[number] += 1
        lost = sorted(set(self._sent) - set(found))
        doubled = sorted(number for number, count in found.items() if count > 1)
        require(not lost, "a message is lost", lost)
        require(taken_away or not doubled, "a message is there twice", doubled)
        require(_snapshot(self.outside) == self._before, "something outside of the Maildir changed", self.outside)

    def check_log(self, *, damaged: bool = False) -> None:
        """Raise if the log has a bug, or a failure of the journal although it is not `damaged`."""
        kinds = ("bug",) if damaged else ("bug", "journal")
        for kind in kinds:
            found = [line for line in self.failures.lines if f"kind={kind} " in line]
            require(not found, f"a failure of the kind {kind}", found[:1])

    def _files(self) -> Iterator[Path]:
        """Yield all files that are delivered messages."""
        for top in (self.root, self.moved_away):
            for path, _, names in os.walk(top):
                for name in names:
                    file = Path(path, name)
                    if _is_message(file):
                        yield file


class LoggedFailures(logging.Handler):
    """The warnings and errors that spamlstm logs; some errors do not end a pass and are only logged."""

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
    """Return type, owner, time and content of each path below a folder."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
        found[str(path)] = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, content)
    return found
