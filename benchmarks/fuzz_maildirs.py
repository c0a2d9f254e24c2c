"""A fuzz of Maildirs and of what is known of them: no exception, and each message there once with its bytes.

    .venv/bin/python benchmarks/fuzz_maildirs.py
    .venv/bin/python benchmarks/fuzz_maildirs.py --only names --seed 4711 --cases 1

Three kinds of cases, drawn by chance from their numbers: `names` of messages that are any bytes, with readers and
crashes in between; `folders` of any name, with links and files in their place, that change while they are worked in;
and `stores`, which are a journal, places and labels that are damaged. Exit status 1 if anything was found.
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

KINDS = ("names", "folders", "stores")
# No step of a case may take longer, in processor time; and no case in all, by the clock.
MOST_SECONDS, PATIENCE = 0.5, 120


def main() -> int:
    arguments = _arguments()
    folder = arguments.findings or Path(tempfile.mkdtemp(prefix="fuzz-maildirs-"))
    findings = Findings(folder)
    print(f"findings in {folder}; the first seed is {arguments.seed}", flush=True)
    cases = load(arguments.only)
    seconds: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    count: Counter[str] = Counter()
    for kind, seed in draw(arguments):
        count[kind] += 1
        # In memory, where fsync costs nothing.
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir="/dev/shm", ignore_cleanup_errors=True) as place:
            told = in_a_process(partial(one, cases[kind], kind, seed, findings, Path(place)))
        if told is None:
            findings.add(f"{kind}: the process ended", command(kind, seed))
        else:
            seconds[kind] |= Counter(told)
    for kind, number in count.items():
        step, most = max(seconds[kind].items(), key=lambda pair: pair[1], default=("none", 0.0))
        print(f"{kind:8} {number:7,} cases; slowest step: {step}, {most:.3f} s")
    return findings.report()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1200.0, help="how long in all (default: 1200)")
    parser.add_argument("--seed", type=int, default=0, help="the number of the first case (default: 0)")
    parser.add_argument("--cases", type=int, default=10**9, help="how many cases at most")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, help="only cases of these kinds")
    parser.add_argument("--findings", type=Path, help="where to save what is found (default: a new folder)")
    return parser.parse_args()


def load(kinds: Sequence[str]) -> dict[str, Callable[..., None]]:
    """What each kind does with a scene. Loaded once, as each case runs in a copy of this process."""
    return {kind: import_module(f"fuzzing.{kind}").case for kind in kinds}


def draw(arguments: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """The cases, as long as there is time."""
    end = time.monotonic() + arguments.seconds
    for number in range(arguments.cases):
        if time.monotonic() >= end:
            return
        turn, which = divmod(number, len(arguments.only))
        yield arguments.only[which], arguments.seed + turn


def command(kind: str, seed: int) -> str:
    """What repeats a case."""
    return f".venv/bin/python benchmarks/fuzz_maildirs.py --only {kind} --seed {seed} --cases 1"


def one(case: Callable[..., None], kind: str, seed: int, findings: Findings, place: Path) -> dict[str, float]:
    """One case in an empty folder; gives the seconds of its steps."""
    from fuzzing.scene import Scene  # noqa: PLC0415  as above

    scene = Scene(place, random.Random(f"{kind} {seed}"))
    try:
        case(scene)
    except Exception as error:  # noqa: BLE001  all are findings, and none ends the fuzz
        findings.add_error(kind, error, more=command(kind, seed))
    for step, spent in scene.seconds.items():
        if spent > MOST_SECONDS:
            findings.add(f"{kind}: {step} takes too long", f"{command(kind, seed)}\n{spent:.2f} s")
    return dict(scene.seconds)


def in_a_process(work: Callable[[], dict[str, float]]) -> dict[str, float] | None:
    """What some work gives, done in a copy of this process; None if that did not come to its end."""
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
        told = pipe.read()
    os.waitpid(child, 0)
    return dict(json.loads(told)) if told else None


if __name__ == "__main__":
    sys.exit(main())
