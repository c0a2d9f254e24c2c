"""The time to read compressed mail: per message, per MB of data that does not shrink, and of a bomb of 256 MB."""

import os
import sys
import time
from pathlib import Path

from measurement import argument_parser

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "fixtures"))

from compressed import ALL

from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.message.compression import decompressed

MAIL = b"Subject: The garden on Saturday\n\n" + b"Hello Ben,\nshall we plant the beans on Saturday?\n" * 400
ROUNDS = 200


def main() -> int:
    argument_parser(__doc__).parse_args()
    print("format       message of 20 KB   random data   bomb of 256 MB")
    for form in ALL:
        (compress,) = form.values
        try:
            stored, noise, bomb = map(compress, (MAIL, os.urandom(4 << 20), bytes(256 << 20)))
        except ImportError:
            print(f"{form.id:12} the extra `compressed` is not installed")
            continue
        decompressed(stored, most=MOST_BYTES)  # imports the package
        one, per_mb, all_of_it = (seconds(raw, times) for raw, times in ((stored, ROUNDS), (noise, 4), (bomb, 1)))
        print(f"{form.id:12} {1000 * one:13.3f} ms {1000 * per_mb / 4:8.1f} ms/MB {all_of_it:14.2f} s")
    return 0


def seconds(raw: bytes, times: int) -> float:
    """Return the processor time of one decompression."""
    start = time.process_time()
    for _ in range(times):
        decompressed(raw, most=MOST_BYTES)
    return (time.process_time() - start) / times


if __name__ == "__main__":
    sys.exit(main())
