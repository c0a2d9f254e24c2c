"""The rule that infers a label from where a user keeps a message. Pure: no files, no database."""

from dataclasses import dataclass

from spamlstm.learning.label import Label
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.state import FlagSet, Pending


@dataclass(frozen=True, slots=True)
class Observation:
    """What one visit shows of a message, and what was known about the message before."""

    before: FolderRole | None
    """The folder the message was in; None if the message was never seen."""
    now: FolderRole
    flags: FlagSet
    answered: bool = False
    """Whether the message was answered since the last visit."""
    tagged: bool = False
    """Whether our headers mark it as spam and no move gave it a label yet: a mail rule may have moved it."""
    bulk: bool = False
    """Whether the message arrived in the folder among many others."""


@dataclass(frozen=True, slots=True)
class Inference:
    """The folder that a message counts as being in from now on, and the label that follows."""

    role: FolderRole
    label: Label | None = None
    pending: Pending = Pending.NOTHING


def infer_label(message: Observation) -> Inference:
    """Infer a label from the folder a user moved a message to. Nothing follows where nothing changed.

    | before | now | label |
    |---|---|---|
    | any other folder, or unknown | junk | spam, unless a mail rule may have moved it or unknown mail came in bulk |
    | junk | inbox or filed | ham |
    | inbox | filed and read | ham, unless the message has a label |
    | inbox or filed | the same, answered since | ham, unless the message has a label |

    A message that is filed unread still counts as being in the inbox: rules of mail programs file unread mail.
    """
    before, now = message.before, message.now
    if now is FolderRole.JUNK:
        no_evidence = before is FolderRole.JUNK or message.tagged or (message.bulk and before is None)
        return Inference(now) if no_evidence else Inference(now, Label.SPAM, Pending.ALWAYS)
    if before is FolderRole.JUNK:
        return Inference(now, Label.HAM, Pending.ALWAYS)
    filed = before is FolderRole.INBOX and now is FolderRole.FILED
    role = FolderRole.INBOX if filed and not message.flags & FlagSet.SEEN else now
    if (filed and role is now) or (message.answered and before is not None):
        return Inference(role, Label.HAM, Pending.IF_NONE)
    return Inference(role)
