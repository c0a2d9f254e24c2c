"""Known senders: how much mail of a stream has a proven sender, and of how much the sender sent ham or spam before.

The messages of each corpus are read by date, the corpora in the given order. Each message is counted by what is known
of its sender at that time, and then learned with its label. `known ham` is moved towards ham, `known spam` towards
spam. The last column is the processor time for reading a sender in microseconds. No model is used.
"""

import sys
import time
from collections import Counter
from pathlib import Path

from measurement import argument_parser, read_mail

from spamlstm.features.sender_identity import sender_identity
from spamlstm.message.message import parse_message
from spamlstm.model.correspondents import Correspondents

COLUMNS = ("messages", "proven", "known ham", "known spam")


def main() -> int:
    parser = argument_parser(__doc__)
    parser.add_argument("corpora", type=Path, nargs="+", help="corpus archives or folders")
    parser.add_argument("--most", type=int, help="only the first MOST messages of each corpus")
    arguments = parser.parse_args()
    known = Correspondents()
    print(f"{'':28}{'label':>6}{''.join(f'{one:>12}' for one in COLUMNS)}{'µs':>8}")
    for corpus in arguments.corpora:
        counts, took = read_senders(corpus, known, most=arguments.most)
        for label in ("ham", "spam"):
            if counts[label, "messages"]:
                row = "".join(f"{counts[label, one]:>12,}" for one in COLUMNS)
                print(f"{corpus.name:28}{label:>6}{row}{1e6 * took:>8.0f}", flush=True)
    return 0


def read_senders(corpus: Path, known: Correspondents, *, most: int | None) -> tuple[Counter[tuple[str, str]], float]:
    """Return the counts of one corpus, and the processor seconds for reading a sender."""
    counts: Counter[tuple[str, str]] = Counter()
    took = 0.0
    for mail in sorted(read_mail(corpus, most=most), key=lambda mail: mail.date):
        message = parse_message(mail.raw)
        start = time.process_time()
        sender = sender_identity(message)
        took += time.process_time() - start
        evidence = known.evidence(sender)
        counts[mail.label, "messages"] += 1
        counts[mail.label, "proven"] += sender is not None
        if evidence is not None:
            counts[mail.label, "known ham" if evidence.shift < 0 else "known spam"] += 1
        known.learn(sender, spam=mail.label == "spam")
    return counts, took / max(counts["ham", "messages"] + counts["spam", "messages"], 1)


if __name__ == "__main__":
    sys.exit(main())
