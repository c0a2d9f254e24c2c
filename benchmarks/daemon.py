"""The running daemon: time from delivery to done, speed in a burst, cost when idle, memory over time.

latency   messages delivered one at a time, each after the one before is done
burst     messages delivered while the process is stopped (SIGSTOP), which then continues
idle      processor time and wake-ups without mail, with one Maildir or many
memory    resident memory while messages are processed
"""

import argparse
import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from measurement import make_maildir

from spamlstm.daemon.server import ask
from spamlstm.errors import UnavailableError

ROOT = Path(__file__).resolve().parent.parent
MAIL = sorted((ROOT / "docs/demo").glob("*.eml"))
SPAM = [path for path in MAIL if path.name[:2] in ("08", "09", "10", "11", "12", "15")]
_MARK = re.compile(rb"Message-ID: <(m\d+)@mx>")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["latency", "burst", "idle", "memory"])
    parser.add_argument("--count", type=int, help="messages (latency 500, burst 30000, memory 100000)")
    parser.add_argument("--maildirs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long to measure when idle")
    parser.add_argument(
        "--mixed", action="store_true", help="all demo mail, instead of spam only, which is tagged and filed"
    )
    parser.add_argument("--folders", type=int, default=0, help="folders beside the inbox, in each Maildir")
    parser.add_argument("--messages", type=int, default=0, help="old messages in each folder, the inbox among them")
    parser.add_argument("--folder", type=Path, help="parent folder of the Maildirs, to measure another disk")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spamlstm-", dir=arguments.folder) as name:
        setup = Setup(Path(name), arguments.maildirs, MAIL if arguments.mixed else SPAM)
        setup.add_folders(arguments.folders, arguments.messages)
        with setup.running():
            {"latency": latency, "burst": burst, "idle": idle, "memory": memory}[arguments.what](setup, arguments)


