"""Our acts, taken back: each message to where it was, without our headers and our keyword."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from spamlstm.config import Action
from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.errors import UserError
from spamlstm.filtering.failures import kind_of, sentence
from spamlstm.filtering.journal import Act, Journal, Unreadable
from spamlstm.filtering.plan import Plan, without_keyword
from spamlstm.filtering.recovery import Ledger, Noted
from spamlstm.filtering.visits import Homes
from spamlstm.maildir import keywords, names, transfer
from spamlstm.maildir.headers import untag
from spamlstm.maildir.names import GoneError, Name
from spamlstm.maildir.opened import Entry, OpenMaildir
from spamlstm.maildir.transfer import Outcome, TooLargeError

_GROUP = 64
# What our headers may have added to a message.
MOST_ADDED = 16 << 10


class Fate(StrEnum):
    """What became of an act that was to be taken back."""

    UNDONE = "undone"
    """The message is back as it was, but for flags that it got since; in a dry run it would be."""

    ELSEWHERE = "elsewhere"
    """Its user moved, copied or removed it since: it is left alone."""

    FAILED = "failed"
    """It could not be taken back now, and is as we left it."""


@dataclass(frozen=True, slots=True)
class Undone:
    """One act and what became of it. `home` is the folder that the message went back to."""

    act: Act
    fate: Fate
    home: str = ""
    failure: str = ""


def undo(
    journal: Journal,
    ledger: Ledger,
    *,
    since: float,
    dry: bool,
    clock: Callable[[], float],
    open_maildir: Callable[[str], OpenMaildir] = OpenMaildir.open,
) -> Iterator[Undone | Unreadable]:
    """Take back what was done since then (seconds since 1970), the latest first; if `dry`, only say so.

    An act that cannot be read is given as it is and left alone. `open_maildir` opens the Maildir at a path; what it
    refuses by a UserError fails alone.

    A message is taken back from where we put it: under the name that we gave it, in that folder, whatever flags it has
    by now. That content stays known, so that the message is not judged again. Safe to repeat, and at a crash each
    message is as we left it or taken back.
    """
    found = journal.acts(since=since)
    yield from (act for act in found if isinstance(act, Unreadable))
    acts = [act for act in found if isinstance(act, Act)]
    for start in range(0, len(acts), _GROUP):
        some = acts[start : start + _GROUP]
        with Homes(open_maildir) as homes:
            yield from _done(some, [_planned(act, homes) for act in some], journal, ledger, dry=dry, now=clock())


def _done(
    acts: Sequence[Act], planned: Sequence["Plan | Undone"], journal: Journal, ledger: Ledger, *, dry: bool, now: float
) -> Iterator[Undone]:
    plans = [(act, step) for act, step in zip(acts, planned, strict=True) if isinstance(step, Plan)]
    if dry:
        results = {act.id: Undone(act, Fate.UNDONE, step.target.folder.path) for act, step in plans}
    else:
        results = _carried_out(plans, journal, ledger, now)
    for act, step in zip(acts, planned, strict=True):
        yield step if isinstance(step, Undone) else results[act.id]


def _carried_out(plans: Sequence[tuple[Act, Plan]], journal: Journal, ledger: Ledger, now: float) -> dict[int, Undone]:
    try:
        with journal.group(durable=True):
            noted = [
                Noted(journal.intend(act.judgement, step.intent, now=now, undoes=act.id), act.maildir, step)
                for act, step in plans
            ]
    except sqlite3.Error as error:
        return {act.id: Undone(act, Fate.FAILED, failure=sentence(error)) for act, _ in plans}
    results = {}
    for (act, step), work in zip(plans, ledger.perform(noted), strict=True):
        if work.outcome is Outcome.DONE:
            results[act.id] = Undone(act, Fate.UNDONE, step.target.folder.path)
        elif work.outcome is Outcome.GONE:
            results[act.id] = Undone(act, Fate.ELSEWHERE)
        else:
            why = sentence(work.error) if work.error else "it could not be settled"
            results[act.id] = Undone(act, Fate.FAILED, failure=why)
    return results


def _planned(act: Act, homes: Homes) -> Plan | Undone:
    try:
        home = homes.opened(act.maildir)
        found = home.folder_at(act.intent.folder).find(Name.parse(act.intent.name).base)
        return _plan(act, home, found[-1]) if found else Undone(act, Fate.ELSEWHERE)
    except (GoneError, FileNotFoundError):
        return Undone(act, Fate.ELSEWHERE)
    except TooLargeError as error:
        return Undone(act, Fate.FAILED, failure=str(error))
    except OSError as error:
        return Undone(act, Fate.FAILED, failure=f"{sentence(error)} ({kind_of(error)})")
    except UserError as error:
        # This Maildir is refused, perhaps by what its user does; the others are not.
        return Undone(act, Fate.FAILED, failure=str(error))


def _plan(act: Act, home: OpenMaildir, entry: Entry) -> Plan:
    """The way back. A message that was read since loses our headers too, as its user asks for it: as a fresh file."""
    raw, identity = transfer.read(entry, most=MOST_BYTES + MOST_ADDED)
    actions, inbox, folder = act.intent.actions, home.folder(), entry.folder
    name = Name.parse(entry.name)
    if Action.KEYWORD in actions:
        ours = {word.casefold() for word in (*keywords.SPAM_WORDS, *keywords.HAM_WORDS)}
        for letter, word in keywords.words(folder).items():
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
