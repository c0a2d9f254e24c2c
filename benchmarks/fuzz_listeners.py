"""Fuzz the protocols of the listeners and the answers of IMAP servers: no exception, no hang, no growth of memory.

    .venv/bin/python benchmarks/fuzz_listeners.py
    .venv/bin/python benchmarks/fuzz_listeners.py --only milter --seed 4711 --count 1

Each input is a recorded or written request with some changes, sent in pieces. It is determined by its protocol and its
seed. The code of the listeners runs without a model and without sockets. `listener.py fuzz` and `milter.py fuzz` send
such bytes to a whole daemon. The exit status is 1 if there are findings.
"""

import contextlib
import random
import re
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "fixtures")]

from fuzzing.findings import Findings  # noqa: E402
from fuzzing.protocols import Clients, imap_case  # noqa: E402
from fuzzing.wire import SEEDS, mutated  # noqa: E402
from measurement import argument_parser  # noqa: E402

# The largest processor time of one input in seconds, and the largest growth in MB after a tenth of the inputs.
MOST_SECONDS, MOST_GROWTH = 2.0, 8.0


def main() -> int:
    parser = argument_parser(__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="inputs of each protocol [default: 100000]")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first input [default: 0]")
    parser.add_argument("--only", nargs="+", choices=SEEDS, default=tuple(SEEDS), help="protocols [default: all]")
    parser.add_argument("--findings", type=Path, help="folder for findings [default: a new one]")
    given = parser.parse_args()
    findings = Findings(given.findings or Path(tempfile.mkdtemp(prefix="fuzz-listeners-")))
    with contextlib.closing(Clients()) as clients:
        for name in given.only:
            fuzz(name, range(given.seed, given.seed + given.count), clients, findings)
    return findings.report()


def fuzz(name: str, seeds: range, clients: Clients, findings: Findings) -> None:
    """Send all inputs of a protocol, and print what it took."""
    starts = SEEDS[name]()
    began, slowest, before = time.process_time(), 0.0, 0.0
    for number, seed in enumerate(seeds):
        if number == len(seeds) // 10:
            before = resident()
        chance = random.Random(f"{name} {seed}")
        sent = mutated(chance.choice(starts), starts, chance, is_packets=name == "milter")
        start = time.process_time()
        try:
            imap_case(sent) if name == "imap" else clients.case(name, sent, chance)
        except Exception as error:  # noqa: BLE001  it is a finding
            again = f".venv/bin/python benchmarks/fuzz_listeners.py --only {name} --seed {seed} --count 1"
            findings.add_error(name, error, sent, more=again)
        slowest = max(slowest, taken := time.process_time() - start)
        if taken > MOST_SECONDS:
            findings.add(f"{name}: an input takes more than {MOST_SECONDS} s", f"seed {seed}", sent)
    growth = resident() - before
    if len(seeds) >= 10_000 and growth > MOST_GROWTH:
        findings.add(f"{name}: the memory grows", f"{growth:.1f} MB")
    seconds = time.process_time() - began
    print(
        f"{name:7} {len(seeds):,} inputs in {seconds:.0f} s of processor time, slowest {1000 * slowest:.0f} ms,"
        f" memory {growth:+.1f} MB after the first tenth",
        flush=True,
    )


def resident() -> float:
    """Return the memory of this process in MB."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
