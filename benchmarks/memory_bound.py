"""By how much does the memory of the daemon grow with large mail, and is that below the bounds?

    python benchmarks/memory_bound.py [waiting] [one] [moved]

waiting   50 messages of 25 MB that were delivered while the daemon was stopped
one       one message of 64 MB, the largest that is judged
moved     16 messages of 60 MB that a user moves to the junk folder together

Peaks are those of the kernel (VmHWM), which is reset before each. The exit status is 1 if one is above its bound.
"""

import argparse
import base64
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from daemon import MAIL, House

MB = 1_000_000
# MB of growth. Most is copies of one message: its bytes, those without the attachment's line ends, a tagged copy.
BOUNDS = {"waiting": 250, "one": 150, "moved": 250}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=[*BOUNDS, []], default=[])
    parser.add_argument("--folder", type=Path, help="where to put the Maildirs; 1.3 GB are needed")
    arguments = parser.parse_args()
    above = False
    for what in arguments.what or BOUNDS:
        with tempfile.TemporaryDirectory(prefix="spamlstm-", dir=arguments.folder) as name:
            house = House(Path(name), 1, MAIL)
            for part in ("tmp", "new", "cur"):
                (house.maildir / ".Junk" / part).mkdir(parents=True)
            with house.running():
                house.deliver()
                house.wait_for(1)
                before = house.resident()
                begun = time.perf_counter()
                {"waiting": waiting, "one": one, "moved": moved}[what](house)
                growth = resident(house, "VmHWM") - before
                print(
                    f"{what}: {before:.0f} MB before, {growth:.0f} MB more at the peak (bound {BOUNDS[what]}),"
                    f" {time.perf_counter() - begun:.1f} s",
                    flush=True,
                )
                above = above or growth > BOUNDS[what]
    return 1 if above else 0


def waiting(house: House) -> None:
    os.kill(house.pid, signal.SIGSTOP)
    for number in range(50):
        deliver(house, number, 25 * MB)
    Path(f"/proc/{house.pid}/clear_refs").write_text("5")
    os.kill(house.pid, signal.SIGCONT)
    house.wait_for(51)


def one(house: House) -> None:
    Path(f"/proc/{house.pid}/clear_refs").write_text("5")
    deliver(house, 0, 64 * MB)
    house.wait_for(2)


def moved(house: House) -> None:
    for number in range(16):
        deliver(house, number, 60 * MB)
        house.wait_for(2 + number)
    Path(f"/proc/{house.pid}/clear_refs").write_text("5")
    junk = house.maildir / ".Junk"
    for part in ("new", "cur"):
        for path in (house.maildir / part).iterdir():
            if path.stat().st_size > MB:
                path.rename(junk / "cur" / f"{path.name.partition(':')[0]}:2,S")
    while sum(house.told()["learning"]["moved"].values()) < 16:
        time.sleep(0.2)


def deliver(house: House, number: int, size: int) -> None:
    """Mail with an attachment of random bytes, of about `size` bytes in all."""
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


def resident(house: House, which: str) -> float:
    """MB of the daemon itself, as the kernel counts them."""
    status = Path(f"/proc/{house.pid}/status").read_text()
    return int(status.partition(f"{which}:")[2].split()[0]) * 1024 / MB


if __name__ == "__main__":
    sys.exit(main())
