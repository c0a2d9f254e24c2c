"""Compare recurrent cells: simpler networks beside the BiLSTM, trained on the same mail by the same recipe."""

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

from . import export, fit, learn, plot, run_folder
from .batches import SECTION_IDS, Example, collate, rows
from .dataset import Dataset, Limits
from .learn import Recipe
from .network import Cell, Network, Wide
from .progress import silent
from .sampling import Split, evenly, split

# Each adds one thing to the one before: recurrence, gates, a cell state of its own, the backward direction. All correct
# the same wide part.
CELLS: tuple[tuple[str, Cell, bool], ...] = (
    ("perceptron", "mean", True),
    ("RNN", "rnn", True),
    ("GRU", "gru", True),
    ("one-way LSTM", "lstm", True),
    ("BiLSTM", "lstm", False),
)
# At most this many messages are judged, at equal distances; and of those, for the distance experiment.
MOST_JUDGED = 20_000
MOST_PROBES = 3_000
# The distance experiment takes bodies of 8 to 60 tokens and puts ham behind them, so that the words that decide are far
# from the end.
SHORT = (8, 60)
DISTANCES = (0, 25, 50, 100, 200)
TIMED = 300

TABLE, DATA, PICTURE = "comparison.md", "comparison.json", "comparison.png"


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one network.

    `by_distance` is (1-ROCA)% for each of DISTANCES. A figure is None where one class has no message. `ms` is
    milliseconds per message.
    """

    name: str
    parameters: int
    int8_bytes: int
    ms: float
    one_minus_roca_pct: Figure | None
    sm_at_hm_1_pct: Figure | None
    by_distance: list[Figure | None]


@dataclass(frozen=True, slots=True)
class _Task:
    """The task that all networks share. They judge `judged`, and `probes`: a list of messages for each distance."""

    data: Dataset
    part: Split
    mail: learn.Mail
    wide: Wide
    readers: list[Wide]
    judged: list[Example]
    probes: list[list[Example]]
    job: fit.Job
    folder: Path


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
    """Train each of CELLS without the sources `without`, judge these, and write table, data and picture to `out`.

    The three files appear together, by one rename. UserError for an unknown source, or if only one class is left out.
    """
    fit.check_sources(data, without)
    part = split(data, left=fit.left_out(data, without))
    if len(set(data.spam[part.held])) < 2:
        raise UserError(f"--without {', '.join(without)}: this mail is of one class only; leave out both ham and spam")
    identity = repr(("compare", recipe, limits, tuple(without), data.fingerprint()))
    folder = run_folder.open_run_folder(out, holds=DATA, identity=identity)
    vocabulary = fit.train_vocabulary(data, part, recipe, path=folder / "vocabulary.json")
    examples = data.encode(vocabulary, limits)
    recipe = replace(recipe, network=replace(recipe.network, vocabulary=len(vocabulary)))
    job = fit.Job(recipe, limits, out, name="", version="", device=device, corpora=(), say=say, tick=tick)
    judged = [examples[index] for index in evenly(part.held, MOST_JUDGED)]
    probes = make_probes(judged, _filler(data, part, examples), distances=_distances(limits), seed=recipe.seed)
    mail = fit.training_mail(data, part, examples, recipe)
    wide = learn.train_wide(recipe, mail, job.run(folder / "wide.pt"))
    readers = learn.train_readers(recipe, mail, job.run(folder / "wide.pt"))
    task = _Task(data, part, mail, wide, readers, judged, probes, job, folder)
    results = [_result(task, name, cell=cell, one_way=one_way) for name, cell, one_way in CELLS]
    into = run_folder.empty_folder(folder, "result")
    _write(results, _metadata(task, without), into)
    run_folder.publish(into, out, folder=folder)
    return results


# --- one network ----------------------------------------------------------------------------------------------------


def _result(task: _Task, name: str, *, cell: Cell, one_way: bool) -> Result:
    shape = replace(task.job.recipe.network, cell=cell, one_way=one_way)
    job = replace(task.job, recipe=replace(task.job.recipe, network=shape))
    job.say(f"{name}:")
    checkpoint = task.folder / f"{name.replace(' ', '-')}.pt"
    network = Network(shape)
    network.wide = task.wide
    network.deep = learn.train_deep(job.recipe, task.wide, task.readers, task.mail, job.run(checkpoint), name=name)
    network.cpu().eval()
    path = _export(network, checkpoint.with_suffix(".onnx"))
    spam, logits = _judge(network, task.judged, windows=job.limits.windows)
    result = Result(
        name=name,
        parameters=sum(tensor.numel() for tensor in network.deep.parameters()),
        int8_bytes=path.stat().st_size,
        ms=milliseconds(path, [rows(example, job.limits.windows) for example in _sample(task.judged, TIMED)]),
        one_minus_roca_pct=one_minus_roca_pct(spam, logits),
        sm_at_hm_1_pct=sm_at_hm_pct(spam, logits, 1.0),
        by_distance=[one_minus_roca_pct(*_judge(network, probes, windows=1)) for probes in task.probes],
    )
    job.say(f"{name}: (1-ROCA)% {_with_interval(result.one_minus_roca_pct)}, {result.ms:.2f} ms per message")
    return result


def _judge(network: Network, examples: list[Example], *, windows: int) -> tuple[NDArray[np.bool_], learn.Floats]:
    spam = np.array([example.spam for example in examples], np.bool_)
    return spam, learn.logits(network, examples, windows=windows) if examples else np.zeros(0)


def _export(network: Network, path: Path) -> Path:
    plain = path.with_suffix(".float.onnx")
    onnx.save(export.graph(network.deep), plain)
    export.quantize(plain, path)
    return path


def milliseconds(path: Path, messages: Sequence[Sequence[NDArray[np.uint16]]]) -> float:
    """Return the mean time per message on one thread, its windows as one batch; the best of three rounds."""
    session = export.session(path, threads=1)
    batches = [collate([message], [False]) for message in messages]
    inputs = [{"ids": batch.ids, "lengths": batch.lengths} for batch in batches]
    rounds = []
    for _ in range(3):
        start = time.perf_counter()
        for each in inputs:
            session.run(None, each)
        rounds.append(time.perf_counter() - start)
    return 1000 * min(rounds) / len(inputs)


# --- the distance ---------------------------------------------------------------------------------------------------


def make_probes(
    judged: Sequence[Example], filler: NDArray[np.uint16], *, distances: Sequence[int], seed: int
) -> list[list[Example]]:
    """Return, for each distance, the short messages of `judged` without header, with that much of `filler` behind.

    The filler of a message at a smaller distance is the start of that at a larger one, and the same for every network.
    The lists are empty if `filler` is too short.
    """
    rng = np.random.default_rng(seed)
    most = max(distances, default=0)
    short = [each for each in judged if len(each.windows) == 1 and SHORT[0] <= len(each.windows[0]) <= SHORT[1]]
    if len(filler) < most:
        return [[] for _ in distances]
    chosen = _sample(short, MOST_PROBES)
    starts = rng.integers(0, len(filler) - most + 1, len(chosen))
    header = np.array([SECTION_IDS["body"]], np.uint16)
    return [
        [
            Example(header, (np.concatenate((each.windows[0], filler[start : start + distance])),), each.spam)
            for each, start in zip(chosen, starts, strict=True)
        ]
        for distance in distances
    ]


def _filler(data: Dataset, part: Split, examples: Sequence[Example]) -> NDArray[np.uint16]:
    """Return the concatenated bodies of the validation ham, on which no network is trained."""
    ham = part.validation[~data.spam[part.validation]]
    bodies = [examples[index].windows[0] for index in ham]
    return np.concatenate(bodies) if bodies else np.zeros(0, np.uint16)


def _distances(limits: Limits) -> list[int]:
    return [distance for distance in DISTANCES if SHORT[1] + distance <= limits.window]


# --- output ---------------------------------------------------------------------------------------------------------


def _metadata(task: _Task, without: Sequence[str]) -> dict[str, Any]:
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


def _write(results: Sequence[Result], metadata: dict[str, Any], into: Path) -> None:
    (into / TABLE).write_text(table(results, metadata), "utf-8")
    cells = [asdict(result) for result in results]
    (into / DATA).write_text(json.dumps({**metadata, "cells": cells}, indent=1) + "\n", "utf-8")
    plot.draw(results, metadata["distances"], into / PICTURE)


def table(results: Sequence[Result], metadata: dict[str, Any]) -> str:
    """Return the comparison in Markdown."""
    judged, recipe = metadata["judged"], metadata["recipe"]
    lines = [
        "# Comparison of recurrent cells",
        "",
        "Made by `python -m training compare-cells`. All networks correct the same wide part, and have the same",
        f"vocabulary, embedding and pooling. They learn from {recipe['epochs']} × {recipe['per_epoch']:,} rows.",
        f"They judge {', '.join(judged['sources'])}, left out of {metadata['trained_on']:,} messages to train on:",
        f"{judged['ham']:,} ham and {judged['spam']:,} spam.",
        "95 % intervals are in brackets. Parameters, size and time are those of the deep part in ONNX Runtime on one",
        "thread, for a message with all its windows. The tables of tokens are int8, the cells float32.",
        "",
        "| cell | (1-ROCA)% | sm % at hm 1 % | parameters | bytes | ms per message |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {one.name} | {_with_interval(one.one_minus_roca_pct)} | {_with_interval(one.sm_at_hm_1_pct)} "
        f"| {one.parameters:,} | {one.int8_bytes:,} | {one.ms:.2f} |"
        for one in results
    ]
    head = " | ".join(f"{distance} tokens" for distance in metadata["distances"])
    lines += [
        "",
        "## Error by distance of the deciding words from the end",
        "",
        f"(1-ROCA)% on {metadata['distance_messages']:,} short messages ({SHORT[0]} to {SHORT[1]} tokens) without",
        "header, followed by this many tokens of other ham, which are the same for each network.",
        "",
        f"| cell | {head} |",
        "|---|" + "---:|" * len(metadata["distances"]),
    ]
    lines += [f"| {one.name} | {' | '.join(_with_interval(figure) for figure in one.by_distance)} |" for one in results]
    return "\n".join([*lines, "", f"![Plot of both tables]({PICTURE})", ""])


def _with_interval(figure: Figure | None) -> str:
    return "–" if figure is None else f"{figure.value:.3g} ({figure.low:.3g} to {figure.high:.3g})"


def _sample(examples: Sequence[Example], most: int) -> list[Example]:
    """Return at most `most` of `examples`, at equal distances."""
    return [examples[index] for index in evenly(np.arange(len(examples)), most)]
