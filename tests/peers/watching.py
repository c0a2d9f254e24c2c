"""Our side of a test with other programs: the daemon as a user starts it, and mail of the three verdicts."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tiny_bundle import HAM, SPAM, UNSURE

ROOT = Path(__file__).resolve().parents[2]
DELIVERIES = int(os.environ.get("DELIVERIES", "90"))
"""A multiple of three."""
KINDS = ((b"ham", HAM), (b"spam", SPAM), (b"unsure", UNSURE))
_MARK = re.compile(rb"X-Mark: (\d+)")


@contextlib.contextmanager
def watching(maildir: Path, *, model: Path, folder: Path) -> Iterator[Callable[[], Counter[str]]]:
    """The daemon, ready; gives the function that counts the events in its log. State and log are in `folder`."""
    environment = {**os.environ, "SPAMLSTM_MODEL": str(model), "XDG_STATE_HOME": str(folder)}
    command = [sys.executable, "-m", "spamlstm", "run", str(maildir)]
    log = folder / "log"
    with log.open("w") as out, subprocess.Popen(command, cwd=ROOT, env=environment, stderr=out) as process:
        try:
            until(lambda: " ready " in log.read_text())
            yield lambda: Counter(re.findall(r"(?m)^\S+ (?:warning: )?([a-z-]+) ", log.read_text()))
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


def mark(raw: bytes) -> int:
    """The number of the message."""
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
    for path in [*(maildir / "new").iterdir(), *(maildir / "cur").iterdir()]:
        with contextlib.suppress(FileNotFoundError):
            found.append(path.read_bytes())
    return found
