"""The rule that infers a label from the folder of a message, and the new record of the message."""

from dataclasses import dataclass

from spamlstm.filtering.journal import Journal, LastAct
from spamlstm.learning.label import Label
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.state import FlagSet, Pending, TrackedFile, TrackedMessage

# Messages of at most this size stay in memory until their labels are recorded, at most 16 MiB for one step. Larger
# messages are read a second time, one after the other.
KEPT_BYTES = 1 << 20
# The content id that is recorded for an unreadable file, so that the file is not read at each visit.
NO_CONTENT = "00"


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
    """Return the new role of a message and the inferred label. In all cases not listed here, no label is inferred.

    | before | now | label |
    |---|---|---|
    | any other folder, or unknown | junk | spam, unless the message is `tagged`, or is unknown and came in `bulk` |
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


@dataclass(frozen=True, slots=True)
class FileUpdate:
    """A change to record after a file was read.

    `message` is the new record of the file's message, or None if the record is unchanged. `raw` is the message if its
    label is pending and the message is small enough to keep.
    """

    file: TrackedFile
    message: TrackedMessage | None = None
    raw: bytes = b""


def file_update(file: TrackedFile, message: TrackedMessage | None, raw: bytes) -> FileUpdate:
    """Return the update. It contains `raw` only if a label is pending and `raw` has at most KEPT_BYTES."""
    keep = message is not None and message.pending and len(raw) <= KEPT_BYTES
    return FileUpdate(file, message, raw if keep else b"")


def updated_message(
    journal: Journal,
    maildir: str,
    file: TrackedFile,
    message: TrackedMessage | None,
    role: FolderRole,
    *,
    earlier: FolderRole | None = None,
    answered: bool = False,
    bulk: bool = False,
) -> TrackedMessage | None:
    """Return the new record of the message of `file`, or None if there is nothing to record.

    `role` is the role of the file's folder. `message` is the record so far. `earlier` is the role of the folder in
    which this file was last seen. `earlier` is used if neither the record nor the journal contains the previous folder
    of the message. For `answered` and `bulk`, see `Observation`.
    """
    content = file.content or NO_CONTENT
    if file.flags & FlagSet.DELETED:
        return None
    act = journal.last_act(maildir, content)
    before = _role_before(journal, maildir, content, message, act) or earlier
    tagged = act is not None and act.flagged and (message is None or message.label is None)
    found = infer_label(Observation(before, role, file.flags, answered=answered, tagged=tagged, bulk=bulk))
    if found.label is None and message is None and FolderRole.JUNK not in (found.role, before):
        return None  # the journal has the same information
    return TrackedMessage(
        content,
        found.role,
        act=act.id if act else 0,
        moved=found.role is not FolderRole.INBOX
        or before is FolderRole.JUNK
        or (message is not None and message.moved),
        label=found.label or (message.label if message else None),
        pending=found.pending or (message.pending if message else Pending.NOTHING),
    )


def _role_before(
    journal: Journal, maildir: str, content: str, message: TrackedMessage | None, act: LastAct | None
) -> FolderRole | None:
    """Return the role of the folder in which a message was before this visit, or None if it is unknown.

    This is the folder into which this program moved the message since the last visit, or else the folder at the last
    visit, or else the inbox if the message was classified there.
    """
    if act is not None and (message is None or act.id > message.act):
        return FolderRole.INBOX if act.folder == maildir else FolderRole.JUNK
    if message is not None:
        return message.role
    return FolderRole.INBOX if journal.knows(maildir, content) else None
