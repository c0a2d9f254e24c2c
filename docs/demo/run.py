"""The demo: a Maildir of its own, the daemon on it, and mail that arrives as servers deliver it.

`make run` starts it. Nothing outside a temporary folder is read or written, and that is removed at the end.
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
PATIENCE = 30.0
COLOURS = {"ham": "green", "unsure": "yellow", "spam": "red"}
_FIELD = re.compile(r"(\w+)=(\S+)")


@dataclass
class Delivery:
    """A message on its way. `mark` stands in a Received line of its own, as each server writes one."""

    source: Path
    how: str
    mark: str
    began: float = 0.0
    ended: float = 0.0
    told: dict[str, str] = field(default_factory=dict)

    @property
    def ms(self) -> float:
        return 1000 * (self.ended - self.began)


class Post:
    """The server that delivers into one Maildir."""

    def __init__(self, maildir: Path) -> None:
        self.maildir = maildir
        for part in ("tmp", "new", "cur"):
            (maildir / part).mkdir(parents=True)
        self._count = itertools.count(1)

    def write(self, source: Path, how: str) -> Delivery:
        """Write it in tmp; readers do not look there."""
        mark = f"demo{next(self._count):04}"
        received = f"Received: by the demo with id {mark}\n".encode()
        (self.maildir / "tmp" / mark).write_bytes(received + source.read_bytes())
        return Delivery(source, how, mark)

    def link(self, one: Delivery) -> None:
        """As Postfix: a second name in new, then the first one goes."""
        one.began = time.perf_counter()
        os.link(self.maildir / "tmp" / one.mark, self.maildir / "new" / one.mark)
        (self.maildir / "tmp" / one.mark).unlink()

    def rename(self, one: Delivery) -> None:
        """As OpenSMTPD and Dovecot."""
        one.began = time.perf_counter()
        (self.maildir / "tmp" / one.mark).rename(self.maildir / "new" / one.mark)

    def find(self, one: Delivery) -> str:
        """Where it is now, by the mark in it and not by what the daemon says."""
        found = [
            path.parent.relative_to(self.maildir)
            for path in self.maildir.rglob("*")
            if path.is_file() and one.mark.encode() in path.read_bytes()
        ]
        return ", ".join(map(str, found)) or "lost!"


class Watching:
    """A daemon that runs, and what its log says."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)  # noqa: S603  ours
        self._lines: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stderr or ():
            self._lines.put((time.perf_counter(), line))
        self._lines.put((time.perf_counter(), ""))

    def lines(self) -> Iterator[tuple[float, str]]:
        """Each line of the log with its time, as they come."""
        while True:
            try:
                when, line = self._lines.get(timeout=PATIENCE)
            except queue.Empty:
                sys.exit(f"the daemon said nothing for {PATIENCE:.0f} s")
            if not line:
                sys.exit("the daemon ended; its last words are above")
            yield when, line

    def wait_until_ready(self) -> None:
        for _, line in self.lines():
            if " ready " in line:
                return
            if " started " not in line and " maildirs " not in line:
                sys.stderr.write(line)

    def wait_for(self, deliveries: list[Delivery]) -> None:
        """Until the log has a line for each of them."""
        waiting = {one.mark: one for one in deliveries}
        for when, line in self.lines():
            told = dict(_FIELD.findall(line))
            one = waiting.pop(told.get("base", ""), None)
            if one is not None:
                one.ended, one.told = when, told
            if not waiting:
                return


@contextlib.contextmanager
def watching(folder: Path, maildir: Path) -> Iterator[Watching]:
    """The daemon as `make run MAILDIR=…` starts it, but with nothing of the user's."""
    config = folder / "config.toml"
    config.write_text(f'[[maildir]]\npath = "{maildir}"\n', "utf-8")
    options = ["--config", str(config), "--state", str(folder / "state")]
    daemon = Watching([sys.executable, "-m", "spamlstm", "run", *options], dict(os.environ))
    try:
        yield daemon
    finally:
        daemon.process.terminate()
        daemon.process.wait()


def one_by_one(
    sources: list[Path], how: str, post: Post, deliver: Callable[[Delivery], None], daemon: Watching
) -> list[Delivery]:
    done = []
    for source in sources:
        one = post.write(source, how)
        deliver(one)
        daemon.wait_for([one])
        done.append(one)
    return done


def at_once(sources: list[Path], how: str, post: Post, daemon: Watching) -> list[Delivery]:
    deliveries = [post.write(source, how) for source in sources]
    for one in deliveries:
        post.rename(one)
    daemon.wait_for(deliveries)
    return deliveries


def table(deliveries: list[Delivery], post: Post) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("message", "delivered", "verdict", "done", "now in"):
        shown.add_column(name, no_wrap=True)
    shown.add_column("ms", justify="right")
    for one in deliveries:
        verdict = one.told.get("verdict", "-")
        colour = COLOURS.get(verdict, "")
        done = one.told.get("actions", "nothing").replace(",", ", ")
        shown.add_row(one.source.stem, one.how, f"[{colour}]{verdict}[/]", done, post.find(one), f"{one.ms:.0f}")
    return shown


def main() -> None:
    console = Console(highlight=False)
    sources = sorted(MAIL.glob("*.eml"))
    with tempfile.TemporaryDirectory(prefix="spamlstm-demo-") as name:
        folder = Path(name).resolve()
        post = Post(folder / "Maildir")
        console.print(f"A Maildir for the demo: {post.maildir}", soft_wrap=True)
        with watching(folder, post.maildir) as daemon:
            daemon.wait_until_ready()
            seen = [
                *one_by_one(sources[:5], "link (Postfix)", post, post.link, daemon),
                *one_by_one(sources[5:10], "rename (OpenSMTPD)", post, post.rename, daemon),
                *at_once(sources[10:], "all at once", post, daemon),
            ]
            console.print(table(seen, post))
            burst = at_once([sources[number % len(sources)] for number in range(BURST)], "burst", post, daemon)
            took = max(one.ended for one in burst) - burst[0].began
            places = Counter(post.find(one) for one in burst)
        where = ", ".join(f"{count} in {place}" for place, count in sorted(places.items()))
        console.print(
            f" and {BURST} more in one burst: done in {took:.2f} s, each is there once: {where}", soft_wrap=True
        )
        if set(places) - {"new", ".Junk/new"}:
            sys.exit("that is not right; please tell us")
    console.print(
        " The demo's Maildir is gone again. On your own mail: make run MAILDIR=~/Maildir (a dry run)", soft_wrap=True
    )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
