"""How messages came to the inbox, found by the mailbox state and the journal.

The filter asks this before it classifies a message, so that it leaves mail alone that its user has moved.
"""

from collections.abc import Callable

from spamlstm.filtering.inbox_index import name_hash
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.placement import Arrival, Placement, Placements, journaled_places
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.tracking.history import HistoryReader
from spamlstm.tracking.mailbox_state import MailboxState


class TrackedPlacements:
    """The placements of messages, found by the mailbox state and the journal (see `Placements`)."""

    def __init__(self, *, mailbox_state: MailboxState, journal: Journal, clock: Callable[[], float]) -> None:
        self._histories = HistoryReader(mailbox_state=mailbox_state, journal=journal)
        self._state = mailbox_state
        self._journal = journal
        self._placements = Placements(journal, clock)
        self._clock = clock
        self.by_journal = self._placements.by_journal

    def placed(self, mailbox: OpenMaildir, arrival: Arrival) -> Placement:
        """Return how a message came to the inbox.

        Raises DamagedStateError or TemporaryError if the mailbox state cannot be read.
        """
        maildir, content = mailbox.path, arrival.content
        if not self._state.knows(maildir, content) and not self._journal.has_judged(maildir, content):
            return Placement.DELIVERED  # most messages
        base, evidence = name_hash(arrival.candidate.base), arrival.evidence
        places, was_moved = self._histories.places(maildir, content, base=base, evidence=evidence, time=self._clock())
        # The user may have moved the message by a folder that is not visited, such as Trash.
        was_moved = was_moved or any(
            place.date == int(arrival.date) and not self._placements.is_there(mailbox, place)
            for place in journaled_places(self._journal, maildir, content)
        )
        return self._placements.by_places(mailbox, arrival, places, was_moved=was_moved)
