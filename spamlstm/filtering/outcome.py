"""What goes into the pipeline and what comes out of it."""

import os
from dataclasses import dataclass
from enum import StrEnum

from spamlstm.config import Action
from spamlstm.maildir.names import Part
from spamlstm.verdict import Judgement


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message in an inbox that may not be judged yet, as a listing showed it; by now it may have another name."""

    maildir: str
    part: Part
    name: str
    inode: int = 0
    """What the listing said of the file, to tell it from an earlier one of the same name; 0 is not known."""
    shares_base: bool = False
    """Whether another file in the same listing has the same base name."""

    @property
    def path(self) -> str:
        """The file."""
        return os.path.join(self.maildir, self.part, self.name)  # noqa: PTH118  names are kept as they were given

    @property
    def base(self) -> str:
        """The part of the name that stays when readers rename it."""
        # As `Name.parse` has it, in a tenth of its time: this is asked for several times with each message.
        return self.name.partition(":")[0].partition(",")[0]

    @property
    def key(self) -> str:
        """What the journal knows the file by: its base name, and its inode where the base is not enough."""
        return f"{self.base}/{self.inode}" if self.shares_base else self.base


class Status(StrEnum):
    """What became of a candidate."""

    DONE = "done"
    """It was judged, and what its verdict asks for is done."""

    LEFT = "left"
    """It was judged, and its verdict asks for nothing."""

    DRY = "dry"
    """It was judged, and what its verdict asks for is only said."""

    KNOWN = "known"
    """This very message was judged before: it was moved or copied here, or put back. It is left to its user."""

    OLD = "old"
    """It lies in cur and was delivered before the watch of the Maildir began, so that its user put it here; left."""

    GONE = "gone"
    """A reader renamed it or a user removed it meanwhile. The next scan finds what is left of it."""

    FAILED = "failed"
    """It could not be read, judged or acted on, and lies as it lay. A later scan tries again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one candidate, and why. `failure` is a sentence for FAILED, `kind` its name in the counters."""

    candidate: Candidate
    status: Status
    judgement: Judgement | None = None
    actions: tuple[Action, ...] = ()
    """What was done; with DRY what would be done."""
    folder: str = ""
    """The path of the folder where the message is now, if it was moved."""
    content: str = ""
    """Its content id."""
    kind: str = ""
    failure: str = ""
    ms: float = 0.0
    """What judging it took."""
