"""Compare recurrent cells: simpler networks beside the BiLSTM, trained on the same mail by the same recipe.

Each corrects the same wide part, as the LSTM of a shipped model does. They are judged on mail of sources left out of
training, on disguised copies of that mail, and on short messages of it that are padded with ham.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from spamlstm.errors import UserError
from spamlstm.evaluation.metrics import one_minus_roca_pct
from spamlstm.model import network as scoring

from . import cell_figures, export, fit, judging, learn, run_folder
from .batches import SECTION_IDS, Example, collate, rows
from .cell_figures import DATA, Compared, Logits, Result, with_interval
from .dataset import Dataset, Limits, without_placeholders
from .generated import is_disguised, is_generated
from .learn import Recipe
from .network import Cell, Judge, Network, Wide
from .progress import silent
from .sampling import Split, evenly, split

# Each adds one thing to the one before: recurrence, gates, a cell state of its own, the backward direction. The others
# are compared with the last one.
CELLS: tuple[tuple[str, Cell, bool], ...] = (
    ("perceptron", "mean", True),
    ("RNN", "rnn", True),
    ("GRU", "gru", True),
    ("one-way LSTM", "lstm", True),
    ("BiLSTM", "lstm", False),
)
ALONE = "wide part alone"
# At most this many messages are judged, at equal distances, and as many disguised copies; and of the messages, for the
# distance experiment.
MOST_JUDGED = 20_000
MOST_PROBES = 3_000
# The distance experiment takes bodies of 8 to 60 tokens and puts ham behind them, so that the words that decide are far
# from the end.
SHORT = (8, 60)
DISTANCES = (0, 25, 50, 100, 200)
TIMED = 300


@dataclass(frozen=True, slots=True)
class _Task:
    """The task that all networks share. They judge `judged`, its disguised `copies`, and `probes` for each distance."""

    data: Dataset
    part: Split
    mail: learn.Mail
    wide: Wide
    readers: list[Wide]
    judged: list[Example]
    copies: list[Example]
    probes: list[list[Example]]
    job: fit.Job
    folder: Path

    def judge(self, network: Judge) -> list[Logits]:
        """Return the logits of the left-out mail, of its disguised copies, and of the probes for each distance."""
        windows, piece = self.job.limits.windows, self.job.limits.piece
        return [
            _judge(network, self.judged, windows=windows, piece=piece),
            _judge(network, self.copies, windows=windows, piece=piece),
            *(_judge(network, probes, windows=1) for probes in self.probes),
        ]


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

    Generated mail that is left out is not judged. The three files appear together, by one rename. UserError for an
    unknown source, or if only one class is left out.
    """
    fit.check_sources(data, without)
    part = split(data, left=fit.left_out(data, without))
    real = part.held[~is_generated(data.source[part.held])]
    if len(set(data.spam[real])) < 2:
        raise UserError(f"--without {', '.join(without)}: this mail is of one class only; leave out both ham and spam")
    identity = repr(("compare", recipe, limits, tuple(without), data.fingerprint()))
    folder = run_folder.open_run_folder(out, holds=DATA, identity=identity)
    to_learn = without_placeholders(data)
    vocabulary = fit.train_vocabulary(to_learn, part, recipe, path=folder / "vocabulary.json")
    examples = to_learn.encode(vocabulary, limits)
    recipe = replace(recipe, network=replace(recipe.network, vocabulary=len(vocabulary)))
    job = fit.Job(recipe, limits, out, name="", version="", device=device, corpora=(), say=say, tick=tick)
    judged, copies = (
        [data.encode_one(index, vocabulary, limits) for index in evenly(chosen, MOST_JUDGED)]
        for chosen in (real, _copies(data, real))
    )
    probes = make_probes(judged, _filler(data, part, examples), distances=_distances(limits), seed=recipe.seed)
    mail = fit.training_mail(data, part, examples, recipe)
    wide = learn.train_wide(recipe, mail, job.run(folder / "wide.pt"))
    readers = learn.train_readers(recipe, mail, job.run(folder / "wide.pt"))
    task = _Task(data, part, mail, wide, readers, judged, copies, probes, job, folder)
    made = [_trained(task, name, cell=cell, one_way=one_way) for name, cell, one_way in CELLS]
    alone = Compared(ALONE, 0, 0, 0.0, task.judge(wide))
    results = [cell_figures.result(one, made[-1].found) for one in (alone, *made)]
    into = run_folder.empty_folder(folder, "result")
    cell_figures.write(results, _metadata(task, np.unique(data.source[real]).tolist()), into)
    run_folder.publish(into, out, folder=folder)
    return results


