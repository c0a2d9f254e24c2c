"""Training batches, with random parts of each message hidden from the deep part of the network.

Each archive has its own style (years, servers, HTML), and in most archives the style gives the class away. So parts of
a message are hidden or exchanged at random: whole sections, single facts, and the style facts, which may come from
another message of either class. The network is left with alignment and content. The wide part generalizes better
without this and reads the whole message. Figures: docs/decisions/0005-modern-ham.md and 0011-wide-and-deep.md.
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
# The marks of facts come first, then those of sections in the order of SECTIONS.
FACTS_END = SECTION_IDS[SECTIONS[0]]
IS_STYLE = np.array([False, *(mark[1:].partition(":")[0] in STYLE for mark in MARKS[: FACTS_END - 1])])

_FIELD_OF_SECTION = {"from": "sender"}  # `from` is a keyword of Python

Ids = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Example:
    """One encoded message: the token ids of its header sections (⟦body⟧ last) and of each window of its body.

    `spam` is the target probability: 1 for spam, 0 for ham, or a soft target between them.
    """

    header: Ids
    windows: tuple[Ids, ...]
    spam: float


@dataclass(frozen=True, slots=True)
class Hiding:
    """The probability that each part of a message is hidden in training. Sections have their own names."""

    facts: float = 0.15  # all facts at once, so that the text alone suffices
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


def parse_hiding(options: Iterable[str]) -> Hiding:
    """Return the defaults changed by options such as `style=0.5`. UserError for an unknown name or probability."""
    known = [field.name for field in fields(Hiding)]
    values: dict[str, float] = {}
    for option in options:
        name, _, probability = option.partition("=")
        try:
            values[name] = float(probability)
        except ValueError:
            values[name] = -1
        if name not in known or not 0 <= values[name] <= 1:
            raise UserError(
                f"--hide {option}: give NAME=PROBABILITY, from 0 to 1, where NAME is one of {', '.join(known)}"
            )
    return replace(Hiding(), **values)


@dataclass(frozen=True, slots=True)
class Batch:
    """(R, T) padded rows, (R,) their lengths, (R,) the index of each row's message, (B,) target probabilities."""

    ids: NDArray[np.int64]
    lengths: NDArray[np.int64]
    message: NDArray[np.int64]
    labels: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Views:
    """The same messages twice: whole, and with parts hidden."""

    whole: Batch
    hidden: Batch


def batches(
    examples: Sequence[Example], order: NDArray[np.int64], *, tokens: int, rng: np.random.Generator, hiding: Hiding
) -> Iterator[Views]:
    """Yield the examples of one epoch, given by index in `order`, in batches of about `tokens` ids with padding."""
    whole = [_hidden(examples, index, rng, NOTHING) for index in order.tolist()]
    hidden = [_hidden(examples, index, rng, hiding) for index in order.tolist()]
    by_length = np.argsort([max(map(len, rows)) for rows in whole], kind="stable")
    parts = split_by_tokens([whole[i] for i in by_length], tokens)
    for part in rng.permutation(len(parts)):
        chosen = [by_length[i] for i in parts[part]]
        spam = [examples[int(order[i])].spam for i in chosen]
        yield Views(collate([whole[i] for i in chosen], spam), collate([hidden[i] for i in chosen], spam))


def split_by_tokens(messages: Sequence[Sequence[Ids]], tokens: int) -> list[list[int]]:
    """Split the indices of `messages`, in order, into parts of about `tokens` ids when padded to the longest row.

    The messages are sorted by the length of their longest row.
    """
    parts: list[list[int]] = [[]]
    rows = 0
    for index, message in enumerate(messages):
        rows += len(message)
        if rows * max(map(len, message)) > tokens and parts[-1]:
            parts.append([])
            rows = len(message)
        parts[-1].append(index)
    return parts


def collate(messages: Sequence[Sequence[Ids]], spam: Sequence[float]) -> Batch:
    """Return the rows of several messages as one padded batch."""
    rows = [row for message in messages for row in message]
    lengths = np.array([max(len(row), 1) for row in rows])
    ids = np.zeros((len(rows), lengths.max()), np.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
    owner = np.repeat(np.arange(len(messages)), [len(message) for message in messages])
    return Batch(ids, lengths, owner, np.array(spam, np.float32))


def rows(example: Example, most: int) -> list[Ids]:
    """Return the rows by which a message is scored: its header before each of its first `most` windows."""
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
        if name == BODY or rng.random() >= getattr(hiding, _FIELD_OF_SECTION.get(name, name)):
            kept.append(section)
    return np.concatenate(kept)


def _facts(header: Ids) -> Ids:
    return header[: int(np.argmax(header >= FACTS_END))] if len(header) else header


def _hide_facts(facts: Ids, other: Ids, rng: np.random.Generator, hiding: Hiding) -> Ids:
    if rng.random() < hiding.facts:
        return facts[:0]
    alignment, style = facts[~IS_STYLE[facts]], facts[IS_STYLE[facts]]
    draw = rng.random()
    if draw < hiding.style:
        style = style[:0]
    elif draw < hiding.style + hiding.foreign_style:
        style = other[IS_STYLE[other]]
    return _drop(np.concatenate((alignment, style)), rng, hiding.one_fact)


def _sections(header: Ids) -> Iterator[tuple[str, Ids]]:
    """Yield each section of a header with its name; ⟦body⟧ ends the last."""
    starts = np.flatnonzero((header >= FACTS_END) & (header <= SECTION_IDS[BODY]))
    for start, end in zip(starts, [*starts[1:], len(header)], strict=True):
        yield SECTIONS[int(header[start]) - FACTS_END], header[start:end]
