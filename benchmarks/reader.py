"""Count mail that is lost or doubled while a reader moves it from new to cur and changes flags all the time.

    python benchmarks/reader.py [COUNT]

By default there are 10,000 messages. Every second one is spam, which is tagged and filed. The classifier is a stub, so
that moves race with moves. The code is that of tests/filtering/test_racing.py.
"""

import logging
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/fixtures"))
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
        print("; ".join(problems) or "each message is there once, unchanged; no errors")
        one.journal.close()
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
