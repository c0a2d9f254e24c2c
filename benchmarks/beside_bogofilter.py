"""spamlstm and bogofilter on the same mail in one run: speed and accuracy.

`speed`: both classify the same extracted files in turns, as a user would start them; figures are medians of the rounds.
bogofilter's speed depends on the size of its wordlist, so each `--taught` is a case of its own: `half` of the archive,
the first N messages of an archive (ARCHIVE:N), or a folder of archives, such as those the shipped model was trained on.
`accuracy`: bogofilter is trained on the first messages of a stream, and both judge the rest.
"""

import argparse
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import bogofilter
from measurement import (
    Time,
    argument_parser,
    extract,
    model_option,
    read_mail,
    run_timed,
    run_watched,
    spamlstm_command,
)
from rich.console import Console

from spamlstm import progress
from spamlstm.corpus import labelled_mail
from spamlstm.evaluation import evaluate
from spamlstm.evaluation.evaluate import Summary
from spamlstm.model.classifier import Classifier

SHOWN = ("one_minus_roca_pct", "sm_at_hm_0_1_pct", "sm_at_hm_1_pct", "hm_pct", "sm_pct", "unsure_pct")


def main() -> int:
    arguments = _parser().parse_args()
    bogofilter.require()
    with tempfile.TemporaryDirectory(dir=arguments.temp) as folder:
        {"speed": speed, "accuracy": accuracy}[arguments.what](arguments, Path(folder))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argument_parser(__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    for name in ("speed", "accuracy"):
        command = commands.add_parser(name)
        command.add_argument("archive", type=Path, help="a corpus archive, such as ../shared/corpus/trec07p.tar.xz")
        command.add_argument("--model", type=Path, help="a bundle [default: the model in use]")
        command.add_argument("--temp", type=Path, help="where to extract mail [default: the temporary folder]")
        command.add_argument("--most", type=int, help="only the first MOST messages")
    speed_command, accuracy_command = commands.choices["speed"], commands.choices["accuracy"]
    speed_command.add_argument("--rounds", type=int, default=5, help="[default: 5]")
    speed_command.add_argument(
        "--taught", action="append", help="training mail: half, ARCHIVE, ARCHIVE:N or a folder [default: half]"
    )
    accuracy_command.add_argument(
        "--labels", type=int, default=10_000, help="messages that bogofilter is trained on [default: 10000]"
    )
    return parser


# --- speed ----------------------------------------------------------------------------------------------------------


def speed(arguments: argparse.Namespace, folder: Path) -> None:
    """Print messages/s, processor time and memory of spamlstm and of bogofilter with each wordlist, and the ratios."""
    mail = folder / "mail"
    labelled = [(path, one.label) for path, one in extract(read_mail(arguments.archive, most=arguments.most), mail)]
    state = folder / "state"  # without the labels of whoever runs this
    state.mkdir()
    ours = [*spamlstm_command(), "classify", "--state", str(state), *model_option(arguments.model), str(mail)]
    programs = {"spamlstm": ours}
    for number, taught in enumerate(arguments.taught or ["half"]):
        words = folder / f"words{number}"
        for part in [labelled[::2]] if taught == "half" else _training_mail(taught, folder / "training"):
            bogofilter.train(words, part)
        size = (words / "wordlist.db").stat().st_size / 1e6
        programs[f"bogofilter, {taught}, {size:.0f} MB"] = ["bogofilter", "-d", str(words), "-T", "-B", str(mail)]
    success = {name: (0,) if name == "spamlstm" else bogofilter.SUCCESS for name in programs}
    # The first round fills the file cache and is not timed. Memory is sampled in it, as sampling takes time.
    peaks = {name: run_watched(command, success=success[name])[1] for name, command in programs.items()}
    runs: dict[str, list[Time]] = {name: [] for name in programs}
    for number in range(arguments.rounds):
        # The order alternates, so that a change of the machine's load affects all programs.
        for name in sorted(programs, reverse=number % 2 == 0):
            runs[name].append(run_timed(programs[name], success=success[name]))
    python = f"Python {platform.python_version()} at {os.path.realpath(sys.executable)}"
    cores = len(os.sched_getaffinity(0))
    print(f"{len(labelled):,} messages, {arguments.rounds} rounds in turns, {cores} cores, {python}")
    width = max(map(len, programs))
    print(f"{'':{width}}{'messages/s':>12}{'range':>16}{'cpu ms/message':>16}{'RSS MB':>9}{'PSS MB':>9}{'ratio':>8}")
    for name, of in runs.items():
        rates = sorted(len(labelled) / run.wall for run in of)
        cpu = 1000 * statistics.median(run.cpu for run in of) / len(labelled)
        spread = f"{rates[0]:,.0f}–{rates[-1]:,.0f}"
        ratio = statistics.median(run.wall / ours.wall for run, ours in zip(of, runs["spamlstm"], strict=True))
        memory = f"{peaks[name].rss:>9.0f}{peaks[name].pss:>9.0f}"
        print(f"{name:{width}}{statistics.median(rates):>12,.0f}{spread:>16}{cpu:>16.3f}{memory}{ratio:>8.2f}")


def _training_mail(taught: str, folder: Path) -> Iterator[list[tuple[Path, str]]]:
    """Yield the labelled files of one archive, of its first N messages, or of each archive of a folder in turn."""
    name, _, most = taught.partition(":")
    for archive in sorted(Path(name).glob("*.tar.xz")) if Path(name).is_dir() else [Path(name)]:
        yield [(path, one.label) for path, one in extract(read_mail(archive, most=int(most) if most else None), folder)]
        shutil.rmtree(folder)


# --- accuracy -------------------------------------------------------------------------------------------------------


def accuracy(arguments: argparse.Namespace, folder: Path) -> None:
    """Print the figures of both programs on the mail after the first `--labels` messages."""
    scored = islice(labelled_mail.read_labelled(arguments.archive), arguments.labels, arguments.most)
    with progress.show_progress(Console(stderr=True), "spamlstm") as tick:
        ours = evaluate.judge(scored, Classifier.open(arguments.model), names=[str(arguments.archive)], progress=tick)
    mail = list(extract(read_mail(arguments.archive, most=arguments.most), folder / "mail"))
    bogofilter.train(folder / "words", [(path, one.label) for path, one in mail[: arguments.labels]])
    theirs = evaluate.summarise(bogofilter.judge(folder / "words", mail[arguments.labels :]))
    print(f"bogofilter trained on the first {arguments.labels:,}; both judge the other {theirs.n:,} ({ours.model})")
    for name, summary in (("spamlstm", ours.all), ("bogofilter", theirs)):
        print_figures(name, summary)


def print_figures(name: str, summary: Summary) -> None:
    for key in SHOWN:
        figure = summary.figures[key]
        text = f"{figure.value:.4f}  [{figure.low:.4f}, {figure.high:.4f}]" if figure else "-"
        print(f"{name:12}{key:22}{text}")


if __name__ == "__main__":
    sys.exit(main())
