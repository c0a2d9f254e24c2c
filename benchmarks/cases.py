"""Count how many small messages of difficult kinds a model judges correctly: the cases of tests/cases, or of FOLDER.

A folder of cases has messages, and an expected.txt with the right verdict of each in a line `FILE: ham` or
`FILE: spam`. If expected.txt has `allow = ["ADDRESS", …]`, the cases are judged with this allow list.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from measurement import argument_parser

from spamlstm.model.classifier import Classifier
from spamlstm.model.policy import SenderList
from spamlstm.verdict import Judgement, Verdict

CASES = Path(__file__).resolve().parent.parent / "tests/cases"
OUTCOMES = ("as expected", "unsure instead", "the very opposite")
_EXPECTED = re.compile(r"^(\S+): (ham|spam)\s*$", re.MULTILINE)
_ALLOW = re.compile(r"allow = (\[.*?\])")


@dataclass(frozen=True, slots=True)
class Case:
    """A message with its right verdict, and the allow list with which it is judged."""

    path: Path
    expected: Verdict
    allow: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The number of the folder and the name of the file, for example 01/ham-a-right."""
        return f"{self.path.parent.name.partition('-')[0]}/{self.path.stem}"

    def judged(self, classifier: Classifier) -> Judgement:
        """Return the judgement of the message with the allow list of the case."""
        policy = classifier.policy
        classifier.policy = replace(policy, allow=SenderList.of(self.allow))
        try:
            return classifier.classify(self.path.read_bytes())
        finally:
            classifier.policy = policy

    def outcome(self, verdict: Verdict) -> str:
        """Return which of OUTCOMES a verdict is."""
        return OUTCOMES[0 if verdict is self.expected else 1 if verdict is Verdict.UNSURE else 2]


def read_cases(folder: Path = CASES) -> Iterator[Case]:
    """Yield the cases of each folder in `folder` that has an expected.txt, in order."""
    for path in sorted(folder.glob("*/expected.txt")):
        text = path.read_text("utf-8")
        allow = tuple(json.loads(_ALLOW.search(text)[1])) if _ALLOW.search(text) else ()
        for name, expected in _EXPECTED.findall(text):
            yield Case(path.with_name(name), Verdict(expected), allow)


def main() -> int:
    parser = argument_parser(__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=CASES, help="[default: tests/cases]")
    parser.add_argument("--model", type=Path, help="a bundle [default: the model in use]")
    parser.add_argument("--all", action="store_true", help="name also the cases that are as expected")
    arguments = parser.parse_args()
    classifier = Classifier.open(arguments.model)
    table: dict[str, list[int]] = {}
    for case in read_cases(arguments.folder):
        judgement = case.judged(classifier)
        outcome = case.outcome(judgement.verdict)
        table.setdefault(case.path.parent.name, [0, 0, 0])[OUTCOMES.index(outcome)] += 1
        if arguments.all or outcome != OUTCOMES[0]:
            score = "" if judgement.score is None else f"{judgement.score:+.1f}"
            print(f"{case.name:44}{judgement.verdict:8}{judgement.reason:14}{score:>6}  {outcome}")
    print(f"\n{'':44}" + "".join(f"{outcome:>20}" for outcome in OUTCOMES))
    table["all"] = [sum(column) for column in zip(*table.values(), strict=True)]
    for name, counts in table.items():
        print(f"{name:44}" + "".join(f"{count:>20}" for count in counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
