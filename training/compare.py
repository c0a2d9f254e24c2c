"""What the choice of cell is worth: the simpler relatives beside the BiLSTM, on the same mail, by the same recipe."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from spamlstm.errors import UserError
from spamlstm.evaluation.metrics import Figure, one_minus_roca_pct, sm_at_hm_pct

from . import export, fit, learn, plot, workplace
from .batches import SECTION_IDS, Example, collate, rows
from .dataset import Dataset, Limits
from .learn import Recipe
from .network import Cell, Network
from .progress import silent
from .sampling import Split, split

# Each is one step from its neighbour: a memory, gates, a cell state apart from the output, the way back. Each alone,
# without the wide part, which would hide how they differ.
CELLS: tuple[tuple[str, Cell, bool], ...] = (
    ("perceptron", "mean", True),
    ("RNN", "rnn", True),
    ("GRU", "gru", True),
    ("one-way LSTM", "lstm", True),
    ("BiLSTM", "lstm", False),
)
# Messages judged, evenly over the stream, and among them those of the experiment with the distance.
MOST_JUDGED = 20_000
MOST_PROBES = 3_000
# A body of so many tokens tells its class in few words; the innocent words behind it put them far from the end.
SHORT = (8, 60)
DISTANCES = (0, 25, 50, 100, 200)
TIMED = 300

TABLE, DATA, PICTURE = "comparison.md", "comparison.json", "comparison.png"


@dataclass(frozen=True, slots=True)
class Result:
    """One network's figures. `by_distance` is (1-ROCA)% for each of DISTANCES; None where a class has no message."""

    name: str
    parameters: int
    int8_bytes: int
    ms: float
    one_minus_roca_pct: Figure | None
    sm_at_hm_1_pct: Figure | None
    by_distance: list[Figure | None]


@dataclass(frozen=True, slots=True)
class _Task:
    """What every network gets: `judged` in whole, and `probes`, one list for each distance."""

    data: Dataset
    part: Split
    examples: list[Example]
    judged: list[Example]
    probes: list[list[Example]]
    job: fit.Job
    beside: Path


def compare(
    data: Dataset,
    recipe: Recipe,
    limits: Limits,
    *,
    without: Sequence[str],
    out: Path,
    say: Callable[[str], None],
    device: str = "cpu",
    tick: Callable[[int], None] = silent,
) -> list[Result]:
    """Train each of CELLS without the sources `without`, judge those, write table, figures and picture to `out`.

    The three appear together, by one rename. UserError for a source that is not there, or without both classes.
    """
    fit.check_sources(data, without)
    part = split(data, left=fit.left_out(data, without))
    if len(set(data.spam[part.held])) < 2:
        raise UserError(f"{', '.join(without)} has mail of one class only, which ranks nothing; judge other sources")
    identity = repr(("compare", recipe, limits, tuple(without), data.fingerprint()))
    beside = workplace.begin(out, holds=DATA, identity=identity)
    known = fit.words(data, part, recipe, path=beside / "vocabulary.json")
    examples = data.encode(known, limits)
    recipe = replace(recipe, network=replace(recipe.network, vocabulary=len(known)))
    job = fit.Job(recipe, limits, out, name="", version="", device=device, corpora=(), say=say, tick=tick)
    judged = [examples[index] for index in _evenly(part.held, MOST_JUDGED)]
    probes = probes_of(judged, _innocent(data, part, examples), distances=_distances(limits), seed=recipe.seed)
    task = _Task(data, part, examples, judged, probes, job, beside)
    results = [_result(task, name, cell=cell, one_way=one_way) for name, cell, one_way in CELLS]
    into = workplace.fresh(beside, "result")
    _write(results, _about(task, without), into)
    workplace.finish(into, out, beside=beside)
    return results


# --- one network ----------------------------------------------------------------------------------------------------


def _result(task: _Task, name: str, *, cell: Cell, one_way: bool) -> Result:
    shape = replace(task.job.recipe.network, cell=cell, one_way=one_way, buckets=0)
    job = replace(task.job, recipe=replace(task.job.recipe, network=shape))
    job.say(f"{name}:")
    checkpoint = task.beside / f"{name.replace(' ', '-')}.pt"
    network = fit.train_network(task.data, task.part, task.examples, job, checkpoint=checkpoint)
    path = _exported(network, checkpoint.with_suffix(".onnx"))
    spam, logits = _judge(network, task.judged, windows=job.limits.windows)
    result = Result(
        name=name,
        parameters=sum(tensor.numel() for tensor in network.parameters()),
        int8_bytes=path.stat().st_size,
        ms=milliseconds(path, [rows(task.judged[i], job.limits.windows) for i in _evenly(_all(task.judged), TIMED)]),
        one_minus_roca_pct=one_minus_roca_pct(spam, logits),
        sm_at_hm_1_pct=sm_at_hm_pct(spam, logits, 1.0),
        by_distance=[one_minus_roca_pct(*_judge(network, probes, windows=1)) for probes in task.probes],
    )
    job.say(f"{name}: (1-ROCA)% {_words(result.one_minus_roca_pct)}, {result.ms:.2f} ms a message")
    return result


def _judge(network: Network, examples: list[Example], *, windows: int) -> tuple[NDArray[np.bool_], learn.Floats]:
    spam = np.array([example.spam for example in examples], np.bool_)
    return spam, learn.logits(network, examples, windows=windows) if examples else np.zeros(0)


def _exported(network: Network, path: Path) -> Path:
    plain = path.with_suffix(".float.onnx")
    onnx.save(export.graph(network.deep), plain)
    export.quantize(plain, path)
    return path


