"""Labels of messages, their origins, and the order in which they are learned."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from spamlstm.features.sender_identity import SenderIdentity


class Label(StrEnum):
    """The class of a message, given by the user or adopted from the user's mailbox."""

    HAM = "ham"
    SPAM = "spam"


class Origin(StrEnum):
    """The way in which a label was created.

    A label that the user gave replaces an adopted label. An adopted label never replaces a label that the user gave.
    """

    COMMAND = "command"
    """The user named the message in a command."""

    MOVED = "moved"
    """The user moved the message."""

    ADOPTED = "adopted"
    """The label was adopted: an existing mailbox showed whether the message is ham or spam."""

    BULK = "bulk"
    """The user named a folder, or many messages, in a command."""

    @property
    def is_history(self) -> bool:
        """Return whether labels of this origin are given to many messages at a time."""
        return self in (Origin.ADOPTED, Origin.BULK)


@dataclass(frozen=True, slots=True)
class LabelRequest:
    """A message to be labelled.

    `content` is its content id. `prior` is its base score, the score of the model before personal labels, and None if
    the message has no score. `model` is the identifier of that model, and `tokens` are the packed tokens that the model
    read. `sender` is the proven sender of the message, and `answered` is true if the user answered the message.
    """

    content: str
    raw: bytes
    subject: str
    prior: float | None
    model: str
    origin: Origin = Origin.COMMAND
    source: str = ""
    """The Maildir from which the label was adopted, or '' if the label was not adopted."""
    tokens: bytes = b""
    sender: SenderIdentity | None = None
    answered: bool = False


@dataclass(frozen=True, slots=True)
class StoredLabel:
    """One row of the label store without the mail. `time` is in seconds since 1970.

    `answered` is true if the user answered the message.
    """

    id: int
    content: str
    label: Label
    time: float
    prior: float | None
    model: str
    subject: str
    origin: Origin = Origin.COMMAND
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """One row of the label store in the form needed for learning.

    `prior` is the base score. `raw` is the beginning of the message. `tokens` are the packed tokens that the base model
    read. `sender` is the proven sender, and `answered` is true if the user answered the message.
    """

    id: int
    spam: bool
    prior: float | None
    raw: bytes
    origin: Origin = Origin.COMMAND
    tokens: bytes = b""
    sender: SenderIdentity | None = None
    answered: bool = False


@dataclass(frozen=True, slots=True)
class SavedLayer:
    """The saved state of a personal layer that learned all rows up to and including the row with the id `last`."""

    last: int
    state: bytes


OrderedRow = tuple[int, Label, Origin]
"""The id, label and origin of a row."""


def interleave(rows: Sequence[OrderedRow]) -> list[OrderedRow]:
    """Return the rows with bulk ham and bulk spam labels evenly interleaved.

    The interleaved labels take the place of the first bulk label. All other rows keep their order.
    """
    bulk = [row for row in rows if row[2] == Origin.BULK]
    if not bulk:
        return list(rows)
    kinds = [[row for row in bulk if row[1] == label] for label in Label]
    spread = [((index + 0.5) / len(kind), row[1], row) for kind in kinds for index, row in enumerate(kind)]
    before = [row for row in rows if row[0] < bulk[0][0]]
    after = [row for row in rows if row[0] > bulk[0][0] and row[2] != Origin.BULK]
    return [*before, *(row for *_, row in sorted(spread)), *after]
