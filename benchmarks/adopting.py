"""Adopt an existing mailbox: how well the filter judges the mail that follows, and what adopting costs.

`half`: a mailbox has the first half of some corpora, by date: ham as a user would have kept it, spam in the junk
folder. It is adopted, and the second half is judged; for comparison also by the base alone, and by bogofilter trained
on the same half, and by the adopted layer without what it knows about senders (with the same thresholds).
`households`: the same with many small mailboxes, cut one after the other from one corpus.
`balance`: accuracy on the following mail after learning much more of one class than of the other, without the rule of
`adopt` that keeps the classes balanced. `many`: time and memory of adopting a large mailbox.
"""

import argparse
import contextlib
import io
import itertools
import json
import os
import random
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import bogofilter
import numpy as np
from measurement import (
    argument_parser,
    cells,
    extract,
    header,
    make_maildir,
    model_option,
    read_mail,
    run_watched,
    spamlstm_command,
)

from spamlstm.cli import translate
from spamlstm.corpus.labelled_mail import Labelled
from spamlstm.evaluation import evaluate
from spamlstm.evaluation.evaluate import Columns, Key, Outcomes, keyed
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer, learned_layer
from spamlstm.model.classifier import Assessed, Classifier
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.verdict import Verdict

DAY = 86_400
FIRST = datetime(2025, 3, 3, 12, tzinfo=UTC)
# Folder and flags of ham: read, moved to a folder, answered, flagged.
HAM_PLACES = (("", "S"), ("", "S"), (".Keep", "S"), ("", "RS"), ("", "FS"))
# Messages of the corpus of `balance`: three quarters are learned, the rest is judged.
MOST = 16_000
EVEN = ((0, 0), (1000, 1000))
PROPORTIONS = (*EVEN, (1000, 100), (1000, 20), (1000, 5), (1000, 0), (300, 1000), (100, 1000), (20, 1000), (0, 1000))
SHOWN = ("one_minus_roca_pct", "hm_pct", "sm_pct", "unsure_pct")
# The headers that --bare keeps. Those of other servers and years would give the corpus away.
SENT = re.compile(rb"^(?:from|subject|reply-to|content-[a-z-]+|mime-version|list-unsubscribe):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Labelled mail in order of arrival; the first `adopted` messages are there when the filter is installed."""

    mail: Sequence[Labelled]
    adopted: int


def main() -> int:
    arguments = _parser().parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.temp) as folder:
        commands = {"half": accuracy, "households": accuracy, "balance": balance, "many": many}
        commands[arguments.what](arguments, Path(folder))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argument_parser(__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    for name in ("half", "households", "balance", "many"):
        command = commands.add_parser(name)
        command.add_argument("corpora", type=Path, nargs="+", help="corpus archives or folders")
        command.add_argument("--model", type=Path, help="a bundle that was not trained on this mail")
        command.add_argument("--temp", type=Path, help="where to put the mailbox [default: the temporary folder]")
    for name in ("half", "households"):
        command = commands.choices[name]
        command.add_argument(
            "--spam", type=float, help="leave out spam at random, so that it is this share of the mail"
        )
        command.add_argument("--seed", type=int, default=0)
    half, households = commands.choices["half"], commands.choices["households"]
    half.add_argument("--most", type=int, help="only the first MOST messages of each corpus")
    half.add_argument("--interleave", action="store_true", help="mix the corpora, each in its own order")
    half.add_argument("--bare", action="store_true", help="only headers that senders write, and one server's Received")
    households.add_argument(
        "--size", type=int, default=534, help="messages of a mailbox, half of them adopted [default: 534]"
    )
    households.add_argument("--most", type=int, default=20, help="number of mailboxes [default: 20]")
    households.add_argument("--between", action="store_true", help="the mail between these mailboxes, to tune on")
    commands.choices["balance"].add_argument(
        "--shuffle", action="store_true", help="in random order, for a corpus that is not sorted by date"
    )
    commands.choices["balance"].add_argument(
        "--blocks", action="store_true", help="label ham by one command, then spam by another"
    )
    commands.choices["many"].add_argument("--most", type=int, default=50_000, help="messages [default: 50000]")
    return parser


# --- mailboxes ------------------------------------------------------------------------------------------------------


def mailboxes(arguments: argparse.Namespace) -> list[Mailbox]:
    random_choice = random.Random(arguments.seed)
    if arguments.what == "half":
        corpora = [read_mail(path, most=arguments.most) for path in arguments.corpora]
        streams = [sorted(corpus, key=lambda mail: mail.date) for corpus in corpora]
        mail = thinned(list(itertools.chain(*streams)), arguments.spam, random_choice)
        if arguments.interleave:
            ranks = {
                id(one): (at + random_choice.random()) / len(stream)
                for stream in streams
                for at, one in enumerate(stream)
            }
            mail.sort(key=lambda one: ranks[id(one)])
        else:
            mail.sort(key=lambda one: one.date)
        if arguments.interleave or arguments.bare:
            mail = [redelivered(one, number, only_sent=arguments.bare) for number, one in enumerate(mail)]
        return [Mailbox(mail, len(mail) // 2)]
    (path,) = arguments.corpora
    stream, size = thinned(list(read_mail(path)), arguments.spam, random_choice), arguments.size
    starts = np.linspace(0, len(stream) - size, arguments.most).astype(int).tolist()
    if arguments.between:
        starts = [(start + end) // 2 for start, end in itertools.pairwise(starts)]
    cut = [Mailbox(stream[start : start + size], size // 2) for start in starts]
    return [one for one in cut if all(len({mail.label for mail in half}) == 2 for half in halves(one))]


def halves(mailbox: Mailbox) -> tuple[Sequence[Labelled], Sequence[Labelled]]:
    return mailbox.mail[: mailbox.adopted], mailbox.mail[mailbox.adopted :]


def thinned(mail: list[Labelled], share: float | None, random_choice: random.Random) -> list[Labelled]:
    """Return the mail without some of its spam, so that spam is a share of it."""
    if share is None:
        return mail
    ham = sum(one.label == "ham" for one in mail)
    kept = min(1.0, ham * share / (1 - share) / max(len(mail) - ham, 1))
    return [one for one in mail if one.label == "ham" or random_choice.random() < kept]


def redelivered(mail: Labelled, number: int, *, only_sent: bool) -> Labelled:
    """Return a message as if one server delivered all mail, one message a minute; if asked, with sent headers only."""
    head, end, body = mail.raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    lines = re.split(rb"\n(?![ \t])", head)
    kept = [line for line in lines if SENT.match(line) or not only_sent]
    received = f"Received: by mx.example.org; {format_datetime(FIRST + timedelta(minutes=number))}".encode()
    own = [received, *([b"To: me@example.org"] if only_sent else [])]
    return Labelled(mail.id, mail.label, mail.source, mail.date, b"\n".join([*own, *kept]) + end + body)


def deliver(mail: Iterable[Labelled], root: Path) -> None:
    """Fill a mailbox with mail as its user would have filed it over time."""
    for folder in ("", ".Keep", ".Junk"):
        make_maildir(root / folder)
    ham = 0
    now = time.time()
    for number, one in enumerate(mail):
        folder, flags = (".Junk", "S") if one.label == "spam" else HAM_PLACES[ham % len(HAM_PLACES)]
        ham += one.label == "ham"
        path = root / folder / "cur" / f"{number:06}.host:2,{flags}"
        path.write_bytes(one.raw)
        # The modification time is the time of delivery.
        os.utime(path, (now - 400 * DAY + 60 * number,) * 2)


# --- accuracy -------------------------------------------------------------------------------------------------------


def accuracy(arguments: argparse.Namespace, folder: Path) -> None:
    """Print a row for each filter, with the figures over all mailboxes."""
    results: dict[str, list[Outcomes]] = {}
    found = mailboxes(arguments)
    for number, mailbox in enumerate(found):
        for name, outcomes in judge_rest(mailbox, folder / str(number), arguments.model):
            results.setdefault(name, []).append(outcomes)
        shutil.rmtree(folder / str(number))
    adopted, rest = (sum(len(part) for part in parts) for parts in zip(*map(halves, found), strict=True))
    ham = sum(one.label == "ham" for mailbox in found for one in halves(mailbox)[0])
    print(f"{len(found)} mailboxes, {adopted:,} messages adopted ({ham:,} ham), the next {rest:,} judged")
    print(f"{'':18}{header(SHOWN)}{'ham unsure':>14}{'spam unsure':>14}{'worst hm_pct':>16}{'median roca':>14}")
    for name, outcomes in results.items():
        row(name, outcomes)


def row(name: str, outcomes: list[Outcomes]) -> None:
    """Print the means over the mailboxes. hm_pct and the shares of unsure ham and spam are of all ham and spam."""
    summaries, means = [evaluate.summarise(one) for one in outcomes], []
    for key in SHOWN:
        figures = [(one.figures[key], one) for one in summaries]
        values = [(figure.value, one.n_ham if key == "hm_pct" else 1) for figure, one in figures if figure]
        means.append(f"{sum(v * w for v, w in values) / sum(w for _, w in values):>20.3f}" if values else f"{'-':>20}")
    lost = [figure.value for one in summaries if (figure := one.figures["hm_pct"])]
    areas = [figure.value for one in summaries if (figure := one.figures["one_minus_roca_pct"])]
    unsure, spam = (
        np.concatenate(parts) for parts in zip(*((one.are(Verdict.UNSURE), one.spam) for one in outcomes), strict=True)
    )
    shares = "".join(f"{100 * np.mean(unsure[spam == kind]):>14.2f}" for kind in (False, True))
    rest = f"{shares}{max(lost, default=0):>16.3f}{statistics.median(areas):>14.3f}"
    print(f"{name:18}{''.join(means)}{rest}", flush=True)


def judge_rest(mailbox: Mailbox, folder: Path, model: Path | None) -> Iterable[tuple[str, Outcomes]]:
    """Yield (filter, verdicts) on the second half of a mailbox."""
    first, rest = halves(mailbox)
    deliver(first, folder / "Maildir")
    adopt(folder, model)
    classifier, layer = Classifier.open(model, personal_features=True), learned_layer(folder / "state")
    assessed = list(classifier.assess_many(keyed(rest), readers=0))
    yield "base alone", judged(assessed, classifier, None)
    yield "adopted", judged(assessed, classifier, layer)
    yield "without senders", judged([one._replace(sender=None) for one in assessed], classifier, layer)
    if bogofilter.is_installed():
        training = [(path, one.label) for path, one in extract(first, folder / "training")]
        bogofilter.train(folder / "words", training)
        yield "bogofilter", bogofilter.judge(folder / "words", list(extract(rest, folder / "rest")))


def judged(assessed: Iterable[Assessed[Key]], classifier: Classifier, layer: PersonalLayer | None) -> Outcomes:
    columns = Columns()
    for one in assessed:
        columns.add(one.key, classifier.judge(one, layer).judgement)
    return columns.close()


def adopt(folder: Path, model: Path | None) -> None:
    """Run `spamlstm adopt`."""
    (folder / "state").mkdir(mode=0o700, exist_ok=True)
    command = ["adopt", str(folder / "Maildir"), "--state", str(folder / "state"), "--json", *model_option(model)]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = translate.run(command)
    if status:
        sys.exit(f"adopt ended with {status}")
    report = json.loads(output.getvalue())
    found = report["thresholds"]
    print(
        f"adopted {report['new']:,}; spam threshold {found['spam']:.5f}, policy's {found['policy']['spam']:.5f}",
        flush=True,
    )


# --- balance --------------------------------------------------------------------------------------------------------


def balance(arguments: argparse.Namespace, _folder: Path) -> None:
    """Print a row for each proportion of ham and spam learned from the first part of the corpus, as `adopt` learns.

    caught_pct is the share of the spam that is judged spam.
    """
    random_choice = random.Random(0)
    classifier = Classifier.open(arguments.model, personal_features=True)
    mail = list(read_mail(arguments.corpora[0], most=MOST))
    if arguments.shuffle:
        random.Random(1).shuffle(mail)
    assessed = list(classifier.assess_many(keyed(mail)))
    first, rest = assessed[: len(mail) * 3 // 4], assessed[len(mail) * 3 // 4 :]
    index = {id(one): number for number, one in enumerate(first)}
    print(f"{'ham:spam':>12}{header((*SHOWN, 'caught_pct'))}")
    for ham, spam in PROPORTIONS:
        chosen = [*sample(first, ham, random_choice, spam=False), *sample(first, spam, random_choice, spam=True)]
        chosen.sort(key=lambda one: index[id(one)])
        layer = (
            learn_blocks(chosen, [mail[index[id(one)]].raw for one in chosen]) if arguments.blocks else learn(chosen)
        )
        outcomes = judged(rest, classifier, layer)
        caught = 100 * np.mean(outcomes.are(Verdict.SPAM)[outcomes.spam])
        row = cells(evaluate.summarise(outcomes), SHOWN, digits=3)
        print(f"{f'{ham}:{spam}':>12}{row}{caught:>20.3f}", flush=True)


def learn(mail: Sequence[Assessed[Key]]) -> PersonalLayer:
    """Learn labels in the order of the mail, as `adopt` does."""
    layer = PersonalLayer()
    for one in mail:
        layer.learn(one.personal_features, prior=one.prior, spam=one.key.spam, history=True, sender=one.sender)
    return layer


def learn_blocks(mail: Sequence[Assessed[Key]], raws: Sequence[bytes]) -> PersonalLayer:
    """Learn all ham labels as one command, then all spam labels as another."""
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(LabelStore.open(Path(folder))) as labels:
        trainer = Trainer(labels)
        for label in Label:
            pairs = zip(mail, raws, strict=True)
            block = [one._replace(key=raw) for one, raw in pairs if one.key.spam is (label is Label.SPAM)]
            for _ in trainer.add_labels(block, label, model="m"):
                pass
        return trainer.layer


def sample(
    assessed: Sequence[Assessed[Key]], most: int, random_choice: random.Random, *, spam: bool
) -> list[Assessed[Key]]:
    members = [one for one in assessed if one.key.spam is spam and one.personal_features is not None]
    return random_choice.sample(members, min(most, len(members)))


# --- cost -----------------------------------------------------------------------------------------------------------


def many(arguments: argparse.Namespace, folder: Path) -> None:
    """Print seconds and memory of adopting, of adopting again, and of undoing it, each as a process."""
    deliver(read_mail(*arguments.corpora, most=arguments.most), folder / "Maildir")
    (folder / "state").mkdir(mode=0o700)
    command = [*spamlstm_command(), "adopt", str(folder / "Maildir"), "--state", str(folder / "state"), "--json"]
    command += model_option(arguments.model)
    for name, more in (("adopt", []), ("again", []), ("undo", ["--undo"])):
        time_taken, memory, output = run_watched([*command, *more])
        report = json.loads(output)
        number = report.get("new", report.get("removed"))
        times = f"{time_taken.wall:8.1f} s wall time, {time_taken.cpu:6.1f} s processor time"
        print(f"{name:8}{times}, peak {memory.rss:6.0f} MB (RSS, all processes), {number:,} labels", flush=True)
        if name == "adopt":
            shown = ("evidence", "thresholds", "false_positive_rate", "rehearsal")
            print("       ", json.dumps({key: report[key] for key in shown}))
            size = sum(path.stat().st_size for path in (folder / "state").iterdir())
            print(f"        the label store has {size >> 20} MB")


if __name__ == "__main__":
    sys.exit(main())
