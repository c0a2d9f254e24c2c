"""What it says of a message that its user has it where he has it: the rule, and nothing else."""

from dataclasses import dataclass

from spamlstm.learning.label import Label
from spamlstm.maildir.folders import Kind
from spamlstm.tracking.state import Mark, Owed


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look shows of one message, and what was known of it."""

    before: Kind | None
    """Where it lay, None if it was never seen."""
    now: Kind
    marks: Mark
    answered: bool = False
    """Whether it was answered since."""
    ours: bool = False
    """Whether it carries our headers as spam and nothing followed from its moves yet: a rule may have moved it."""
    brought: bool = False
    """Whether it came among many."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """Where it counts as lying from now on, and what that says of it."""

    place: Kind
    label: Label | None = None
    owed: Owed = Owed.NOTHING


def meaning(sight: Sight) -> Meaning:
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
    if now is Kind.JUNK:
        silent = before is Kind.JUNK or sight.ours or (sight.brought and before is None)
        return Meaning(now) if silent else Meaning(now, Label.SPAM, Owed.ALWAYS)
    if before is Kind.JUNK:
        return Meaning(now, Label.HAM, Owed.ALWAYS)
    filed = before is Kind.INBOX and now is Kind.FILED
    place = Kind.INBOX if filed and not sight.marks & Mark.SEEN else now
    if (filed and place is now) or (sight.answered and before is not None):
        return Meaning(place, Label.HAM, Owed.IF_NONE)
    return Meaning(place)
