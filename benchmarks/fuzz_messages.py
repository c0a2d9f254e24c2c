"""A fuzz of all that is done with the bytes of a message: no exception, no promise broken, half a second a megabyte.

    .venv/bin/pip install -e '.[fuzz]'
    .venv/bin/python benchmarks/fuzz_messages.py

In three steps: atheris, guided by the coverage of spamlstm, changes the messages of the tests and the demo; pieces of
what it found worth keeping are repeated up to a megabyte, in search of work that grows faster than the message; and two
processes with other hash seeds read all of it, which must come to the same. Exit status 1 if anything was found.
"""

import argparse
import hashlib
import importlib.util
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzzing.findings import Findings
from fuzzing.seeds import hostile, seeds
from fuzzing.slow import COMPARED, Search

# Of the whole time, what the coverage-guided step takes; the rest is for the search for slow messages.
SHARE = 0.7
MOST_BYTES = 16 << 10
# Of those that other benchmarks make, which are repetitions.
MOST_SEED = 2 << 10
# Beyond these libFuzzer ends the process, and the input is a finding.
LIMITS = ("-timeout=20", "-rss_limit_mb=3000")
_PROGRESS = re.compile(rb"^#(\d+)\s.* cov: (\d+)", re.MULTILINE)


def main() -> int:
    arguments = _arguments()
    if arguments.child:
        return fuzz_here(*map(Path, arguments.child[:2]), limits=arguments.child[2:])
    if arguments.digests:
        return print_digests(arguments.digests)
    if importlib.util.find_spec("atheris") is None:
        sys.exit("this needs atheris: .venv/bin/pip install -e '.[fuzz]'")
    folder = arguments.findings or Path(tempfile.mkdtemp(prefix="fuzz-messages-"))
    corpus = arguments.corpus or folder / "corpus"
    findings = Findings(folder)
    print(f"corpus in {corpus}, findings and log in {folder}", flush=True)
    begin_corpus(corpus)
    fuzz(corpus, folder, findings, seconds=arguments.seconds * SHARE)
    search(corpus, findings, seconds=arguments.seconds * (1 - SHARE))
    compare(corpus, findings)
    return findings.report()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1200.0, help="how long in all (default: 1200)")
    parser.add_argument("--corpus", type=Path, help="what was worth keeping, also of earlier runs")
    parser.add_argument("--findings", type=Path, help="where to save what is found (default: a new folder)")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--digests", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def begin_corpus(corpus: Path) -> None:
    """Put the seeds in."""
    corpus.mkdir(parents=True, exist_ok=True)
    for raw in (*seeds(), *hostile(MOST_SEED).values()):
        (corpus / hashlib.sha1(raw, usedforsecurity=False).hexdigest()).write_bytes(raw)


# --- guided by coverage ---------------------------------------------------------------------------------------------


def fuzz(corpus: Path, folder: Path, findings: Findings, *, seconds: float) -> None:
    """Fuzz in a process of its own, which is started again whenever an input ends it."""
    end = time.monotonic() + seconds
    runs = edges = 0
    while (left := int(end - time.monotonic())) > 0:
        command = [sys.executable, __file__, "--child", str(corpus), str(folder)]
        log = folder / "atheris.log"
        with log.open("wb") as output:
            done = subprocess.run([*command, str(left)], stdout=output, stderr=output, check=False)
        progress = _PROGRESS.findall(log.read_bytes())
        if not progress:
            sys.exit(f"atheris did not begin: see {log}")
        runs, edges = runs + int(progress[-1][0]), max(edges, int(progress[-1][1]))
        report_ends(folder, findings, log)
        if done.returncode == 0:
            break
    print(f"guided by coverage: {runs:,} runs, {edges:,} edges, {len(list(corpus.iterdir())):,} messages in the corpus")
    print(f"slowest, with the cost of coverage: {_slowest(folder)}", flush=True)


def report_ends(folder: Path, findings: Findings, log: Path) -> None:
    """What libFuzzer saved of an input that ended the process: a crash, a timeout, too much memory."""
    for path in folder.glob("end-*"):
        findings.add(
            f"{path.name.split('-')[1]} {path.name[-8:]}", log.read_text(errors="replace")[-4000:], path.read_bytes()
        )
        path.unlink()


