"""Learning from labels, by spamlstm and bogofilter on the same stream: the tasks of the TREC spam track.

`tasks`: a row for each feedback and filter. The base judges each message once, for all tasks. Where labels come all
along, bogofilter is started twice for each message, so use `--most` or allow a quarter of an hour.
`slips`: immediate feedback with all labels right, and with one label in twenty wrong, in five random draws.
`one`: what one correction does to the message, its near-duplicates and unrelated mail, and how long it takes.
`senders`: one text from five senders: what labels on the first copies do to the copy of the last sender, and to other
mail. Each copy has the headers of another message. In a disguised copy every tenth word is another.
"""

import argparse
import contextlib
import dataclasses
import itertools
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import bogofilter
import numpy as np
from measurement import argument_parser, cells, header, read_mail
from numpy.typing import NDArray

from spamlstm.corpus import labelled_mail
from spamlstm.evaluation import evaluate
from spamlstm.evaluation.evaluate import Columns, Key, Summary, keyed
from spamlstm.evaluation.trec_protocol import Feedback, Follower, Teacher
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer
from spamlstm.message.message import parse_message
from spamlstm.model.classifier import Assessed, Classifier
from spamlstm.model.personal_features import (
    FEATURES,
    NO_PART,
    joined,
    parts_of,
    runs,
    text_sketch,
    tokens,
    weighted,
)
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.verdict import Judgement, Verdict

TASKS = ("immediate", "first:10000", "each:100", "errors:100000", "errors:700", "errors:470", "each-then-mistakes:100")
# Shares of common features: below UNLIKE mail is unrelated if less than OTHER_TEXT of its text is common, from LIKE on
# mail with the same label is a near-duplicate.
UNLIKE, LIKE, OTHER_TEXT = 0.5, 0.8, 0.3
SHOWN = ("one_minus_roca_pct", "sm_at_hm_0_1_pct", "hm_pct", "sm_pct", "unsure_pct")


def main() -> int:
    parser = argument_parser(__doc__)
    parser.add_argument("what", choices=("tasks", "slips", "one", "senders"))
    parser.add_argument("corpus", type=Path, help="a corpus archive or folder, such as ../shared/corpus/trec07p.tar.xz")
    parser.add_argument("--model", type=Path, help="a bundle that was not trained on the corpus")
    parser.add_argument("--most", type=int, help="only the first MOST messages")
    parser.add_argument("--task", action="append", help=f"a feedback [default: {', '.join(TASKS)}]")
    parser.add_argument("--alone", action="store_true", help="without bogofilter")
    arguments = parser.parse_args()
    if arguments.what == "tasks" and not arguments.alone:
        bogofilter.require()
    {"tasks": tasks, "slips": slips, "one": one, "senders": senders}[arguments.what](
        arguments, Classifier.open(arguments.model, personal_features=True)
    )
    return 0


# --- tasks ----------------------------------------------------------------------------------------------------------


def tasks(arguments: argparse.Namespace, base: Classifier) -> None:
    """Print a row for each task and filter."""
    feedbacks = list(map(Feedback.parse, arguments.task or TASKS))
    followers = [Follower(base, feedback) for feedback in feedbacks]
    columns = Columns()
    for assessed in base.assess_many(keyed(read_mail(arguments.corpus, most=arguments.most))):
        columns.add(assessed.key, base.judge(assessed).judgement)
        for follower in followers:
            follower.take(assessed)
    print(f"{'feedback':24}{'filter':12}{'labels':>8}{header(SHOWN)}", flush=True)
    outcomes = columns.close()
    row("none", "base", 0, evaluate.summarise(outcomes))
    for follower, feedback in zip(followers, feedbacks, strict=True):
        done = follower.end()
        row(str(feedback), "spamlstm", done.labelled, done.evaluation.all)
        if feedback.ends:
            judged = np.isin(outcomes.id, done.evaluation.outcomes.id)
            row(str(feedback), "base", 0, evaluate.summarise(outcomes.of(judged)))
    for feedback in feedbacks if not arguments.alone else ():
        mail = read_mail(arguments.corpus, most=arguments.most)
        row(str(feedback), "bogofilter", *follow_with_bogofilter(mail, feedback))


