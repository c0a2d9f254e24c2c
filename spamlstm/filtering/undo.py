"""Our acts, taken back: each message to where it was, without our headers and our keyword."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from spamlstm.config import Action
from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.errors import UserError
from spamlstm.filtering.failures import kind_of, sentence
from spamlstm.filtering.journal import Act, Journal, UnreadableAct
from spamlstm.filtering.plan import Plan, without_keyword
from spamlstm.filtering.recovery import JournaledPlan, Recovery
from spamlstm.filtering.visits import OpenMaildirs
from spamlstm.maildir import keywords, names, transfer
from spamlstm.maildir.headers import untag
from spamlstm.maildir.names import GoneError, Name
from spamlstm.maildir.opened import Entry, OpenMaildir
from spamlstm.maildir.transfer import TooLargeError, TransferResult

_GROUP = 64
# What our headers may have added to a message.
MOST_ADDED = 16 << 10


class UndoStatus(StrEnum):
    """What became of an act that was to be taken back."""

    UNDONE = "undone"
    """The message is back as it was, but for flags that it got since; in a dry run it would be."""

    ELSEWHERE = "elsewhere"
    """Its user moved, copied or removed it since: it is left alone."""

    FAILED = "failed"
    """It could not be taken back now, and is as we left it."""


@dataclass(frozen=True, slots=True)
class UndoResult:
    """One act and what became of it. `home` is the folder that the message went back to."""

    act: Act
    status: UndoStatus
    mailbox: str = ""
    failure: str = ""


def undo(
    journal: Journal,
    recovery: Recovery,
    *,
    since: float,
    dry: bool,
    clock: Callable[[], float],
    open_maildir: Callable[[str], OpenMaildir] = OpenMaildir.open,
) -> Iterator[UndoResult | UnreadableAct]:
    """Take back what was done since then (seconds since 1970), the latest first; if `dry`, only say so.

    An act that cannot be read is given as it is and left alone. `open_maildir` opens the Maildir at a path; what it
    refuses by a UserError fails alone.

    A message is taken back from where we put it: under the name that we gave it, in that folder, whatever flags it has
    by now. That content stays known, so that the message is not judged again. Safe to repeat, and at a crash each
    message is as we left it or taken back.
    """
    found = journal.acts(since=since)
    yield from (act for act in found if isinstance(act, UnreadableAct))
    acts = [act for act in found if isinstance(act, Act)]
    for start in range(0, len(acts), _GROUP):
        some = acts[start : start + _GROUP]
        with OpenMaildirs(open_maildir) as maildirs:
            yield from _done(some, [_planned(act, maildirs) for act in some], journal, recovery, dry=dry, now=clock())


def _done(
    acts: Sequence[Act],
    planned: Sequence["Plan | UndoResult"],
    journal: Journal,
    recovery: Recovery,
    *,
    dry: bool,
    now: float,
) -> Iterator[UndoResult]:
    plans = [(act, step) for act, step in zip(acts, planned, strict=True) if isinstance(step, Plan)]
    if dry:
        results = {act.id: UndoResult(act, UndoStatus.UNDONE, step.target.folder.path) for act, step in plans}
    else:
        results = _carried_out(plans, journal, recovery, now)
    for act, step in zip(acts, planned, strict=True):
        yield step if isinstance(step, UndoResult) else results[act.id]


def _carried_out(
    plans: Sequence[tuple[Act, Plan]], journal: Journal, recovery: Recovery, now: float
) -> dict[int, UndoResult]:
    try:
        with journal.group(durable=True):
            noted = [
                JournaledPlan(journal.intend(act.judgement, step.intent, now=now, undoes=act.id), act.maildir, step)
                for act, step in plans
            ]
    except sqlite3.Error as error:
        return {act.id: UndoResult(act, UndoStatus.FAILED, failure=sentence(error)) for act, _ in plans}
    results = {}
    for (act, step), work in zip(plans, recovery.perform(noted), strict=True):
        if work.outcome is TransferResult.DONE:
            results[act.id] = UndoResult(act, UndoStatus.UNDONE, step.target.folder.path)
        elif work.outcome is TransferResult.GONE:
            results[act.id] = UndoResult(act, UndoStatus.ELSEWHERE)
        else:
            why = sentence(work.error) if work.error else "it could not be settled"
            results[act.id] = UndoResult(act, UndoStatus.FAILED, failure=why)
    return results


def _planned(act: Act, maildirs: OpenMaildirs) -> Plan | UndoResult:
    try:
        mailbox = maildirs.opened(act.maildir)
        found = mailbox.folder_at(act.intent.folder).find(Name.parse(act.intent.name).base)
        return _plan(act, mailbox, found[-1]) if found else UndoResult(act, UndoStatus.ELSEWHERE)
    except (GoneError, FileNotFoundError):
        return UndoResult(act, UndoStatus.ELSEWHERE)
    except TooLargeError as error:
        return UndoResult(act, UndoStatus.FAILED, failure=str(error))
    except OSError as error:
        return UndoResult(act, UndoStatus.FAILED, failure=f"{sentence(error)} ({kind_of(error)})")
    except UserError as error:
        # This Maildir is refused, perhaps by what its user does; the others are not.
        return UndoResult(act, UndoStatus.FAILED, failure=str(error))


def _plan(act: Act, mailbox: OpenMaildir, entry: Entry) -> Plan:
    """The way back. A message that was read since loses our headers too, as its user asks for it: as a fresh file."""
    raw, identity = transfer.read_message(entry, most=MOST_BYTES + MOST_ADDED)
    actions, inbox, folder = act.intent.actions, mailbox.folder(), entry.folder
    name = Name.parse(entry.name)
    if Action.KEYWORD in actions:
        ours = {word.casefold() for word in (*keywords.SPAM_WORDS, *keywords.HAM_WORDS)}
        for letter, word in keywords.keyword_names(folder).items():
            name = without_keyword(name, letter) if word.casefold() in ours else name
    part = entry.part
    if actions == (Action.KEYWORD,):
        return Plan(actions, entry, identity, inbox.entry(part, str(name)))
    base = names.unique()
    untagged = untag(raw) if Action.TAG in actions else raw
    content = untagged if untagged != raw else None
    if content is not None:
        name = transfer.sized(name, content, base=base)
    if inbox is not folder:
        name = name.elsewhere(base=base, keywords=keywords.mapping(folder, inbox))
    return Plan(actions, entry, identity, inbox.entry(part, str(replace(name, base=base).fitting())), content)
