"""What hostile mail costs: processor time and memory of each case of hostile_mail.py, alone in a fresh process.

Measured is all that the daemon does with a message but the journal: it is read from a file, gets its content id, is
judged beside a personal layer, tagged, and dated. Memory is the growth of the peak, the message itself included.
The exit status is 1 if a message takes more than the bounds.
"""

import argparse
import itertools
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

from hostile_mail import FAMILIES, LARGE, Make

from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.maildir.arrival import arrived
from spamlstm.maildir.content_id import content_id
from spamlstm.maildir.headers import tag
from spamlstm.maildir.message_file import TooLargeError, read_message
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.model.classifier import Classifier

MB = 1 << 20
SIZES = {"100 KB": 100 << 10, "1 MB": MB, "63 MB": 63 * MB}
# Seconds of the processor for messages up to 1 MB and beyond, and MB of memory for each.
MOST_SECONDS, MOST_SECONDS_LARGE, MOST_MB = 0.5, 2.0, 150
# A case is ended after so many seconds.
PATIENCE = 60
STAGES = ("read", "content id", "judge", "tag", "date")


class Cost(NamedTuple):
    """What one message took; `stages` are the seconds of each of STAGES."""

    name: str
    size: int
    seconds: float
    memory: float
    stages: tuple[float, ...] = ()
    failure: str = ""

    @property
    def too_much(self) -> bool:
        most = MOST_SECONDS if self.size <= MB else MOST_SECONDS_LARGE
        return bool(self.failure) or self.seconds > most or self.memory > MOST_MB


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose family, name or size contain this")
    parser.add_argument("--all", action="store_true", help="print each case, not the worst alone")
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    classifier = warm(arguments.model)
    costs = []
    for family, cases in FAMILIES.items():
        for name, make in cases().items():
            for label, size in SIZES.items():
                title = f"{family}: {name}, {label}"
                if arguments.only in title and (size <= MB or family in LARGE):
                    costs.append(measure(classifier, title, make, size))
                    if arguments.all or costs[-1].too_much:
                        show(costs[-1])
    report(costs)
    return int(any(cost.too_much for cost in costs))


def warm(model: Path | None = None) -> Classifier:
    classifier = Classifier.open(model, personal_features=True)
    judge_usual(classifier)
    return classifier


def judge_usual(classifier: Classifier) -> None:
    """A page and a text as long as any: all that judging loads is loaded then."""
    words = b" ".join(b"word%d" % number for number in range(20_000))
    for kind in (b"html", b"plain"):
        classifier.classify(
            b"From: a@example.org\nContent-Type: text/" + kind + b"\n\n<p>" + words + b" http://a.org\n"
        )


def measure(classifier: Classifier, title: str, make: Make, size: int) -> Cost:
    """The cost of one message, which one process makes and another one reads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "new", "mail")
        path.parent.mkdir()
        in_child(lambda: path.write_bytes(make(size)))
        found = in_child(lambda: spend(classifier, str(path)))
        written = path.stat().st_size
    if not isinstance(found, dict):
        return Cost(title, written, PATIENCE, 0, failure=found or "ended by the kernel")
    return Cost(title, written, sum(found["stages"]), found["memory"], tuple(found["stages"]))


def in_child(work: object) -> object:
    """What `work` gives in a fork of this process, through JSON; a word of what went wrong."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            used = resource.getrusage(resource.RUSAGE_SELF)
            limit = int(used.ru_utime + used.ru_stime) + PATIENCE
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
            answer = work()
        except BaseException as error:  # noqa: BLE001  a child must not go on as its parent
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    return json.loads(answer) if answer else None


def spend(classifier: Classifier, path: str) -> dict[str, object]:
    # A fork has yet to see the libraries that its parent has loaded.
    judge_usual(classifier)
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    times = [time.process_time()]
    with OpenMaildir.open(str(Path(path).parent.parent)) as home:
        try:
            raw, _ = read_message(home.folder().entry("new", "mail"), most=MOST_BYTES)
        except TooLargeError:
            # The daemon leaves it where it is.
            spent = time.process_time() - times[0]
            return {"stages": [spent, 0.0, 0.0, 0.0, 0.0], "memory": memory("VmHWM") - before}
    times.append(time.process_time())
    content_id(raw)
    times.append(time.process_time())
    judgement = classifier.classify(raw)
    times.append(time.process_time())
    tagged = tag(raw, judgement, version="1", spam_threshold=0.9)
    times.append(time.process_time())
    arrived(raw, stored=time.time())
    times.append(time.process_time())
    del tagged
    if any("bug" in defect for defect in judgement.defects):
        raise AssertionError(judgement.defects)
    return {
        "stages": [end - begun for begun, end in itertools.pairwise(times)],
        "memory": memory("VmHWM") - before,
    }


def memory(what: str) -> float:
    """MB, of this process."""
    line = next(line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024


def report(costs: list[Cost]) -> None:
    for label in SIZES:
        some = [cost for cost in costs if cost.name.endswith(f", {label}")]
        if not some:
            continue
        print(f"\n{label}: {len(some)} messages. The slowest:")
        for cost in sorted(some, key=lambda one: -one.seconds)[:5]:
            show(cost)
        print("The largest:")
        for cost in sorted(some, key=lambda one: -one.memory)[:3]:
            show(cost)
    bounds = f"{MOST_SECONDS} s up to 1 MB, {MOST_SECONDS_LARGE} s beyond, {MOST_MB} MB"
    print(f"\n{sum(cost.too_much for cost in costs)} of {len(costs)} messages take more than the bounds ({bounds})")


def show(cost: Cost) -> None:
    stages = cost.failure or ", ".join(
        f"{name} {spent:.2f}" for name, spent in zip(STAGES, cost.stages, strict=True) if spent >= 0.01
    )
    mark = "!" if cost.too_much else " "
    print(f"{mark} {cost.seconds:6.2f} s {cost.memory:5.0f} MB  {cost.name} ({stages})", flush=True)


if __name__ == "__main__":
    sys.exit(main())
