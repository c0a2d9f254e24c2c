"""The output of `spamlstm filter`, compared with its input: all bytes but those of our headers must be the same.

Takes all messages of some archives, hostile messages at two sizes, and mutations of the messages of the tests. Each
message is classified, unless `--quick` is given: then its verdict is chosen in turn. The exit status is 1 if a message
was changed.
"""

import itertools
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fuzzing.mutations import mutate
from fuzzing.seeds import hostile, seeds
from measurement import argument_parser, read_mail

from spamlstm.cli.filter import filter_here
from spamlstm.cli.filter_client import FilterOptions
from spamlstm.config.values import Thresholds
from spamlstm.model.classifier import Classifier
from spamlstm.verdict import Judgement, Verdict

SIZES = 2 << 10, 256 << 10
# A header that the filter writes, or X-Spam, is removed from a message that arrives.
FORGED = re.compile(rb"x-spam(-flag|-unsure|-status|-level|-checker-version)?[ \t]*:", re.IGNORECASE)
ADDED = re.compile(
    rb"(?:X-Spam-(?:Flag|Unsure): YES\r?\n)?X-Spam-Status: (?:Yes|No), [ -~]*\r?\n"
    rb"(?:X-Spam-Level: \*+\r?\n)?X-Spam-Checker-Version: spamlstm [ -~]*\r?\n"
)


class Turns:
    """Stands for a classifier: gives each verdict in turn."""

    def __init__(self) -> None:
        self.policy = self
        self.thresholds = Thresholds(ham=0.2, spam=0.98)
        verdicts = ((Verdict.SPAM, 0.999, 6.9), (Verdict.HAM, 0.01, -4.6), (Verdict.UNSURE, 0.5, 0.0))
        self._turns = itertools.cycle(Judgement(*one, "score", "turns 1") for one in verdicts)

    def classify(self, _raw: bytes, **_: object) -> Judgement:
        return next(self._turns)


def main() -> int:
    parser = argument_parser(__doc__)
    parser.add_argument("archives", type=Path, nargs="*")
    parser.add_argument("--mutations", type=int, default=1_000, help="mutated messages of the tests [default: 1000]")
    parser.add_argument("--quick", action="store_true", help="do not classify")
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    opened = Turns() if arguments.quick else Classifier.open(arguments.model)
    options = FilterOptions()
    options.state = "/nonexistent"  # no labels

    def filtered(raw: bytes) -> bytes:
        return filter_here(options, raw, open_classifier=lambda *_, **__: opened)[1]

    sources = {f"hostile, {size:,} bytes": crafted(size) for size in SIZES}
    sources["mutations"] = mutations(arguments.mutations)
    sources |= {one.name: ((mail.id, mail.raw) for mail in read_mail(one)) for one in arguments.archives}
    changed = sum(compare(name, messages, filtered) for name, messages in sources.items())
    print(f"{changed} messages were changed")
    return int(changed > 0)


def crafted(size: int) -> Iterator[tuple[str, bytes]]:
    """Yield each hostile message, with either line end."""
    for name, raw in hostile(size).items():
        yield name, raw
        yield f"{name}, CRLF", raw.replace(b"\n", b"\r\n")


def mutations(count: int) -> Iterator[tuple[str, bytes]]:
    chance, some = random.Random(1), seeds()
    for number in range(count):
        yield str(number), mutate(chance.choice(some), chance, some)


def compare(source: str, messages: Iterator[tuple[str, bytes]], filtered: Callable[[bytes], bytes]) -> int:
    """Print the messages that were changed, and their number."""
    began, count, size, changed = time.process_time(), 0, 0, 0
    for name, raw in messages:
        try:
            why = difference(raw, filtered(raw))
        except Exception as error:  # noqa: BLE001  shown
            why = repr(error)
        if why:
            print(f"{source}, {name}: {why}", flush=True)
        count, size, changed = count + 1, size + len(raw), changed + bool(why)
    spent = time.process_time() - began
    print(f"{source}: {count:,} messages, {size:,} bytes, {changed} changed, {spent:.0f} s", flush=True)
    return changed


def difference(raw: bytes, output: bytes) -> str:
    """Return what is wrong with the output for a message; empty if nothing is."""
    kept = without_forged(raw)
    added = ADDED.search(output)
    if added is None:
        # A folded line without a line end has no place for a header.
        folded = raw.startswith((b" ", b"\t")) and b"\n" not in kept
        return "" if folded and output == kept else "our headers are missing"
    if output[: added.start()] + output[added.end() :] != kept:
        return "other bytes differ"
    if re.search(rb"(?:\A|\n)\r?\n", output[: added.start()]):
        return "our headers are in the body"
    first, line_end, _ = kept.partition(b"\n")
    if line_end and first.endswith(b"\r") != added[0].endswith(b"\r\n"):
        return "our headers have other line ends"
    return ""


def without_forged(raw: bytes) -> bytes:
    """Return a message without forged headers, line by line."""
    kept, in_forged, in_head = [], False, True
    for line in re.findall(rb"[^\n]*\n|[^\n]+", raw):
        in_head = in_head and line not in (b"\n", b"\r\n")
        if in_head and not (in_forged and line.startswith((b" ", b"\t"))):
            in_forged = FORGED.match(line) is not None
        if not in_head or not in_forged:
            kept.append(line)
    return b"".join(kept)


if __name__ == "__main__":
    sys.exit(main())
