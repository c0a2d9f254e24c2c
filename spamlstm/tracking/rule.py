"""The rule that infers a label of a message from where its files were and where they are now.

A message may have several files, called copies: the user copied it, a mail program fetched it again, or a mail rule
stores each message twice. A label follows only from a move. A move takes a copy away from a folder of one role and
brings a copy to a folder of another role, in one step (a rename) or in two (a copy, later the removal of the original).
A copy whose original stays is not a move. All functions here are pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from spamlstm.learning.label import Label
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.state import Departure, Pending

# The two steps of a move are at most this many seconds apart. Clients that copy and expunge take a few seconds, and a
# program that synchronizes several folders a few minutes.
MOVE_SECONDS = 600.0

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


@dataclass(frozen=True, slots=True)
class FoundCopy:
    """A copy that is there now. `role` is the role of its folder."""

    key: CopyKey
    role: FolderRole
    is_read: bool = False
    is_answered: bool = False
    """Whether the message was answered since the last comparison."""


@dataclass(frozen=True, slots=True)
class History:
    """What is known of the copies of one message before a comparison."""

    copies: tuple[KnownCopy, ...] = ()
    departures: tuple[Departure, ...] = ()


@dataclass(frozen=True, slots=True)
class Inference:
    """The result of a comparison: the new history, and the inferred label, if any."""

    history: History
    label: Label | None = None
    pending: Pending = Pending.NOTHING


# Where moved copies came to, the most significant first. A copy in the junk folder is the user's last word.
_ORDER = (FolderRole.JUNK, FolderRole.INBOX, FolderRole.FILED, FolderRole.IGNORED)


def infer_label(before: History, now: Iterable[FoundCopy], *, time: float, tagged: bool = False) -> Inference:
    """Compare the copies of a message before and now. Return the new history and the inferred label.

    | a copy left | a copy came to | label |
    |---|---|---|
    | any other folder | junk | spam, unless the message is `tagged` |
    | no folder, because there is no other copy | junk | spam, unless the message is `tagged` |
    | junk | inbox or filed | ham |
    | inbox | filed, and is read | ham, if the message has no label |

    A copy in the inbox or filed that was answered gives ham, if the message has no label. In all other cases, no label
    is inferred. `tagged` says that a mail rule may have moved the message, because this program tagged it as spam and
    it has no label. `time` is the current time in seconds since 1970.
    """
    found = sorted(now, key=lambda copy: (_ORDER.index(copy.role), not copy.is_read, copy.key))
    known = {copy.key: copy for copy in before.copies}
    here = {copy.key for copy in found}
    gone = [Departure(one.role, one.since, time, one.was_visited) for one in before.copies if one.key not in here]
    gone += [one for one in before.departures if abs(time - one.time) < MOVE_SECONDS]
    gone.sort(key=lambda one: (_ORDER.index(one.role), -one.since))
    came = [copy for copy in found if _may_be_moved(known.get(copy.key), time)]
    moves, left = _moves(gone, came, known, time)
    inferred = [_label_of_move(departure.role, copy) for copy, departure in moves.items()]
    if found and not before.copies and not gone and all(one.role is FolderRole.JUNK for one in found):
        inferred.append((Label.SPAM, Pending.ALWAYS))
    copies = []
    for copy in found:
        after = _after(copy, known.get(copy.key), moves.get(copy), time)
        if copy.key not in known and copy not in moves:
            others = (one for one in before.copies if one.key in here and one.was_visited)
            after = replace(after, is_open=any(one.role is not after.role for one in others))
        filed = after.role is FolderRole.FILED and copy.key in known and known[copy.key].role is FolderRole.INBOX
        origin = known.get(copy.key) or moves.get(copy)
        if filed or (copy.is_answered and copy.role is not FolderRole.JUNK and origin is not None):
            inferred.append((Label.HAM, Pending.IF_NONE))
        copies.append(after)
    history = History(tuple(copies), tuple(left))
    label, pending = _strongest(inferred)
    if label is Label.SPAM and tagged:
        return Inference(history)
    return Inference(history, label, pending)


def _may_be_moved(known: KnownCopy | None, time: float) -> bool:
    return known is None or (known.is_open and abs(time - known.since) < MOVE_SECONDS)


def _moves(
    gone: Sequence[Departure], came: Sequence[FoundCopy], known: dict[CopyKey, KnownCopy], time: float
) -> tuple[dict[FoundCopy, Departure], list[Departure]]:
    """Return the copies that were moved, each with the departure that belongs to it, and the other departures.

    Copies that moved between folders of one role are matched first, so that they explain no other move.
    """
    moves: dict[FoundCopy, Departure] = {}
    left = list(gone)
    for within_role in (True, False):
        for copy in came:
            since = known[copy.key].since if copy.key in known else time
            for departure in left if copy not in moves else ():
                same = departure.role is copy.role
                # A copy that was there before the original is not a copy of it. Of a message that no visit has found
                # in its first folder, a mail rule may have stored a second copy.
                possible = since >= departure.since and (departure.was_visited or copy.role is not FolderRole.FILED)
                if same is within_role and possible:
                    moves[copy] = departure
                    left.remove(departure)
                    break
    return moves, left


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
    """Return the label of the most certain inference. Spam precedes ham: junk is the user's last word."""
    labels = [one for one in inferred if one[0] is not None]
    return max(labels, key=lambda one: (one[1], one[0] is Label.SPAM), default=(None, Pending.NOTHING))


def _after(copy: FoundCopy, known: KnownCopy | None, departure: Departure | None, time: float) -> KnownCopy:
    """Return a found copy as it is known from now on. `departure` is the one that belongs to it, if it was moved."""
    role = copy.role
    former = departure.role if departure else known.role if known else None
    if former is FolderRole.INBOX and role is FolderRole.FILED and not copy.is_read and (departure or known):
        role = FolderRole.INBOX
    if known is not None and departure is None:
        return replace(known, role=role, was_visited=True)
    return KnownCopy(copy.key, role, time, was_moved=departure is not None and departure.role is not copy.role)
