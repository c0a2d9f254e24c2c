"""The gain and the cost of a retraining: the figures of docs/decisions/0013-retraining.md.

A user labels the first messages of a stream; the next few thousand are unlabelled mail in a Maildir; the test mail is
every N-th message of the rest. `spamlstm retrain` runs as a user starts it, with its own state folder and models.
Then the base and the retrained network judge the test mail and the other archives, without a personal layer.
"""

import argparse
import contextlib
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from measurement import argument_parser, cells, header, judge, make_maildir, model_option, read_mail, run_watched

from spamlstm.corpus import labelled_mail
from spamlstm.corpus.labelled_mail import Labelled
from spamlstm.evaluation.evaluate import Outcomes, summarise
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
    parser = argument_parser(__doc__)
    parser.add_argument("corpora", type=Path, help="the folder of archives, such as ../shared/corpus")
    parser.add_argument("--stream", default="trec07p", help="the archive of the user's mail [default: trec07p]")
    parser.add_argument(
        "--model",
        type=Path,
        default=Path("models/without-trec07p"),
        help="a base that was not trained on the stream [default: models/without-trec07p]",
    )
    parser.add_argument("--labels", type=int, default=1000, help="labelled messages [default: 1000]")
    parser.add_argument("--unlabelled", type=int, default=4000, help="unlabelled messages after them [default: 4000]")
    parser.add_argument("--flip", type=float, default=0.0, help="share of wrong labels, at random [default: 0]")
    parser.add_argument("--test", default="8000::5", help="FIRST:LAST:STEP of the stream [default: 8000::5]")
    parser.add_argument("--others", type=int, default=2, help="take every N-th message of the others [default: 2]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_DATA_HOME"] = str(folder / "data")
        os.environ.pop("SPAMLSTM_MODEL", None)
        prepare(arguments, folder)
        report = retrain(arguments.model, folder)
        print(json.dumps(report, indent=1))
        if not report["promoted"]:
            sys.exit("the retrained model was refused, so there is none to measure")
        retrained = folder / "data/spamlstm/models" / report["model"]
        networks = {"base": Classifier.open(arguments.model), "retrained": Classifier.open(retrained)}
        first, last, step = (int(part) if part else None for part in arguments.test.split(":"))
        stream = archive(arguments.corpora, arguments.stream)
        test = partial(every, step, [stream], first, last)
        show(f"{arguments.stream} {arguments.test}", judge_by_each(networks, test))
        others: dict[str, list[Outcomes]] = {name: [] for name in networks}
        for names in OTHERS:
            paths = [archive(arguments.corpora, name) for name in names]
            outcomes = judge_by_each(networks, partial(every, arguments.others, paths))
            show("+".join(names), outcomes)
            for network, one in outcomes.items():
                others[network].append(one)
        show("all other archives", {network: join(parts) for network, parts in others.items()})
    return 0


def archive(corpora: Path, name: str) -> Path:
    """Return the path of an archive, or of its unpacked folder."""
    return next(path for path in (corpora / name, corpora / f"{name}.tar.xz") if path.exists())


def prepare(arguments: argparse.Namespace, folder: Path) -> None:
    """Put the labels into a store, in order, and the unlabelled mail into a Maildir."""
    make_maildir(folder / "mail")
    base = Classifier.open(arguments.model, personal_features=True)
    mail = read_mail(archive(arguments.corpora, arguments.stream))
    random = np.random.default_rng(1)
    with contextlib.closing(LabelStore.open(folder / "state")) as labels:
        trainer = Trainer(labels)
        for one in itertools.islice(mail, arguments.labels):
            assessed = base.assess(one.raw)
            wrong = random.random() < arguments.flip
            label = Label.SPAM if (one.label == "spam") is not wrong else Label.HAM
            trainer.add_label(one.raw, label, prior=assessed.prior, tokens=assessed.tokens, model=base.bundle.label)
    for number, one in enumerate(itertools.islice(mail, arguments.unlabelled)):
        (folder / "mail/new" / f"{number:06}.benchmark").write_bytes(one.raw)


def retrain(model: Path, folder: Path) -> dict[str, object]:
    """Return the report of one run; print its time and memory."""
    command = [sys.executable, "-m", "spamlstm", "retrain", "--json", *model_option(model)]
    command += ["--mail", str(folder / "mail"), "--state", str(folder / "state")]
    time, memory, report = run_watched(command)
    print(f"retrained in {time.wall:.0f} s, {time.cpu:.0f} s of CPU, peak {memory.pss:.0f} MB PSS", flush=True)
    return json.loads(report)


def every(
    step: int | None, paths: Iterable[Path], first: int | None = 0, last: int | None = None
) -> Iterator[Labelled]:
    """Yield every `step`-th message of some archives, one after the other."""
    return itertools.islice(itertools.chain.from_iterable(map(labelled_mail.read_labelled, paths)), first, last, step)


def judge_by_each(networks: dict[str, Classifier], mail: Callable[[], Iterable[Labelled]]) -> dict[str, Outcomes]:
    """Let each network judge the mail."""
    return {name: judge(mail(), classifier) for name, classifier in networks.items()}


def join(parts: Sequence[Outcomes]) -> Outcomes:
    """Concatenate several outcomes."""
    names = [tuple(itertools.chain(*(getattr(part, key) for part in parts))) for key in ("id", "source")]
    columns = ("spam", "verdict", "score", "probability")
    return Outcomes(*names, *(np.concatenate([getattr(part, key) for part in parts]) for key in columns))


def show(title: str, outcomes: dict[str, Outcomes]) -> None:
    """Print a row for each network; the interval is that of the first figure."""
    print(f"\n{title}\n{'network':12}{'ham':>8}{'spam':>8}{'95 %':>20}{header(SHOWN)}")
    for name, one in outcomes.items():
        summary = summarise(one)
        area = summary.figures[SHOWN[0]]
        interval = f"{area.low:.4f}–{area.high:.4f}" if area else "-"
        counts = f"{summary.n_ham:>8,}{summary.n_spam:>8,}"
        print(f"{name:12}{counts}{interval:>20}{cells(summary, SHOWN)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
