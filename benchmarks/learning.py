"""Learning from labels, ours and bogofilter's, on the same stream in one run: the tasks of the TREC spam track.

`tasks`: for each feedback one row a filter. The base judges each message once, for all tasks; bogofilter is started
twice for each message where labels are told all along, so give it `--most` or a quarter of an hour.
`one`: what a single correction does: to the message, to its near-duplicates, to unrelated mail, and how long it takes.
"""

import argparse
import contextlib
import copy
import itertools
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from spamlstm.learning import evaluate
from spamlstm.learning.evaluate import Columns, Key, Summary
from spamlstm.learning.feedback import Feedback, Teacher
from spamlstm.learning.labels import Label, Labels
from spamlstm.learning.learner import Learner
from spamlstm.learning.online import Follower, keyed
from spamlstm.mail import corpus
from spamlstm.model.classifier import Assessed, Classifier
from spamlstm.model.personal import PersonalLayer, prints
from spamlstm.verdict import Judgement, Verdict

TASKS = ("immediate", "first:10000", "each:100", "mistakes")
SAYS = {0: Verdict.SPAM, 1: Verdict.HAM, 2: Verdict.UNSURE}
SHOWN = ("one_minus_roca_pct", "sm_at_hm_0_1_pct", "hm_pct", "sm_pct", "unsure_pct")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("tasks", "one"))
    parser.add_argument("corpus", type=Path, help="a corpus archive or folder, such as ../shared/corpus/trec07p.tar.xz")
    parser.add_argument("--model", type=Path, help="a bundle that has not seen that corpus")
    parser.add_argument("--most", type=int, help="only the first so many messages")
    parser.add_argument("--task", action="append", help=f"a feedback; else {', '.join(TASKS)}")
    parser.add_argument("--alone", action="store_true", help="without bogofilter")
    arguments = parser.parse_args()
    mail = itertools.islice(corpus.read(arguments.corpus), arguments.most)
    if arguments.what == "one":
        one(mail, Classifier.open(arguments.model, personal=PersonalLayer()))
        return 0
    if not arguments.alone and shutil.which("bogofilter") is None:
        sys.exit("bogofilter is not installed (apt-get install bogofilter)")
    tasks(arguments, list(map(Feedback.parse, arguments.task or TASKS)))
    return 0


# --- tasks ----------------------------------------------------------------------------------------------------------


def tasks(arguments: argparse.Namespace, feedbacks: list[Feedback]) -> None:
    """Print a row for each task and filter."""
    mail = itertools.islice(corpus.read(arguments.corpus), arguments.most)
    base = Classifier.open(arguments.model, personal=PersonalLayer())
    followers = [Follower(with_layer(base), feedback) for feedback in feedbacks]
    alone = Columns()
    for assessed in base.assess_many(keyed(mail)):
        alone.add(assessed.key, base.judge(assessed).judgement)
        for follower in followers:
            follower.take(assessed)
    print(f"{'feedback':14}{'filter':12}{'told':>8}" + "".join(f"{name:>20}" for name in SHOWN), flush=True)
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
        again = itertools.islice(corpus.read(arguments.corpus), arguments.most)
        row(str(feedback), "bogofilter", *bogofilter(again, feedback))


def with_layer(base: Classifier) -> Classifier:
    """The same base with an empty layer of its own."""
    classifier = copy.copy(base)
    classifier.personal = PersonalLayer()
    return classifier


def row(feedback: str, name: str, told: int, summary: Summary) -> None:
    figures = (summary.figures[key] for key in SHOWN)
    cells = "".join(f"{figure.value:>20.4f}" if figure else f"{'-':>20}" for figure in figures)
    print(f"{feedback:14}{name:12}{told:>8,}{cells}", flush=True)


def bogofilter(mail: Iterable[corpus.Labelled], feedback: Feedback) -> tuple[int, Summary]:
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