def _slowest(folder: Path) -> str:
    slow = sorted(((float(path.name.partition("-")[0]), path) for path in (folder / "slow").iterdir()), reverse=True)
    return f"{slow[0][1].stat().st_size:,} bytes, {slow[0][0]:.3f} s" if slow else "none"


def fuzz_here(corpus: Path, folder: Path, *, limits: list[str]) -> int:
    """The whole life of the process that fuzzes."""
    import atheris  # noqa: PLC0415  only here

    with atheris.instrument_imports(include=["spamlstm", "email"]):
        from fuzzing import promises  # noqa: PLC0415  with what it imports, for its coverage
    from fuzzing.mutations import mutate  # noqa: PLC0415

    findings, slow, others = Findings(folder), SlowInputs(folder / "slow"), seeds()

    def one(raw: bytes) -> None:
        start = time.process_time()
        try:
            promises.check(raw, twice=raw[-1:] < b"\x40")
        except Exception as error:  # noqa: BLE001  all are findings, and none ends the fuzz
            findings.add_error("message", error, raw)
        slow.note(raw, time.process_time() - start)

    def mutator(raw: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.4:
            return bytes(atheris.Mutate(raw, most))
        return mutate(raw, chance, others)[:most]

    options = [*LIMITS, f"-max_len={MOST_BYTES}", f"-max_total_time={limits[0]}", f"-artifact_prefix={folder}/end-"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one, custom_mutator=mutator)
    atheris.Fuzz()
    return 0


class SlowInputs:
    """The slowest inputs of a fuzz, as files that begin with their seconds, whose process may end at any time."""

    most = 40

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._kept = sorted((float(path.name.partition("-")[0]), path) for path in folder.iterdir())

    def note(self, raw: bytes, seconds: float) -> None:
        """Keep it if it is one of the slowest."""
        if len(self._kept) >= self.most and seconds <= self._kept[0][0]:
            return
        path = self._folder / f"{seconds:.4f}-{hashlib.sha1(raw, usedforsecurity=False).hexdigest()[:8]}"
        path.write_bytes(raw)
        self._kept = sorted([*self._kept, (seconds, path)])
        while len(self._kept) > self.most:
            self._kept.pop(0)[1].unlink(missing_ok=True)


# --- repeated, and read again ---------------------------------------------------------------------------------------


def search(corpus: Path, findings: Findings, *, seconds: float) -> None:
    """Measure the hostile messages, and pieces of the corpus and of the slowest inputs repeated up to a megabyte."""
    slow = [path.read_bytes() for path in (findings.folder / "slow").iterdir()]
    kept = [path.read_bytes() for path in corpus.iterdir()]
    # The slowest are drawn as often as all others together.
    sources = [raw for raw in kept + slow * (1 + len(kept) // max(1, len(slow))) if raw]
    found = Search(sources, findings)
    for name, raw in hostile(COMPARED).items():
        found.measure(name, raw)
    found.run(seconds)
    print(
        f"repeated: {found.tried:,} patterns; slowest up to 1 MiB: {found.most}; most memory {found.most_mib:.0f} MiB"
    )


def compare(corpus: Path, findings: Findings) -> None:
    """Have all of the corpus read by two processes with other hash seeds."""
    one, other = (_digests(corpus, hash_seed) for hash_seed in ("1", "2"))
    for name in sorted(set(one) | set(other)):
        if one.get(name) != other.get(name):
            findings.add("message: another process reads something else", name, (corpus / name).read_bytes())
    print(f"read by two processes: {len(one):,} messages")


def _digests(corpus: Path, hash_seed: str) -> dict[str, str]:
    command = [sys.executable, __file__, "--digests", str(corpus)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def print_digests(corpus: Path) -> int:
    from fuzzing.promises import digest  # noqa: PLC0415  the other steps do not load spamlstm

    for path in sorted(corpus.iterdir()):
        try:
            print(path.name, digest(path.read_bytes()))
        except Exception as error:  # noqa: BLE001  the first step has reported it
            print(path.name, type(error).__name__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
