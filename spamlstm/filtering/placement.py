"""The placement of a message found in an inbox: whether it was delivered, or its user or this program put it there.

A message that was classified before may come to the inbox again. If its user took it out of another folder, it must
stay. If it was delivered or fetched a second time, it must be classified as any other message. The other files of the
message show the difference: a move takes one of them away, and a second delivery does not.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from spamlstm.filtering.inbox import is_settled
from spamlstm.filtering.inbox_index import DAY, name_hash
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.outcome import Candidate
from spamlstm.maildir.entry import RefusedError
from spamlstm.maildir.file_evidence import UNKNOWN_FILE, FileEvidence
from spamlstm.maildir.headers import is_tagged
from spamlstm.maildir.names import base_of, letters_of
from spamlstm.maildir.opened import OpenFolder, OpenMaildir

# A client that cannot move a message copies it and then removes the original, within seconds. While the original of a
# younger copy is still there, the message is not classified. If a mail rule makes two copies of one delivery, they
# arrive at most this far apart.
WAIT_SECONDS = 30.0
# A clock of a file server may be this far ahead, in seconds.
_AHEAD = 60.0
# The number of folder listings that are kept for further messages of one visit.
_MOST_LISTINGS = 8


def is_recent(changed: float, *, now: float) -> bool:
    """Return whether a file with the ctime `changed` came to its folder less than WAIT_SECONDS ago."""
    return -_AHEAD < now - changed < WAIT_SECONDS


class Placement(Enum):
    """The way in which a message came to the inbox."""

    DELIVERED = "delivered"
    """The message is to be classified."""
    MOVED = "moved"
    """The user or this program put the message into the inbox."""
    UNCLEAR = "unclear"
    """The user may be moving the message at this moment. The message is checked again later."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that was found in an inbox. `content` is its content id.

    `changed` and `date` are ctime and mtime of its file, and `evidence` is that of the file.
    """

    candidate: Candidate
    content: str
    changed: float
    date: float
    raw: bytes
    evidence: FileEvidence = UNKNOWN_FILE


@dataclass(frozen=True, slots=True)
class KnownPlace:
    """A file of a message in a folder other than the inbox, as it was last seen.

    `folder` is the name of the folder below the Maildir, and `base` the hash of the base name of the file.
    """

    folder: str
    base: int
    since: float
    """When the file came to the folder, in seconds since 1970."""
    is_junk: bool
    date: int | None = None
    """The date of the file in seconds since 1970, if this program moved it."""
    evidence: FileEvidence = UNKNOWN_FILE


def journaled_places(journal: Journal, maildir: str, content: str) -> list[KnownPlace]:
    """Return the places outside the inbox to which this program moved a message and did not take it back."""
    places: dict[int, KnownPlace] = {}
    for one in journal.changes(maildir, content).acts:
        before, after = map(name_hash, one.bases)
        places.pop(before, None)
        if one.folder:
            evidence = UNKNOWN_FILE.filed(date=one.mtime, is_tagged=one.is_tagged)
            places[after] = KnownPlace(one.folder, after, one.time, is_junk=True, date=one.mtime, evidence=evidence)
    return list(places.values())


@dataclass(slots=True)
class Placements:
    """The placements of messages by the journal and by the places that the caller knows.

    Used in one thread. `clock` returns seconds since 1970.
    """

    journal: Journal
    clock: Callable[[], float]
    _listings: dict[str, tuple[tuple[int, int], frozenset[int]]] = field(default_factory=dict)

    def by_journal(self, mailbox: OpenMaildir, arrival: Arrival) -> Placement:
        """Return the placement of a message by the journal alone.

        A sender may deliver a message a second time after its user has deleted the first file from the junk folder. So
        an old act counts only if the file has the date of the file that was filed, which a move keeps.
        """
        if not self.journal.has_judged(mailbox.path, arrival.content):
            return Placement.DELIVERED
        places = journaled_places(self.journal, mailbox.path, arrival.content)
        recent = self.clock() - DAY
        places = [
            one for one in places if one.since > recent or one.date == int(arrival.date) or self.is_there(mailbox, one)
        ]
        return self.by_places(mailbox, arrival, places)

    def by_places(
        self, mailbox: OpenMaildir, arrival: Arrival, places: Iterable[KnownPlace], *, was_moved: bool = False
    ) -> Placement:
        """Return the placement of a message.

        `places` are its known places outside the inbox. `was_moved` says that the file, or another file of the
        message, left such a place a short time ago.
        """
        if self.journal.knows(mailbox.path, arrival.content, base=arrival.candidate.base):
            return Placement.MOVED
        possible = [place for place in places if not arrival.evidence.is_other_delivery(place.evidence)]
        found = [(place, self.is_there(mailbox, place)) for place in possible]
        if was_moved or not all(is_there for _, is_there in found):
            return Placement.MOVED
        is_young = is_recent(arrival.changed, now=self.clock())
        if is_young and any(one.is_junk or one.since < arrival.changed - WAIT_SECONDS for one, _ in found):
            # A copy of a message that this program tagged has the tag.
            last = self.journal.last_act(mailbox.path, arrival.content)
            if last is None or not last.flagged or is_tagged(arrival.raw):
                return Placement.UNCLEAR
        return Placement.DELIVERED

    def is_there(self, mailbox: OpenMaildir, place: KnownPlace) -> bool:
        """Return whether a file is still at its place. True if the folder cannot be read."""
        try:
            return place.base in self._bases(mailbox.folder(place.folder))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except RefusedError:
            return True  # the folder has too many names or is a link, so that no move can be recognised

    def _bases(self, folder: OpenFolder) -> frozenset[int]:
        """Return the hashes of the base names in a folder, except files flagged as deleted."""
        times = os.fstat(folder.handle("new")).st_mtime_ns, os.fstat(folder.handle("cur")).st_mtime_ns
        known = self._listings.get(folder.path)
        if known is not None and known[0] == times:
            return known[1]
        bases = frozenset(
            name_hash(base_of(entry.name)) for entry in folder.messages() if "T" not in letters_of(entry.name)
        )
        if all(is_settled(time, now=self.clock()) for time in times):
            while len(self._listings) >= _MOST_LISTINGS:
                del self._listings[next(iter(self._listings))]
            self._listings[folder.path] = times, bases
        return bases
