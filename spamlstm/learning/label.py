"""Labels: what a user says of a message, where a label comes from, and in which order labels are learned."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Label(StrEnum):
    """What a user says of a message."""

    HAM = "ham"
    SPAM = "spam"


class Origin(StrEnum):
    """How a label came to be. A label that the user gave replaces an adopted one, and is not replaced by it."""

    COMMAND = "command"
    """The user named the message in a command."""

    MOVED = "moved"
    """The user moved the message."""

    ADOPTED = "adopted"
    """Evidence in an existing mailbox."""

    BULK = "bulk"
    """The user named a folder, or many messages, in a command."""

    @property
    def is_history(self) -> bool:
        """Whether the label was given to many messages at once."""
        return self in (Origin.ADOPTED, Origin.BULK)


@dataclass(frozen=True, slots=True)
class LabelRequest:
    """A message to be labelled, with the base score (`prior`) and the packed tokens that the model `model` gave it."""

    content: str
    raw: bytes
    subject: str
    prior: float | None
    model: str
    origin: Origin = Origin.COMMAND
    source: str = ""
    """The Maildir that an adopted label comes from."""
    tokens: bytes = b""


@dataclass(frozen=True, slots=True)
class StoredLabel:
    """One row of the store without the mail; `time` in seconds since 1970."""

    id: int
    content: str
    label: Label
    time: float
    prior: float | None
    model: str
    subject: str
    origin: Origin = Origin.COMMAND


@dataclass(frozen=True, slots=True)
class Example:
    """One row as learning needs it. `raw` is the beginning of the message, `tokens` what the base read, packed."""

    id: int
    spam: bool
    prior: float | None
    raw: bytes
    origin: Origin = Origin.COMMAND
    tokens: bytes = b""


@dataclass(frozen=True, slots=True)
class SavedLayer:
    """The state of a personal layer that learned all rows up to and including `last`."""

    last: int
    state: bytes


OrderedRow = tuple[int, Label, Origin]
"""The id, label and origin of a row."""


def interleave(rows: Sequence[OrderedRow]) -> list[OrderedRow]:
    """Interleave bulk ham and spam labels evenly, in place of the first bulk label; other rows keep their order."""
    bulk = [row for row in rows if row[2] == Origin.BULK]
    if not bulk:
        return list(rows)
    kinds = [[row for row in bulk if row[1] == label] for label in Label]
    spread = [((index + 0.5) / len(kind), row[1], row) for kind in kinds for index, row in enumerate(kind)]
    before = [row for row in rows if row[0] < bulk[0][0]]
    after = [row for row in rows if row[0] > bulk[0][0] and row[2] != Origin.BULK]
    return [*before, *(row for *_, row in sorted(spread)), *after]
