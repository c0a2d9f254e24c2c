"""Where the time of one message goes: processor milliseconds to read, encode and score it, in one thread."""

import argparse
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TypeVar

from spamlstm.corpus import labelled_mail
from spamlstm.model.classifier import Classifier

T = TypeVar("T")
CHUNK = 100  # rows scored in one call, about what classify does


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--most", type=int, default=3_000)
    arguments = parser.parse_args()
    classifier = Classifier.open(arguments.model)
    raws = [one.raw for one in islice(labelled_mail.read_labelled(arguments.archive), arguments.most)]
    count = len(raws)

    readings = timed("read (parse, render, cut)", count, lambda: [classifier.reader.read(raw) for raw in raws])
    windows = [window for reading in readings for window in reading.windows]
    rows = timed("encode, new words", count, lambda: classifier.encoder.encode(windows))
    timed("encode, words known", count, lambda: classifier.encoder.encode(windows))
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    timed("score", count, lambda: [classifier.scorer.logits(chunk) for chunk in chunks])
    print(f"{count:,} messages, {len(rows) / count:.2f} windows and {sum(map(len, rows)) / count:.0f} tokens each")


def timed(what: str, count: int, work: Callable[[], T]) -> T:
    """What `work` gives; prints what it took of the processor for each of `count` messages."""
    start = time.process_time()
    result = work()
    print(f"{what:28}{1000 * (time.process_time() - start) / count:8.3f} ms a message")
    return result


if __name__ == "__main__":
    main()
