"""The processor time of each stage of classifying a message: reading, encoding and scoring, in one thread."""

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from measurement import argument_parser, read_mail

from spamlstm.model.classifier import Classifier

T = TypeVar("T")
CHUNK = 64  # messages scored in one call, about as many as `classify` scores


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("archive", type=Path, help="a corpus archive or folder")
    parser.add_argument("--model", type=Path, help="a bundle [default: the model in use]")
    parser.add_argument("--most", type=int, default=3_000, help="messages [default: 3000]")
    arguments = parser.parse_args()
    gc.set_threshold(50_000)  # as in every command and reader process
    classifier = Classifier.open(arguments.model)
    raws = [one.raw for one in read_mail(arguments.archive, most=arguments.most)]
    count = len(raws)

    readings = timed("read (parse, render, cut)", count, lambda: [classifier.reader.read(raw) for raw in raws])
    windows = [window for reading in readings for window in reading.windows]
    rows = timed("encode, new words", count, lambda: classifier.encoder.encode(windows))
    timed("encode, cached words", count, lambda: classifier.encoder.encode(windows))
    each = iter(rows)
    messages = [[next(each) for _ in reading.windows] for reading in readings if reading.windows]
    chunks = [messages[start : start + CHUNK] for start in range(0, len(messages), CHUNK)]
    together = timed("score", count, lambda: [classifier.message_logits(chunk) for chunk in chunks])
    alone = timed("score, each message alone", count, lambda: [classifier.message_logits([one]) for one in messages])
    gap = np.abs(np.concatenate(together) - np.concatenate(alone)).max()
    print(f"largest difference of a logit in a batch and alone: {gap:.1e}")
    print(
        f"{count:,} messages, {len(rows) / count:.2f} windows and {sum(map(len, rows)) / count:.0f} tokens per message"
    )


def timed(what: str, count: int, work: Callable[[], T]) -> T:
    """Return the result of `work`, and print its processor time for each of `count` messages."""
    start = time.process_time()
    result = work()
    print(f"{what:28}{1000 * (time.process_time() - start) / count:8.3f} ms per message")
    return result


if __name__ == "__main__":
    main()
