"""Kill the process with SIGKILL at every system call of tag, file, undo and restart, and count lost or doubled mail.

    python benchmarks/kills.py

The scenarios and the checks after each restart are in tests/fixtures/kills.py. CI takes every fifth call.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/fixtures"))

from killing import can_trace
from kills import SCENARIOS, kill
from measurement import argument_parser


def main() -> int:
    argument_parser(__doc__).parse_args()
    if not can_trace():
        sys.exit("ptrace, which stops a process at a system call, is forbidden on this machine")
    total = wrong = 0
    begun = time.perf_counter()
    # SIGKILL loses nothing that the kernel has, so a file system in memory serves as well, and is fast.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        for name, scenario in SCENARIOS.items():
            call, alive = 0, True
            bad = 0
            while alive:
                call += 1
                path = Path(folder, f"{name}-{call}")
                path.mkdir()
                try:
                    alive = kill(scenario, call, path)
                except AssertionError as error:
                    bad += 1
                    print(f"{name}, call {call}: {error}")
            print(f"{name:30} {call - 1:5} kills  {bad} wrong")
            total, wrong = total + call - 1, wrong + bad
    print(f"{'total':30} {total:5} kills  {wrong} wrong  {time.perf_counter() - begun:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