def slips(arguments: argparse.Namespace, base: Classifier, *, wrong: float = 0.05, draws: int = 5) -> None:
    """Print a row for right labels, a row for each draw with that share of wrong labels, and the mean of the draws."""
    sides = [
        (share, np.random.default_rng(seed), PersonalLayer(), Columns())
        # Seeds from 1 on were used to choose the parameters.
        for seed, share in enumerate([0.0] + [wrong] * draws, start=100)
    ]
    for assessed in base.assess_many(keyed(read_mail(arguments.corpus, most=arguments.most))):
        for share, random, layer, columns in sides:
            columns.add(assessed.key, base.judge(assessed, layer).judgement)
            if assessed.personal_features is not None:
                label = assessed.key.spam is not (random.random() < share)
                layer.learn(assessed.personal_features, prior=assessed.prior, spam=label, sender=assessed.sender)
    areas = []
    for share, _, _, columns in sides:
        outcomes = columns.close()
        summary = evaluate.summarise(outcomes)
        row("immediate", f"{share:.0%} wrong", len(outcomes.spam), summary)
        areas.append(summary.figures["one_minus_roca_pct"].value)
    right, mean = areas[0], statistics.mean(areas[1:])
    print(f"{wrong:.0%} wrong, mean: {mean:.4f}, {mean / right:.2f} times the error with right labels")


def row(feedback: str, name: str, labels: int, summary: Summary) -> None:
    print(f"{feedback:24}{name:12}{labels:>8,}{cells(summary, SHOWN)}", flush=True)


def follow_with_bogofilter(mail: Iterable[labelled_mail.Labelled], feedback: Feedback) -> tuple[int, Summary]:
    """Return (labels, figures) of bogofilter on a stream; it is started for each message and for each label."""
    columns, teacher, counts = Columns(), Teacher[tuple[bool, bytes]](feedback), []
    with tempfile.TemporaryDirectory() as words:
        command = ["bogofilter", "-d", words]
        subprocess.run([*command, "-n"], input=b"", check=True)
        for message in mail:
            spam = message.label == "spam"
            done = subprocess.run([*command, "-T"], input=message.raw, capture_output=True, check=False)
            answered = done.returncode in bogofilter.SUCCESS
            score = float(done.stdout.split()[-1]) if answered and done.stdout.split() else 0.5
            verdict = bogofilter.VERDICTS[done.returncode] if answered else Verdict.UNSURE
            key = Key(message.id, message.source, spam)
            columns.add(key, Judgement(verdict, score, score - 0.5, "score", "bogofilter"))
            for is_spam, raw in teacher.after((spam, message.raw), spam=spam, verdict=verdict, score=score - 0.5):
                subprocess.run([*command, "-s" if is_spam else "-n"], input=raw, check=True)
            counts.append(teacher.labelled)
    last = counts.index(teacher.labelled) + 1 if feedback.ends else 0
    return teacher.labelled, evaluate.summarise(columns.close().of(np.arange(len(counts)) >= last))


# --- one text from several senders ----------------------------------------------------------------------------------