# --- one network ----------------------------------------------------------------------------------------------------


def _trained(task: _Task, name: str, *, cell: Cell, one_way: bool) -> Compared:
    shape = replace(task.job.recipe.network, cell=cell, one_way=one_way)
    job = replace(task.job, recipe=replace(task.job.recipe, network=shape))
    job.say(f"{name}:")
    checkpoint = task.folder / f"{name.replace(' ', '-')}.pt"
    network = Network(shape)
    network.wide = task.wide
    network.deep = learn.train_deep(job.recipe, task.wide, task.readers, task.mail, job.run(checkpoint), name=name)
    network.cpu().eval()
    path = _export(network, checkpoint.with_suffix(".onnx"))
    made = Compared(
        name=name,
        parameters=sum(tensor.numel() for tensor in network.deep.parameters()),
        int8_bytes=path.stat().st_size,
        ms=milliseconds(
            path,
            export.exact(network),
            [rows(example, job.limits.windows) for example in _sample(task.judged, TIMED)],
        ),
        found=task.judge(network),
    )
    figures = ", ".join(with_interval(one_minus_roca_pct(*logits)) for logits in made.found[:2])
    job.say(f"{name}: (1-ROCA)% left out, disguised {figures}; {made.ms:.2f} ms per message")
    return made


def _copies(data: Dataset, real: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the disguised copies of some messages. No network is trained on them, as they are in the same groups."""
    return np.flatnonzero(is_disguised(data.source) & np.isin(data.group, np.unique(data.group[real])))


def _judge(network: Judge, examples: list[Example], *, windows: int, piece: int = 0) -> Logits:
    spam = np.array([example.spam for example in examples], np.bool_)
    return Logits(spam, judging.logits(network, examples, windows=windows, piece=piece))


def _export(network: Network, path: Path) -> Path:
    plain = path.with_suffix(".float.onnx")
    onnx.save(export.graph(network.deep), plain)
    export.quantize(plain, path)
    return path


def milliseconds(path: Path, wide: scoring.Wide | None, messages: Sequence[Sequence[NDArray[np.uint16]]]) -> float:
    """Return the mean time of a graph per message on one thread, its windows as one batch; the best of three rounds.

    `wide` gives the evidence that the graph reads.
    """
    session = export.session(path, threads=1)
    batches = [collate([message], [False]) for message in messages]
    inputs = [scoring.graph_inputs(batch.ids, batch.lengths, wide) for batch in batches]
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


# --- metadata -------------------------------------------------------------------------------------------------------


def _metadata(task: _Task, sources: Sequence[str]) -> dict[str, Any]:
    spam = [example.spam for example in task.judged]
    return {
        "judged": {"sources": list(sources), "ham": spam.count(False), "spam": spam.count(True)},
        "disguised": len(task.copies),
        "trained_on": len(task.part.train),
        "short": SHORT,
        "distances": _distances(task.job.limits),
        "distance_messages": len(task.probes[0]) if task.probes else 0,
        "recipe": learn.describe(task.job.recipe),
        "limits": asdict(task.job.limits),
        "device": task.job.device,
    }


def _sample(examples: Sequence[Example], most: int) -> list[Example]:
    """Return at most `most` of `examples`, at equal distances."""
    return [examples[index] for index in evenly(np.arange(len(examples)), most)]
