"""Measure how much of the caught spam gets through after one change to it, beside bogofilter in the same run.

evasion.py CORPUS --model BUNDLE --most N
evasion.py ARCHIVE --own 0 --model BUNDLE

The spam is that of an archive, or the phishing of 2024 in phishing2022-2024 in the folder CORPUS, and a share `--own`
of spam of our own writing (training/synthetic/modern). Of the messages that a filter judges spam, each is changed in
each of the ways in benchmarks/evading. The table shows how many of them are then ham, and how many are not spam (they
stay out of the junk folder). `any` is the share for which at least one of the ways works, `best` the largest share of
one way; both are shares of all that is caught.

The words, styles and letters of these changes differ from those that training uses. With `--taught`, bogofilter is
taught some archives and measured on the spam that it catches. A filter that was taught the measured mail itself, as
models/default was taught this phishing, is hard to mislead; judge a model by one that was trained without it. All
models are taught the texts of our own, so `--own 0` is the fair measure.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import bogofilter
from evading import READABLE, TRANSFORMS, Letter, read_letter, transformed, write_letter
from measurement import argument_parser, extract, read_mail

from spamlstm.corpus.labelled_mail import Labelled
from spamlstm.errors import UserError
from spamlstm.model.classifier import Classifier
from spamlstm.verdict import Verdict
from training.synthetic.modern import draw_dressed_many

PHISHING = "phishing2022-2024.tar.xz"
YEAR = "2024"
SEED = 20_261
"""Training uses small seeds."""


@dataclass(frozen=True)
class Row:
    """The result of one transform: of `tried` caught messages, the numbers of those that became ham or not spam."""

    tried: int
    ham: frozenset[str]
    out: frozenset[str]


def main() -> int:
    parser = argument_parser(__doc__)
    parser.add_argument("corpus", type=Path, help="the folder of archives and of texts, or one archive")
    parser.add_argument("--model", type=Path, help="a bundle [default: the model in use]")
    parser.add_argument("--most", type=int, default=300, help="messages before the changes [default: 300]")
    parser.add_argument("--own", type=float, default=1 / 3, help="share of our own writing [default: a third]")
    parser.add_argument(
        "--taught",
        action="append",
        default=[],
        help="mail for bogofilter: ARCHIVE, ARCHIVE:N (the first N) or ARCHIVE@YEAR (before it)",
    )
    parser.add_argument("--only", default="", help="only transforms whose name contains this")
    arguments = parser.parse_args()
    mail = spam(arguments.corpus, arguments.most, own=arguments.own)
    letters = {one.id: read_letter(one.raw) for one in mail}
    names = [name for name in TRANSFORMS if arguments.only in name]
    print_table("spamlstm", rows(letters, names, Spamlstm(arguments.model)))
    if arguments.taught and bogofilter.is_installed():
        with tempfile.TemporaryDirectory() as folder:
            print_table("bogofilter", rows(letters, names, Bogofilter(Path(folder), arguments.taught)))
    elif arguments.taught:
        print("\nbogofilter is not installed (apt-get install bogofilter)")
    for family, reason in READABLE.items():
        print(f"{family}: {reason}")
    return 0


def spam(corpus: Path, most: int, *, own: float) -> Iterator[Labelled]:
    """Yield spam of an archive, or phishing of YEAR, at equal distances, and a share `own` of spam of our own writing.

    Raises UserError if `corpus` is an archive and `own` is above 0, because the texts are in a folder.
    """
    if corpus.is_file():
        if own:
            raise UserError(f"{corpus}: an archive has no texts for spam of our own writing; add --own 0")
        real = [one for one in read_mail(corpus) if one.label == "spam"]
    else:
        real = [one for one in read_mail(corpus / PHISHING) if one.date >= YEAR]
    written = round(most * own)
    wanted = min(most - written, len(real))
    yield from (real[len(real) * number // wanted] for number in range(wanted))
    if not written:
        return
    for number, one in enumerate(draw_dressed_many(corpus, "spam", seed=SEED, count=written, own=True)):
        yield Labelled(f"own{number}", "spam", one.source, "", one.raw)


def taught_mail(name: str) -> Iterator[Labelled]:
    """Yield the mail of ARCHIVE, its first N messages (ARCHIVE:N), or those from before a year (ARCHIVE@YEAR)."""
    archive, _, year = name.partition("@")
    archive, _, most = archive.partition(":")
    mail = read_mail(Path(archive), most=int(most) if most else None)
    return (one for one in mail if not year or one.date < year)


class Spamlstm:
    """The verdicts of a bundle."""

    def __init__(self, model: Path | None) -> None:
        self.classifier = Classifier.open(model)

    def verdicts(self, mail: Sequence[Labelled]) -> list[Verdict]:
        results = self.classifier.classify_many([(one.id, one.raw) for one in mail], readers=0)
        return [one.judgement.verdict if one.judgement else Verdict.UNSURE for one in results]


class Bogofilter:
    """The verdicts of bogofilter after it was taught some archives."""

    def __init__(self, folder: Path, taught: Sequence[str]) -> None:
        self.folder, self.runs = folder, 0
        for number, archive in enumerate(taught):
            mail = extract(taught_mail(archive), folder / f"t{number}")
            bogofilter.train(folder / "words", [(path, one.label) for path, one in mail])

    def verdicts(self, mail: Sequence[Labelled]) -> list[Verdict]:
        self.runs += 1
        return bogofilter.verdicts(self.folder / "words", list(extract(mail, self.folder / f"m{self.runs}")))


def rows(letters: dict[str, Letter], names: Sequence[str], judge_: Spamlstm | Bogofilter) -> dict[str, Row]:
    """Return the result of each transform on the messages that are caught before it."""
    before = [Labelled(key, "spam", "", "", write_letter(letter)) for key, letter in letters.items()]
    caught = [one.id for one, verdict in zip(before, judge_.verdicts(before), strict=True) if verdict is Verdict.SPAM]
    print(f"\nof {len(before)} spam messages, {len(caught)} are caught")
    found: dict[str, Row] = {}
    for name in names:
        changed = ((key, transformed(name, letters[key])) for key in caught)
        mail = [Labelled(key, "spam", "", "", raw) for key, raw in changed if raw is not None]
        verdicts = judge_.verdicts(mail) if mail else []
        by_key = {one.id: verdict for one, verdict in zip(mail, verdicts, strict=True)}
        ham = frozenset(key for key, verdict in by_key.items() if verdict is Verdict.HAM)
        found[name] = Row(len(mail), ham, frozenset(key for key in by_key if by_key[key] is not Verdict.SPAM))
    return found


def print_table(title: str, found: dict[str, Row]) -> None:
    """Print a row for each transform, the best ones first, and the summary."""
    print(f"\n{title}\n{'transform':36}{'tried':>7}{'ham %':>9}{'not spam %':>12}")
    for name, row in sorted(found.items(), key=lambda item: -share(item[1].ham, item[1].tried)):
        print(f"{name:36}{row.tried:7}{share(row.ham, row.tried):9.1f}{share(row.out, row.tried):12.1f}")
    tried = max((row.tried for row in found.values()), default=0)
    for family in ("", *READABLE):
        of = [row for name, row in found.items() if name.startswith(family) and row.tried >= tried / 3]
        if of:
            ham, out = (frozenset().union(*(getattr(row, kind) for row in of)) for kind in ("ham", "out"))
            best = [max(share(getattr(row, kind), tried) for row in of) for kind in ("ham", "out")]
            label = f"{family or 'all'}, {len(of)} transforms"
            print(f"{label + ': best':36}{'':7}{best[0]:9.1f}{best[1]:12.1f}")
            print(f"{label + ': any':36}{'':7}{share(ham, tried):9.1f}{share(out, tried):12.1f}")


def share(some: frozenset[str], total: int) -> float:
    return 100 * len(some) / total if total else 0.0


if __name__ == "__main__":
    sys.exit(main())
