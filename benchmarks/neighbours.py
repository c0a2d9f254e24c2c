"""Attacks of one user on the mail of another: a daemon of root watches the Maildirs of both.

While Ann attacks, mail is delivered to Bob, and the time from each delivery to the junk folder is measured. A third
folder belongs to root. After each attack Bob's mail must be filed and root's folder unchanged. Only root can run this.
The exit status is 1 if an attack delays Bob's mail beyond the bound or changes files of others.
"""

import argparse
import contextlib
import ctypes
import itertools
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from measurement import make_maildir

ROOT = Path(__file__).resolve().parent.parent
ANN, BOB = 20_001, 20_002
BOUND = 2.0
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\n"
HTML = b"Subject: hello there friend\nContent-Type: text/html\n\n"
_count = itertools.count()

Attack = Callable[[Path, Path], Iterator[float]]
"""Takes Ann's Maildir and a folder to link to; does one step and yields the seconds until the next."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attacks", nargs="*", help=f"which of {', '.join(ATTACKS)}; default: all")
    parser.add_argument("--messages", type=int, default=60, help="messages to Bob for each attack, one every 0.5 s")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("only root can run the daemon over the Maildirs of two users")
    failed = False
    print(f"{'attack':<16}{'p50':>8}{'p99':>8}{'worst':>8}   memory  others' files")
    for name in arguments.attacks or ATTACKS:
        with tempfile.TemporaryDirectory(prefix="spamlstm-") as folder:
            failed |= not measure(name, Path(folder), arguments.messages)
    sys.exit(failed)


def measure(name: str, folder: Path, messages: int) -> bool:
    """Run one attack and print a row; return whether Bob's mail was in time and no files of others changed."""
    folder.chmod(0o755)
    ann, bob, secret = (make(folder / user / "Maildir", uid) for user, uid in (("ann", ANN), ("bob", BOB), ("root", 0)))
    for part in ("new", "cur", "tmp"):
        (secret / part / "passwd").write_bytes(b"From: root@x.org\nSubject: secret\n\n" + GTUBE)
    before = contents(secret)
    with running(folder) as daemon, attacking(ATTACKS[name], ann, secret if "root" in name else bob):
        waits = [deliver(bob) for _ in range(messages)]
        peak = resident(daemon)
    waits.sort()
    p99 = waits[min(len(waits) - 1, len(waits) * 99 // 100)]
    filed = len(list((bob / ".Junk/new").iterdir()))
    intact = contents(secret) == before and filed == messages and not list((bob / "new").iterdir())
    print(
        f"{name:<16}{statistics.median(waits):>7.3f}s{p99:>7.3f}s{waits[-1]:>7.3f}s{peak:>7.0f}MB  "
        f"{'intact' if intact else 'CHANGED'}",
        flush=True,
    )
    return p99 <= BOUND and intact


def make(maildir: Path, uid: int) -> Path:
    make_maildir(maildir)
    for path in (maildir.parent, maildir, *maildir.iterdir()):
        os.chown(path, uid, uid)
    return maildir


def contents(folder: Path) -> list[tuple[str, int, bytes]]:
    return sorted((str(path), path.lstat().st_mode, path.read_bytes()) for path in folder.rglob("*") if path.is_file())


@contextlib.contextmanager
def running(folder: Path) -> Iterator[int]:
    config, log = folder / "config.toml", folder / "log"
    config.write_text(f'[learning]\nlabels = "per-maildir"\n[[maildir]]\npath = "{folder}/*/Maildir"\n')
    config.chmod(0o600)
    command = [sys.executable, "-m", "spamlstm", "run", "--config", config, "--state", folder / "state"]
    with log.open("w") as out, subprocess.Popen(command, cwd=ROOT, stderr=out) as process:
        while " ready " not in log.read_text():
            if process.poll() is not None:
                sys.exit(log.read_text())
            time.sleep(0.05)
        yield process.pid
        process.terminate()
        if process.wait():
            print(f"the daemon ended with {process.returncode}: {log.read_text()[-500:]}")


@contextlib.contextmanager
def attacking(attack: Attack, ann: Path, target: Path) -> Iterator[None]:
    """Run the attack in a process of Ann."""
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(ANN)
        os.setuid(ANN)
        os.umask(0o077)
        for pause in attack(ann, target):
            time.sleep(pause)
        os._exit(0)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def deliver(bob: Path) -> float:
    """Deliver spam to Bob; return the seconds until it is filed, at most 60."""
    time.sleep(0.5)
    name = f"{next(_count)}.host"
    junk = bob / ".Junk/new"
    before = len(list(junk.iterdir())) if junk.is_dir() else 0
    written = bob / "tmp" / name
    written.write_bytes(f"From: a@b.org\nReceived: by y; {time.time_ns()}\nSubject: x\n\n".encode() + GTUBE)
    os.chown(written, BOB, BOB)
    began = time.perf_counter()
    written.rename(bob / "new" / name)
    while time.perf_counter() - began < 60:
        with contextlib.suppress(FileNotFoundError):
            if len(list(junk.iterdir())) > before:
                return time.perf_counter() - began
        time.sleep(0.002)
    return 60.0


def resident(pid: int) -> float:
    """Return the peak memory of the daemon in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


# --- Ann's attacks ---------------------------------------------------------------------------------------------------


def put(ann: Path, body: bytes, *, name: str = "", part: str = "new") -> Path:
    name = name or f"{next(_count)}.ann"
    written = ann / "tmp" / name
    written.write_bytes(b"From: a@b.org\nReceived: by y; %d\n" % time.time_ns() + body)
    return written.rename(ann / part / name)


def nothing(_ann: Path, _target: Path) -> Iterator[float]:
    while True:
        yield 1.0


def sending(body: bytes, *, pause: float) -> Attack:
    """Deliver the same body to Ann again and again, and keep the last 40."""

    def attack(ann: Path, _target: Path) -> Iterator[float]:
        sent: list[Path] = []
        while True:
            with contextlib.suppress(OSError):
                sent.append(put(ann, body))
            for old in sent[:-40]:
                old.unlink(missing_ok=True)
            del sent[:-40]
            yield pause

    return attack


def growing(ann: Path, _target: Path) -> Iterator[float]:
    """Deliver files that grow to two gigabytes (sparse) at once."""
    while True:
        path = put(ann, b"\nhello my dear friend\n")
        for _ in range(20):
            with contextlib.suppress(OSError):
                os.truncate(path, 2_000_000_000)
            yield 0.002
        path.unlink(missing_ok=True)


def swapping(name: str) -> Attack:
    """Swap a folder and a link (renameat2, RENAME_EXCHANGE) as fast as possible, while spam is delivered."""

    def attack(ann: Path, target: Path) -> Iterator[float]:
        libc = ctypes.CDLL(None, use_errno=True)
        make_maildir(ann / ".Junk")
        (ann / ".Junk/maildirfolder").touch()
        link = ann / "link"
        link.symlink_to(target / name.rpartition("/")[2] if name != ".Junk" else target)
        one, other = os.fsencode(ann / name), os.fsencode(link)
        while True:
            for _ in range(2000):
                libc.renameat2(-100, one, -100, other, 2)
            with contextlib.suppress(OSError):
                put(ann, b"Subject: x\n\n" + GTUBE, name="passwd")
            yield 0.0

    return attack


def linked(name: str) -> Attack:
    """Replace a folder by a link, and deliver spam."""

    def attack(ann: Path, target: Path) -> Iterator[float]:
        path = ann / name
        if path.is_dir():
            path.rmdir()
        path.symlink_to(target / name if name in ("new", "cur", "tmp") else target)
        while True:
            with contextlib.suppress(OSError):
                put(ann, b"Subject: x\n\n" + GTUBE)
            yield 0.2

    return attack


def maildir_link(ann: Path, target: Path) -> Iterator[float]:
    """Replace Ann's Maildir by a link to Bob's, and back, every half second."""
    away = ann.with_name("away")
    while True:
        ann.rename(away)
        ann.symlink_to(target)
        yield 0.5
        ann.unlink()
        away.rename(ann)
        yield 0.5


def special_files(ann: Path, _target: Path) -> Iterator[float]:
    """Put FIFOs, sockets and folders where files are expected, and deliver mail that makes the daemon meet them."""
    os.mkfifo(ann / "dovecot-keywords")
    os.mkfifo(ann / "subscriptions")
    for number in itertools.count():
        os.mkfifo(ann / "new" / f"fifo{number}")
        (ann / "cur" / f"folder{number}").mkdir()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as one:
            one.bind(str(ann / "new" / f"socket{number}"))
        put(ann, b"Subject: x\n\n" + GTUBE, name=f"{number}.ann:2,a", part="cur")
        put(ann, b"Subject: x\n\n" + GTUBE)
        yield 0.2


def many_folders(ann: Path, _target: Path) -> Iterator[float]:
    for number in range(20_000):
        make_maildir(ann / f".F{number}")
    while True:
        put(ann, b"Subject: x\n\n" + GTUBE)
        yield 0.1


def stale_links(ann: Path, _target: Path) -> Iterator[float]:
    """Put a second name of each message into the tmp of another folder, as a server leaves it that is killed."""
    make_maildir(ann / ".Archive")
    for number in range(50_000):
        (ann / ".Archive/cur" / f"{number}.old:2,S").touch()
    for number in itertools.count():
        written = ann / "tmp" / f"{number}.ann"
        written.write_bytes(b"From: a@b.org\nReceived: by y; %d\n\nhello my dear friend\n" % time.time_ns())
        os.link(written, ann / ".Archive/tmp" / f"{number}.left")
        written.rename(ann / "new" / f"{number}.ann")
        yield 0.1


ATTACKS: dict[str, Attack] = {
    "nothing": nothing,
    "flood": sending(b"Subject: x\n\n" + GTUBE, pause=0.001),
    "spaces": sending(b"\n" + b"A" * 60 + b"\nx y z" + b" " * 330_000 + b"a b c d\n", pause=0.05),
    "html hidden": sending(HTML + b"<div hidden>" * 40_000, pause=0.05),
    "html body": sending(HTML + b"".join(b"<body a%d=b c%d>" % (i, i) for i in range(30_000)), pause=0.05),
    "headers": sending(b"X-A: " + b"a: b\n" * 6_000_000, pause=2.0),
    "large": sending(b"Subject: the pictures\n\n" + (b"x" * 75 + b"\n") * 330_000, pause=0.3),
    "growing": growing,
    "special files": special_files,
    "20,000 folders": many_folders,
    "stale links": stale_links,
    "new is bob's": linked("new"),
    "new is root's": linked("new"),
    "junk is bob's": linked(".Junk"),
    "junk is root's": linked(".Junk"),
    "INBOX is bob's": linked("INBOX"),
    "swap new, root": swapping("new"),
    "swap junk, root": swapping(".Junk/new"),
    "swap junk, bob": swapping(".Junk"),
    "maildir is bob's": maildir_link,
}

if __name__ == "__main__":
    main()
