"""Acts with their record: noted, made, and noted again; and those that were cut short, brought to their end."""

import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spamlstm.errors import UserError
from spamlstm.filtering import actions
from spamlstm.filtering.actions import Work
from spamlstm.filtering.counters import Counters
from spamlstm.filtering.failures import FailureKind, kind_of, sentence
from spamlstm.filtering.journal import Act, Intent, Journal, UnreadableAct
from spamlstm.filtering.log import emit
from spamlstm.filtering.plan import Plan
from spamlstm.maildir.names import Name
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.maildir.transfer import TransferResult


@dataclass(frozen=True, slots=True)
class JournaledPlan:
    """A plan whose intent is in the journal, on disk."""

    act: int
    maildir: str
    plan: Plan


class Recovery:
    """Makes acts so that the journal always knows of them, and keeps in mind which ones it does not know the end of."""

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
        self._opened = opened
        self._beat = beat
        self._journal = journal
        self._counters = counters
        self._clock = clock
        self._open: set[tuple[str, str]] = set()

    def is_open(self, maildir: str, base: str) -> bool:
        """Whether the end of an act on the message of this name, old or fresh, is still to be found out."""
        return (maildir, base) in self._open

    def perform(self, noted: Sequence[JournaledPlan]) -> list[Work]:
        """Make the acts and note what became of them."""
        works = actions.carry_out(one.plan for one in noted)
        try:
            # No fsync: what is lost here at a power failure, `settle` finds out by what lies on disk.
            with self._journal.group(durable=False):
                for one, work in zip(noted, works, strict=True):
                    if work.outcome is not None:
                        self._end(one.act, one.maildir, one.plan.intent, work.outcome)
        except sqlite3.Error as error:
            emit(logging.ERROR, "journal", kind=kind_of(error), error=sentence(error))
            self._remember(noted)
        self._remember([one for one, work in zip(noted, works, strict=True) if work.outcome is None])
        return works

    def settle(self, *, all_open: bool = False) -> None:
        """Bring the acts that were cut short to their end, those of a process that died too if `all_open`.

        What cannot be settled now, as its folder cannot be looked at, stays open for the next time.
        """
        if not self._open and not all_open:
            return
        try:
            found = self._journal.open_acts()
            outcomes = [(act, self._outcome(act)) for act in found if isinstance(act, Act)]
            unreadable = [act for act in found if isinstance(act, UnreadableAct)]
            with self._journal.group(durable=True):
                for act, outcome in outcomes:
                    if outcome is not None:
                        self._end(act.id, act.maildir, act.intent, outcome)
                for one in unreadable:
                    self._journal.set_aside(one.id)
        except sqlite3.Error as error:
            emit(logging.ERROR, "journal", kind=kind_of(error), error=sentence(error))
            return
        self._open = {key for act, outcome in outcomes if outcome is None for key in _keys(act.maildir, act.intent)}
        for one in unreadable:
            self._counters.settled["unknown"] += 1
            why = f"it is damaged and left alone, and so is its message ({one.why})"
            emit(logging.WARNING, "act-unreadable", maildir=one.maildir, act=one.id, error=why)
        for act, outcome in outcomes:
            if outcome is not None:
                self._counters.settled[outcome] += 1
                emit(logging.INFO, "settled", maildir=act.maildir, id=act.content, outcome=outcome)

    def _outcome(self, act: Act) -> TransferResult | None:
        self._beat()
        try:
            with self._opened(act.maildir) as mailbox:
                return actions.settle_act(mailbox, act.intent)
        except OSError as error:
            kind = kind_of(error)
        except UserError:
            kind = FailureKind.FOLDER  # this Maildir is refused, and the others are not
        emit(logging.WARNING, "unsettled", maildir=act.maildir, id=act.content, kind=kind)
        return None

    def _end(self, number: int, maildir: str, intent: Intent, outcome: TransferResult) -> None:
        self._journal.end(number, outcome)
        if outcome is TransferResult.DONE and intent.folder == maildir:
            self._journal.index.add(maildir, [(Name.parse(intent.name).base, 0)], now=self._clock())

    def _remember(self, noted: Sequence[JournaledPlan]) -> None:
        self._open.update(key for one in noted for key in _keys(one.maildir, one.plan.intent))


def _keys(maildir: str, intent: Intent) -> tuple[tuple[str, str], tuple[str, str]]:
    old = os.path.basename(intent.source)  # noqa: PTH119  as in maildir
    return (maildir, Name.parse(old).base), (maildir, Name.parse(intent.name).base)