WORDS = re.compile(r"\w{4,}")
HEADER = re.compile(rb"(?:^|(?<=\n))(?!content-|mime-version)[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE)


def senders(arguments: argparse.Namespace, classifier: Classifier, *, texts: int = 40, others: int = 200) -> None:
    """Print what 0 to 4 labels on one text do to the copy of the last sender, and how many other verdicts change.

    The texts are those of messages that the base does not judge right.
    """
    random = np.random.default_rng(7)
    mail = [
        one for one in read_mail(arguments.corpus, most=arguments.most) if len(WORDS.findall(text_of(one.raw))) > 25
    ]
    base = [verdict(classifier, PersonalLayer(), one) for one in classifier.assess_many(keyed(mail))]
    words = [word for one in mail[:500] for word in WORDS.findall(text_of(one.raw))]
    some = random.choice(len(mail), min(others, len(mail)), replace=False)
    rest, was = list(classifier.assess_many(keyed(mail[at] for at in some))), [base[at] for at in some]
    for spam, disguised in itertools.product((True, False), repeat=2):
        kind = [at for at, one in enumerate(mail) if (one.label == "spam") is spam]
        wrong = [at for at in kind if base[at] is not (Verdict.SPAM if spam else Verdict.HAM)]
        chosen = random.permutation(wrong)[:texts]
        verdicts, changed = [Counter[Verdict | None]() for _ in range(5)], [0] * 5
        for text in (text_of(mail[at].raw) for at in chosen):
            layer, donors = PersonalLayer(), random.choice(kind, 5, replace=False)
            copies = [copy_of(text, mail[at].raw, random, words if disguised else []) for at in donors]
            assessed = list(map(classifier.assess, copies))
            for labels in range(5):
                verdicts[labels][verdict(classifier, layer, assessed[4])] += 1
                now = [verdict(classifier, layer, one) for one in rest]
                changed[labels] += sum(one is not other for one, other in zip(was, now, strict=True))
                layer.learn(assessed[labels].personal_features, prior=assessed[labels].prior, spam=spam)
        for labels, (counts, number) in enumerate(zip(verdicts, changed, strict=True)):
            found = ", ".join(f"{verdict} {counts[verdict]:>3}" for verdict in Verdict)
            name = f"{'spam' if spam else 'ham'}{', disguised' if disguised else ''}"
            share = 100 * number / max(len(chosen) * len(rest), 1)
            print(f"{name:16} {labels} labels: {found}; verdicts on other mail changed {share:.3f} %", flush=True)


def text_of(raw: bytes) -> str:
    return parse_message(raw).text[:4000]


def copy_of(text: str, donor: bytes, random: np.random.Generator, words: list[str]) -> bytes:
    """Return a message with `text` and the headers of `donor`. A tenth of the words is replaced by some of `words`."""

    def replaced(match: re.Match[str]) -> str:
        return str(random.choice(words)) if words and random.random() < 0.1 else match[0]

    head = b"".join(HEADER.findall(donor.replace(b"\r\n", b"\n").partition(b"\n\n")[0] + b"\n"))
    body = WORDS.sub(replaced, text).encode("utf-8", "replace")
    return head + b"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n" + body


# --- one correction -------------------------------------------------------------------------------------------------


def one(arguments: argparse.Namespace, classifier: Classifier, *, tries: int = 100, others: int = 1000) -> None:
    """Correct one message at a time, after few and after many labels, and print the effects.

    Separately for messages with a wrong verdict, and for those that a user would move, among them unsure spam.
    """
    raws: list[bytes] = []
    mail = read_mail(arguments.corpus, most=arguments.most)
    assessed = list(classifier.assess_many(keyed(keep_raws(mail, raws)), readers=0))
    random = np.random.default_rng(0)
    for before, kind in itertools.product((0, 100, 2000), ("wrong", "moved")):
        layer = PersonalLayer()
        for labelled in assessed[:before]:
            layer.learn(
                labelled.personal_features, prior=labelled.prior, spam=labelled.key.spam, sender=labelled.sender
            )
        rest = assessed[before:]
        verdicts = [verdict(classifier, layer, message) for message in rest]
        saved = layer.dump()
        chosen = [at for at, message in enumerate(rest) if is_corrected(verdicts[at], message.key.spam, kind)]
        chosen = [chosen[at] for at in random.permutation(len(chosen))[:tries]]
        effects = Effects()
        for correction in (rest[at] for at in chosen):
            common, of_text = similarity(rest, correction), text_similarity(rest, correction)
            layer.learn(
                correction.personal_features, prior=correction.prior, spam=correction.key.spam, sender=correction.sender
            )
            effects.right += verdict(classifier, layer, correction) is right_verdict(correction)
            for at in random.permutation(len(rest))[:others]:
                if common[at] < UNLIKE and of_text[at] < OTHER_TEXT:
                    effects.add(verdicts[at], verdict(classifier, layer, rest[at]), right_verdict(rest[at]))
            like = [rest[at] for at in np.flatnonzero(common >= LIKE) if rest[at] is not correction]
            like = [message for message in like if message.key.spam is correction.key.spam]
            effects.near += len(like)
            effects.near_right += sum(
                verdict(classifier, layer, message) is right_verdict(correction) for message in like
            )
            layer.load(saved)
        print(f"{before:>6,} labels before, {len(chosen):>3} {kind}: {effects}", flush=True)
    times(classifier, raws, assessed)


@dataclasses.dataclass
class Effects:
    """The effects of corrections, each made alone."""

    right: int = 0
    near: int = 0
    near_right: int = 0
    unrelated: int = 0
    worse: int = 0
    changes: Counter[tuple[Verdict | None, Verdict | None]] = dataclasses.field(default_factory=Counter)

    def add(self, was: Verdict | None, now: Verdict | None, right: Verdict) -> None:
        """Count an unrelated message. A change is worse if it leaves the right verdict or ends in the wrong one."""
        self.unrelated += 1
        if now is not was:
            self.changes[was, now] += 1
            self.worse += was is right or now not in (right, Verdict.UNSURE)

    def __str__(self) -> str:
        share = 100 / max(self.unrelated, 1)
        kinds = ", ".join(f"{was} to {now} {share * times:.3f}" for (was, now), times in self.changes.most_common())
        return (
            f"right afterwards {self.right}, near-duplicates right {self.near_right} of {self.near}, "
            f"unrelated verdicts changed {share * self.changes.total():.3f} %, for the worse {share * self.worse:.3f} "
            f"({kinds or 'none'})"
        )


def right_verdict(assessed: Assessed[Key]) -> Verdict:
    return Verdict.SPAM if assessed.key.spam else Verdict.HAM


def is_corrected(judged: Verdict | None, spam: bool, kind: str) -> bool:  # noqa: FBT001  two facts of one message
    if kind == "wrong":
        return judged is (Verdict.HAM if spam else Verdict.SPAM)
    return (judged is Verdict.SPAM) is not spam


def verdict(classifier: Classifier, layer: PersonalLayer, assessed: Assessed[Any]) -> Verdict | None:
    judgement = classifier.judge(assessed, layer).judgement
    return judgement.verdict if judgement else None


def similarity(mail: list[Assessed[Key]], message: Assessed[Key]) -> NDArray[np.float64]:
    """Return the Jaccard similarity of the features of each of `mail` to those of `message`."""
    present = np.zeros(FEATURES, np.bool_)
    features = weighted(message.personal_features)
    present[features] = True
    others = [weighted(other.personal_features) for other in mail]
    common = np.array([np.count_nonzero(present[other]) for other in others])
    both = np.array(list(map(len, others))) + len(features) - common
    return common / np.maximum(both, 1)


def text_similarity(mail: list[Assessed[Key]], message: Assessed[Key]) -> NDArray[np.float64]:
    """Return the Jaccard similarity of the texts of `mail` to the text of `message`, estimated by their sketches."""
    text, others = (np.array([parts_of(one.personal_features)[:-1] for one in many]) for many in ([message], mail))
    common = ((others == text) & (text != NO_PART)).sum(axis=1)
    return common / np.maximum(((others != NO_PART) | (text != NO_PART)).sum(axis=1), 1)


def keep_raws(
    mail: Iterable[labelled_mail.Labelled], raws: list[bytes], *, most: int = 10_000
) -> Iterator[labelled_mail.Labelled]:
    """Yield the mail, and append the bytes of the first `most` messages to `raws`."""
    for message in mail:
        if len(raws) < most:
            raws.append(message.raw)
        yield message


def times(base: Classifier, raws: list[bytes], assessed: list[Assessed[Key]]) -> None:
    """Print the time of a correction on disk, a start, a removal and the score of a message, with 10,000 labels."""
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(LabelStore.open(Path(folder))) as labels:
        trainer, took = Trainer(labels), []
        for raw, message in zip(raws, assessed, strict=False):
            label = Label.SPAM if message.key.spam else Label.HAM
            start = time.perf_counter()
            trainer.add_label(raw, label, prior=message.prior, tokens=message.tokens, model="m")
            took.append(time.perf_counter() - start)
            trainer.save_layer()
        print(
            f"a correction, on disk: median {1000 * statistics.median(took):.2f} ms, "
            f"99th percentile {1000 * np.quantile(took, 0.99):.2f} ms"
        )
        for name, work in (
            ("start", lambda: Trainer(labels).catch_up()),
            ("removing the last label", lambda: trainer.forget(raw)),
            ("removing the first label", lambda: trainer.forget(raws[0])),
        ):
            start = time.perf_counter()
            work()
            print(f"{name}: {1000 * (time.perf_counter() - start):.2f} ms")
        some = [(raw, base.reader.read(raw).windows) for raw in raws[:: max(len(raws) // 1000, 1)]]
        read = [(raw, windows, base.encoder.encode(windows)) for raw, windows in some]
        start = time.process_time()
        for raw, windows, rows in read:
            trainer.layer.score(joined(runs(raw), tokens(rows), text_sketch(windows, sender="")), 0.0)
        each = (time.process_time() - start) / len(some)
        print(f"score of the layer: {1000 * each:.2f} ms of processor time per message")


if __name__ == "__main__":
    sys.exit(main())
