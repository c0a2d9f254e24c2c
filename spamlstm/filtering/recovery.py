"""Acts that were cut short, brought to their end: after a crash, or where a folder could not be looked at."""

import logging
import sqlite3
from collections.abc import Callable

from spamlstm.errors import UserError
from spamlstm.filtering.acts import Act, UnreadableAct
from spamlstm.filtering.failures import FailureKind, kind_of, sentence
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.log import emit
from spamlstm.filtering.outcome import Counters
from spamlstm.maildir import transfer
from spamlstm.maildir.names import Name
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.maildir.transfer import TransferResult


class Recovery:
    """The acts of one journal whose result is not known yet. For the journal's thread."""

    def __init__(
        self,
        journal: Journal,
        *,
        counters: Counters,
        clock: Callable[[], float],
        opened: Callable[[str], OpenMaildir] = OpenMaildir.open,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """`opened` opens the Maildir at a path for one visit.

        `beat` is called before each act that is settled: after a crash there may be many.
        """
        self.journal = journal
        self.clock = clock
        self.unsettled: set[tuple[str, str]] = set()
        """The Maildir and base name, old or fresh, of each message with an act whose result is not known."""
        self._counters = counters
        self._opened = opened
        self._beat = beat

    def settle(self, *, all_open: bool = False) -> None:
        """Settle the unsettled acts, or if `all_open` also those of a process that crashed.

        An act that cannot be settled now, as its folder cannot be looked at, stays open for the next time.
        """
        if not self.unsettled and not all_open:
            return
        try:
            found = self.journal.open_acts()
            results = [(act, self._settled(act)) for act in found if isinstance(act, Act)]
            unreadable = [act for act in found if isinstance(act, UnreadableAct)]
            with self.journal.transaction(durable=True):
                for act, result in results:
                    if result is not None:
                        self.journal.end(act.id, act.maildir, act.intent, result, now=self.clock())
                for one in unreadable:
                    self.journal.set_aside(one.id)
        except sqlite3.Error as error:
            emit(logging.ERROR, "journal", kind=kind_of(error), error=sentence(error))
            return
        self.unsettled = {(act.maildir, base) for act, result in results if result is None for base in act.intent.bases}
        for one in unreadable:
            self._counters.settled["unknown"] += 1
            why = f"it is damaged and left alone, and so is its message ({one.why})"
            emit(logging.WARNING, "act-unreadable", maildir=one.maildir, act=one.id, error=why)
        for act, result in results:
            if result is not None:
                self._counters.settled[result] += 1
                emit(logging.INFO, "settled", maildir=act.maildir, id=act.content, outcome=result)

    def _settled(self, act: Act) -> TransferResult | None:
        self._beat()
        intent = act.intent
        try:
            with self._opened(act.maildir) as mailbox:
                source, folder = mailbox.entry_at(intent.source), mailbox.folder_at(intent.folder)
                return transfer.settle(source, folder, Name.parse(intent.name), expected=intent.expected)
        except OSError as error:
            kind = kind_of(error)
        except UserError:
            kind = FailureKind.FOLDER  # this Maildir is refused, and the others are not
        emit(logging.WARNING, "unsettled", maildir=act.maildir, id=act.content, kind=kind)
        return None
