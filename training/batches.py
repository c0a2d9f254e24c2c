"""Batches of messages as the network sees them, with what hides the source of a message from it.

Each archive has a fashion of its own (its years, its servers, its HTML), and in most archives the fashion tells the
class. So in training the parts of a message are hidden from the deep part of the network, or mixed, at random: whole
sections, facts one by one, the facts of fashion taken from another message of either class. What remains when the
fashion is noise is relation and content. The wide part, which does better without, is shown all.
docs/decisions/0005-modern-ham.md and 0011-wide-and-deep.md have the figures.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from spamlstm.errors import UserError
from spamlstm.features.render import MARKS, SECTIONS
from spamlstm.features.style import STYLE

FIRST_MARK = 1  # id 0 is padding
BODY = SECTIONS[-1]
SECTION_IDS = {name: FIRST_MARK + MARKS.index(f"⟦{name}⟧") for name in SECTIONS}
# The marks of facts come first, those of sections behind them, in the order of SECTIONS.
FACTS_END = SECTION_IDS[SECTIONS[0]]
IS_STYLE = np.array([False, *(mark[1:].partition(":")[0] in STYLE for mark in MARKS[: FACTS_END - 1])])

_CHANCE = {"from": "sender"}  # the section's name is a word of Python's

Ids = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Example:
    """One message, encoded: the ids of its header sections (⟦body⟧ last) and those of each window of its body.

    `spam` is 1 for spam and 0 for ham; between them, the chance of spam that is to be learned (a soft target).
    """

    header: Ids
    windows: tuple[Ids, ...]
    spam: float


@dataclass(frozen=True, slots=True)
class Hiding:
    """How often each part of a message is hidden from the network in training; sections by their own names."""

    facts: float = 0.15  # all facts at once: the text must be enough
    one_fact: float = 0.1
    style: float = 0.5
    foreign_style: float = 0.25
    sender: float = 0.3
    subject: float = 0.1
    trace: float = 0.7
    hosts: float = 0.3
    files: float = 0.3
    body: float = 0.1
    word: float = 0.05


NOTHING = Hiding(**{field.name: 0.0 for field in fields(Hiding)})


def hiding(wishes: Iterable[str]) -> Hiding:
    """`fashion=0.5` and the like, over the default."""
    known = {field.name for field in fields(Hiding)}
    values: dict[str, float] = {}
    for options in wishes:
        name, _, chance = options.partition("=")
        try:
            values[name] = float(chance)
        except ValueError:
            values[name] = -1
        if name not in known or not 0 <= values[name] <= 1:
            raise UserError(
                f"--hide {options}: say NAME=CHANCE with a chance from 0 to 1 and one of {', '.join(known)}"
            )
    return replace(Hiding(), **values)


@dataclass(frozen=True, slots=True)
class Batch:
    """(R, T) padded rows, (R,) lengths, (R,) the message of each row, (B,) labels from 0 to 1."""

    ids: NDArray[np.int64]
    lengths: NDArray[np.int64]
    message: NDArray[np.int64]
    labels: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Views:
    """The same messages twice: as they are, and with parts of them hidden."""

    whole: Batch
    hidden: Batch


def batches(
    examples: Sequence[Example], order: NDArray[np.int64], *, tokens: int, rng: np.random.Generator, hiding: Hiding
) -> Iterator[Views]:
    """`order` names the examples of one epoch; each batch holds about `tokens` ids, padding included."""
    whole = [_hidden(examples, index, rng, NOTHING) for index in order.tolist()]
    hidden = [_hidden(examples, index, rng, hiding) for index in order.tolist()]
    by_length = np.argsort([max(map(len, rows)) for rows in whole], kind="stable")
    cuts = cut([whole[i] for i in by_length], tokens)
    for which in rng.permutation(len(cuts)):
        chosen = [by_length[i] for i in cuts[which]]
        spam = [examples[int(order[i])].spam for i in chosen]
        yield Views(collate([whole[i] for i in chosen], spam), collate([hidden[i] for i in chosen], spam))


def cut(made: Sequence[Sequence[Ids]], tokens: int) -> list[list[int]]:
    """Places of `made`, in order, in runs whose rows padded to the longest hold about `tokens` ids."""
    cuts: list[list[int]] = [[]]
    rows = 0
    for place, message in enumerate(made):
        rows += len(message)
        if rows * max(map(len, message)) > tokens and cuts[-1]:
            cuts.append([])
            rows = len(message)
        cuts[-1].append(place)
    return cuts


def collate(messages: Sequence[Sequence[Ids]], spam: Sequence[float]) -> Batch:
    """Rows of several messages as one padded batch."""
    rows = [row for message in messages for row in message]
    lengths = np.array([max(len(row), 1) for row in rows])
    ids = np.zeros((len(rows), lengths.max()), np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
    owner = np.repeat(np.arange(len(messages)), [len(message) for message in messages])
    return Batch(ids, lengths, owner, np.array(spam, np.float32))


def rows(example: Example, most: int) -> list[Ids]:
    """The rows of one message as it is judged: its header before each of its first `most` windows."""
    return [np.concatenate((example.header, window)) for window in example.windows[:most]]


def _hidden(examples: Sequence[Example], index: int, rng: np.random.Generator, hiding: Hiding) -> list[Ids]:
    example = examples[index]
    other = examples[int(rng.integers(len(examples)))]
    header = _hide_header(example.header, other.header, rng, hiding)
    if rng.random() < hiding.body:
        return [header]
    windows = [example.windows[0]]
    if len(example.windows) > 1 and rng.random() < 0.5:
        windows.append(example.windows[int(rng.integers(1, len(example.windows)))])
    return [np.concatenate((header, _drop(window, rng, hiding.word))) for window in windows]


def _drop(ids: Ids, rng: np.random.Generator, share: float) -> Ids:
    return ids[rng.random(len(ids)) >= share] if share else ids


def _hide_header(header: Ids, other: Ids, rng: np.random.Generator, hiding: Hiding) -> Ids:
    kept = [_hide_facts(_facts(header), _facts(other), rng, hiding)]
    for name, section in _sections(header):
        if name == BODY or rng.random() >= getattr(hiding, _CHANCE.get(name, name)):
            kept.append(section)
    return np.concatenate(kept)


def _facts(header: Ids) -> Ids:
    return header[: int(np.argmax(header >= FACTS_END))] if len(header) else header


def _hide_facts(facts: Ids, other: Ids, rng: np.random.Generator, hiding: Hiding) -> Ids:
    if rng.random() < hiding.facts:
        return facts[:0]
    alignment, style = facts[~IS_STYLE[facts]], facts[IS_STYLE[facts]]
    chance = rng.random()
    if chance < hiding.style:
        style = style[:0]
    elif chance < hiding.style + hiding.foreign_style:
        style = other[IS_STYLE[other]]
    return _drop(np.concatenate((alignment, style)), rng, hiding.one_fact)


def _sections(header: Ids) -> Iterator[tuple[str, Ids]]:
    """Each section of a header with its name; ⟦body⟧ closes the last."""
    starts = np.flatnonzero((header >= FACTS_END) & (header <= SECTION_IDS[BODY]))
    for start, end in zip(starts, [*starts[1:], len(header)], strict=True):
        yield SECTIONS[int(header[start]) - FACTS_END], header[start:end]
