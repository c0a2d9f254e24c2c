"""Shared by the benchmarks: arguments, mail, tables of figures, and the time and memory of programs."""

import argparse
import itertools
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spamlstm.corpus import labelled_mail
from spamlstm.corpus.labelled_mail import Labelled
from spamlstm.evaluation.evaluate import Columns, Outcomes, Summary
from spamlstm.evaluation.trec_protocol import keyed
from spamlstm.model.classifier import Classifier
from spamlstm.model.personal_layer import PersonalLayer

SAMPLE_SECONDS = 0.1
"""The interval at which memory is sampled."""


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that shows a module's docstring as it is."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


# --- mail -----------------------------------------------------------------------------------------------------------


def read_mail(*corpora: Path, most: int | None = None) -> Iterator[Labelled]:
    """Yield the messages of some corpora, one after the other; of all, the first `most`."""
    return itertools.islice(itertools.chain.from_iterable(map(labelled_mail.read_labelled, corpora)), most)


def extract(mail: Iterable[Labelled], folder: Path) -> Iterator[tuple[Path, Labelled]]:
    """Write each message to a file of its own in a new folder."""
    folder.mkdir(parents=True)
    for number, one in enumerate(mail):
        path = folder / f"{number:06}.eml"
        path.write_bytes(one.raw)
        yield path, one


def make_maildir(path: Path) -> Path:
    """Create an empty Maildir."""
    for part in ("new", "cur", "tmp"):
        (path / part).mkdir(parents=True, exist_ok=True)
    return path


def judge(
    mail: Iterable[Labelled], classifier: Classifier, *, layer: PersonalLayer | None = None, readers: int | None = None
) -> Outcomes:
    """Judge labelled mail, with one personal layer or none."""
    columns = Columns()
    for one in classifier.classify_many(keyed(mail), layer_of=lambda _: layer, readers=readers):
        columns.add(one.key, one.judgement)
    return columns.close()


# --- tables ---------------------------------------------------------------------------------------------------------


def header(names: Iterable[str]) -> str:
    """Return table headings of the width of `cells`."""
    return "".join(f"{name:>20}" for name in names)


def cells(summary: Summary, names: Iterable[str], *, digits: int = 4) -> str:
    """Return the named figures of a summary as cells of a table."""
    figures = (summary.figures[name] for name in names)
    return "".join(f"{figure.value:>20.{digits}f}" if figure else f"{'-':>20}" for figure in figures)


# --- programs -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds that a program took, with all its processes: wall time and processor time."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of some processes in MiB. PSS counts shared memory once, RSS in each process."""

    rss: float
    pss: float


def spamlstm_command() -> list[str]:
    """Return the command beside this Python, else one that runs the checkout."""
    installed = Path(sys.executable).with_name("spamlstm")
    return [str(installed)] if installed.exists() else [sys.executable, "-c", "from spamlstm.cli import main; main()"]


def model_option(model: Path | None) -> list[str]:
    """Return the option that names a model; none for the one in use."""
    return ["--model", str(model.absolute())] if model else []


def run_timed(command: Sequence[str], *, success: Sequence[int] = (0,)) -> Time:
    """Run a program without watching it, which would take time. SystemExit with its errors if it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read() if process.stderr else b""
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in success:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}: {errors.decode(errors='replace')}")
    return Time(wall, used.ru_utime + used.ru_stime)


def run_watched(command: Sequence[str], *, success: Sequence[int] = (0,)) -> tuple[Time, Memory, str]:
    """Run a program and sample the memory of its processes; return time, peak memory and standard output."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = threading.Event()
    samples = [Memory(0, 0)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def watch() -> None:
        while not ended.is_set():
            samples.append(memory_of(process_tree(process.pid)))
            ended.wait(SAMPLE_SECONDS)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output = process.communicate()[0]
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    ended.set()
    watcher.join()
    if process.returncode not in success:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = Memory(max(one.rss for one in samples), max(one.pss for one in samples))
    return Time(wall, cpu), peak, output


def process_tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for one in found:
        try:
            tasks = Path(f"/proc/{one}/task").iterdir()
            found += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            continue  # the process has ended
    return found


def memory_of(processes: Iterable[int]) -> Memory:
    """Return the memory of processes; one that has ended counts nothing."""
    rss = pss = 0
    for pid in processes:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        fields = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
        rss, pss = rss + fields["Rss"], pss + fields["Pss"]
    return Memory(rss / 1024, pss / 1024)


def memory_field(field: str, *, pid: int | str = "self") -> float:
    """Return a field of /proc/PID/status in MiB: VmRSS is the resident memory, VmHWM its peak."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.partition(f"{field}:")[2].split()[0]) / 1024


def reset_peak_memory(pid: int | str = "self") -> None:
    """Let the kernel measure VmHWM from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
