"""The time and memory of one message from a cold start without a daemon, and the size of the light installation."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from measurement import argument_parser, model_option, spamlstm_command

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
    parser = argument_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="[default: 20]")
    parser.add_argument("--model", type=Path, help="a bundle [default: the model in use]")
    parser.add_argument("--install", action="store_true", help="measure a fresh installation in a new venv")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = installed(folder / "venv") if arguments.install else spamlstm_command()
        mail = folder / "one.eml"
        mail.write_bytes(MAIL)
        (folder / "no-daemon").mkdir()
        environment = with_bytecode(folder / "bytecode")
        state = ["--state", str(folder / "no-daemon")]
        for kind, given in (("classify", [*state, str(mail)]), ("filter", state)):
            print(f"spamlstm {kind}")
            parts = [*command, kind, *model_option(arguments.model), *given]
            start_up(parts, mail, arguments.rounds, environment=environment)
    return 0


def installed(folder: Path) -> list[str]:
    """Install the light package into a new venv, print its size, and return its command."""
    venv.create(folder, with_pip=True)
    empty = size(folder)
    constraints = ["-c", str(ROOT / "constraints.txt")] if (ROOT / "constraints.txt").exists() else []
    subprocess.run([folder / "bin/pip", "install", "-qq", *constraints, str(ROOT)], check=True)
    whole = size(folder)
    print(f"light install: {whole / 1e6:.0f} MB on disk, including {empty / 1e6:.0f} MB of the empty venv with pip")
    return [str(folder / "bin/spamlstm")]


def size(folder: Path) -> int:
    """Return the bytes on disk below a folder, as du counts them."""
    return sum(512 * file.lstat().st_blocks for file in folder.rglob("*"))


def with_bytecode(folder: Path) -> dict[str, str]:
    """Return an environment in which commands keep their bytecode in `folder`. A checkout then starts like a package.

    Packages contain bytecode. Compiling all modules would take a quarter of each start.
    """
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def start_up(command: list[str], mail: Path, rounds: int, *, environment: dict[str, str]) -> None:
    """Print the times and the peak memory; the first run fills the file cache and is shown apart."""
    first, *rest = [once(command, mail, environment) for _ in range(rounds + 1)]
    walls, processor, memory = map(sorted, zip(*rest, strict=True))
    print(f"  first start: {first[0]:.3f} s")
    print(f"  then: median {statistics.median(walls):.3f} s of {rounds} starts ({walls[0]:.3f} to {walls[-1]:.3f})")
    print(f"  processor time: median {statistics.median(processor):.3f} s, least {processor[0]:.3f} s")
    print(f"  peak resident memory: {memory[-1]:.0f} MB")


def once(command: list[str], mail: Path, environment: dict[str, str]) -> tuple[float, float, float]:
    """Return (wall seconds, processor seconds, peak resident MB) of one run with `mail` as standard input."""
    start = time.perf_counter()
    with mail.open("rb") as stdin:
        process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
