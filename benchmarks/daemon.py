"""The daemon, from outside: how long from delivery to done, how fast a burst, what idleness and a long life cost.

latency   one message at a time, each delivered when the one before is done
burst     deliveries while the process is stopped (SIGSTOP), then continued
idle      processor time and wake-ups while nothing happens, with one Maildir or with many
memory    resident memory as messages pass through
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

from spamlstm.daemon.control_socket import ask
from spamlstm.errors import UnavailableError

ROOT = Path(__file__).resolve().parent.parent
MAIL = sorted((ROOT / "docs/demo").glob("*.eml"))
SPAM = [path for path in MAIL if path.name[:2] in ("08", "09", "10", "11", "12", "15")]
_MARK = re.compile(rb"with id (m\d+)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["latency", "burst", "idle", "memory"])
    parser.add_argument("--count", type=int, help="messages (latency 500, burst 30000, memory 100000)")
    parser.add_argument("--maildirs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=600.0, help="of idleness")
    parser.add_argument(
        "--mixed", action="store_true", help="all of the demo mail; else spam, which is tagged and filed"
    )
    parser.add_argument("--folders", type=int, default=0, help="folders beside the inbox, in each Maildir")
    parser.add_argument("--messages", type=int, default=0, help="old messages in each folder, the inbox among them")
    parser.add_argument("--folder", type=Path, help="where to put the Maildirs, to try another disk")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spamlstm-", dir=arguments.folder) as name:
        house = House(Path(name), arguments.maildirs, MAIL if arguments.mixed else SPAM)
        house.furnish(arguments.folders, arguments.messages)
        with house.running():
            {"latency": latency, "burst": burst, "idle": idle, "memory": memory}[arguments.what](house, arguments)


class House:
    """Maildirs, the daemon over them, and the server that delivers."""

    def __init__(self, folder: Path, maildirs: int, mail: list[Path]) -> None:
        self.state = folder / "state"
        self.config = folder / "config.toml"
        self.config.write_text(f'[[maildir]]\npath = "{folder}/mail/*/Maildir"\n')
        self.maildirs = [folder / "mail" / f"u{number:05}" / "Maildir" for number in range(maildirs)]
        for maildir in self.maildirs:
            for part in ("tmp", "new", "cur"):
                (maildir / part).mkdir(parents=True)
        self.maildir = self.maildirs[0]
        self.log = folder / "log"
        self.mail = [path.read_bytes() for path in mail]
        self.delivered = 0

    def furnish(self, folders: int, messages: int) -> None:
        """Give each Maildir folders with old mail, the junk folder among them."""
        names = ["", *[".Junk", *(f".Folder{number}" for number in range(1, folders))][:folders]]
        first = self.state.parent / "old"
        for maildir in self.maildirs if folders or messages else []:
            for name in names:
                for part in ("tmp", "new", "cur"):
                    (maildir / name / part).mkdir(parents=True, exist_ok=True)
                for number in range(messages):
                    if number % 10_000 == 0:  # a file has 65,000 names at most
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
            yield
            began = time.perf_counter()
            process.terminate()
            process.wait()
            print(f"ended after {time.perf_counter() - began:.2f} s with {process.returncode}")

    def deliver(self) -> str:
        """As Postfix does, each message with a Received line of its own."""
        self.delivered += 1
        mark = f"m{self.delivered}"
        raw = f"Received: by mx with id {mark}\n".encode() + self.mail[self.delivered % len(self.mail)]
        written = self.maildir / "tmp" / mark
        written.write_bytes(raw)
        os.link(written, self.maildir / "new" / mark)
        written.unlink()
        return mark

    def told(self) -> dict:
        with contextlib.suppress(UnavailableError):
            return ask(self.state)
        return {"mail": {"judged": {}}}

    def judged(self) -> int:
        return sum(self.told()["mail"]["judged"].values())

    def wait_for(self, count: int) -> None:
        while self.judged() < count:
            time.sleep(0.2)

    def resident(self) -> float:
        """MB, of the daemon and what it has started."""
        pages = 0
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                if self.pid in (int(path.name), int(fields[1])):
                    pages += int((path / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def used(self) -> tuple[float, int]:
        """Processor seconds, and times that one of its threads fell asleep."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        sleeps = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            status = (task / "status").read_text()
            sleeps += int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", status)[1])
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), sleeps

    def places(self) -> Counter[str]:
        """How often each message lies anywhere in the Maildir."""
        return Counter(
            _MARK.search(path.read_bytes())[1].decode()
            for folder in (self.maildir, self.maildir / ".Junk")
            for part in ("tmp", "new", "cur")
            if (folder / part).is_dir()
            for path in (folder / part).iterdir()
        )

    def check(self) -> None:
        wrong = [mark for mark, times in self.places().items() if times != 1]
        lost = self.delivered - len(self.places())
        print(f"{self.delivered} delivered, {lost} lost, {len(wrong)} doubled, {self.judged()} judged")


