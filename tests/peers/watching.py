"""The daemon as a user starts it, and mail of the three verdicts, for tests with other programs."""

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from import_guard import guarded
from tiny_bundle import HAM, SPAM, UNSURE

from spamlstm.learning.label_store import LabelStore

ROOT = Path(__file__).resolve().parents[2]
DELIVERIES = int(os.environ.get("DELIVERIES", "90"))
"""A multiple of three."""
KINDS = ((b"ham", HAM), (b"spam", SPAM), (b"unsure", UNSURE))
_MARK = re.compile(rb"X-Mark: (\d+)")


@dataclass(frozen=True)
class Daemon:
    """A running daemon and its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def failures(self) -> list[str]:
        """Return the lines of the log about failed messages and bugs."""
        return re.findall(r"(?m)^.* (?:failed|bug:) .*$", self.log.read_text())


@contextlib.contextmanager
def watching(*maildirs: Path, model: Path, folder: Path) -> Iterator[Daemon]:
    """Run the daemon on Maildirs until it is ready; state and log are in `folder`."""
    environment = {**os.environ, "SPAMLSTM_MODEL": str(model), "XDG_STATE_HOME": str(folder)}
    command = guarded("run", *maildirs)
    log = folder / "log"
    with log.open("w") as out, subprocess.Popen(command, cwd=ROOT, env=environment, stderr=out) as process:
        try:
            until(lambda: " ready " in log.read_text())
            yield Daemon(process, log)
        finally:
            process.terminate()


def until(ask: Callable[[], object], seconds: float = 120) -> None:
    """Call `ask` again until it returns true; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < end
        time.sleep(0.02)


def message(number: int) -> bytes:
    """Return a message with its number as mark; the three verdicts take turns."""
    name, raw = KINDS[number % 3]
    return b"X-Mark: %d\r\nReceived: by mx id %d\r\nMessage-ID: <%d.%s@mx>\r\n%s" % (number, number, number, name, raw)


def number_of(raw: bytes) -> int:
    """Return the number of a message from its mark."""
    found = _MARK.search(raw)
    assert found, "a message without its mark"
    return int(found[1])


def deliver(maildir: Path, number: int, *, owner: tuple[int, int] = (-1, -1), raw: bytes = b"") -> None:
    """Deliver `raw`, or the message with a number, which belongs to `owner`, by link and by rename in turn."""
    name = f"{int(time.time())}.M1P{number}.mx"
    written, delivered = maildir / "tmp" / name, maildir / "new" / name
    written.write_bytes(raw or message(number))
    os.chown(written, *owner)
    if number % 2:
        written.rename(delivered)
    else:
        os.link(written, delivered)
        written.unlink()


def labels_by_mark(state: Path) -> dict[int, str]:
    """Return the labels of a state folder by the numbers of their messages."""
    labels = LabelStore.find(state)
    if labels is None:
        return {}
    with contextlib.closing(labels):
        by_id = {one.id: str(one.label) for one in labels.last()}
        found = labels.examples(after=0, most_bytes=1000)
        return {number_of(one.raw): by_id[one.id] for one in found if one.id in by_id}  # labels are added meanwhile


def deliver_all(maildir: Path, owner: tuple[int, int]) -> None:
    """Deliver all messages, some milliseconds apart."""
    for number in range(DELIVERIES):
        deliver(maildir, number, owner=owner)
        time.sleep(0.005)


def on_disk(maildir: Path) -> list[bytes]:
    """Return the messages in a folder, read from disk."""
    found = []
    for path in [path for part in ("new", "cur") for path in (maildir / part).glob("*")]:
        with contextlib.suppress(FileNotFoundError):
            found.append(path.read_bytes())
    return found


def numbers(maildir: Path) -> list[int]:
    """Return the numbers of the messages in a folder."""
    return [number_of(raw) for raw in on_disk(maildir)]
