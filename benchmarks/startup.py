"""How long one message takes from a standing start, in how much memory, and how much disk the light install takes."""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAIL = b"""From: Ann Example <ann@example.org>
To: Ben Example <ben@example.net>
Subject: The garden on Saturday
Date: Tue, 4 Jun 2024 18:02:11 +0200
Message-ID: <1c9e@example.org>

Hello Ben,

shall we plant the beans on Saturday? I could bring the two old rakes and a cake.

Ann
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--model", type=Path, help="a bundle; else the one in use")
    parser.add_argument("--install", action="store_true", help="install into a fresh venv, weigh it and time that one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = installed(folder / "venv") if arguments.install else present()
        mail = folder / "one.eml"
        mail.write_bytes(MAIL)
        model = ["--model", str(arguments.model)] if arguments.model else []
        start_up([*command, "classify", *model, str(mail)], arguments.rounds)
    return 0


def present() -> list[str]:
    """The command beside this Python, else the checkout."""
    script = Path(sys.executable).with_name("spamlstm")
    return [str(script)] if script.exists() else [sys.executable, "-c", "from spamlstm.cli import main; main()"]


def installed(folder: Path) -> list[str]:
    """The command of a fresh light install, whose size is printed."""
    venv.create(folder, with_pip=True)
    empty = size(folder)
    constraints = ["-c", str(ROOT / "constraints.txt")] if (ROOT / "constraints.txt").exists() else []
    subprocess.run([folder / "bin/pip", "install", "-qq", *constraints, str(ROOT)], check=True)
    whole = size(folder)
    print(f"light install: {whole / 1e6:.0f} MB on disk, of which {empty / 1e6:.0f} MB are pip and the empty venv")
    return [str(folder / "bin/spamlstm")]


def size(folder: Path) -> int:
    """Bytes on disk, as du counts them."""
    return sum(512 * file.lstat().st_blocks for file in folder.rglob("*"))


def start_up(command: list[str], rounds: int) -> None:
    """Print the median wall time and the peak memory; the first run fills the file cache and is told apart."""
    first, *rest = [once(command) for _ in range(rounds + 1)]
    walls = sorted(wall for wall, _ in rest)
    print(f"the first start: {first[0]:.3f} s")
    print(f"then: median {statistics.median(walls):.3f} s of {rounds} ({walls[0]:.3f} to {walls[-1]:.3f})")
    print(f"peak resident memory: {max(memory for _, memory in rest):.0f} MB")


def once(command: list[str]) -> tuple[float, float]:
    """(seconds by the clock, peak resident MB) of one run."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return wall, used.ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
