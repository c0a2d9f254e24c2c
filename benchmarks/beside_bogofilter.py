"""Ours and bogofilter on the same mail, in one run: how fast, and how right.

`speed`: both classify the same extracted files in turns, as a user would start them; told is the median of the rounds.
What bogofilter costs depends on how many words it knows, so each `--taught` is a case of its own: `half` of the archive
itself, the first so many messages of any (ARCHIVE:N), or all in a folder of archives, such as what the shipped model
was trained on.
`accuracy`: bogofilter is told the first messages of a stream and scores the rest; so does our model, which is not told.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from rich.console import Console

from spamlstm.corpus import labelled_mail
from spamlstm.corpus.labelled_mail import Labelled
from spamlstm.evaluation import evaluate
from spamlstm.evaluation.evaluate import VERDICTS, Outcomes, Summary
from spamlstm.learning import progress
from spamlstm.model.classifier import Classifier
from spamlstm.verdict import Verdict

SAMPLE_SECONDS = 0.1
BOGOFILTER_SAYS = {"H": Verdict.HAM, "U": Verdict.UNSURE, "S": Verdict.SPAM}
SHOWN = ("one_minus_roca_pct", "sm_at_hm_0_1_pct", "sm_at_hm_1_pct", "hm_pct", "sm_pct", "unsure_pct")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one program: seconds by the clock and of the processors, of all its processes."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Peak:
    """The most memory that the processes of a run held together, in MB; PSS counts what they share once."""

    rss: float
    pss: float


def main() -> int:
    arguments = _parser().parse_args()
    if shutil.which("bogofilter") is None:
        sys.exit("bogofilter is not installed (apt-get install bogofilter)")
    with tempfile.TemporaryDirectory(dir=arguments.temp) as folder:
        if arguments.what == "speed":
            speed(arguments, Path(folder))
        else:
            accuracy(arguments, Path(folder))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    for name in ("speed", "accuracy"):
        command = commands.add_parser(name)
        command.add_argument("archive", type=Path, help="a corpus archive, such as ../shared/corpus/trec07p.tar.xz")
        command.add_argument("--model", type=Path, help="a bundle; else the one in use")
        command.add_argument("--temp", type=Path, help="where to extract; else the system's temporary folder")
        command.add_argument("--most", type=int, help="only the first so many messages")
    commands.choices["speed"].add_argument("--rounds", type=int, default=5)
    commands.choices["speed"].add_argument(
        "--taught", action="append", help="what bogofilter was taught: half, ARCHIVE, ARCHIVE:N or a folder; else half"
    )
    commands.choices["accuracy"].add_argument("--told", type=int, default=10_000, help="how many bogofilter is told")
    return parser


# --- speed ----------------------------------------------------------------------------------------------------------


def speed(arguments: argparse.Namespace, folder: Path) -> None:
    """Print messages/s, processor time and memory of ours and of bogofilter with each wordlist, and the ratios."""
    mail = folder / "mail"
    known = [
        (path, one.label)
        for path, one in extract(islice(labelled_mail.read_labelled(arguments.archive), arguments.most), mail)
    ]
    model = ["--model", str(arguments.model)] if arguments.model else []
    programs = {"spamlstm": [*spamlstm(), "classify", *model, str(mail)]}
    for number, taught in enumerate(arguments.taught or ["half"]):
        words = folder / f"words{number}"
        for lesson in [known[::2]] if taught == "half" else examples(taught, folder / "lesson"):
            teach(words, lesson)
        size = (words / "wordlist.db").stat().st_size / 1e6
        programs[f"bogofilter, {taught}, {size:.0f} MB"] = ["bogofilter", "-d", str(words), "-T", "-B", str(mail)]
    # One round that does not count: it fills the file cache, and only here is memory watched, for watching takes time.
    peaks = {name: watched(command) for name, command in programs.items()}
    runs: dict[str, list[Run]] = {name: [] for name in programs}
    for number in range(arguments.rounds):
        # Who goes first alternates, so that a change of the machine's load meets all.
        for name in sorted(programs, reverse=number % 2 == 0):
            runs[name].append(timed(programs[name]))
    python = f"Python {platform.python_version()} at {os.path.realpath(sys.executable)}"
    cores = len(os.sched_getaffinity(0))
    print(f"{len(known):,} messages, {arguments.rounds} rounds in turns, {cores} cores, {python}")
    wide = max(map(len, programs))
    print(f"{'':{wide}}{'messages/s':>12}{'of':>16}{'cpu ms/message':>16}{'RSS MB':>9}{'PSS MB':>9}{'ratio':>8}")
    for name, of in runs.items():
        rates = sorted(len(known) / run.wall for run in of)
        cpu = 1000 * statistics.median(run.cpu for run in of) / len(known)
        spread = f"{rates[0]:,.0f}–{rates[-1]:,.0f}"
        ratio = statistics.median(run.wall / ours.wall for run, ours in zip(of, runs["spamlstm"], strict=True))
        memory = f"{peaks[name].rss:>9.0f}{peaks[name].pss:>9.0f}"
        print(f"{name:{wide}}{statistics.median(rates):>12,.0f}{spread:>16}{cpu:>16.3f}{memory}{ratio:>8.2f}")


def examples(taught: str, place: Path) -> Iterator[list[tuple[Path, str]]]:
    """The mail of one archive, the first so many of it, or all archives of a folder, one after the other as files."""
    name, _, most = taught.partition(":")
    for archive in sorted(Path(name).glob("*.tar.xz")) if Path(name).is_dir() else [Path(name)]:
        stream = islice(labelled_mail.read_labelled(archive), int(most) if most else None)
        yield [(path, one.label) for path, one in extract(stream, place)]
        shutil.rmtree(place)


def extract(mail: Iterable[Labelled], folder: Path) -> Iterator[tuple[Path, Labelled]]:
    """Write each message to a file of its own."""
    folder.mkdir()
    for number, one in enumerate(mail):
        path = folder / f"{number:06}.eml"
        path.write_bytes(one.raw)
        yield path, one


def teach(words: Path, told: Iterable[tuple[Path, str]]) -> None:
    """Train a wordlist of bogofilter, further if there is one."""
    words.mkdir(exist_ok=True)
    by_label: dict[str, list[str]] = {"ham": [], "spam": []}
    for path, label in told:
        by_label[label].append(f"{path}\n")
    for label, paths in by_label.items():
        command = ["bogofilter", "-d", str(words), "-n" if label == "ham" else "-s", "-b"]
        subprocess.run(command, input="".join(paths), text=True, check=True)


def spamlstm() -> list[str]:
    """How to start ours: as installed beside this Python, else from the checkout."""
    installed = Path(sys.executable).with_name("spamlstm")
    return [str(installed)] if installed.exists() else [sys.executable, "-c", "from spamlstm.cli import main; main()"]


def timed(command: Sequence[str]) -> Run:
    """Run a program to its end. SystemExit with what it said if it failed."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read() if process.stderr else b""
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    _check(command, process.returncode, said)
    return Run(wall, used.ru_utime + used.ru_stime)


