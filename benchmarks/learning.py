"""Learning from labels, ours and bogofilter's, on the same stream in one run: the tasks of the TREC spam track.

`tasks`: for each feedback one row a filter. The base judges each message once, for all tasks; bogofilter is started
twice for each message where labels are told all along, so give it `--most` or a quarter of an hour.
`slips`: immediate feedback with all labels right, and with one in twenty wrong, drawn five times.
`one`: what a single correction does: to the message, to its near-duplicates, to unrelated mail, and how long it takes.
"""

import argparse
import contextlib
import dataclasses
import itertools
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spamlstm.corpus import labelled_mail
from spamlstm.evaluation import evaluate
from spamlstm.evaluation.evaluate import Columns, Key, Summary
from spamlstm.evaluation.feedback import Feedback, Teacher
from spamlstm.evaluation.trec_protocol import Follower, keyed
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer
from spamlstm.model.classifier import Assessed, Classifier
from spamlstm.model.personal_features import FEATURES, joined, runs, tokens
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.verdict import Judgement, Verdict

TASKS = ("immediate", "first:10000", "each:100", "errors:100000", "errors:700", "errors:470", "each-then-mistakes:100")
SAYS = {0: Verdict.SPAM, 1: Verdict.HAM, 2: Verdict.UNSURE}
# What shares less is unlike, what shares as much and has the same label is a near-duplicate.
UNLIKE, LIKE = 0.5, 0.8
SHOWN = ("one_minus_roca_pct", "sm_at_hm_0_1_pct", "hm_pct", "sm_pct", "unsure_pct")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("tasks", "slips", "one"))
    parser.add_argument("corpus", type=Path, help="a corpus archive or folder, such as ../shared/corpus/trec07p.tar.xz")
    parser.add_argument("--model", type=Path, help="a bundle that has not seen that corpus")
    parser.add_argument("--most", type=int, help="only the first so many messages")
    parser.add_argument("--task", action="append", help=f"a feedback; else {', '.join(TASKS)}")
    parser.add_argument("--alone", action="store_true", help="without bogofilter")
    arguments = parser.parse_args()
    mail = itertools.islice(labelled_mail.read_labelled(arguments.corpus), arguments.most)
    if arguments.what == "one":
        one(mail, Classifier.open(arguments.model, personal_features=True))
        return 0
    if arguments.what == "slips":
        slips(mail, Classifier.open(arguments.model, personal_features=True))
        return 0
    if not arguments.alone and shutil.which("bogofilter") is None:
        sys.exit("bogofilter is not installed (apt-get install bogofilter)")
    tasks(arguments, list(map(Feedback.parse, arguments.task or TASKS)))
    return 0


# --- tasks ----------------------------------------------------------------------------------------------------------


def tasks(arguments: argparse.Namespace, feedbacks: list[Feedback]) -> None:
    """Print a row for each task and filter."""
    mail = itertools.islice(labelled_mail.read_labelled(arguments.corpus), arguments.most)
    base = Classifier.open(arguments.model, personal_features=True)
    followers = [Follower(base, feedback) for feedback in feedbacks]
    alone = Columns()
    for assessed in base.assess_many(keyed(mail)):
        alone.add(assessed.key, base.judge(assessed).judgement)
        for follower in followers:
            follower.take(assessed)
    print(f"{'feedback':24}{'filter':12}{'told':>8}" + "".join(f"{name:>20}" for name in SHOWN), flush=True)
    outcomes = alone.close()
    row("none", "base", 0, evaluate.summarise(outcomes))
    for follower, feedback in zip(followers, feedbacks, strict=True):
        done = follower.end()
        row(str(feedback), "spamlstm", done.told, done.evaluation.all)
        if feedback.ends:
            row(
                str(feedback),
                "base",
                0,
                evaluate.summarise(outcomes.of(np.isin(outcomes.id, done.evaluation.outcomes.id))),
            )
    for feedback in feedbacks if not arguments.alone else ():
        again = itertools.islice(labelled_mail.read_labelled(arguments.corpus), arguments.most)
        row(str(feedback), "bogofilter", *bogofilter(again, feedback))


