"""Measure the growth of the daemon's memory with large mail, and compare it with bounds.

    python benchmarks/memory_bound.py [waiting] [one] [moved]

waiting   50 messages of 25 MB, delivered while the daemon is stopped
one       one message of 64 MB, the largest size that is judged
moved     16 messages of 60 MB that a user moves to the junk folder together

The peak is the kernel's (VmHWM), reset before each case. The exit status is 1 if one exceeds its bound.
"""

import base64
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from daemon import MAIL, Setup
from measurement import argument_parser, make_maildir, memory_field, reset_peak_memory

MB = 1_000_000
# MB of growth: mostly copies of one message (its bytes, the attachment without line ends, the tagged copy).
BOUNDS = {"waiting": 250, "one": 150, "moved": 250}


def main() -> int:
    parser = argument_parser(__doc__)
    parser.add_argument("what", nargs="*", choices=[*BOUNDS, []], default=[])
    parser.add_argument(
        "--folder", type=Path, help="where to put the Maildirs, which need 1.3 GB [default: the temporary folder]"
    )
    arguments = parser.parse_args()
    exceeded = False
    for what in arguments.what or BOUNDS:
        with tempfile.TemporaryDirectory(prefix="spamlstm-", dir=arguments.folder) as name:
            setup = Setup(Path(name), 1, MAIL)
            make_maildir(setup.maildir / ".Junk")
            with setup.running():
                setup.deliver()
                setup.wait_for(1)
                before = setup.resident()
                begun = time.perf_counter()
                {"waiting": waiting, "one": one, "moved": moved}[what](setup)
                growth = memory_field("VmHWM", pid=setup.pid) * (1 << 20) / MB - before
                print(
                    f"{what}: {before:.0f} MB before, {growth:.0f} MB more at the peak (bound {BOUNDS[what]}),"
                    f" {time.perf_counter() - begun:.1f} s",
                    flush=True,
                )
                exceeded = exceeded or growth > BOUNDS[what]
    return 1 if exceeded else 0


def waiting(setup: Setup) -> None:
    os.kill(setup.pid, signal.SIGSTOP)
    for number in range(50):
        deliver(setup, number, 25 * MB)
    reset_peak_memory(setup.pid)
    os.kill(setup.pid, signal.SIGCONT)
    setup.wait_for(51)


def one(setup: Setup) -> None:
    reset_peak_memory(setup.pid)
    deliver(setup, 0, 64 * MB)
    setup.wait_for(2)


def moved(setup: Setup) -> None:
    for number in range(16):
        deliver(setup, number, 60 * MB)
        setup.wait_for(2 + number)
    reset_peak_memory(setup.pid)
    junk = setup.maildir / ".Junk"
    for part in ("new", "cur"):
        for path in (setup.maildir / part).iterdir():
            if path.stat().st_size > MB:
                path.rename(junk / "cur" / f"{path.name.partition(':')[0]}:2,S")
    while sum(setup.status()["learning"]["moved"].values()) < 16:
        time.sleep(0.2)


def deliver(setup: Setup, number: int, size: int) -> None:
    """Deliver a message of about `size` bytes with an attachment of random bytes."""
    head = (
        f"Received: by mx with id large{number}\nFrom: ann@example.org\nSubject: the pictures of day {number}\n"
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nHere are the pictures that I took.\n"
        "--b\nContent-Type: image/jpeg\nContent-Transfer-Encoding: base64\n\n"
    )
    written = setup.maildir / "tmp" / f"large{number}"
    with written.open("wb") as out:
        out.write(head.encode())
        out.write(base64.encodebytes(os.urandom(size * 57 // 77 - 500)))
        out.write(b"--b--\n")
    shutil.move(written, setup.maildir / "new" / written.name)


if __name__ == "__main__":
    sys.exit(main())
