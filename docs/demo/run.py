"""The demo: deliver mail to a temporary Maildir as mail servers do, and show what the daemon does with it.

`make run` starts it. It reads and writes only in a temporary folder, which is removed at the end.
"""

import contextlib
import itertools
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

MAIL = Path(__file__).resolve().parent
BURST = 100
"""Messages of the burst."""
PATIENCE = 30.0
"""Seconds without a log line after which the demo gives up."""
COLOURS = {"ham": "green", "unsure": "yellow", "spam": "red"}
_FIELD = re.compile(r"(\w+)=(\S+)")


@dataclass
class Delivery:
    """A message to deliver. `mark` identifies it: it is in a Received line, such as each server adds."""

    source: Path
    how: str
    mark: str
    began: float = 0.0
    ended: float = 0.0
    logged: dict[str, str] = field(default_factory=dict)
    """The fields of the log line about it."""

    @property
    def ms(self) -> float:
        """Return the time from delivery to log line, in milliseconds."""
        return 1000 * (self.ended - self.began)


class MailServer:
    """A mail server that delivers into one Maildir."""

    def __init__(self, maildir: Path) -> None:
        self.maildir = maildir
        for part in ("tmp", "new", "cur"):
            (maildir / part).mkdir(parents=True)
        self._count = itertools.count(1)

    def write(self, source: Path, how: str) -> Delivery:
        """Write a message to tmp, which the daemon does not read."""
        mark = f"demo{next(self._count):04}"
        received = f"Received: by the demo with id {mark}\n".encode()
        (self.maildir / "tmp" / mark).write_bytes(received + source.read_bytes())
        return Delivery(source, how, mark)

    def link(self, one: Delivery) -> None:
        """Deliver as Postfix does: link into new, then remove from tmp."""
        one.began = time.perf_counter()
        os.link(self.maildir / "tmp" / one.mark, self.maildir / "new" / one.mark)
        (self.maildir / "tmp" / one.mark).unlink()

    def rename(self, one: Delivery) -> None:
        """Deliver as OpenSMTPD and Dovecot do: rename into new."""
        one.began = time.perf_counter()
        (self.maildir / "tmp" / one.mark).rename(self.maildir / "new" / one.mark)

    def find(self, one: Delivery) -> str:
        """Return the folders of the files that contain the mark: the log is not trusted."""
        found = [
            path.parent.relative_to(self.maildir)
            for path in self.maildir.rglob("*")
            if path.is_file() and one.mark.encode() in path.read_bytes()
        ]
        return ", ".join(map(str, found)) or "lost!"


class RunningDaemon:
    """A daemon process and its log."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)  # noqa: S603  ours
        self._lines: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stderr or ():
            self._lines.put((time.perf_counter(), line))
        self._lines.put((time.perf_counter(), ""))

    def lines(self) -> Iterator[tuple[float, str]]:
        """Yield each line of the log with its time, as it arrives."""
        while True:
            try:
                when, line = self._lines.get(timeout=PATIENCE)
            except queue.Empty:
                sys.exit(f"the daemon logged nothing for {PATIENCE:.0f} s")
            if not line:
                sys.exit("the daemon ended; see its log above")
            yield when, line

    def wait_until_ready(self) -> None:
        """Wait until the daemon watches the Maildir; print other lines of the log."""
        for _, line in self.lines():
            if " ready " in line:
                return
            if " started " not in line and " maildirs " not in line:
                sys.stderr.write(line)

    def wait_for(self, deliveries: list[Delivery]) -> None:
        """Wait until the log has a line for each message."""
        waiting = {one.mark: one for one in deliveries}
        for when, line in self.lines():
            fields = dict(_FIELD.findall(line))
            one = waiting.pop(fields.get("base", ""), None)
            if one is not None:
                one.ended, one.logged = when, fields
            if not waiting:
                return


@contextlib.contextmanager
def running_daemon(folder: Path, maildir: Path) -> Iterator[RunningDaemon]:
    """Run the daemon with its own configuration and state, not the user's."""
    config = folder / "config.toml"
    config.write_text(f'[[maildir]]\npath = "{maildir}"\n', "utf-8")
    options = ["--config", str(config), "--state", str(folder / "state")]
    daemon = RunningDaemon([sys.executable, "-m", "spamlstm", "run", *options], dict(os.environ))
    try:
        yield daemon
    finally:
        daemon.process.terminate()
        daemon.process.wait()


def one_by_one(
    sources: list[Path], how: str, server: MailServer, deliver: Callable[[Delivery], None], daemon: RunningDaemon
) -> list[Delivery]:
    """Deliver each message when the one before it is done."""
    done = []
    for source in sources:
        one = server.write(source, how)
        deliver(one)
        daemon.wait_for([one])
        done.append(one)
    return done


def at_once(sources: list[Path], how: str, server: MailServer, daemon: RunningDaemon) -> list[Delivery]:
    """Deliver all messages, then wait for all."""
    deliveries = [server.write(source, how) for source in sources]
    for one in deliveries:
        server.rename(one)
    daemon.wait_for(deliveries)
    return deliveries


def table(deliveries: list[Delivery], server: MailServer) -> Table:
    """Return a table with verdict, actions and present folder of each message."""
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("message", "delivered", "verdict", "done", "now in"):
        shown.add_column(name, no_wrap=True)
    shown.add_column("ms", justify="right")
    for one in deliveries:
        verdict = one.logged.get("verdict", "-")
        colour = COLOURS.get(verdict, "")
        done = one.logged.get("actions", "nothing").replace(",", ", ")
        shown.add_row(one.source.stem, one.how, f"[{colour}]{verdict}[/]", done, server.find(one), f"{one.ms:.0f}")
    return shown


def main() -> None:
    console = Console(highlight=False)
    sources = sorted(MAIL.glob("*.eml"))
    with tempfile.TemporaryDirectory(prefix="spamlstm-demo-") as name:
        folder = Path(name).resolve()
        server = MailServer(folder / "Maildir")
        console.print(f"A Maildir for the demo: {server.maildir}", soft_wrap=True)
        with running_daemon(folder, server.maildir) as daemon:
            daemon.wait_until_ready()
            deliveries = [
                *one_by_one(sources[:5], "link (Postfix)", server, server.link, daemon),
                *one_by_one(sources[5:10], "rename (OpenSMTPD)", server, server.rename, daemon),
                *at_once(sources[10:], "all at once", server, daemon),
            ]
            console.print(table(deliveries, server))
            burst = at_once([sources[number % len(sources)] for number in range(BURST)], "burst", server, daemon)
            took = max(one.ended for one in burst) - burst[0].began
            folders = Counter(server.find(one) for one in burst)
        where = ", ".join(f"{count} in {name}" for name, count in sorted(folders.items()))
        console.print(f" {BURST} more in one burst took {took:.2f} s; each exists once: {where}", soft_wrap=True)
        if set(folders) - {"new", ".Junk/new"}:
            sys.exit("this is not the expected result; please report it")
    console.print(
        " The Maildir of the demo is removed. To try your own mail: make run MAILDIR=~/Maildir (a dry run)",
        soft_wrap=True,
    )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
