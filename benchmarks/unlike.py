"""Measure what adopting a mailbox does to the verdicts on mail unlike that mailbox.

Learns some hundred ham and spam messages from the beginning of MAILBOX, as `adopt` does, and judges the mail of other
corpora before and after. Each message is also judged as if the mailbox's server had delivered it: with the headers that
senders write, below the first headers, to the first Received, of a message of the mailbox.
"""

import random
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from adopting import SENT, learn
from measurement import argument_parser, read_mail

from spamlstm.corpus.labelled_mail import Labelled
from spamlstm.evaluation.evaluate import Columns, Key, Outcomes, keyed
from spamlstm.model.classifier import Assessed, Classifier
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.verdict import Verdict

PROPORTIONS = ((600, 600), (600, 444), (300, 100), (100, 300))
# The mailbox is made of this number of messages at the beginning of the corpus.
FIRST = 4000
DATED = re.compile(rb"^(?:date|message-id|to):", re.IGNORECASE)
TRACE = re.compile(rb"\A.*?^received:[^\n]*(?:\n[ \t][^\n]*)*\n", re.IGNORECASE | re.MULTILINE | re.DOTALL)


def main() -> int:
    parser = argument_parser(__doc__)
    parser.add_argument("mailbox", type=Path, help="a corpus in order of time, such as ../shared/corpus/trec07p.tar.xz")
    parser.add_argument("unlike", type=Path, nargs="+", help="corpora of other mail")
    parser.add_argument("--model", type=Path, help="a bundle that was not trained on any of them")
    parser.add_argument("--most", type=int, default=600, help="messages of each corpus [default: 600]")
    arguments = parser.parse_args()
    classifier = Classifier.open(arguments.model, personal_features=True)
    mail = list(read_mail(arguments.mailbox, most=FIRST))
    assessed = list(classifier.assess_many(keyed(mail), readers=0))
    layers = [learn(mailbox(assessed, ham, spam)) for ham, spam in PROPORTIONS]
    print(f"{'':44}{'before':>9}" + "".join(f"{f'{ham}+{spam}':>9}" for ham, spam in PROPORTIONS))
    for corpus in arguments.unlike:
        other = list(read_mail(corpus))
        other = random.Random(0).sample(other, min(arguments.most, len(other)))
        name = corpus.name.partition(".")[0]
        report(name, other, classifier, layers)
        report(f"{name}, delivered", delivered(other, mail), classifier, layers)
    report("the mailbox itself, later", mail[-arguments.most :], classifier, layers)
    return 0


def mailbox(assessed: Sequence[Assessed[Key]], ham: int, spam: int) -> list[Assessed[Key]]:
    """Return the first ham messages, and spam at random from the same time, in order."""
    found = [at for at, one in enumerate(assessed) if not one.key.spam][:ham]
    others = [at for at, one in enumerate(assessed[: found[-1]]) if one.key.spam]
    chosen = sorted(found + random.Random(0).sample(others, min(spam, len(others))))
    return [assessed[at] for at in chosen if assessed[at].personal_features is not None]


def delivered(mail: Iterable[Labelled], mailbox: Sequence[Labelled]) -> Iterator[Labelled]:
    """Yield mail as if the server of the mailbox had delivered it."""
    traces = [match[0] for one in mailbox[:FIRST] if (match := TRACE.match(one.raw.replace(b"\r\n", b"\n")))]
    choice = random.Random(0)
    for one in mail:
        head, end, body = one.raw.replace(b"\r\n", b"\n").partition(b"\n\n")
        written = [line for line in re.split(rb"\n(?![ \t])", head) if SENT.match(line) or DATED.match(line)]
        yield Labelled(
            one.id, one.label, one.source, one.date, choice.choice(traces) + b"\n".join(written) + end + body
        )


def report(name: str, mail: Iterable[Labelled], classifier: Classifier, layers: Sequence[PersonalLayer]) -> None:
    """Print the shares of verdicts in percent: before, and with each layer."""
    columns = [Columns() for _ in (None, *layers)]
    for one in classifier.assess_many(keyed(mail), readers=0):
        for column, layer in zip(columns, (None, *layers), strict=True):
            column.add(one.key, classifier.judge(one, layer).judgement)
    outcomes = [column.close() for column in columns]
    for kind, verdict in (("spam", Verdict.SPAM), ("spam", Verdict.HAM), ("ham", Verdict.SPAM)):
        shares = [share(one, spam=kind == "spam", verdict=verdict) for one in outcomes]
        if not np.isnan(shares[0]):
            print(f"{f'{name}: {kind} judged {verdict}':44}" + "".join(f"{one:>9.2f}" for one in shares), flush=True)


def share(outcomes: Outcomes, *, spam: bool, verdict: Verdict) -> float:
    """Return the percentage of the ham or spam that has this verdict, or NaN if there is none."""
    of_kind = outcomes.spam == spam
    return 100 * float(np.mean(outcomes.are(verdict)[of_kind])) if of_kind.any() else float("nan")


if __name__ == "__main__":
    sys.exit(main())
