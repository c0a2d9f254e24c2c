"""Search for messages that cost too much for their size: a piece of a message, repeated up to a megabyte.

Quadratic time does not show in the small inputs of a fuzzer, so each pattern is measured as a large message.
"""

import contextlib
import multiprocessing
import random
import resource
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from fuzzing.findings import Findings
from fuzzing.mutations import mutate
from measurement import memory_field, reset_peak_memory

# Bounds for any message of up to LARGEST bytes.
LARGEST, MOST_SECONDS, MOST_MIB = 1 << 20, 0.5, 150
# Patterns are compared at this size; one that takes longer than SUSPECT_SECONDS is measured at LARGEST too.
COMPARED, SUSPECT_SECONDS = 1 << 17, 0.04
POPULATION = 40
PATIENCE = 30.0
MOST_ALIKE = 5
"""Findings that are saved for each step that is slow."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a message: seconds by step, peak memory above that of a small message, and what went wrong."""

    steps: dict[str, float]
    mib: float = 0.0
    problem: str = ""

    @property
    def seconds(self) -> float:
        """The time of a delivery, or of its HTML step if that is more."""
        page = self.steps.get("html", 0.0)
        return max(sum(self.steps.values()) - page, page)

    def __str__(self) -> str:
        step = max(self.steps, key=lambda name: self.steps[name])
        return f"{self.seconds:.2f} s (most in {step}), {self.mib:.0f} MiB"


class Meter:
    """A process that measures messages, and is restarted if a message ends it."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._channel, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def cost(self, raw: bytes) -> Cost:
        """Return the cost of a message; PATIENCE seconds if it takes longer."""
        problem = "the process ended"
        with contextlib.suppress(OSError, EOFError):
            self._channel.send_bytes(raw)
            if self._channel.poll(PATIENCE):
                cost: Cost = self._channel.recv()
                return cost
            problem = f"it took more than {PATIENCE:.0f} s"
        self.close()
        self._start()
        return Cost({"unknown": PATIENCE}, problem=problem)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._channel.close()


def _serve(channel: Connection) -> None:
    from fuzzing.promises import costs  # noqa: PLC0415  the fuzzing process imports it with coverage

    costs(b"From: a@b.example\nContent-Type: text/html\n\n<p>loads what is loaded on first use")
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    small = memory_field("VmRSS")
    with contextlib.suppress(EOFError):
        while True:
            raw = channel.recv_bytes()
            reset_peak_memory()
            try:
                channel.send(Cost(costs(raw), memory_field("VmHWM") - small))
            except Exception as error:  # noqa: BLE001  an exception is a finding
                channel.send(Cost({"unknown": 0.0}, problem=repr(error)[:300]))


@dataclass(frozen=True, slots=True)
class Pattern:
    """A message with a piece that can be repeated."""

    before: bytes
    piece: bytes
    after: bytes

    def at_size(self, size: int) -> bytes:
        """Return a message of about `size` bytes."""
        room = size - len(self.before) - len(self.after)
        return self.before + self.piece * max(1, room // len(self.piece)) + self.after


def random_pattern(sources: Sequence[bytes], chance: random.Random) -> Pattern:
    """Return a random piece of a message, with what surrounds it."""
    raw = chance.choice(sources)
    start = chance.randrange(len(raw) + 1)
    if chance.random() < 0.4:
        start = raw.rfind(b"\n", 0, start) + 1
    end = start + chance.choice((1, 2, 4, 10, 30, 100, 300))
    if chance.random() < 0.4:
        end = raw.find(b"\n", start) + 1 or len(raw)
    return Pattern(raw[:start][:20_000], raw[start:end] or b"x", raw[end:][:20_000])


def mutated(pattern: Pattern, sources: Sequence[bytes], chance: random.Random) -> Pattern:
    """Return the pattern with one of its three parts mutated."""
    which = chance.choice(("piece", "piece", "before", "after"))
    now = mutate(getattr(pattern, which), chance, sources)
    if which == "piece":
        return replace(pattern, piece=now[:2000] or b"x")
    return replace(pattern, **{which: now[:20_000]})


class Search:
    """Search for costly patterns; the costliest are mutated further."""

    def __init__(self, sources: Sequence[bytes], findings: Findings, *, seed: int = 0) -> None:
        self._sources = sources
        self._findings = findings
        self._chance = random.Random(seed)
        self._meter = Meter()
        self._best: list[tuple[float, Pattern]] = []
        self._alike: Counter[str] = Counter()
        self.tried = 0
        self.most = Cost({"none": 0.0})
        self.most_mib = 0.0

    def run(self, seconds: float) -> None:
        """Search for `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._try(self._next())
        self._meter.close()

    def measure(self, name: str, raw: bytes) -> Cost:
        """Return the cost of a message, and report it if it exceeds the bounds. A slow one is measured three times."""
        cost = self._meter.cost(raw)
        for _ in range(2):
            if cost.seconds > MOST_SECONDS and not cost.problem:
                cost = min(cost, self._meter.cost(raw), key=lambda one: one.seconds)
        self.most = max(self.most, cost, key=lambda one: one.seconds)
        self.most_mib = max(self.most_mib, cost.mib)
        if cost.problem or cost.seconds > MOST_SECONDS or cost.mib > MOST_MIB:
            self._report(name, raw, cost)
        return cost

    def _next(self) -> Pattern:
        if self._best and self._chance.random() < 0.6:
            return mutated(self._chance.choice(self._best)[1], self._sources, self._chance)
        return random_pattern(self._sources, self._chance)

    def _try(self, pattern: Pattern) -> None:
        self.tried += 1
        raw = pattern.at_size(COMPARED)
        cost = self.measure("pattern", raw)
        if SUSPECT_SECONDS < cost.seconds < MOST_SECONDS:
            self.measure("pattern", pattern.at_size(LARGEST))
        # Patterns that are reported leave the population, or the search would stay with them.
        if cost.seconds < MOST_SECONDS:
            self._best = sorted((*self._best, (cost.seconds, pattern)), key=lambda one: -one[0])[:POPULATION]

    def _report(self, name: str, raw: bytes, cost: Cost) -> None:
        step = max(cost.steps, key=lambda one: cost.steps[one])
        what = cost.problem or ("memory" if cost.seconds <= MOST_SECONDS else f"slow in {step}")
        self._alike[f"{name}: {what}"] += 1
        number = self._alike[f"{name}: {what}"]
        if number <= MOST_ALIKE:
            self._findings.add(f"{name}: {what} ({number})", f"{len(raw):,} bytes: {cost}\nsteps: {cost.steps}", raw)
