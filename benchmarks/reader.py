"""A reader takes mail from new to cur and changes flags all the time while messages arrive: is any lost, or doubled?

    python benchmarks/reader.py [COUNT]

10,000 messages by default, every second one spam, which is tagged and filed. The judge is a stub, so that the race is
one of moves. The work is that of tests/filtering/test_racing.py.
"""

import logging
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/filtering"))

from test_racing import race, wrong


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        one, outcomes, changes = race(Path(folder), count)
        problems = wrong(one, count)
        shown = ", ".join(f"{number} {status}" for status, number in sorted(outcomes.items()))
        print(f"{count} messages in {time.perf_counter() - begun:.0f} s beside {changes} renames: {shown}")
        print("; ".join(problems) or "each is there once, with its bytes; no errors")
        one.journal.close()
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
