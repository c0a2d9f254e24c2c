"""Adopting a mailbox that is there already: how good the filter is on the mail that comes next, and what it costs.

`half`: a mailbox is made of the first half of some corpora, by date: ham as its user would have kept it, spam in the
junk folder. It is adopted, and the second half is judged as it is shipped; so are the base alone, and bogofilter taught
the same half. `households`: the same with many small mailboxes, cut one behind the other from one corpus.
`balance`: what becomes of the next mail where much more of one kind than of the other was learned; the rule of adopting
that keeps them near each other is left out. `many`: how long adopting a large mailbox takes, and how much memory.
"""

import argparse
import contextlib
import io
import itertools
import json
import os
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import numpy as np
from beside_bogofilter import SAMPLE_SECONDS, Run, family, memory_of, spamlstm, teach

from spamlstm.cli import translate
from spamlstm.corpus import labelled_mail
from spamlstm.corpus.labelled_mail import Labelled
from spamlstm.evaluation import evaluate
from spamlstm.evaluation.evaluate import Columns, Key, Summary
from spamlstm.evaluation.trec_protocol import keyed
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer, learned_layer
from spamlstm.model.classifier import Assessed, Classifier
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.verdict import Judgement, Verdict

DAY = 86_400
FIRST = datetime(2025, 3, 3, 12, tzinfo=UTC)
PARTS = ("new", "cur", "tmp")
# What users do with ham: read and kept, filed, answered, flagged.
HAM_PLACES = (("", "S"), ("", "S"), (".Keep", "S"), ("", "RS"), ("", "FS"))
BOGOFILTER_SAYS = {"H": Verdict.HAM, "U": Verdict.UNSURE, "S": Verdict.SPAM}
# Of a corpus in `balance`: three quarters are learned from, the rest is judged.
MOST = 16_000
EVEN = ((0, 0), (1000, 1000))
PROPORTIONS = (*EVEN, (1000, 100), (1000, 20), (1000, 5), (1000, 0), (300, 1000), (100, 1000), (20, 1000), (0, 1000))
SHOWN = ("one_minus_roca_pct", "hm_pct", "sm_pct", "unsure_pct")
# With --bare only these stay: what another server, or another year, wrote into mail tells the corpora apart.
SENT = re.compile(rb"^(?:from|subject|reply-to|content-[a-z-]+|mime-version|list-unsubscribe):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Labelled mail in the order in which it came; the first `told` is there when the filter comes."""

    mail: Sequence[Labelled]
    told: int


def main() -> int:
    arguments = _parser().parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.temp) as folder:
        if arguments.what == "many":
            many(arguments, Path(folder))
        elif arguments.what == "balance":
            balance(arguments)
        else:
            accuracy(arguments, Path(folder))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    for name in ("half", "households", "balance", "many"):
        command = commands.add_parser(name)
        command.add_argument("corpora", type=Path, nargs="+", help="corpus archives or folders")
        command.add_argument("--model", type=Path, help="a bundle that has not seen that mail")
        command.add_argument("--temp", type=Path, help="where to put the mailbox; else the system's temporary folder")
    for name in ("half", "households"):
        command = commands.choices[name]
        command.add_argument("--spam", type=float, help="thin out spam to this share of all, at random")
        command.add_argument("--seed", type=int, default=0)
    half, households = commands.choices["half"], commands.choices["households"]
    half.add_argument("--most", type=int, help="only the first so many messages of each corpus")
    half.add_argument("--interleave", action="store_true", help="run the corpora beside each other, each by its dates")
    half.add_argument("--bare", action="store_true", help="only with headers that a sender writes, by one server")
    households.add_argument("--size", type=int, default=534, help="messages of a mailbox, half of them told")
    households.add_argument("--most", type=int, default=20, help="mailboxes")
    commands.choices["balance"].add_argument(
        "--shuffle", action="store_true", help="in any order: for a corpus that is not in the order of time"
    )
    commands.choices["balance"].add_argument(
        "--blocks", action="store_true", help="label a folder of ham, and then one of spam, by command"
    )
    commands.choices["many"].add_argument("--most", type=int, default=50_000, help="messages")
    return parser