def one(mail: Iterable[corpus.Labelled], classifier: Classifier, *, tries: int = 100, others: int = 1000) -> None:
    """Correct one message at a time, of those that are judged wrong, upon few and many labels; print the effects."""
    assessed = list(classifier.assess_many(keyed(mail), readers=0))
    random = np.random.default_rng(0)
    for before in (0, 100, 2000):
        layer = PersonalLayer()
        for known in assessed[:before]:
            layer.learn(known.prints, prior=known.prior, spam=known.key.spam)
        classifier.personal = layer
        rest = assessed[before:]
        wrong = [mail for mail in rest if verdict(classifier, mail) is (Verdict.HAM if mail.key.spam else Verdict.SPAM)]
        if not wrong:
            print(f"{before:>6,} labels before: nothing of the rest is judged wrong")
            continue
        chosen = [wrong[at] for at in random.permutation(len(wrong))[:tries]]
        right, flips, near, near_right = 0, 0, 0, 0
        for correction in chosen:
            sample = [rest[at] for at in random.permutation(len(rest))[:others]]
            like = [mail for mail in rest if mail is not correction and is_like(mail, correction)]
            sample = [mail for mail in sample if not shares(mail, correction, 0.5)]
            then = [verdict(classifier, mail) for mail in sample]
            state = layer.dump()
            layer.learn(correction.prints, prior=correction.prior, spam=correction.key.spam)
            wanted = Verdict.SPAM if correction.key.spam else Verdict.HAM
            right += verdict(classifier, correction) is wanted
            changed = [verdict(classifier, mail) is not was for mail, was in zip(sample, then, strict=True)]
            flips += sum(changed) / len(changed)
            near += len(like)
            near_right += sum(verdict(classifier, mail) is wanted for mail in like)
            layer.load(state)
        print(
            f"{before:>6,} labels before: {len(chosen)} corrected, right afterwards {100 * right / len(chosen):.1f} %,"
            f" near-duplicates right {100 * near_right / max(near, 1):.1f} % of {near}, "
            f"unrelated verdicts changed {100 * flips / len(chosen):.3f} %",
            flush=True,
        )
    times(assessed)


def verdict(classifier: Classifier, assessed: Assessed[Key]) -> Verdict | None:
    judgement = classifier.judge(assessed).judgement
    return judgement.verdict if judgement else None


def shares(one_mail: Assessed[Key], other: Assessed[Key], share: float) -> bool:
    """Whether so much of what either holds is in both (Jaccard)."""
    common = len(np.intersect1d(one_mail.prints, other.prints, assume_unique=True))
    return common >= share * (len(one_mail.prints) + len(other.prints) - common)


def is_like(one_mail: Assessed[Key], other: Assessed[Key]) -> bool:
    """Near-duplicates: of the same label, nearly as long, with four fifths in common."""
    near = 0.8 * len(other.prints) <= len(one_mail.prints) <= 1.25 * len(other.prints)
    return near and one_mail.key.spam is other.key.spam and shares(one_mail, other, 0.8)


def times(assessed: list[Assessed[Key]]) -> None:
    """Milliseconds of one correction on disk, of a start, of forgetting, and of a message, with 10,000 labels."""
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Labels.open(Path(folder))) as labels:
        learner, took = Learner(labels), []
        for number in range(10_000):
            raw = b"Subject: number %d\n\n" % number + bytes(assessed[number % len(assessed)].prints)[:4000]
            start = time.perf_counter()
            learner.say(raw, Label.SPAM if number % 2 else Label.HAM, prior=0.0, model="m")
            took.append(time.perf_counter() - start)
            learner.keep()
        print(
            f"a correction, on disk: median {1000 * statistics.median(took):.2f} ms, "
            f"99 of 100 within {1000 * np.quantile(took, 0.99):.2f} ms"
        )
        for name, work in (
            ("a start", lambda: Learner(labels).catch_up()),
            ("forgetting the last", lambda: learner.forget(raw)),
            ("what the layer adds to a message", lambda: learner.layer.score(prints(raw), 0.0)),
        ):
            start = time.perf_counter()
            work()
            print(f"{name}: {1000 * (time.perf_counter() - start):.2f} ms")


if __name__ == "__main__":
    sys.exit(main())
