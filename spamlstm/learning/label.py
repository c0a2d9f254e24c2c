"""One label: what is said of a message, how that came to be, and what the store gives and takes of it."""

from dataclasses import dataclass
from enum import StrEnum


class Label(StrEnum):
    """What a user says of a message."""

    HAM = "ham"
    SPAM = "spam"


class Origin(StrEnum):
    """How a label came to be. All but what was adopted is the user's word: its latest counts, and before the other."""

    SAID = "said"
    """By a command."""

    MOVED = "moved"
    """By moving the message."""

    ADOPTED = "adopted"
    """By what a mailbox looked like that was there already."""

    BULK = "bulk"
    """By a command that named a whole folder or more."""

    @property
    def is_history(self) -> bool:
        """Whether it was said of many messages at once, and of none of them by itself."""
        return self in (Origin.ADOPTED, Origin.BULK)


@dataclass(frozen=True, slots=True)
class LabelRequest:
    """A message as it is when something is said of it: its bytes, and what the model named makes of them."""

    content: str
    raw: bytes
    subject: str
    prior: float | None
    model: str
    origin: Origin = Origin.SAID
    source: str = ""
    """The Maildir that it was adopted from."""
    tokens: bytes = b""
    """What the model read, packed."""


@dataclass(frozen=True, slots=True)
class StoredLabel:
    """One row: what was said of which message, when; and what the base had thought of it."""

    id: int
    content: str
    label: Label
    time: float
    prior: float | None
    model: str
    subject: str
    origin: Origin = Origin.SAID


@dataclass(frozen=True, slots=True)
class Example:
    """What learning needs of one row; `raw` is the beginning of the message, as far as was asked for.

    `tokens` is what the base read of it, packed.
    """

    id: int
    spam: bool
    prior: float | None
    raw: bytes
    origin: Origin = Origin.SAID
    tokens: bytes = b""


@dataclass(frozen=True, slots=True)
class SavedLayer:
    """What was made of all rows up to and including `last`."""

    last: int
    state: bytes
