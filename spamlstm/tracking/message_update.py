"""What a file that was read changes in the record of its message."""

from dataclasses import dataclass

from spamlstm.filtering.acts import LastAct
from spamlstm.filtering.journal import Journal
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.rule import Observation, infer_label
from spamlstm.tracking.state import FlagSet, Pending, TrackedFile, TrackedMessage

# Messages of at most this size are kept in memory until their labels are recorded: 16 MiB for one step. Larger ones are
# read once more, one at a time.
KEPT_BYTES = 1 << 20
# Recorded as content id of a file that cannot be read, so that it is not read again and again. No message has it.
NO_CONTENT = "00"


@dataclass(frozen=True, slots=True)
class FileUpdate:
    """A file to record, the new record of its message (None: unchanged), and its bytes if a label is pending."""

    file: TrackedFile
    message: TrackedMessage | None = None
    raw: bytes = b""


def file_update(file: TrackedFile, message: TrackedMessage | None, raw: bytes) -> FileUpdate:
    """Return the update, with the bytes only if they are needed for a label and few."""
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
    """Return the new record of a message with a file in a folder of this role; None if there is nothing to record.

    `message` is the record so far. `earlier` is the role of the folder in which this file was last seen: all that may
    be known of mail that was never judged or moved.
    """
    content = file.content or NO_CONTENT
    if file.flags & FlagSet.DELETED:
        return None
    act = journal.last_act(maildir, content)
    before = _role_before(journal, maildir, content, message, act) or earlier
    tagged = act is not None and act.flagged and (message is None or message.label is None)
    found = infer_label(Observation(before, role, file.flags, answered=answered, tagged=tagged, bulk=bulk))
    if found.label is None and message is None and FolderRole.JUNK not in (found.role, before):
        return None  # the journal knows as much
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
    """Return the role of the folder a message was last seen in, or in which we have put it since."""
    if act is not None and (message is None or act.id > message.act):
        return FolderRole.INBOX if act.folder == maildir else FolderRole.JUNK
    if message is not None:
        return message.role
    return FolderRole.INBOX if journal.knows(maildir, content) else None
