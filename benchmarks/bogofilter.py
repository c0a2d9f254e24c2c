"""bogofilter, as the benchmarks run it beside spamlstm."""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from spamlstm.corpus.labelled_mail import Labelled
from spamlstm.evaluation.evaluate import Columns, Key, Outcomes
from spamlstm.verdict import Judgement, Verdict

SUCCESS = (0, 1, 2)
"""Exit statuses: spam, ham, unsure; 3 is an error."""
VERDICTS = (Verdict.SPAM, Verdict.HAM, Verdict.UNSURE)
"""By exit status."""
_VERDICTS_BY_LETTER = {"H": Verdict.HAM, "U": Verdict.UNSURE, "S": Verdict.SPAM}


def is_installed() -> bool:
    """Return whether bogofilter is on the PATH."""
    return shutil.which("bogofilter") is not None


def require() -> None:
    """Raise SystemExit unless bogofilter is installed."""
    if not is_installed():
        sys.exit("bogofilter is not installed (apt-get install bogofilter)")


def train(words: Path, mail: Iterable[tuple[Path, str]]) -> None:
    """Train the wordlist in the folder `words` on (file, label) pairs; it is created if it does not exist."""
    words.mkdir(exist_ok=True)
    by_label: dict[str, list[str]] = {"ham": [], "spam": []}
    for path, label in mail:
        by_label[label].append(f"{path}\n")
    for label, paths in by_label.items():
        command = ["bogofilter", "-d", str(words), "-n" if label == "ham" else "-s", "-b"]
        subprocess.run(command, input="".join(paths), text=True, check=True)


def judge(words: Path, mail: Sequence[tuple[Path, Labelled]]) -> Outcomes:
    """Judge messages in files by a wordlist. SystemExit unless there is an answer for each, in order."""
    columns = Columns()
    for (_, one), (letter, score) in zip(mail, _answers(words, mail), strict=True):
        judgement = Judgement(_VERDICTS_BY_LETTER[letter], float(score), float(score), "score", "bogofilter")
        columns.add(Key(one.id, one.source, one.label == "spam"), judgement)
    return columns.close()


def verdicts(words: Path, mail: Sequence[tuple[Path, Labelled]]) -> list[Verdict]:
    """Return the verdict of each message in files. SystemExit unless there is an answer for each, in order."""
    return [_VERDICTS_BY_LETTER[letter] for letter, _ in _answers(words, mail)]


def _answers(words: Path, mail: Sequence[tuple[Path, Labelled]]) -> list[tuple[str, str]]:
    """Return (letter, score) for each message."""
    command = ["bogofilter", "-d", str(words), "-T", "-b"]
    asked = "".join(f"{path}\n" for path, _ in mail)
    done = subprocess.run(command, input=asked, text=True, stdout=subprocess.PIPE, check=False)
    answers = [line.rsplit(" ", 2) for line in done.stdout.splitlines()]
    if [path for path, *_ in answers] != [str(path) for path, _ in mail]:
        sys.exit("bogofilter did not answer for each message in order")
    return [(letter, score) for _, letter, score in answers]
