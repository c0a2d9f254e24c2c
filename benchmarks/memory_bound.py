"""How much the memory of the daemon grows with large mail, and whether that is within the bounds.

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

from daemon import MAIL, House
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
            house = House(Path(name), 1, MAIL)
            make_maildir(house.maildir / ".Junk")
            with house.running():
                house.deliver()
                house.wait_for(1)
                before = house.resident()
                begun = time.perf_counter()
                {"waiting": waiting, "one": one, "moved": moved}[what](house)
                growth = memory_field("VmHWM", pid=house.pid) * (1 << 20) / MB - before
                print(
                    f"{what}: {before:.0f} MB before, {growth:.0f} MB more at the peak (bound {BOUNDS[what]}),"
                    f" {time.perf_counter() - begun:.1f} s",
                    flush=True,
                )
                exceeded = exceeded or growth > BOUNDS[what]
    return 1 if exceeded else 0


def waiting(house: House) -> None:
    os.kill(house.pid, signal.SIGSTOP)
    for number in range(50):
        deliver(house, number, 25 * MB)
    reset_peak_memory(house.pid)
    os.kill(house.pid, signal.SIGCONT)
    house.wait_for(51)


def one(house: House) -> None:
    reset_peak_memory(house.pid)
    deliver(house, 0, 64 * MB)
    house.wait_for(2)


def moved(house: House) -> None:
    for number in range(16):
        deliver(house, number, 60 * MB)
        house.wait_for(2 + number)
    reset_peak_memory(house.pid)
    junk = house.maildir / ".Junk"
    for part in ("new", "cur"):
        for path in (house.maildir / part).iterdir():
            if path.stat().st_size > MB:
                path.rename(junk / "cur" / f"{path.name.partition(':')[0]}:2,S")
    while sum(house.told()["learning"]["moved"].values()) < 16:
        time.sleep(0.2)


def deliver(house: House, number: int, size: int) -> None:
    """Deliver a message of about `size` bytes with an attachment of random bytes."""
    head = (
        f"Received: by mx with id large{number}\nFrom: ann@example.org\nSubject: the pictures of day {number}\n"
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nHere are the pictures that I took.\n"
        "--b\nContent-Type: image/jpeg\nContent-Transfer-Encoding: base64\n\n"
    )
    written = house.maildir / "tmp" / f"large{number}"
    with written.open("wb") as out:
        out.write(head.encode())
        out.write(base64.encodebytes(os.urandom(size * 57 // 77 - 500)))
        out.write(b"--b--\n")
    shutil.move(written, house.maildir / "new" / written.name)


if __name__ == "__main__":
    sys.exit(main())
