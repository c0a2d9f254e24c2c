"""What a retraining is worth and what it costs: the figures of docs/decisions/0013-retraining.md.

A user's first labels are the first so many messages of a stream, the mail without labels is the next few thousand in a
Maildir, and the test is every so many-th of all that comes later. `spamlstm retrain` runs as a user starts it, with a
state folder and models of its own. Then the base and the retrained network judge the rest of the stream and the other
archives, both without a personal layer, by the shipped ONNX path.
"""

import argparse
import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from beside_bogofilter import family, memory_of

from spamlstm.corpus import labelled_mail
from spamlstm.corpus.labelled_mail import Labelled
from spamlstm.evaluation.evaluate import Columns, Key, Outcomes, summarise
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer
from spamlstm.model.classifier import Classifier

OTHERS = (
    ("spamassassin2003", "csdmc2010"),
    ("lists2019-2026",),
    ("newsletters2019", "ham-notices", "phishing2022-2024"),
)
SHOWN = ("one_minus_roca_pct", "sm_at_hm_0_1_pct", "hm_pct", "sm_pct", "unsure_pct")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path, help="the folder of the archives, such as ../shared/corpus")
    parser.add_argument("--stream", default="trec07p", help="the archive that is the user's mail")
    parser.add_argument("--model", type=Path, default=Path("models/without-trec07p"), help="a base that never saw it")
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--unlabelled", type=int, default=4000, help="so many after the labels")
    parser.add_argument("--flip", type=float, default=0.0, help="this share of the labels, at random, is wrong")
    parser.add_argument("--test", default="8000::5", help="FIRST:LAST:STEP of the stream")
    parser.add_argument("--others", type=int, default=2, help="every so many-th message of the other archives")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        os.environ["XDG_DATA_HOME"] = str(place / "data")
        os.environ.pop("SPAMLSTM_MODEL", None)
        prepare(arguments, place)
        report = retrain(arguments.model, place)
        print(json.dumps(report, indent=1))
        made = place / "data/spamlstm/models" / report["model"]
        if not report["promoted"]:
            sys.exit("refused: there is no network to measure")
        networks = {"base": Classifier.open(arguments.model), "retrained": Classifier.open(made)}
        first, last, step = (int(part) if part else None for part in arguments.test.split(":"))
        stream = named(arguments.corpora, arguments.stream)
        show(
            f"{arguments.stream} {arguments.test}",
            judged(networks, partial(every, step, [stream], first, last)),
        )
        others: dict[str, list[Outcomes]] = {name: [] for name in networks}
        for names in OTHERS:
            paths = [named(arguments.corpora, name) for name in names]
            outcomes = judged(networks, partial(every, arguments.others, paths))
            show("+".join(names), outcomes)
            for name, one in outcomes.items():
                others[name].append(one)
        show("all of these others", {name: joined(parts) for name, parts in others.items()})
    return 0


def named(corpora: Path, name: str) -> Path:
    """An archive, or the same unpacked."""
    return next(path for path in (corpora / name, corpora / f"{name}.tar.xz") if path.exists())


def prepare(arguments: argparse.Namespace, place: Path) -> None:
    """The labels in a store, in order, and the mail without labels in a Maildir."""
    for part in ("new", "cur", "tmp"):
        (place / "mail" / part).mkdir(parents=True)
    base = Classifier.open(arguments.model, personal_features=True)
    mail = labelled_mail.read_labelled(named(arguments.corpora, arguments.stream))
    random = np.random.default_rng(1)
    with contextlib.closing(LabelStore.open(place / "state")) as labels:
        trainer = Trainer(labels)
        for one in itertools.islice(mail, arguments.labels):
            assessed = base.assess(one.raw)
            wrong = random.random() < arguments.flip
            label = Label.SPAM if (one.label == "spam") is not wrong else Label.HAM
            trainer.add_label(one.raw, label, prior=assessed.prior, tokens=assessed.tokens, model=base.bundle.label)
    for number, one in enumerate(itertools.islice(mail, arguments.unlabelled)):
        (place / "mail/new" / f"{number:06}.benchmark").write_bytes(one.raw)


def retrain(model: Path, place: Path) -> dict[str, object]:
    """The report of one run; its time and memory are printed."""
    command = [sys.executable, "-m", "spamlstm", "retrain", "--json", "--model", str(model.absolute())]
    command += ["--mail", str(place / "mail"), "--state", str(place / "state")]
    start, most, before = time.monotonic(), 0.0, os.times()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            most = max(most, memory_of(family(process.pid)).pss)
            time.sleep(0.1)
        told = process.stdout.read()
    took, after = time.monotonic() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"retrained in {took:.0f} s, {cpu:.0f} s of CPU, at most {most:.0f} MB (PSS, all processes)", flush=True)
    return json.loads(told)


def every(
    step: int | None, paths: Iterable[Path], first: int | None = 0, last: int | None = None
) -> Iterator[Labelled]:
    """Every so many-th message of archives, one behind the other."""
    return itertools.islice(itertools.chain.from_iterable(map(labelled_mail.read_labelled, paths)), first, last, step)


def judged(networks: dict[str, Classifier], mail: Callable[[], Iterable[Labelled]]) -> dict[str, Outcomes]:
    """What each network makes of the mail."""
    found = {}
    for name, classifier in networks.items():
        columns = Columns()
        keyed = ((Key(one.id, one.source, one.label == "spam"), one.raw) for one in mail())
        for one in classifier.judge_many(keyed):
            columns.add(one.key, one.judgement)
        found[name] = columns.close()
    return found


def joined(parts: Sequence[Outcomes]) -> Outcomes:
    """Several as one."""
    names = [tuple(itertools.chain(*(getattr(part, key) for part in parts))) for key in ("id", "source")]
    columns = ("spam", "verdict", "score", "probability")
    return Outcomes(*names, *(np.concatenate([getattr(part, key) for part in parts]) for key in columns))


def show(title: str, outcomes: dict[str, Outcomes]) -> None:
    """A row for each network; the interval is that of the first figure."""
    print(f"\n{title}\n{'network':12}{'ham':>8}{'spam':>8}{'95 %':>20}" + "".join(f"{name:>20}" for name in SHOWN))
    for name, one in outcomes.items():
        summary = summarise(one)
        cells = (f"{figure.value:.4f}" if (figure := summary.figures[key]) else "-" for key in SHOWN)
        area = summary.figures[SHOWN[0]]
        interval = f"{area.low:.4f}–{area.high:.4f}" if area else "-"
        row = "".join(f"{cell:>20}" for cell in (interval, *cells))
        print(f"{name:12}{summary.n_ham:>8,}{summary.n_spam:>8,}{row}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