class Setup:
    """Maildirs, a daemon that watches them, and a server that delivers."""

    def __init__(self, folder: Path, maildirs: int, mail: list[Path]) -> None:
        self.state = folder / "state"
        self.config = folder / "config.toml"
        self.config.write_text(f'[[maildir]]\npath = "{folder}/mail/*/Maildir"\n')
        self.maildirs = [folder / "mail" / f"u{number:05}" / "Maildir" for number in range(maildirs)]
        for maildir in self.maildirs:
            make_maildir(maildir)
        self.maildir = self.maildirs[0]
        self.log = folder / "log"
        self.mail = [path.read_bytes() for path in mail]
        self.delivered = 0

    def add_folders(self, folders: int, messages: int) -> None:
        """Create folders with old mail in each Maildir, a junk folder among them."""
        names = ["", *[".Junk", *(f".Folder{number}" for number in range(1, folders))][:folders]]
        first = self.state.parent / "old"
        for maildir in self.maildirs if folders or messages else []:
            for name in names:
                make_maildir(maildir / name)
                for number in range(messages):
                    if number % 10_000 == 0:  # a file can have 65,000 names
                        first.unlink(missing_ok=True)
                        first.write_bytes(self.mail[0])
                    os.link(first, maildir / name / "cur" / f"1{number:09}.M{number}P1.host,S=5000:2,S")

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        command = [sys.executable, "-m", "spamlstm", "run", "--config", self.config, "--state", self.state]
        with self.log.open("w") as out, subprocess.Popen(command, cwd=ROOT, stderr=out) as process:
            self.pid = process.pid
            began = time.perf_counter()
            while " ready " not in self.log.read_text():
                if process.poll() is not None:
                    sys.exit(self.log.read_text())
                time.sleep(0.05)
            print(f"ready after {time.perf_counter() - began:.1f} s, {self.resident():.0f} MB")
            try:
                yield
            finally:
                began = time.perf_counter()
                process.terminate()
                process.wait()
            print(f"ended after {time.perf_counter() - began:.2f} s with {process.returncode}")

    def deliver(self) -> str:
        """Deliver as Postfix does, each message with a Message-ID of its own."""
        self.delivered += 1
        mark = f"m{self.delivered}"
        raw = f"Message-ID: <{mark}@mx>\n".encode() + self.mail[self.delivered % len(self.mail)]
        written = self.maildir / "tmp" / mark
        written.write_bytes(raw)
        os.link(written, self.maildir / "new" / mark)
        written.unlink()
        return mark

    def status(self) -> dict:
        with contextlib.suppress(UnavailableError):
            return ask(self.state)
        return {"mail": {"judged": {}}}

    def judged(self) -> int:
        return sum(self.status()["mail"]["judged"].values())

    def wait_for(self, count: int) -> None:
        while self.judged() < count:
            time.sleep(0.2)

    def resident(self) -> float:
        """Return the memory of the daemon and its children in MB."""
        pages = 0
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                if self.pid in (int(path.name), int(fields[1])):
                    pages += int((path / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def used(self) -> tuple[float, int]:
        """Return the processor time in seconds, and how often its threads went to sleep."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        sleeps = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            status = (task / "status").read_text()
            sleeps += int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", status)[1])
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), sleeps

    def count_copies(self) -> Counter[str]:
        """Count the files of each message in the Maildir."""
        return Counter(
            _MARK.search(path.read_bytes())[1].decode()
            for folder in (self.maildir, self.maildir / ".Junk")
            for part in ("tmp", "new", "cur")
            if (folder / part).is_dir()
            for path in (folder / part).iterdir()
        )

    def check(self) -> None:
        wrong = [mark for mark, times in self.count_copies().items() if times != 1]
        lost = self.delivered - len(self.count_copies())
        print(f"{self.delivered} delivered, {lost} lost, {len(wrong)} doubled, {self.judged()} judged")


def latency(setup: Setup, arguments: argparse.Namespace) -> None:
    took = []
    with setup.log.open() as log:
        log.seek(0, os.SEEK_END)
        for _ in range(arguments.count or 500):
            began = time.perf_counter()
            mark = setup.deliver()
            line = ""
            while f"base={mark} " not in line:
                piece = log.readline()
                # A line may be read before it is complete.
                line = piece if line.endswith("\n") else line + piece
                if not piece:
                    time.sleep(0.0005)
            took.append(1000 * (time.perf_counter() - began))
            time.sleep(0.02)
    cuts = statistics.quantiles(took, n=100)
    print(f"delivery to done, {len(took)} messages: p50 {cuts[49]:.1f} ms, p90 {cuts[89]:.1f}, p99 {cuts[98]:.1f}")
    setup.check()


def burst(setup: Setup, arguments: argparse.Namespace) -> None:
    count = arguments.count or 30_000
    os.kill(setup.pid, signal.SIGSTOP)
    for _ in range(count):
        setup.deliver()
    began = time.perf_counter()
    os.kill(setup.pid, signal.SIGCONT)
    setup.wait_for(count)
    took = time.perf_counter() - began
    status = setup.status()
    print(f"{count} in {took:.1f} s, {count / took:.0f}/s; the kernel dropped events {status['overflows']} times")
    print(f"{setup.resident():.0f} MB afterwards")
    setup.check()


def idle(setup: Setup, arguments: argparse.Namespace) -> None:
    began = time.perf_counter()
    while not setup.status().get("learning", {"rounds": 1})["rounds"]:
        time.sleep(0.1)
    print(f"first visit of all folders after {time.perf_counter() - began:.1f} s, {setup.resident():.0f} MB")
    time.sleep(3.0)
    cpu, sleeps = setup.used()
    time.sleep(arguments.seconds)
    later, more = setup.used()
    share = (later - cpu) / arguments.seconds
    print(f"{len(setup.maildirs)} Maildirs, {arguments.seconds:.0f} s: {100 * share:.3f} % of a core")
    print(f"{(more - sleeps) / arguments.seconds:.2f} wake-ups/s, {setup.resident():.0f} MB")
    status = setup.status()
    if learning := status.get("learning"):
        print(f"{learning['rounds']} rounds over all folders, the last took {learning['round_seconds']:.3f} s")
    watched, scans = status["maildirs"]["watched"], status["scans"]
    print(f"{watched} watched; {scans} scans, the last took {status['scan_seconds']:.3f} s")


def memory(setup: Setup, arguments: argparse.Namespace) -> None:
    count = arguments.count or 100_000
    for end in range(count // 20, count + 1, count // 20):
        while setup.delivered < end:
            setup.deliver()
        setup.wait_for(end)
        for path in (setup.maildir / ".Junk" / "new").iterdir():
            path.unlink()
        print(f"{end:7} messages: {setup.resident():.0f} MB", flush=True)


if __name__ == "__main__":
    main()