def latency(house: House, arguments: argparse.Namespace) -> None:
    took = []
    with house.log.open() as log:
        log.seek(0, os.SEEK_END)
        for _ in range(arguments.count or 500):
            began = time.perf_counter()
            mark = house.deliver()
            line = ""
            while f"base={mark} " not in line:
                piece = log.readline()
                # It may be read before it is whole.
                line = piece if line.endswith("\n") else line + piece
                if not piece:
                    time.sleep(0.0005)
            took.append(1000 * (time.perf_counter() - began))
            time.sleep(0.02)
    cuts = statistics.quantiles(took, n=100)
    print(f"delivery to done, {len(took)} messages: p50 {cuts[49]:.1f} ms, p90 {cuts[89]:.1f}, p99 {cuts[98]:.1f}")
    house.check()


def burst(house: House, arguments: argparse.Namespace) -> None:
    count = arguments.count or 30_000
    os.kill(house.pid, signal.SIGSTOP)
    for _ in range(count):
        house.deliver()
    began = time.perf_counter()
    os.kill(house.pid, signal.SIGCONT)
    house.wait_for(count)
    took = time.perf_counter() - began
    told = house.told()
    print(f"{count} in {took:.1f} s, {count / took:.0f}/s; the kernel dropped events {told['overflows']} times")
    print(f"{house.resident():.0f} MB afterwards")
    house.check()


def idle(house: House, arguments: argparse.Namespace) -> None:
    began = time.perf_counter()
    while not house.told().get("learning", {"rounds": 1})["rounds"]:
        time.sleep(0.1)
    print(
        f"all folders looked at for the first time after {time.perf_counter() - began:.1f} s, {house.resident():.0f} MB"
    )
    time.sleep(3.0)
    cpu, sleeps = house.used()
    time.sleep(arguments.seconds)
    later, more = house.used()
    share = (later - cpu) / arguments.seconds
    print(f"{len(house.maildirs)} Maildirs, {arguments.seconds:.0f} s: {100 * share:.3f} % of a core")
    print(f"{(more - sleeps) / arguments.seconds:.2f} wake-ups/s, {house.resident():.0f} MB")
    told = house.told()
    if learning := told.get("learning"):
        print(f"{learning['rounds']} rounds over all folders, the last took {learning['round_seconds']:.3f} s")
    print(f"{told['maildirs']['watched']} watched; {told['scans']} scans, the last took {told['scan_seconds']:.3f} s")


def memory(house: House, arguments: argparse.Namespace) -> None:
    count = arguments.count or 100_000
    for end in range(count // 20, count + 1, count // 20):
        while house.delivered < end:
            house.deliver()
        house.wait_for(end)
        for path in (house.maildir / ".Junk" / "new").iterdir():
            path.unlink()
        print(f"{end:7} messages: {house.resident():.0f} MB", flush=True)


if __name__ == "__main__":
    main()