def milliseconds(path: Path, messages: Sequence[Sequence[NDArray[np.uint16]]]) -> float:
    """Mean time for one message, its windows as one batch, ONNX Runtime on one thread; the best of three rounds."""
    session = export.session(path, threads=1)
    made = [collate([message], [False]) for message in messages]
    inputs = [{"ids": batch.ids, "lengths": batch.lengths} for batch in made]
    rounds = []
    for _ in range(3):
        start = time.perf_counter()
        for each in inputs:
            session.run(None, each)
        rounds.append(time.perf_counter() - start)
    return 1000 * min(rounds) / len(inputs)


# --- the distance ---------------------------------------------------------------------------------------------------


def probes_of(
    judged: Sequence[Example], innocent: NDArray[np.uint16], *, distances: Sequence[int], seed: int
) -> list[list[Example]]:
    """For each distance the short messages of `judged`, body only, with so many tokens of `innocent` behind.

    The words behind one message at a smaller distance begin those at a larger one, and are the same for every
    network. No messages where `innocent` is too short to draw from.
    """
    rng = np.random.default_rng(seed)
    most = max(distances, default=0)
    short = [each for each in judged if len(each.windows) == 1 and SHORT[0] <= len(each.windows[0]) <= SHORT[1]]
    if len(innocent) < most:
        return [[] for _ in distances]
    chosen = [short[index] for index in _evenly(_all(short), MOST_PROBES)]
    starts = rng.integers(0, len(innocent) - most + 1, len(chosen))
    header = np.array([SECTION_IDS["body"]], np.uint16)
    return [
        [
            Example(header, (np.concatenate((each.windows[0], innocent[start : start + distance])),), each.spam)
            for each, start in zip(chosen, starts, strict=True)
        ]
        for distance in distances
    ]


def _innocent(data: Dataset, part: Split, examples: Sequence[Example]) -> NDArray[np.uint16]:
    """The bodies of ham that no network was trained on, one after the other."""
    ham = part.validation[~data.spam[part.validation]]
    bodies = [examples[index].windows[0] for index in ham]
    return np.concatenate(bodies) if bodies else np.zeros(0, np.uint16)


def _distances(limits: Limits) -> list[int]:
    return [distance for distance in DISTANCES if SHORT[1] + distance <= limits.window]


# --- what is written ------------------------------------------------------------------------------------------------


def _about(task: _Task, without: Sequence[str]) -> dict[str, Any]:
    spam = [example.spam for example in task.judged]
    return {
        "judged": {"sources": list(without), "ham": spam.count(False), "spam": spam.count(True)},
        "trained_on": len(task.part.train),
        "distances": _distances(task.job.limits),
        "distance_messages": len(task.probes[0]) if task.probes else 0,
        "recipe": learn.describe(task.job.recipe),
        "limits": asdict(task.job.limits),
        "device": task.job.device,
    }


def _write(results: Sequence[Result], about: dict[str, Any], into: Path) -> None:
    (into / TABLE).write_text(table(results, about), "utf-8")
    cells = [asdict(result) for result in results]
    (into / DATA).write_text(json.dumps({**about, "cells": cells}, indent=1) + "\n", "utf-8")
    plot.draw(results, about["distances"], into / PICTURE)


def table(results: Sequence[Result], about: dict[str, Any]) -> str:
    """The comparison in Markdown."""
    judged, recipe = about["judged"], about["recipe"]
    lines = [
        "# The cells compared",
        "",
        "Made by `python -m training compare-cells`. All networks have the same vocabulary, embedding, pooling, mail",
        f"and recipe: {recipe['epochs']} epochs of {recipe['per_epoch']:,} out of {about['trained_on']:,} messages.",
        f"Judged: {', '.join(judged['sources'])}, which none was trained on,",
        f"{judged['ham']:,} ham and {judged['spam']:,} spam.",
        "In brackets the 95 % interval. Size and time are those of the int8 network in ONNX",
        "Runtime, one thread, a message with all its windows; of a GRU and an RNN it keeps the cell itself in float.",
        "",
        "| cell | (1-ROCA)% | sm % at hm 1 % | parameters | bytes | ms a message |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {one.name} | {_words(one.one_minus_roca_pct)} | {_words(one.sm_at_hm_1_pct)} | {one.parameters:,} "
        f"| {one.int8_bytes:,} | {one.ms:.2f} |"
        for one in results
    ]
    head = " | ".join(f"{distance} tokens" for distance in about["distances"])
    lines += [
        "",
        "## Error against the distance of the telling words from the end",
        "",
        f"(1-ROCA)% on {about['distance_messages']:,} short messages ({SHORT[0]} to {SHORT[1]} tokens), the body",
        "alone, with so many tokens of other people's ham behind them, the same for each network.",
        "",
        f"| cell | {head} |",
        "|---|" + "---:|" * len(about["distances"]),
    ]
    lines += [f"| {one.name} | {' | '.join(_words(figure) for figure in one.by_distance)} |" for one in results]
    return "\n".join([*lines, "", f"![The two tables as a picture]({PICTURE})", ""])


def _words(figure: Figure | None) -> str:
    return "–" if figure is None else f"{figure.value:.3g} ({figure.low:.3g} to {figure.high:.3g})"


def _all(values: Sequence[object]) -> NDArray[np.int64]:
    return np.arange(len(values))


def _evenly(values: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of `values`, at equal distances."""
    return values[np.linspace(0, len(values) - 1, min(most, len(values))).astype(int)]