def slips(mail: Iterable[labelled_mail.Labelled], base: Classifier, *, wrong: float = 0.05, draws: int = 5) -> None:
    """Print a row for right labels, rows for labels of which that share is flipped at random, and the mean of those."""
    sides = [
        (share, np.random.default_rng(seed), PersonalLayer(), Columns())
        # The parameters were chosen with seeds from 1 on.
        for seed, share in enumerate([0.0] + [wrong] * draws, start=100)
    ]
    for assessed in base.assess_many(keyed(mail)):
        for share, random, layer, columns in sides:
            columns.add(assessed.key, base.judge(assessed, layer).judgement)
            if assessed.personal_features is not None:
                said = assessed.key.spam is not (random.random() < share)
                layer.learn(assessed.personal_features, prior=assessed.prior, spam=said)
    areas = []
    for share, _, _, columns in sides:
        outcomes = columns.close()
        summary = evaluate.summarise(outcomes)
        row("immediate", f"{share:.0%} wrong", len(outcomes.spam), summary)
        areas.append(summary.figures["one_minus_roca_pct"].value)
    right, mean = areas[0], statistics.mean(areas[1:])
    print(f"{wrong:.0%} wrong, the mean: {mean:.4f}, {mean / right:.2f} times the error")


def row(feedback: str, name: str, told: int, summary: Summary) -> None:
    figures = (summary.figures[key] for key in SHOWN)
    cells = "".join(f"{figure.value:>20.4f}" if figure else f"{'-':>20}" for figure in figures)
    print(f"{feedback:24}{name:12}{told:>8,}{cells}", flush=True)


def bogofilter(mail: Iterable[labelled_mail.Labelled], feedback: Feedback) -> tuple[int, Summary]:
    """(labels told, figures) of bogofilter on the stream, a process for each message and one for each label."""
    columns, teacher, told = Columns(), Teacher[tuple[bool, bytes]](feedback), []
    with tempfile.TemporaryDirectory() as words:
        command = ["bogofilter", "-d", words]
        subprocess.run([*command, "-n"], input=b"", check=True)
        for one_mail in mail:
            spam = one_mail.label == "spam"
            said = subprocess.run([*command, "-T"], input=one_mail.raw, capture_output=True, check=False)
            score = float(said.stdout.split()[-1]) if said.returncode in SAYS and said.stdout.split() else 0.5
            verdict = SAYS.get(said.returncode, Verdict.UNSURE)
            key = Key(one_mail.id, one_mail.source, spam)
            columns.add(key, Judgement(verdict, score, score - 0.5, "score", "bogofilter"))
            for is_spam, raw in teacher.after((spam, one_mail.raw), spam=spam, verdict=verdict, score=score - 0.5):
                subprocess.run([*command, "-s" if is_spam else "-n"], input=raw, check=True)
            told.append(teacher.told)
    last = told.index(teacher.told) + 1 if feedback.ends else 0
    return teacher.told, evaluate.summarise(columns.close().of(np.arange(len(told)) >= last))


# --- one correction -------------------------------------------------------------------------------------------------


def one(
    mail: Iterable[labelled_mail.Labelled], classifier: Classifier, *, tries: int = 100, others: int = 1000
) -> None:
    """Correct one message at a time, upon few and many labels, and print the effects.

    Of those that are judged wrong, and apart from them of those that a user would move: spam that is unsure too.
    """
    raws: list[bytes] = []
    assessed = list(classifier.assess_many(keyed(noted(mail, raws)), readers=0))
    random = np.random.default_rng(0)
    for before, kind in itertools.product((0, 100, 2000), ("wrong", "moved")):
        layer = PersonalLayer()
        for known in assessed[:before]:
            layer.learn(known.personal_features, prior=known.prior, spam=known.key.spam)
        rest = assessed[before:]
        then = [verdict(classifier, layer, mail) for mail in rest]
        kept = layer.dump()
        chosen = [at for at, mail in enumerate(rest) if is_corrected(then[at], mail.key.spam, kind)]
        chosen = [chosen[at] for at in random.permutation(len(chosen))[:tries]]
        effects = Effects()
        for correction in (rest[at] for at in chosen):
            common = in_common(rest, correction)
            layer.learn(correction.personal_features, prior=correction.prior, spam=correction.key.spam)
            effects.right += verdict(classifier, layer, correction) is wanted(correction)
            for at in random.permutation(len(rest))[:others]:
                if common[at] < UNLIKE:
                    effects.see(then[at], verdict(classifier, layer, rest[at]), wanted(rest[at]))
            like = [rest[at] for at in np.flatnonzero(common >= LIKE) if rest[at] is not correction]
            like = [mail for mail in like if mail.key.spam is correction.key.spam]
            effects.near += len(like)
            effects.near_right += sum(verdict(classifier, layer, mail) is wanted(correction) for mail in like)
            layer.load(kept)
        print(f"{before:>6,} labels before, {len(chosen):>3} {kind}: {effects}", flush=True)
    times(classifier, raws, assessed)


