"""Fuzz everything that reads a message: no exception, no broken promise, at most half a second per megabyte.

    .venv/bin/pip install -e '.[fuzz]'
    .venv/bin/python benchmarks/fuzz_messages.py

In three steps: atheris, guided by the coverage of spamlstm, mutates the messages of the tests and the demo. Parts
of its corpus are repeated up to a megabyte, in search of time that grows faster than the size. Two processes with
different hash seeds read the corpus, and must give the same result. The exit status is 1 if there are findings.
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
from measurement import argument_parser

# The share of the time for the coverage-guided step; the rest is for the search for slow messages.
SHARE = 0.7
MOST_BYTES = 16 << 10
# Size of the hostile messages of other benchmarks, which are repetitions.
MOST_SEED = 2 << 10
# libFuzzer ends the process beyond these limits; the input is a finding.
LIMITS = ("-timeout=20", "-rss_limit_mb=3000")
_PROGRESS = re.compile(rb"^#(\d+)\s.* cov: (\d+)", re.MULTILINE)


def main() -> int:
    arguments = _arguments()
    if arguments.child:
        return fuzz_here(*map(Path, arguments.child[:2]), limits=arguments.child[2:])
    if arguments.digests:
        return print_digests(arguments.digests)
    if importlib.util.find_spec("atheris") is None:
        sys.exit("atheris is not installed: .venv/bin/pip install -e '.[fuzz]'")
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
    parser = argument_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=1200.0, help="total time [default: 1200]")
    parser.add_argument(
        "--corpus", type=Path, help="folder of the corpus, also of earlier runs [default: in the folder of findings]"
    )
    parser.add_argument("--findings", type=Path, help="folder for findings [default: a new one]")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--digests", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def begin_corpus(corpus: Path) -> None:
    """Write the seeds into the corpus."""
    corpus.mkdir(parents=True, exist_ok=True)
    for raw in (*seeds(), *hostile(MOST_SEED).values()):
        (corpus / hashlib.sha1(raw, usedforsecurity=False).hexdigest()).write_bytes(raw)


# --- guided by coverage ---------------------------------------------------------------------------------------------


def fuzz(corpus: Path, folder: Path, findings: Findings, *, seconds: float) -> None:
    """Fuzz in a child process, which is restarted when an input ends it."""
    end = time.monotonic() + seconds
    runs = edges = 0
    while (left := int(end - time.monotonic())) > 0:
        command = [sys.executable, __file__, "--child", str(corpus), str(folder)]
        log = folder / "atheris.log"
        with log.open("wb") as output:
            done = subprocess.run([*command, str(left)], stdout=output, stderr=output, check=False)
        progress = _PROGRESS.findall(log.read_bytes())
        if not progress:
            sys.exit(f"atheris did not start; see {log}")
        runs, edges = runs + int(progress[-1][0]), max(edges, int(progress[-1][1]))
        report_ends(folder, findings, log)
        if done.returncode == 0:
            break
    print(f"guided by coverage: {runs:,} runs, {edges:,} edges, {len(list(corpus.iterdir())):,} messages in the corpus")
    print(f"slowest, including the cost of coverage: {_slowest(folder)}", flush=True)


def report_ends(folder: Path, findings: Findings, log: Path) -> None:
    """Report each input that ended the process by a crash, a timeout or too much memory, as saved by libFuzzer."""
    for path in folder.glob("end-*"):
        findings.add(
            f"{path.name.split('-')[1]} {path.name[-8:]}", log.read_text(errors="replace")[-4000:], path.read_bytes()
        )
        path.unlink()


def _slowest(folder: Path) -> str:
    slow = sorted(((float(path.name.partition("-")[0]), path) for path in (folder / "slow").iterdir()), reverse=True)
    return f"{slow[0][1].stat().st_size:,} bytes, {slow[0][0]:.3f} s" if slow else "none"


def fuzz_here(corpus: Path, folder: Path, *, limits: list[str]) -> int:
    """Fuzz in this process, the child."""
    import atheris  # noqa: PLC0415  only the child needs it

    with atheris.instrument_imports(include=["spamlstm", "email"]):
        from fuzzing import promises  # noqa: PLC0415  imported here for coverage
    from fuzzing.mutations import mutate  # noqa: PLC0415

    findings, slow, others = Findings(folder), SlowInputs(folder / "slow"), seeds()

    def one(raw: bytes) -> None:
        start = time.process_time()
        try:
            promises.check(raw, twice=raw[-1:] < b"\x40")
        except Exception as error:  # noqa: BLE001  every exception is a finding, and none ends the fuzzing
            findings.add_error("message", error, raw)
        slow.add(raw, time.process_time() - start)

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
    """The slowest inputs, as files named by their seconds and a hash. The process may end at any time."""

    most = 40

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._kept = sorted((float(path.name.partition("-")[0]), path) for path in folder.iterdir())

    def add(self, raw: bytes, seconds: float) -> None:
        """Keep an input if it is among the slowest."""
        if len(self._kept) >= self.most and seconds <= self._kept[0][0]:
            return
        path = self._folder / f"{seconds:.4f}-{hashlib.sha1(raw, usedforsecurity=False).hexdigest()[:8]}"
        path.write_bytes(raw)
        self._kept = sorted([*self._kept, (seconds, path)])
        while len(self._kept) > self.most:
            self._kept.pop(0)[1].unlink(missing_ok=True)


# --- slow messages and hash seeds -----------------------------------------------------------------------------------


def search(corpus: Path, findings: Findings, *, seconds: float) -> None:
    """Measure the hostile messages, then parts of the corpus and of the slowest inputs, repeated up to a megabyte."""
    slow = [path.read_bytes() for path in (findings.folder / "slow").iterdir()]
    kept = [path.read_bytes() for path in corpus.iterdir()]
    # The slowest inputs are chosen as often as all others together.
    sources = [raw for raw in kept + slow * (1 + len(kept) // max(1, len(slow))) if raw]
    found = Search(sources, findings)
    for name, raw in hostile(COMPARED).items():
        found.measure(name, raw)
    found.run(seconds)
    print(
        f"repeated: {found.tried:,} patterns; slowest up to 1 MiB: {found.most}; most memory {found.most_mib:.0f} MiB"
    )


def compare(corpus: Path, findings: Findings) -> None:
    """Read the corpus in two processes with different hash seeds, and report differences."""
    one, other = (_digests(corpus, hash_seed) for hash_seed in ("1", "2"))
    for name in sorted(set(one) | set(other)):
        if one.get(name) != other.get(name):
            findings.add("message: another hash seed gives another result", name, (corpus / name).read_bytes())
    print(f"read by two processes: {len(one):,} messages")


def _digests(corpus: Path, hash_seed: str) -> dict[str, str]:
    command = [sys.executable, __file__, "--digests", str(corpus)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def print_digests(corpus: Path) -> int:
    from fuzzing.promises import digest  # noqa: PLC0415  other steps do not load spamlstm

    for path in sorted(corpus.iterdir()):
        try:
            print(path.name, digest(path.read_bytes()))
        except Exception as error:  # noqa: BLE001  reported by the first step
            print(path.name, type(error).__name__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
