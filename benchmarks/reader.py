"""Count mail that is lost or doubled while a reader moves it from new to cur and changes flags all the time.

    python benchmarks/reader.py [COUNT]

Every second message is spam, which is tagged and filed. The classifier is a stub, so that the moves of the filter and
of the reader coincide. The code is in tests/filtering/test_racing.py.
"""

import logging
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/fixtures"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/filtering"))

from measurement import argument_parser
from test_racing import race, wrong


def main() -> int:
    parser = argument_parser(__doc__)
    parser.add_argument("count", type=int, nargs="?", default=10_000, help="messages [default: 10000]")
    count = parser.parse_args().count
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
