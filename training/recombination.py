"""Recombined rows of text, on which the wide part teaches the deep part.

The wide part gives a logit to any row, so the rows need no label and may be made of pieces of messages. On whole
messages the deep part would recognize an archive by its habits and agree with the wide part for the wrong reason;
on recombined rows it must find what the wide part has found, piece by piece (docs/decisions/0023-distillation.md).

The wide part cannot tell telling words from innocent text behind them, because it only adds up weights. So a padded
row gets the logit of the row before the padding was added: the order of words lets the deep part learn this.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .batches import FACTS_END, SECTION_IDS, Batch, Example, Ids, collate

_BODY = SECTION_IDS["body"]
_BARE = (8, 120)
"""The lengths of a padded body without header."""


@dataclass(frozen=True, slots=True)
class Recombination:
    """The shares of rows that are changed in each way. A row can be changed in several ways."""

    joined: float = 0.4  # cut, and joined with a piece of another message
    thinned: float = 0.33  # without a random share of its tokens
    most_thinned: float = 0.7  # the maximum of that share
    padded: float = 0.2  # with a piece of ham added
    bare: float = 0.3  # of the padded rows: only a short piece of the body, without header


@dataclass(frozen=True, slots=True)
class Lesson:
    """A row for the deep part, and the row whose wide logit is the target. They differ only by padding."""

    row: Ids
    taught: Ids


@dataclass(frozen=True, slots=True)
class Lessons:
    """A batch of lessons: the rows of the deep part, and those of the wide part."""

    rows: Batch
    taught: Batch


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
    chosen = rng.choice(len(examples), (count, 2), p=probability).tolist()
    ham = np.flatnonzero([example.spam < 0.5 for example in examples])
    longest = max(len(example.header) + max(map(len, example.windows)) for example in examples)
    made = []
    for one, other in chosen:
        filler = examples[int(ham[rng.integers(len(ham))])] if len(ham) else examples[other]
        made.append(lesson(examples[one], examples[other], filler, longest=longest, rng=rng, how=how))
    order = np.argsort([len(one.row) for one in made], kind="stable")
    parts = np.array_split(order, np.arange(size, len(order), size))
    for place in rng.permutation(len(parts)):
        part = [made[index] for index in parts[place]]
        yield Lessons(_batch([one.row for one in part]), _batch([one.taught for one in part]))


def lesson(
    one: Example, other: Example, filler: Example, *, longest: int, rng: np.random.Generator, how: Recombination
) -> Lesson:
    """Return a row of `one`, perhaps joined with a piece of `other` or padded with a piece of `filler`.

    It has at most `longest` tokens.
    """
    facts, text = _pieces(one, rng)
    draw = rng.random()
    if draw < how.joined:
        facts, text = _joined(facts, text, *_pieces(other, rng), rng)
    if rng.random() < how.thinned:
        share = rng.random() * how.most_thinned
        facts, text = _thinned(facts, share, rng), _thinned(text, share, rng)
    if draw < 1 - how.padded:
        row = _row(facts, text, longest)
        return Lesson(row, row)
    if rng.random() < how.bare:
        start = int(np.argmax(text == _BODY))
        facts, text = facts[:0], text[start : start + int(rng.integers(*_BARE))]
    padding = _piece(filler.windows[int(rng.integers(len(filler.windows)))], rng)
    text = text[: max(longest - len(facts) - len(padding), 1)]
    return Lesson(_row(facts, _padded(text, padding, rng), longest), _row(facts, text, longest))


def _batch(rows: Sequence[Ids]) -> Batch:
    return collate([[row] for row in rows], [0.0] * len(rows))


def _pieces(example: Example, rng: np.random.Generator) -> tuple[Ids, Ids]:
    """Return the facts of a message, and its other header sections before one of its windows: often the first."""
    windows = example.windows
    window = windows[0 if len(windows) == 1 or rng.random() < 0.5 else int(rng.integers(len(windows)))]
    end = int(np.argmax(example.header >= FACTS_END)) if len(example.header) else 0
    return example.header[:end], np.concatenate((example.header[end:], window))


def _joined(facts: Ids, text: Ids, other_facts: Ids, other_text: Ids, rng: np.random.Generator) -> tuple[Ids, Ids]:
    """Return one end of `text` with a piece of the other text; the facts of one message, of the other, or of both."""
    cut = int(rng.integers(len(text) + 1))
    piece = _piece(other_text, rng)
    joined = (text[:cut], piece) if rng.random() < 0.5 else (piece, text[cut:])
    draw = rng.random()
    if draw < 0.25:
        facts = other_facts
    elif draw < 0.5:
        facts = _thinned(np.union1d(facts, other_facts), 0.5, rng)
    return facts, np.concatenate(joined)


def _piece(text: Ids, rng: np.random.Generator) -> Ids:
    if not len(text):
        return text
    start = int(rng.integers(len(text)))
    return text[start : start + int(rng.integers(1, len(text) - start + 1))]


def _thinned(ids: Ids, share: float, rng: np.random.Generator) -> Ids:
    return ids[rng.random(len(ids)) >= share]


def _padded(text: Ids, padding: Ids, rng: np.random.Generator) -> Ids:
    """Return `text` with the padding at its end, or in some rows at the beginning of its body."""
    start = len(text) if rng.random() < 0.7 else int(np.argmax(text == _BODY)) + 1
    return np.concatenate((text[:start], padding, text[start:]))


def _row(facts: Ids, text: Ids, longest: int) -> Ids:
    row = np.concatenate((facts, text))[:longest]
    return row if len(row) else np.array([_BODY], np.uint16)
