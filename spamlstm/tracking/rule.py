"""What it says of a message that its user has it where he has it: the rule, and nothing else."""

from dataclasses import dataclass

from spamlstm.learning.label import Label
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.state import FlagSet, Pending


@dataclass(frozen=True, slots=True)
class Observation:
    """What a look shows of one message, and what was known of it."""

    before: FolderRole | None
    """Where it lay, None if it was never seen."""
    now: FolderRole
    marks: FlagSet
    answered: bool = False
    """Whether it was answered since."""
    ours: bool = False
    """Whether it carries our headers as spam and nothing followed from its moves yet: a rule may have moved it."""
    brought: bool = False
    """Whether it came among many."""


@dataclass(frozen=True, slots=True)
class Inference:
    """Where it counts as lying from now on, and what that says of it."""

    place: FolderRole
    label: Label | None = None
    pending: Pending = Pending.NOTHING


def infer_label(sight: Observation) -> Inference:
    """What a user says of a message by where he has it; pure, and nothing where nothing has changed.

    | it was | it is | it says |
    |---|---|---|
    | anywhere else, or unknown | in the junk folder | spam; nothing, if a rule may have moved it there by our headers |
    | in the junk folder | in the inbox or filed | ham |
    | in the inbox | filed, and read | ham, if nothing was said of it before |
    | in the inbox or filed | there, and answered since | the same |

    Filed and unread it still counts as lying in the inbox, as rules of mail programs file what nobody has read.
    """
    before, now = sight.before, sight.now
    if now is FolderRole.JUNK:
        silent = before is FolderRole.JUNK or sight.ours or (sight.brought and before is None)
        return Inference(now) if silent else Inference(now, Label.SPAM, Pending.ALWAYS)
    if before is FolderRole.JUNK:
        return Inference(now, Label.HAM, Pending.ALWAYS)
    filed = before is FolderRole.INBOX and now is FolderRole.FILED
    place = FolderRole.INBOX if filed and not sight.marks & FlagSet.SEEN else now
    if (filed and place is now) or (sight.answered and before is not None):
        return Inference(place, Label.HAM, Pending.IF_NONE)
    return Inference(place)
