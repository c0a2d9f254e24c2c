"""A burst through the pipeline, fsync included: messages a second, and how long one message by itself takes.

    python benchmarks/pipeline.py CORPUS/spamassassin2003.tar.xz [--most 3000] [--singly 200]

The mail lies in new when the clock starts, as after a stall. By default all of it is acted on (ham and unsure are
tagged, spam is tagged and filed), the dearest case; `--defaults` acts as the default configuration does.
"""

import argparse
import logging
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

from spamlstm.config import Action, Config, MaildirConfig
from spamlstm.corpus import labelled_mail
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.outcome import Counters
from spamlstm.filtering.pipeline import Pipeline
from spamlstm.maildir import names
from spamlstm.model.classifier import Classifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--most", type=int, default=3_000)
    parser.add_argument("--singly", type=int, default=200)
    parser.add_argument("--defaults", action="store_true")
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    raws = [one.raw for one in islice(labelled_mail.read_labelled(arguments.archive), arguments.most)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "Maildir")
        for part in names.PARTS:
            (root / part).mkdir(parents=True)
        section = MaildirConfig(str(root))
        if not arguments.defaults:
            section = MaildirConfig(str(root), unsure=(Action.TAG,), ham=(Action.TAG,))
        config = Config(maildirs=(section,))
        journal = Journal.open(Path(folder, "state"))
        classifier = Classifier.open(arguments.model, config=config)
        pipeline = Pipeline(config=config, classifier=classifier, journal=journal, counters=Counters())
        pipeline.scan(root)
        burst(pipeline, root, raws)
        singly(pipeline, root, raws[: arguments.singly])
        journal.close()


def burst(pipeline: Pipeline, root: Path, raws: list[bytes]) -> None:
    for number, raw in enumerate(raws):
        (root / "new" / f"{number}.burst").write_bytes(_apart(number, raw))
    begun = time.perf_counter()
    outcomes = pipeline.process(pipeline.scan(root))
    took = time.perf_counter() - begun
    acted = sum(bool(outcome.actions) for outcome in outcomes)
    print(f"burst of {len(outcomes):,}: {len(outcomes) / took:,.0f} a second; {acted:,} of them tagged or filed")


def singly(pipeline: Pipeline, root: Path, raws: list[bytes]) -> None:
    times = []
    for number, raw in enumerate(raws):
        (root / "new" / f"{number}.single").write_bytes(_apart(-1 - number, raw))
        begun = time.perf_counter()
        pipeline.process(pipeline.scan(root, parts=("new",)))
        times.append(1000 * (time.perf_counter() - begun))
    times.sort()
    print(f"one by one: p50 {statistics.median(times):.1f} ms, p99 {times[int(len(times) * 0.99)]:.1f} ms")


def _apart(number: int, raw: bytes) -> bytes:
    """Archives hold some messages twice; a server gives each delivery a Received line of its own."""
    return f"Received: by mx.example.org id {number}\n".encode() + raw


if __name__ == "__main__":
    main()