@dataclasses.dataclass
class Effects:
    """What corrections did, each for itself."""

    right: int = 0
    near: int = 0
    near_right: int = 0
    unlike: int = 0
    away: int = 0
    changes: Counter[tuple[Verdict | None, Verdict | None]] = dataclasses.field(default_factory=Counter)

    def see(self, was: Verdict | None, now: Verdict | None, right: Verdict) -> None:
        """One unlike message; `away` is a change that leads from the right verdict, or to the opposite."""
        self.unlike += 1
        if now is not was:
            self.changes[was, now] += 1
            self.away += was is right or now not in (right, Verdict.UNSURE)

    def __str__(self) -> str:
        share = 100 / max(self.unlike, 1)
        kinds = ", ".join(f"{was} to {now} {share * times:.3f}" for (was, now), times in self.changes.most_common())
        return (
            f"right afterwards {self.right}, near-duplicates right {self.near_right} of {self.near}, "
            f"of unlike verdicts changed {share * self.changes.total():.3f} %, for the worse {share * self.away:.3f} "
            f"({kinds or 'none'})"
        )


def wanted(assessed: Assessed[Key]) -> Verdict:
    return Verdict.SPAM if assessed.key.spam else Verdict.HAM


def is_corrected(judged: Verdict | None, spam: bool, kind: str) -> bool:  # noqa: FBT001  two facts of one message
    if kind == "wrong":
        return judged is (Verdict.HAM if spam else Verdict.SPAM)
    return (judged is Verdict.SPAM) is not spam


def verdict(classifier: Classifier, layer: PersonalLayer, assessed: Assessed[Key]) -> Verdict | None:
    judgement = classifier.judge(assessed, layer).judgement
    return judgement.verdict if judgement else None


def in_common(mail: list[Assessed[Key]], one_mail: Assessed[Key]) -> NDArray[np.float64]:
    """What each of `mail` has in common with one message, as a share of what both hold (Jaccard)."""
    mine = np.zeros(FEATURES, np.bool_)
    mine[one_mail.personal_features] = True
    common = np.array([np.count_nonzero(mine[other.personal_features]) for other in mail])
    both = np.array([len(other.personal_features) for other in mail]) + len(one_mail.personal_features) - common
    return common / np.maximum(both, 1)


def noted(
    mail: Iterable[labelled_mail.Labelled], raws: list[bytes], *, most: int = 10_000
) -> Iterator[labelled_mail.Labelled]:
    """The same mail; of the first so many the bytes are noted."""
    for one_mail in mail:
        if len(raws) < most:
            raws.append(one_mail.raw)
        yield one_mail


def times(base: Classifier, raws: list[bytes], assessed: list[Assessed[Key]]) -> None:
    """Milliseconds of one correction on disk, of a start, of forgetting, and of a message, with 10,000 labels."""
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(LabelStore.open(Path(folder))) as labels:
        trainer, took = Trainer(labels), []
        for raw, known in zip(raws, assessed, strict=False):
            label = Label.SPAM if known.key.spam else Label.HAM
            start = time.perf_counter()
            trainer.add_label(raw, label, prior=known.prior, tokens=known.tokens, model="m")
            took.append(time.perf_counter() - start)
            trainer.keep()
        print(
            f"a correction, on disk: median {1000 * statistics.median(took):.2f} ms, "
            f"99 of 100 within {1000 * np.quantile(took, 0.99):.2f} ms"
        )
        for name, work in (
            ("a start", lambda: Trainer(labels).catch_up()),
            ("forgetting the last", lambda: trainer.forget(raw)),
            ("forgetting the first", lambda: trainer.forget(raws[0])),
        ):
            start = time.perf_counter()
            work()
            print(f"{name}: {1000 * (time.perf_counter() - start):.2f} ms")
        some = [(raw, base.encoder.encode(base.reader.read(raw).windows)) for raw in raws[:: len(raws) // 1000]]
        start = time.process_time()
        for raw, rows in some:
            trainer.layer.score(joined(runs(raw), tokens(rows)), 0.0)
        each = (time.process_time() - start) / len(some)
        print(f"what the layer adds to a message: {1000 * each:.2f} ms of the processor")


if __name__ == "__main__":
    sys.exit(main())
