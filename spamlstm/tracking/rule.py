"""The rule that infers a label from the folder of a message. Does not access files or the database."""

from dataclasses import dataclass

from spamlstm.learning.label import Label
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.state import FlagSet, Pending


@dataclass(frozen=True, slots=True)
class Observation:
    """The state of a message before a visit of its Maildir and at the visit."""

    before: FolderRole | None
    """The role of the previous folder of the message, or None if the message was never seen."""
    now: FolderRole
    flags: FlagSet
    answered: bool = False
    """Whether the message was answered since the last visit."""
    tagged: bool = False
    """Whether a mail rule may have moved the message, because this program tagged it as spam and it has no label."""
    bulk: bool = False
    """Whether the message arrived in the folder together with many other messages."""


@dataclass(frozen=True, slots=True)
class Inference:
    """The new role of a message, and the label inferred from its move, if any."""

    role: FolderRole
    label: Label | None = None
    pending: Pending = Pending.NOTHING


def infer_label(message: Observation) -> Inference:
    """Return the role of a message and the label inferred from its move. Without a change, no label is inferred.

    | before | now | label |
    |---|---|---|
    | any other folder, or unknown | junk | spam, unless a mail rule may have moved it or unknown mail came in bulk |
    | junk | inbox or filed | ham |
    | inbox | filed and read | ham, unless the message has a label |
    | inbox or filed | unchanged, but answered since | ham, unless the message has a label |

    An unread message that was moved from the inbox to another folder keeps the role `inbox`, because the rules of mail
    programs file unread mail.
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
