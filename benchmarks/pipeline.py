"""The pipeline, fsync included: messages per second in a burst, and the latency of single messages.

    python benchmarks/pipeline.py CORPUS/spamassassin2003.tar.xz [--most 3000] [--singly 200]

All mail of the burst is in new when the clock starts. Every message is acted on (ham and unsure are tagged, spam is
tagged and filed), which is the most expensive case; `--defaults` uses the default configuration.
"""

import logging
import statistics
import tempfile
import time
from pathlib import Path

from measurement import argument_parser, make_maildir, read_mail

from spamlstm.config import Action, Config, MaildirConfig
from spamlstm.filtering.counters import Counters
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.pipeline import Pipeline
from spamlstm.model.classifier import Classifier


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("archive", type=Path, help="a corpus archive or folder")
    parser.add_argument("--model", type=Path, help="a bundle [default: the model in use]")
    parser.add_argument("--most", type=int, default=3_000, help="messages of the burst [default: 3000]")
    parser.add_argument("--singly", type=int, default=200, help="single messages [default: 200]")
    parser.add_argument("--defaults", action="store_true", help="use the default configuration")
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    raws = [one.raw for one in read_mail(arguments.archive, most=arguments.most)]
    with tempfile.TemporaryDirectory() as folder:
        root = make_maildir(Path(folder, "Maildir"))
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
        (root / "new" / f"{number}.burst").write_bytes(_with_id(number, raw))
    begun = time.perf_counter()
    outcomes = pipeline.process(pipeline.scan(root))
    took = time.perf_counter() - begun
    acted = sum(bool(outcome.actions) for outcome in outcomes)
    print(f"burst of {len(outcomes):,}: {len(outcomes) / took:,.0f} per second; {acted:,} tagged or filed")


def singly(pipeline: Pipeline, root: Path, raws: list[bytes]) -> None:
    times = []
    for number, raw in enumerate(raws):
        (root / "new" / f"{number}.single").write_bytes(_with_id(-1 - number, raw))
        begun = time.perf_counter()
        pipeline.process(pipeline.scan(root, parts=("new",)))
        times.append(1000 * (time.perf_counter() - begun))
    times.sort()
    print(f"one by one: p50 {statistics.median(times):.1f} ms, p99 {times[int(len(times) * 0.99)]:.1f} ms")


def _with_id(number: int, raw: bytes) -> bytes:
    """Add a Message-ID, which makes copies of one message different messages."""
    return f"Message-ID: <{number}@mx.example.org>\n".encode() + raw


if __name__ == "__main__":
    main()
