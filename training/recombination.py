"""Padded rows, on which the deep part learns to correct the wide part.

The wide part adds up weights, so innocent text behind telling words dilutes them. Here the deep part sees rows with a
piece of ham added. It learns the difference between the wide part's logit of the original row and of the padded row
(docs/decisions/0023-distillation.md). The other rows are their own originals, so that it learns where nothing is to be
corrected. No label is needed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .batches import SECTION_IDS, Batch, Example, Ids, collate, facts_and_text

_BODY = SECTION_IDS["body"]
_BARE = (8, 120)
"""The lengths of a padded body without header."""


@dataclass(frozen=True, slots=True)
class Recombination:
    """The shares of rows that are changed in each way. A row can be changed in several ways."""

    padded: float = 0.45  # with a piece of ham added
    bare: float = 0.3  # of the padded rows: only a short piece of the body, without header
    thinned: float = 0.2  # without a random share of its tokens
    most_thinned: float = 0.5  # the maximum of that share


@dataclass(frozen=True, slots=True)
class Lesson:
    """A row for the deep part, and its original."""

    row: Ids
    original: Ids


@dataclass(frozen=True, slots=True)
class Lessons:
    """A batch of lessons: the rows, and their originals."""

    rows: Batch
    originals: Batch


def lessons(
    examples: Sequence[Example],
    probability: NDArray[np.float64],
    *,
    count: int,
    size: int,
    rng: np.random.Generator,
    how: Recombination,
) -> Iterator[Lessons]:
    """Yield `count` lessons in batches of at most `size` rows of similar length, in random order.

    Each example is chosen with its probability.
    """
    longest = max(len(example.header) + max(map(len, example.windows)) for example in examples)
    chosen = rng.choice(len(examples), count, p=probability)
    ham = np.flatnonzero([example.spam < 0.5 for example in examples] & (probability > 0))
    made = []
    for one in chosen.tolist():
        filler = examples[int(ham[rng.integers(len(ham))])] if len(ham) else examples[one]
        made.append(lesson(examples[one], filler, longest=longest, rng=rng, how=how))
    order = np.argsort([len(one.row) for one in made], kind="stable")
    parts = np.array_split(order, np.arange(size, len(order), size))
    for place in rng.permutation(len(parts)):
        part = [made[index] for index in parts[place]]
        yield Lessons(_batch([one.row for one in part]), _batch([one.original for one in part]))


def lesson(example: Example, filler: Example, *, longest: int, rng: np.random.Generator, how: Recombination) -> Lesson:
    """Return a row of `example`, perhaps thinned, and perhaps padded with a piece of `filler`, and its original.

    A row has at most `longest` tokens.
    """
    first = len(example.windows) == 1 or rng.random() < 0.5
    facts, text = _pieces(example, 0 if first else int(rng.integers(len(example.windows))))
    if rng.random() < how.thinned:
        share = rng.random() * how.most_thinned
        facts, text = _thinned(facts, share, rng), _thinned(text, share, rng)
    if rng.random() >= how.padded:
        row = _row(facts, text, longest)
        return Lesson(row, row)
    if rng.random() < how.bare:
        start = _body(text)
        facts, text = facts[:0], text[start : start + int(rng.integers(*_BARE))]
    padding = _piece(filler.windows[int(rng.integers(len(filler.windows)))], rng)
    text = text[: max(longest - len(facts) - len(padding), 1)]
    return Lesson(_row(facts, _padded(text, padding, rng), longest), _row(facts, text, longest))


def _batch(rows: Sequence[Ids]) -> Batch:
    return collate([[row] for row in rows], [0.0] * len(rows))


def _pieces(example: Example, window: int) -> tuple[Ids, Ids]:
    """Return the facts of a message, and its other header sections before one of its windows."""
    facts, text = facts_and_text(example.header)
    return facts, np.concatenate((text, example.windows[window]))


def _body(text: Ids) -> int:
    """Return the place of the mark of the body, or 0 if it is missing."""
    return int(np.argmax(text == _BODY)) if len(text) else 0


def _piece(text: Ids, rng: np.random.Generator) -> Ids:
    if not len(text):
        return text
    start = int(rng.integers(len(text)))
    return text[start : start + int(rng.integers(1, len(text) - start + 1))]


def _thinned(ids: Ids, share: float, rng: np.random.Generator) -> Ids:
    return ids[rng.random(len(ids)) >= share]


def _padded(text: Ids, padding: Ids, rng: np.random.Generator) -> Ids:
    """Return `text` with the padding at its end, or in some rows at the beginning of its body."""
    start = len(text) if rng.random() < 0.7 else _body(text) + 1
    return np.concatenate((text[:start], padding, text[start:]))


def _row(facts: Ids, text: Ids, longest: int) -> Ids:
    row = np.concatenate((facts, text))[:longest]
    return row if len(row) else np.array([_BODY], np.uint16)
