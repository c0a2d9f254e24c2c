"""Our side of a test with other programs: the daemon as a user starts it, and mail of the three verdicts."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tiny_bundle import HAM, SPAM, UNSURE

ROOT = Path(__file__).resolve().parents[2]
DELIVERIES = int(os.environ.get("DELIVERIES", "90"))
"""A multiple of three."""
KINDS = ((b"ham", HAM), (b"spam", SPAM), (b"unsure", UNSURE))
_MARK = re.compile(rb"X-Mark: (\d+)")


@dataclass(frozen=True)
class Daemon:
    """Our daemon at work, and its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def failures(self) -> list[str]:
        """The lines that tell of mail that could not be dealt with, or of a bug."""
        return re.findall(r"(?m)^.* (?:failed|bug:) .*$", self.log.read_text())


@contextlib.contextmanager
def watching(maildir: Path, *, model: Path, folder: Path) -> Iterator[Daemon]:
    """The daemon over one Maildir, ready. State and log are in `folder`."""
    environment = {**os.environ, "SPAMLSTM_MODEL": str(model), "XDG_STATE_HOME": str(folder)}
    command = [sys.executable, "-m", "spamlstm", "run", str(maildir)]
    log = folder / "log"
    with log.open("w") as out, subprocess.Popen(command, cwd=ROOT, env=environment, stderr=out) as process:
        try:
            until(lambda: " ready " in log.read_text())
            yield Daemon(process, log)
        finally:
            process.terminate()


def until(ask: Callable[[], object], seconds: float = 120) -> None:
    """Look again until it is so."""
    end = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < end
        time.sleep(0.02)


def message(number: int) -> bytes:
    """The three verdicts in turn, each delivery with a mark."""
    name, raw = KINDS[number % 3]
    return b"X-Mark: %d\r\nReceived: by mx id %d\r\nMessage-ID: <%d.%s@mx>\r\n%s" % (number, number, number, name, raw)


def number_of(raw: bytes) -> int:
    """The number of the message, by its mark."""
    found = _MARK.search(raw)
    assert found, "a message without its mark"
    return int(found[1])


def deliver(maildir: Path, number: int, *, owner: tuple[int, int] = (-1, -1)) -> None:
    """By link and by rename in turn, for the owner of the mail."""
    name = f"{1_700_000_000 + number}.M1P1.mx"
    written, delivered = maildir / "tmp" / name, maildir / "new" / name
    written.write_bytes(message(number))
    os.chown(written, *owner)
    if number % 2:
        written.rename(delivered)
    else:
        os.link(written, delivered)
        written.unlink()


def deliver_all(maildir: Path, owner: tuple[int, int]) -> None:
    """One after the other, some milliseconds apart."""
    for number in range(DELIVERIES):
        deliver(maildir, number, owner=owner)
        time.sleep(0.005)


def on_disk(maildir: Path) -> list[bytes]:
    """The messages in a folder, past every program."""
    found = []
    for path in [path for part in ("new", "cur") for path in (maildir / part).glob("*")]:
        with contextlib.suppress(FileNotFoundError):
            found.append(path.read_bytes())
    return found


def numbers(maildir: Path) -> list[int]:
    """Their numbers."""
    return [number_of(raw) for raw in on_disk(maildir)]
