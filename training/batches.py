"""Messages as token ids, and batches of their rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spamlstm.features.render import MARKS, SECTIONS

FIRST_MARK = 1  # id 0 is padding
BODY = SECTIONS[-1]
SECTION_IDS = {name: FIRST_MARK + MARKS.index(f"⟦{name}⟧") for name in SECTIONS}
# The marks of facts come first, then those of sections in the order of SECTIONS.
FACTS_END = SECTION_IDS[SECTIONS[0]]

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
class Batch:
    """(R, T) padded rows, (R,) their lengths, (R,) the index of each row's message, (B,) target probabilities."""

    ids: NDArray[np.int64]
    lengths: NDArray[np.int64]
    message: NDArray[np.int64]
    labels: NDArray[np.float32]


def facts_and_text(ids: Ids) -> tuple[Ids, Ids]:
    """Return the facts among token ids, and the other ids. Both keep their order."""
    is_fact = ids < FACTS_END
    return ids[is_fact], ids[~is_fact]


def without_facts(example: Example) -> Example:
    """Return a message with the texts of its header sections and of its body only."""
    header, *windows = (facts_and_text(ids)[1] for ids in (example.header, *example.windows))
    return Example(header, tuple(windows), example.spam)


def with_header_of(example: Example, donor: Example) -> Example:
    """Return a message with the whole header of another message, `donor`: sender, subject, trace, hosts and files."""
    return Example(donor.header, example.windows, example.spam)


def batches(examples: Sequence[Example], *, tokens: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Yield the examples in batches of about `tokens` ids with padding, in random order.

    A message has one or two rows: its first window, and in half of the cases another.
    """
    sampled = [_sampled(example, rng) for example in examples]
    by_length = np.argsort([max(map(len, rows)) for rows in sampled], kind="stable")
    parts = split_by_tokens([sampled[i] for i in by_length], tokens)
    for part in rng.permutation(len(parts)):
        chosen = [by_length[i] for i in parts[part]]
        yield collate([sampled[i] for i in chosen], [examples[int(i)].spam for i in chosen])


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


def _sampled(example: Example, rng: np.random.Generator) -> list[Ids]:
    windows = [example.windows[0]]
    if len(example.windows) > 1 and rng.random() < 0.5:
        windows.append(example.windows[int(rng.integers(1, len(example.windows)))])
    return [np.concatenate((example.header, window)) for window in windows]
