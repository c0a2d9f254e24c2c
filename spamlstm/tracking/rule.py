"""The rule that infers a label of a message from where its files were and where they are now.

A message may have several files, called copies: the user copied it, a mail program fetched it again, or a mail rule
stores each message twice. A label follows only from a move. A move takes a copy away from a folder of one role and
brings a copy to a folder of another role, in one step (a rename) or in two (a copy, later the removal of the original).
A copy whose original stays is not a move. The removal of one copy and the delivery of another are not a move either;
the evidence of the files distinguishes them from a move, see `spamlstm.maildir.file_evidence`. All functions are pure.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from spamlstm.learning.label import Label
from spamlstm.maildir.file_evidence import UNKNOWN_FILE, FileEvidence
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.state import CopyStatus, Departure, Pending

# A copy that comes after the visit that missed the original is only a move if it comes within this many seconds and has
# evidence of the move. A program that synchronizes several folders takes a few minutes.
MOVE_SECONDS = 600.0
# If a visit has found both the original and its copy, the original must be removed within this many seconds after the
# copy came. Clients that copy and expunge take a few seconds. If the user removes the original later, this is a new
# decision.
COPY_SECONDS = 120.0
# The clock of the program that named a file may be behind the clock of this program by this many seconds.
_SKEW = 60.0

CopyKey = tuple[str, int]
"""The name of the folder of a copy, and the hash of the base name of its file."""


@dataclass(frozen=True, slots=True)
class KnownCopy:
    """A copy as it was before a comparison."""

    key: CopyKey
    role: FolderRole
    """The role of its folder. A message that was moved from the inbox to another folder keeps the role INBOX until it
    is read there, because the rules of mail programs file unread mail."""
    since: float
    """When the copy came to its folder, in seconds since 1970."""
    is_open: bool = False
    """Whether another copy was in a folder of another role when this copy came. It may be the first step of a move."""
    was_moved: bool = False
    """Whether the copy came from a folder of another role."""
    was_visited: bool = True
    """Whether a visit has found the copy. Other copies are known from the journal of this program."""
    evidence: FileEvidence = UNKNOWN_FILE


def known_copy(
    key: CopyKey, role: FolderRole, *, status: CopyStatus, since: float, evidence: FileEvidence = UNKNOWN_FILE
) -> KnownCopy:
    """Return the copy that is recorded with `status` in a folder with `role`. The inverse of `status_of`."""
    return KnownCopy(
        key,
        FolderRole.INBOX if status is CopyStatus.UNFILED else role,
        since,
        is_open=status is CopyStatus.OPEN,
        was_moved=status is CopyStatus.MOVED,
        evidence=evidence,
    )


def status_of(copy: KnownCopy, role: FolderRole) -> CopyStatus:
    """Return the status with which a copy in a folder with `role` is recorded after a comparison."""
    if copy.role is not role:
        return CopyStatus.UNFILED
    if copy.is_open:
        return CopyStatus.OPEN
    return CopyStatus.MOVED if copy.was_moved else CopyStatus.SETTLED


@dataclass(frozen=True, slots=True)
class FoundCopy:
    """A copy that exists now. `role` is the role of its folder."""

    key: CopyKey
    role: FolderRole
    is_read: bool = False
    is_answered: bool = False
    """Whether the message was answered since the last comparison."""
    evidence: FileEvidence = UNKNOWN_FILE
    named: float | None = None
    """When a program gave the file its name, in seconds since 1970, if the file came with this comparison and no other
    folder had the name. Mail programs give a moved message a new name, or rename the file. So a file with an old name
    that no folder had was restored from a backup."""

    def was_named_before(self, past: float, time: float) -> bool:
        """Return whether the file got its name before the time `past`. A time after `time` is that of a wrong clock."""
        return self.named is not None and self.named + _SKEW < past <= time


@dataclass(frozen=True, slots=True)
class History:
    """The known copies and departures of one message before a comparison."""

    copies: tuple[KnownCopy, ...] = ()
    departures: tuple[Departure, ...] = ()


@dataclass(frozen=True, slots=True)
class Inference:
    """The result of a comparison: the new history, and the inferred label, if any."""

    history: History
    label: Label | None = None
    pending: Pending = Pending.NOTHING


# Where moved copies came to, the most significant first. A copy in the junk folder is the user's latest decision.
_ORDER = (FolderRole.JUNK, FolderRole.INBOX, FolderRole.FILED, FolderRole.IGNORED)


@dataclass(frozen=True, slots=True)
class _Gone:
    """A departure that may be matched.

    `base` and `was_moved` are those of the removed copy. `base` is None if an earlier visit missed the copy.
    """

    departure: Departure
    base: int | None = None
    was_moved: bool = False


def infer_label(
    before: History,
    now: Iterable[FoundCopy],
    *,
    time: float,
    visited: float = 0.0,
    tagged: bool = False,
    is_discarded: bool = False,
) -> Inference:
    """Compare the copies of a message before and now. Return the new history and the inferred label.

    | a copy left | a copy came to | label |
    |---|---|---|
    | any other folder | junk | spam, unless the message is `tagged` |
    | no folder, because there is no other copy and none left junk | junk | spam, unless the message is `tagged` |
    | junk | inbox or filed | ham |
    | inbox | filed, and is read | ham, if the message has no label |

    A copy in the inbox or filed that was answered gives ham, if the message has no label. In all other cases, no label
    is inferred. `tagged` says that a mail rule may have moved the message, because this program tagged it as spam and
    it has no label. `is_discarded` says that the copies that left were not moved to the folders of the other copies,
    but went to an ignored folder such as Trash, or are missing in a restored backup. `time` is the current time, and
    `visited` that of an earlier visit, both in seconds since 1970.
    """
    found = sorted(now, key=lambda copy: (_ORDER.index(copy.role), not copy.is_read, copy.key))
    known = {copy.key: copy for copy in before.copies}
    here = {copy.key for copy in found}
    gone = _gone(before, here, time)
    came = [copy for copy in found if not is_discarded and _may_be_moved(known.get(copy.key), time)]
    moves, left = _moves(gone, came, known, time)
    inferred = [_label_of_move(departure.role, copy) for copy, departure in moves.items()]
    if _is_unknown_junk(before, gone, found, time=time, visited=visited):
        inferred.append((Label.SPAM, Pending.ALWAYS))
    originals = [one for one in before.copies if one.key in here and one.was_visited]
    copies = []
    for copy in found:
        former, departure = known.get(copy.key), moves.get(copy)
        after = _after(copy, former, departure, originals=originals, time=time)
        if _is_filed(former, after) or _is_answered(copy, former, departure):
            inferred.append((Label.HAM, Pending.IF_NONE))
        copies.append(after)
    history = History(tuple(copies), tuple(one.departure for one in left))
    label, pending = _strongest(inferred)
    if label is Label.SPAM and tagged:
        return Inference(history)
    return Inference(history, label, pending)


def _gone(before: History, here: Collection[CopyKey], time: float) -> list[_Gone]:
    """Return the departures that may be matched, in the order of `_ORDER`. `here` are the keys of the copies now."""
    gone = [_Gone(_departure(one, time), one.key[1], one.was_moved) for one in before.copies if one.key not in here]
    gone += [_Gone(one) for one in before.departures if abs(time - one.time) < MOVE_SECONDS]
    return sorted(gone, key=lambda one: (_ORDER.index(one.departure.role), -one.departure.since))


def _may_be_moved(known: KnownCopy | None, time: float) -> bool:
    return known is None or (known.is_open and abs(time - known.since) < COPY_SECONDS)


def _may_be_copied(original: KnownCopy, copy: FoundCopy, time: float) -> bool:
    """Return whether a copy that came beside `original` may be the first step of a move.

    Mail programs give a copy a new name, or a hard link the same name. Another file with the same name was copied by a
    program for files, as a backup.
    """
    is_backup = original.key[1] == copy.key[1] and not copy.evidence.is_same_file(original.evidence)
    is_move = original.role is not copy.role and not is_backup and not copy.was_named_before(original.since, time)
    return is_move and not copy.evidence.is_other_delivery(original.evidence)


def _departure(copy: KnownCopy, time: float) -> Departure:
    return Departure(copy.role, copy.since, time, copy.was_visited, copy.evidence)


def _moves(
    gone: Sequence[_Gone], came: Sequence[FoundCopy], known: dict[CopyKey, KnownCopy], time: float
) -> tuple[dict[FoundCopy, Departure], list[_Gone]]:
    """Return the copies that were moved, each with the departure that belongs to it, and the other departures.

    Copies that moved between folders of one role are matched first, so that they explain no other move.
    """
    moves: dict[FoundCopy, Departure] = {}
    left = list(gone)
    for within_role in (True, False):
        for copy in came:
            for one in left if copy not in moves else ():
                is_within = one.departure.role is copy.role
                if is_within is within_role and _may_follow(one, copy, known.get(copy.key), time):
                    moves[copy] = one.departure
                    left.remove(one)
                    break
    return moves, left


def _may_follow(gone: _Gone, copy: FoundCopy, known: KnownCopy | None, time: float) -> bool:
    """Return whether a copy may be the message that left its folder."""
    departure = gone.departure
    # A copy that was there before the original is not a copy of it. A time in the future is that of a wrong clock.
    if (known.since if known else time) < departure.since <= time:
        return False
    # A file that was renamed, or linked by way of a folder that is not visited, is still the same file.
    is_same = copy.evidence.is_same_file(departure.evidence)
    if not (is_same and gone.base is None) and copy.was_named_before(departure.since, time):
        return False
    # The other file was where the message had been before its user moved it: a backup was restored.
    if gone.was_moved and gone.base == copy.key[1] and copy.evidence.is_other_file(departure.evidence):
        return False
    # Of a message that no visit has found in its first folder, a mail rule may have stored a second copy.
    if not departure.was_visited and copy.role is FolderRole.FILED:
        return False
    if gone.base is None:
        return known is None and has_returned(departure, copy.evidence)
    is_backup = known is not None and gone.base == copy.key[1] and not is_same
    return not is_backup and not copy.evidence.is_other_delivery(departure.evidence)


def has_returned(departure: Departure, evidence: FileEvidence) -> bool:
    """Return whether a file that came after the visit that missed the original is the original, or a copy of it.

    Without this evidence, the original was removed and the message was delivered or restored later.
    """
    return evidence.is_same_file(departure.evidence) or evidence.is_synchronized_copy(departure.evidence)


def _is_unknown_junk(
    before: History, gone: Iterable[_Gone], found: Collection[FoundCopy], *, time: float, visited: float
) -> bool:
    """Return whether a message came to the junk folder from no known folder.

    A message that left the inbox some minutes ago, for example to Trash, is as unknown as one that left days ago. A
    file that is older than that copy was restored, and junk that comes back was not moved by its user.
    """
    if not found or before.copies or any(one.departure.role is FolderRole.JUNK for one in gone):
        return False
    past = max([visited, *(one.departure.since for one in gone)])
    return all(one.role is FolderRole.JUNK and not one.was_named_before(past, time) for one in found)


def _is_filed(known: KnownCopy | None, after: KnownCopy) -> bool:
    """Return whether a copy that left the inbox unread has now been read in its folder."""
    return known is not None and known.role is FolderRole.INBOX and after.role is FolderRole.FILED


def _is_answered(copy: FoundCopy, known: KnownCopy | None, departure: Departure | None) -> bool:
    """Return whether a copy was answered outside the junk folder, and is not new."""
    return copy.is_answered and copy.role is not FolderRole.JUNK and (known is not None or departure is not None)


def _label_of_move(role: FolderRole, copy: FoundCopy) -> tuple[Label | None, Pending]:
    """Return the label of a move from a folder with `role` to the folder of `copy`."""
    if copy.role is role:
        return None, Pending.NOTHING
    if copy.role is FolderRole.JUNK:
        return Label.SPAM, Pending.ALWAYS
    if role is FolderRole.JUNK:
        return Label.HAM, Pending.ALWAYS
    if role is FolderRole.INBOX and copy.role is FolderRole.FILED and copy.is_read:
        return Label.HAM, Pending.IF_NONE
    return None, Pending.NOTHING


def _strongest(inferred: Iterable[tuple[Label | None, Pending]]) -> tuple[Label | None, Pending]:
    """Return the label of the most certain inference. Spam precedes ham: junk is the user's latest decision."""
    labels = [one for one in inferred if one[0] is not None]
    return max(labels, key=lambda one: (one[1], one[0] is Label.SPAM), default=(None, Pending.NOTHING))


def _after(
    copy: FoundCopy,
    known: KnownCopy | None,
    departure: Departure | None,
    *,
    originals: Iterable[KnownCopy],
    time: float,
) -> KnownCopy:
    """Return a found copy as it is known from now on. `departure` is the one that belongs to it, if it was moved.

    `originals` are the other copies that stayed where a visit has found them. A new copy may be a copy of one of them.
    """
    role = copy.role
    former = departure.role if departure else known.role if known else None
    if former is FolderRole.INBOX and role is FolderRole.FILED and not copy.is_read and (departure or known):
        role = FolderRole.INBOX
    if known is not None and departure is None:
        return replace(known, role=role, was_visited=True, evidence=copy.evidence)
    is_open = departure is None and any(_may_be_copied(one, copy, time) for one in originals)
    was_moved = departure is not None and departure.role is not copy.role
    return KnownCopy(copy.key, role, time, is_open=is_open, was_moved=was_moved, evidence=copy.evidence)
