"""The cost of hostile mail: processor time and memory for each case of hostile_mail.py, each in a fresh process.

The steps are those of the daemon without its journal: read the file, compute the content id, judge with the features of
a personal layer, tag, and find the date. Memory is the growth of the peak, including the message itself.
The exit status is 1 if a message exceeds the bounds.
"""

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
from measurement import argument_parser, memory_field, reset_peak_memory

from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.maildir.content_id import arrived, content_id
from spamlstm.maildir.headers import tag
from spamlstm.maildir.message_file import TooLargeError, read_message
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.model.classifier import Classifier

MB = 1 << 20
SIZES = {"100 KB": 100 << 10, "1 MB": MB, "63 MB": 63 * MB}
# Bounds: seconds of processor time for messages up to 1 MB and for larger ones, and MB of memory.
MOST_SECONDS, MOST_SECONDS_LARGE, MOST_MB = 0.5, 2.0, 150
PATIENCE = 60
"""Seconds of processor time after which a case is ended."""
STAGES = ("read", "content id", "judge", "tag", "date")


class Cost(NamedTuple):
    """The cost of one message. `stages` has the seconds of each of STAGES, `memory` is in MB."""

    name: str
    size: int
    seconds: float
    memory: float
    stages: tuple[float, ...] = ()
    failure: str = ""

    @property
    def exceeds_bounds(self) -> bool:
        most = MOST_SECONDS if self.size <= MB else MOST_SECONDS_LARGE
        return bool(self.failure) or self.seconds > most or self.memory > MOST_MB


def main() -> int:
    parser = argument_parser(__doc__)
    parser.add_argument("--only", default="", help="only cases with this in family, name or size")
    parser.add_argument("--all", action="store_true", help="print every case, not only the worst")
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    classifier = open_classifier(arguments.model)
    costs = []
    for family, cases in FAMILIES.items():
        for name, make in cases().items():
            for label, size in SIZES.items():
                title = f"{family}: {name}, {label}"
                if arguments.only in title and (size <= MB or family in LARGE):
                    costs.append(measure(classifier, title, make, size))
                    if arguments.all or costs[-1].exceeds_bounds:
                        show(costs[-1])
    report(costs)
    return int(any(cost.exceeds_bounds for cost in costs))


def open_classifier(model: Path | None = None) -> Classifier:
    classifier = Classifier.open(model, personal_features=True)
    warm_up(classifier)
    return classifier


def warm_up(classifier: Classifier) -> None:
    """Judge a long page and a long text, so that everything that is loaded on first use is loaded."""
    words = b" ".join(b"word%d" % number for number in range(20_000))
    for kind in (b"html", b"plain"):
        classifier.classify(
            b"From: a@example.org\nContent-Type: text/" + kind + b"\n\n<p>" + words + b" http://a.org\n"
        )


def measure(classifier: Classifier, title: str, make: Make, size: int) -> Cost:
    """Return the cost of one message. One process writes it and another one reads it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "new", "mail")
        path.parent.mkdir()
        in_child(lambda: path.write_bytes(make(size)))
        found = in_child(lambda: costs(classifier, str(path)))
        written = path.stat().st_size
    if not isinstance(found, dict):
        return Cost(title, written, PATIENCE, 0, failure=found or "killed by the kernel")
    return Cost(title, written, sum(found["stages"]), found["memory"], tuple(found["stages"]))


def in_child(work: object) -> object:
    """Return the result of `work` in a fork of this process, passed as JSON; a string if it raises."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            used = resource.getrusage(resource.RUSAGE_SELF)
            limit = int(used.ru_utime + used.ru_stime) + PATIENCE
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
            answer = work()
        except BaseException as error:  # noqa: BLE001  the child must not continue as the parent
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    return json.loads(answer) if answer else None


def costs(classifier: Classifier, path: str) -> dict[str, object]:
    # The pages of libraries that the parent loaded count only once the fork has touched them.
    warm_up(classifier)
    before = memory_field("VmRSS")
    reset_peak_memory()
    times = [time.process_time()]
    with OpenMaildir.open(str(Path(path).parent.parent)) as home:
        try:
            raw = read_message(home.folder().entry("new", "mail"), most=MOST_BYTES).content
        except TooLargeError:
            # The daemon leaves such a message where it is.
            spent = time.process_time() - times[0]
            return {"stages": [spent, 0.0, 0.0, 0.0, 0.0], "memory": memory_field("VmHWM") - before}
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
        "memory": memory_field("VmHWM") - before,
    }


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
    bounds = f"{MOST_SECONDS} s up to 1 MB, {MOST_SECONDS_LARGE} s for larger ones, {MOST_MB} MB"
    print(f"\n{sum(cost.exceeds_bounds for cost in costs)} of {len(costs)} messages exceed the bounds ({bounds})")


def show(cost: Cost) -> None:
    stages = cost.failure or ", ".join(
        f"{name} {spent:.2f}" for name, spent in zip(STAGES, cost.stages, strict=True) if spent >= 0.01
    )
    mark = "!" if cost.exceeds_bounds else " "
    print(f"{mark} {cost.seconds:6.2f} s {cost.memory:5.0f} MB  {cost.name} ({stages})", flush=True)


if __name__ == "__main__":
    sys.exit(main())
