"""Fuzz Maildirs and databases: no exception is raised, and each message is there once, unchanged.

    .venv/bin/python benchmarks/fuzz_maildirs.py
    .venv/bin/python benchmarks/fuzz_maildirs.py --only names --seed 4711 --cases 1

There are three kinds of cases, each determined by its seed. `names`: message names of any bytes, with readers and
crashes. `folders`: folders of any name, links and files in place of folders, which change during the work. `stores`:
damaged journal, mailbox state and labels. The exit status is 1 if there are findings.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(2, str(Path(__file__).resolve().parent.parent / "tests/fixtures"))

from fuzzing.findings import Findings
from measurement import argument_parser

KINDS = ("names", "folders", "stores")
# Bounds: processor time of a step, and wall time of a case.
MOST_SECONDS, PATIENCE = 0.5, 120


def main() -> int:
    arguments = _arguments()
    folder = arguments.findings or Path(tempfile.mkdtemp(prefix="fuzz-maildirs-"))
    findings = Findings(folder)
    print(f"findings in {folder}; the first seed is {arguments.seed}", flush=True)
    cases = load(arguments.only)
    seconds: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    count: Counter[str] = Counter()
    for kind, seed in cases_of(arguments):
        count[kind] += 1
        # In memory, where fsync is free.
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir="/dev/shm", ignore_cleanup_errors=True) as place:
            step_seconds = in_a_process(partial(one, cases[kind], kind, seed, findings, Path(place)))
        if step_seconds is None:
            findings.add(f"{kind}: the process ended", command(kind, seed))
        else:
            seconds[kind] |= Counter(step_seconds)
    for kind, number in count.items():
        step, most = max(seconds[kind].items(), key=lambda pair: pair[1], default=("none", 0.0))
        print(f"{kind:8} {number:7,} cases; slowest step: {step}, {most:.3f} s")
    return findings.report()


def _arguments() -> argparse.Namespace:
    parser = argument_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=1200.0, help="total time [default: 1200]")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first case [default: 0]")
    parser.add_argument("--cases", type=int, default=10**9, help="maximum number of cases")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, help="kinds of cases [default: all]")
    parser.add_argument("--findings", type=Path, help="folder for findings [default: a new one]")
    return parser.parse_args()


def load(kinds: Sequence[str]) -> dict[str, Callable[..., None]]:
    """Return the function of each kind. They are loaded once, as each case runs in a fork of this process."""
    return {kind: import_module(f"fuzzing.{kind}").case for kind in kinds}


def cases_of(arguments: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """Yield (kind, seed) of each case until the time is over."""
    end = time.monotonic() + arguments.seconds
    for number in range(arguments.cases):
        if time.monotonic() >= end:
            return
        turn, which = divmod(number, len(arguments.only))
        yield arguments.only[which], arguments.seed + turn


def command(kind: str, seed: int) -> str:
    """Return the command that repeats a case."""
    return f".venv/bin/python benchmarks/fuzz_maildirs.py --only {kind} --seed {seed} --cases 1"


def one(case: Callable[..., None], kind: str, seed: int, findings: Findings, place: Path) -> dict[str, float]:
    """Run one case in an empty folder; return the seconds of its steps."""
    from fuzzing.scene import Scene  # noqa: PLC0415  after `load`

    scene = Scene(place, random.Random(f"{kind} {seed}"))
    try:
        case(scene)
    except Exception as error:  # noqa: BLE001  every exception is a finding, and none ends the fuzzing
        findings.add_error(kind, error, more=command(kind, seed))
    for step, spent in scene.seconds.items():
        if spent > MOST_SECONDS:
            findings.add(f"{kind}: {step} takes too long", f"{command(kind, seed)}\n{spent:.2f} s")
    return dict(scene.seconds)


def in_a_process(work: Callable[[], dict[str, float]]) -> dict[str, float] | None:
    """Return the result of `work` in a fork of this process; None if the fork did not finish."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.close(reading)
            signal.alarm(PATIENCE)
            with open(writing, "w") as pipe:  # noqa: PTH123  a descriptor
                json.dump(work(), pipe)
        os._exit(0)
    os.close(writing)
    with open(reading) as pipe:  # noqa: PTH123
        result = pipe.read()
    os.waitpid(child, 0)
    return dict(json.loads(result)) if result else None


if __name__ == "__main__":
    sys.exit(main())
