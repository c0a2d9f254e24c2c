"""Print how often a model is wrong, by language and by kind.

breakdown.py [ARCHIVE ...] --model BUNDLE
breakdown.py --modern FOLDER --source app:WooCommerce --source own:parcel --model BUNDLE

Archives are broken down by their source and language. With `--modern`, messages are dressed from the texts in FOLDER
and broken down by kind and language; name sources on which the model was not trained (`fit --without`) with `--source`,
otherwise all are used. The columns are shares in percent: ham judged spam, ham unsure, spam judged ham, spam unsure,
and (1-ROCA)% where there are both classes. Rows with fewer than `--least` messages are left out.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from measurement import argument_parser, read_mail

from spamlstm.errors import UserError
from spamlstm.evaluation.metrics import one_minus_roca_pct
from spamlstm.message.message import parse_message
from spamlstm.model.classifier import Classifier
from spamlstm.verdict import Verdict
from training.innocent import language_of
from training.synthetic.modern import Dressed, Dresser, draw_dressed, load_material
from training.synthetic.modern.own_texts import own_texts

SEED = 70_261
"""Training uses small seeds."""


@dataclass(frozen=True, slots=True)
class Item:
    """A message with its label, the groups that it is counted in, and the language that is one of them."""

    spam: bool
    groups: tuple[str, ...]
    raw: bytes


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict and the log-odds of a message."""

    spam: bool
    verdict: Verdict
    score: float


def main() -> int:
    parser = argument_parser(__doc__)
    parser.add_argument("archives", type=Path, nargs="*", help="archives of labelled mail")
    parser.add_argument("--model", type=Path, help="a bundle [default: the model in use]")
    parser.add_argument("--modern", type=Path, help="folder of templates and newsletters to make modern mail of")
    parser.add_argument("--source", action="append", default=[], help="only this source of dressed mail")
    parser.add_argument("--most", type=int, default=2_000, help="messages of an archive, or dressed [default: 2000]")
    parser.add_argument("--least", type=int, default=20, help="messages of a row [default: 20]")
    arguments = parser.parse_args()
    classifier = Classifier.open(arguments.model)
    for archive in arguments.archives:
        print_table(archive.name.partition(".")[0], judged(classifier, real(archive, arguments.most)), arguments.least)
    if arguments.modern:
        mail = dressed(arguments.modern, arguments.source, arguments.most)
        print_table("dressed", judged(classifier, mail), arguments.least)
    return 0


def real(archive: Path, most: int) -> Iterator[Item]:
    """Yield at most `most` messages of an archive, at equal distances."""
    mail = list(read_mail(archive))
    for number in range(min(most, len(mail))):
        one = mail[len(mail) * number // min(most, len(mail))]
        lang = language_of(parse_message(one.raw).text)
        source = one.source.partition("/")[0]
        yield Item(one.label == "spam", ("all", f"source {source}", f"language {lang}"), one.raw)


def dressed(folder: Path, sources: Sequence[str], most: int) -> Iterator[Item]:
    """Yield `most` dressed messages of some sources, or of all. Raises UserError if a source does not exist."""
    dresser = Dresser(load_material(folder))
    draw = maker(dresser, sources) if sources else lambda rng, label: draw_dressed(rng, dresser, label)
    for number in range(most):
        one = draw(Random(f"{SEED} {number}"), "spam" if number % 2 else "ham")
        yield Item(one.label == "spam", tuple(groups(one)), one.raw)


def maker(dresser: Dresser, sources: Sequence[str]) -> Callable[[Random, str], Dressed]:
    """Return what makes a message of one of the sources."""
    material = dresser.material
    templates = {
        kind: kept
        for kind, apps in material.templates.items()
        if (kept := {app: texts for app, texts in apps.items() if app in sources})
    }
    newsletters = {name: issues for name, issues in material.newsletters.items() if name in sources}
    dresser.material = replace(material, templates=templates, newsletters=newsletters)
    own = {label: [one for found in own_texts(label).values() for one in found if one.source in sources]
           for label in ("ham", "spam")}  # fmt: skip
    known = {app for apps in templates.values() for app in apps} | {*newsletters}
    known |= {one.source for found in own.values() for one in found}
    if unknown := sorted({*sources} - known):
        raise UserError(f"--source {unknown[0]}: there is no such text; see python -m training.synthetic --kind")

    def make(rng: Random, label: str) -> Dressed:
        ways = [way for way, texts in (("app", templates), ("news", newsletters), ("own", own[label])) if texts]
        way = rng.choice(ways)
        if way == "own":
            return dresser.own(rng, rng.choice(own[label]), label)
        draw = dresser.material.draw_template if way == "app" else dresser.material.draw_newsletter
        return dresser.template(rng, draw(rng), label)

    return make


def groups(one: Dressed) -> Iterator[str]:
    """Yield the groups that a dressed message is counted in."""
    yield "all"
    yield f"kind {one.kind.rpartition('/')[2]}"
    yield f"language {one.lang.partition('-')[0]}"
    yield f"disguised {bool(one.disguise)}".lower()
    yield f"route {one.route}"


def judged(classifier: Classifier, mail: Iterable[Item]) -> dict[str, list[Judged]]:
    """Return the verdicts by group, in the order in which the groups first occur."""
    found: dict[str, list[Judged]] = defaultdict(list)
    for result in classifier.classify_many(((one, one.raw) for one in mail), readers=0):
        if result.judgement is None:
            continue
        one = Judged(result.key.spam, result.judgement.verdict, result.judgement.score or 0.0)
        for group in result.key.groups:
            found[group].append(one)
    return found


def print_table(title: str, found: dict[str, list[Judged]], least: int) -> None:
    """Print a row for each group: kinds and languages by name, the largest first among the languages."""
    print(f"\n{title:32}{'ham':>7}{'spam':>7}{'ham>spam':>10}{'unsure':>8}{'spam>ham':>10}{'unsure':>8}{'1-ROCA%':>9}")
    for group in sorted(found, key=lambda name: (name != "all", name.partition(" ")[0], -len(found[name]))):
        if len(found[group]) >= least:
            print(row(group, found[group]))


def row(name: str, of: Sequence[Judged]) -> str:
    """Return one line of the table."""
    ham, spam = ([one for one in of if one.spam == wanted] for wanted in (False, True))
    figure = one_minus_roca_pct([one.spam for one in of], [one.score for one in of]) if ham and spam else None
    shares = (
        share(ham, Verdict.SPAM),
        share(ham, Verdict.UNSURE),
        share(spam, Verdict.HAM),
        share(spam, Verdict.UNSURE),
    )
    columns = "".join(f"{text:>{width}}" for text, width in zip(shares, (10, 8, 10, 8), strict=True))
    return f"{name[:31]:32}{len(ham):7}{len(spam):7}{columns}" + (f"{figure.value:9.2f}" if figure else f"{'–':>9}")


def share(of: Sequence[Judged], verdict: Verdict) -> str:
    """Return the percentage of messages with a verdict."""
    return f"{100 * sum(one.verdict is verdict for one in of) / len(of):.1f}" if of else "–"


if __name__ == "__main__":
    sys.exit(main())