# --- mailboxes ------------------------------------------------------------------------------------------------------


def mailboxes(arguments: argparse.Namespace) -> list[Mailbox]:
    chance = random.Random(arguments.seed)
    if arguments.what == "half":
        mails = [itertools.islice(labelled_mail.read_labelled(path), arguments.most) for path in arguments.corpora]
        streams = [sorted(one, key=lambda mail: mail.date) for one in mails]
        mail = thinned(list(itertools.chain(*streams)), arguments.spam, chance)
        if arguments.interleave:
            ranks = {
                id(one): (at + chance.random()) / len(stream) for stream in streams for at, one in enumerate(stream)
            }
            mail.sort(key=lambda one: ranks[id(one)])
        else:
            mail.sort(key=lambda one: one.date)
        if arguments.interleave or arguments.bare:
            mail = [redelivered(one, number, only_sent=arguments.bare) for number, one in enumerate(mail)]
        return [Mailbox(mail, len(mail) // 2)]
    (path,) = arguments.corpora
    stream, size = thinned(list(labelled_mail.read_labelled(path)), arguments.spam, chance), arguments.size
    # Spread over the whole corpus.
    starts = np.linspace(0, len(stream) - size, arguments.most).astype(int).tolist()
    cut = [Mailbox(stream[start : start + size], size // 2) for start in starts]
    return [one for one in cut if all(len({mail.label for mail in half}) == 2 for half in halves(one))]


def halves(mailbox: Mailbox) -> tuple[Sequence[Labelled], Sequence[Labelled]]:
    return mailbox.mail[: mailbox.told], mailbox.mail[mailbox.told :]


def thinned(mail: list[Labelled], share: float | None, chance: random.Random) -> list[Labelled]:
    """With so much of the spam that it makes up this share."""
    if share is None:
        return mail
    ham = sum(one.label == "ham" for one in mail)
    kept = min(1.0, ham * share / (1 - share) / max(len(mail) - ham, 1))
    return [one for one in mail if one.label == "ham" or chance.random() < kept]


def redelivered(mail: Labelled, number: int, *, only_sent: bool) -> Labelled:
    """The message as one server would have delivered it, minute by minute; if asked, without what others had added."""
    head, end, body = mail.raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    lines = re.split(rb"\n(?![ \t])", head)
    kept = [line for line in lines if SENT.match(line) or not only_sent]
    received = f"Received: by mx.example.org; {format_datetime(FIRST + timedelta(minutes=number))}".encode()
    own = [received, *([b"To: me@example.org"] if only_sent else [])]
    return Labelled(mail.id, mail.label, mail.source, mail.date, b"\n".join([*own, *kept]) + end + body)


def deliver(mail: Iterable[Labelled], root: Path) -> None:
    """Lay mail down as it lies in a mailbox that its user has had for a while."""
    for folder in ("", ".Keep", ".Junk"):
        for part in PARTS:
            (root / folder / part).mkdir(parents=True, exist_ok=True)
    ham = 0
    now = time.time()
    for number, one in enumerate(mail):
        folder, flags = (".Junk", "S") if one.label == "spam" else HAM_PLACES[ham % len(HAM_PLACES)]
        ham += one.label == "ham"
        path = root / folder / "cur" / f"{number:06}.host:2,{flags}"
        path.write_bytes(one.raw)
        # What came when is the order here; the Received lines of a corpus of another year would say the same.
        os.utime(path, (now - 400 * DAY + 60 * number,) * 2)


# --- how good -------------------------------------------------------------------------------------------------------


def accuracy(arguments: argparse.Namespace, folder: Path) -> None:
    """Print a row for each filter: of one mailbox its figures, of many their mean, median and sums."""
    results: dict[str, list[Summary]] = {}
    found = mailboxes(arguments)
    for number, mailbox in enumerate(found):
        place = folder / str(number)
        for name, summary in judged(mailbox, place, arguments.model):
            results.setdefault(name, []).append(summary)
        shutil.rmtree(place)
    told, rest = (sum(len(part) for part in parts) for parts in zip(*map(halves, found), strict=True))
    ham = sum(one.label == "ham" for mailbox in found for one in halves(mailbox)[0])
    print(f"{len(found)} mailboxes, {told:,} messages adopted ({ham:,} ham), the next {rest:,} judged")
    print(f"{'':14}" + "".join(f"{name:>20}" for name in SHOWN) + f"{'worst hm_pct':>16}{'median roca':>14}")
    for name, summaries in results.items():
        row(name, summaries)


def row(name: str, summaries: list[Summary]) -> None:
    """The mean of the mailboxes; of ham lost, all of it against all ham."""
    cells = []
    for key in SHOWN:
        figures = [(one.figures[key], one) for one in summaries]
        values = [(figure.value, one.n_ham if key == "hm_pct" else 1) for figure, one in figures if figure]
        cells.append(f"{sum(v * w for v, w in values) / sum(w for _, w in values):>20.3f}" if values else f"{'-':>20}")
    lost = [figure.value for one in summaries if (figure := one.figures["hm_pct"])]
    areas = [figure.value for one in summaries if (figure := one.figures["one_minus_roca_pct"])]
    print(f"{name:14}{''.join(cells)}{max(lost, default=0):>16.3f}{statistics.median(areas):>14.3f}", flush=True)


def judged(mailbox: Mailbox, folder: Path, model: Path | None) -> Iterable[tuple[str, Summary]]:
    """(filter, figures) of the second half."""
    told, rest = halves(mailbox)
    deliver(told, folder / "Maildir")
    adopt(folder, model)
    yield "base alone", ours(rest, Classifier.open(model))
    taught = Classifier.open(model, personal_features=True)
    yield "adopted", ours(rest, taught, learned_layer(folder / "state"))
    if shutil.which("bogofilter"):
        yield "bogofilter", bogofilter(told, rest, folder)


def adopt(folder: Path, model: Path | None) -> None:
    """As a user says it."""
    command = ["adopt", str(folder / "Maildir"), "--state", str(folder / "state"), "--json"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = translate.run([*command, *(["--model", str(model)] if model else [])])
    if status:
        sys.exit(f"adopt ended with {status}")
    told = json.loads(said.getvalue())
    thresholds = told["bars"]
    print(
        f"adopted {told['new']:,}; spam threshold {thresholds['spam']:.5f}, model's {thresholds['model']['spam']:.5f}",
        flush=True,
    )


def ours(rest: Sequence[Labelled], classifier: Classifier, layer: PersonalLayer | None = None) -> Summary:
    columns = Columns()
    keys = ((Key(one.id, one.source, one.label == "spam"), one.raw) for one in rest)
    for done in classifier.judge_many(keys, layer_of=lambda _: layer, readers=0):
        columns.add(done.key, done.judgement)
    return evaluate.summarise(columns.close())


def bogofilter(told: Sequence[Labelled], rest: Sequence[Labelled], folder: Path) -> Summary:
    """Taught the first half at once, as it is best at."""
    paths = [written(one, folder / "told" / f"{number}.eml") for number, one in enumerate(told)]
    teach(folder / "words", list(zip(paths, (one.label for one in told), strict=True)))
    asked = [str(written(one, folder / "rest" / f"{number}.eml")) for number, one in enumerate(rest)]
    command = ["bogofilter", "-d", str(folder / "words"), "-T", "-b"]
    done = subprocess.run(command, input="\n".join(asked) + "\n", text=True, stdout=subprocess.PIPE, check=False)
    columns = Columns()
    for one, path, line in zip(rest, asked, done.stdout.splitlines(), strict=True):
        name, verdict, score = line.rsplit(" ", 2)
        if name != path:
            sys.exit("bogofilter did not answer for each message in order")
        judgement = Judgement(BOGOFILTER_SAYS[verdict], float(score), float(score), "score", "bogofilter")
        columns.add(Key(one.id, one.source, one.label == "spam"), judgement)
    return evaluate.summarise(columns.close())


def written(mail: Labelled, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(mail.raw)
    return path


# --- how much of either kind ----------------------------------------------------------------------------------------


def balance(arguments: argparse.Namespace) -> None:
    """Print a row for each proportion: learned from the corpus's first part as `adopt` does, judged what comes then.

    Caught is the spam that is judged spam.
    """
    chance = random.Random(0)
    classifier = Classifier.open(arguments.model, personal_features=True)
    mail = list(itertools.islice(labelled_mail.read_labelled(arguments.corpora[0]), MOST))
    if arguments.shuffle:
        random.Random(1).shuffle(mail)
    assessed = list(classifier.assess_many(keyed(mail)))
    first, rest = assessed[: len(mail) * 3 // 4], assessed[len(mail) * 3 // 4 :]
    place = {id(one): at for at, one in enumerate(first)}
    print(f"{'ham:spam':>12}" + "".join(f"{name:>20}" for name in (*SHOWN, "caught_pct")))
    for ham, spam in PROPORTIONS:
        told = [*sample(first, ham, chance, spam=False), *sample(first, spam, chance, spam=True)]
        told.sort(key=lambda one: place[id(one)])
        layer = labelled(told, [mail[place[id(one)]].raw for one in told]) if arguments.blocks else adopted(told)
        columns = Columns()
        for one in rest:
            columns.add(one.key, classifier.judge(one, layer).judgement)
        outcomes = columns.close()
        figures = evaluate.summarise(outcomes).figures
        cells = "".join(f"{figures[key].value:>20.3f}" for key in SHOWN)
        caught = np.mean(outcomes.are(Verdict.SPAM)[outcomes.spam])
        print(f"{f'{ham}:{spam}':>12}{cells}{100 * caught:>20.3f}", flush=True)


def adopted(told: Sequence[Assessed[Key]]) -> PersonalLayer:
    """What is learned of history, in its order."""
    layer = PersonalLayer()
    for one in told:
        layer.learn(one.personal_features, prior=one.prior, spam=one.key.spam, history=True)
    return layer


def labelled(told: Sequence[Assessed[Key]], raws: Sequence[bytes]) -> PersonalLayer:
    """What is learned where the ham is labelled by one command and then the spam by another."""
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(LabelStore.open(Path(folder))) as labels:
        trainer = Trainer(labels)
        for label in Label:
            pairs = zip(told, raws, strict=True)
            mail = [one._replace(key=raw) for one, raw in pairs if one.key.spam is (label is Label.SPAM)]
            for _ in trainer.add_labels(mail, label, model="m"):
                pass
        return trainer.layer


def sample(assessed: Sequence[Assessed[Key]], most: int, chance: random.Random, *, spam: bool) -> list[Assessed[Key]]:
    of = [one for one in assessed if one.key.spam is spam and one.personal_features is not None]
    return chance.sample(of, min(most, len(of)))


# --- how long -------------------------------------------------------------------------------------------------------


def many(arguments: argparse.Namespace, folder: Path) -> None:
    """Print seconds and memory of adopting, of adopting again, and of taking it back, each a process."""
    streams = itertools.chain(*(labelled_mail.read_labelled(path) for path in arguments.corpora))
    deliver(itertools.islice(streams, arguments.most), folder / "Maildir")
    command = [*spamlstm(), "adopt", str(folder / "Maildir"), "--state", str(folder / "state"), "--json"]
    command += ["--model", str(arguments.model)] if arguments.model else []
    for name, more in (("adopt", []), ("again", []), ("undo", ["--undo"])):
        run, peak, said = timed([*command, *more])
        told = json.loads(said)
        number = told.get("new", told.get("taken_back"))
        times = f"{run.wall:8.1f} s by the clock, {run.cpu:6.1f} s of the processors"
        print(f"{name:8}{times}, {peak:6.0f} MB (RSS, all processes), {number:,} labels", flush=True)
        if name == "adopt":
            print("       ", json.dumps({key: told[key] for key in ("evidence", "bars", "ham_filed", "last")}))
            size = sum(path.stat().st_size for path in (folder / "state").iterdir())
            print(f"        the store has {size >> 20} MB")


def timed(command: Sequence[str]) -> tuple[Run, float, str]:
    """(time, MB at most of all its processes together, what it printed)."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    peaks, ended = [0.0], threading.Event()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def watch() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            peaks.append(memory_of(family(process.pid)).rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    said = process.communicate()[0]
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    ended.set()
    watcher.join()
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return Run(wall, cpu), max(peaks), said


if __name__ == "__main__":
    sys.exit(main())