def watched(command: Sequence[str]) -> Peak:
    """Run a program and look at the memory of its processes every tenth of a second."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    ended = threading.Event()
    peaks: list[Peak] = []

    def watch() -> None:
        while not ended.is_set():
            peaks.append(memory_of(family(process.pid)))
            ended.wait(SAMPLE_SECONDS)

    watcher = threading.Thread(target=watch)
    watcher.start()
    said = process.communicate()[1]
    ended.set()
    watcher.join()
    _check(command, process.returncode, said)
    return Peak(max(peak.rss for peak in peaks), max(peak.pss for peak in peaks))


def _check(command: Sequence[str], status: int, said: bytes) -> None:
    # bogofilter: 0 spam, 1 ham, 2 unsure, 3 an error.
    if status not in ((0, 1, 2) if command[0] == "bogofilter" else (0,)):
        sys.exit(f"{command[0]} ended with {status}: {said.decode(errors='replace')}")


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for one in found:
        try:
            tasks = Path(f"/proc/{one}/task").iterdir()
            found += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            continue  # it has ended meanwhile
    return found


def memory_of(processes: Iterable[int]) -> Peak:
    rss = pss = 0
    for pid in processes:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        fields = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
        rss, pss = rss + fields["Rss"], pss + fields["Pss"]
    return Peak(rss / 1024, pss / 1024)


# --- accuracy -------------------------------------------------------------------------------------------------------


def accuracy(arguments: argparse.Namespace, folder: Path) -> None:
    """Print the figures of both on the mail after the first `--told` messages."""
    scored = islice(labelled_mail.read_labelled(arguments.archive), arguments.told, arguments.most)
    with progress.show_progress(Console(stderr=True), "spamlstm") as tell:
        ours = evaluate.judge(scored, Classifier.open(arguments.model), names=[str(arguments.archive)], progress=tell)
    theirs = evaluate.summarise(bogofilter(arguments, folder))
    print(f"the first {arguments.told:,} told to bogofilter, the other {theirs.n:,} scored ({ours.model})")
    for name, one in (("spamlstm", ours.all), ("bogofilter", theirs)):
        print_figures(name, one)


def print_figures(name: str, one: Summary) -> None:
    for key in SHOWN:
        figure = one.figures[key]
        said = f"{figure.value:.4f}  [{figure.low:.4f}, {figure.high:.4f}]" if figure else "-"
        print(f"{name:12}{key:22}{said}")


def bogofilter(arguments: argparse.Namespace, folder: Path) -> Outcomes:
    """What bogofilter says of the mail after the first `--told` messages, having been told those."""
    stream = islice(labelled_mail.read_labelled(arguments.archive), arguments.most)
    mail = [(path, one.id, one.label) for path, one in extract(stream, folder / "mail")]
    teach(folder / "words", [(path, label) for path, _, label in mail[: arguments.told]])
    rest = mail[arguments.told :]
    command = ["bogofilter", "-d", str(folder / "words"), "-T", "-b"]
    asked = "".join(f"{path}\n" for path, _, _ in rest)
    done = subprocess.run(command, input=asked, text=True, stdout=subprocess.PIPE, check=False)
    said = [line.rsplit(" ", 2) for line in done.stdout.splitlines()]
    if [line[0] for line in said] != [str(path) for path, _, _ in rest]:
        sys.exit("bogofilter did not answer for each message in order")
    return Outcomes(
        tuple(name for _, name, _ in rest),
        ("",) * len(rest),
        np.array([label == "spam" for _, _, label in rest]),
        np.array([VERDICTS.index(BOGOFILTER_SAYS[verdict]) for _, verdict, _ in said], dtype=np.int8),
        np.array([float(score) for _, _, score in said]),
        np.array([float(score) for _, _, score in said]),
    )


if __name__ == "__main__":
    sys.exit(main())
