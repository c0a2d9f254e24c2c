"""Taking acts back: each message goes to where it was, without our headers and our keyword."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from spamlstm.config import Action
from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.errors import UserError
from spamlstm.filtering.acts import JournaledPlan, Plan, Recovery, perform, without_keyword
from spamlstm.filtering.batch import BATCH
from spamlstm.filtering.failures import kind_of, sentence
from spamlstm.filtering.inbox import OpenMaildirs
from spamlstm.filtering.journal import Act, Journal, UnreadableAct
from spamlstm.maildir import folders, names
from spamlstm.maildir.headers import untag
from spamlstm.maildir.message_file import TooLargeError, read_message, sized
from spamlstm.maildir.names import GoneError, Name
from spamlstm.maildir.opened import Entry, OpenFolder, OpenMaildir
from spamlstm.maildir.transfer import Transfer, TransferResult

# Bytes that our headers may have added to a message.
MOST_ADDED = 16 << 10


class UndoStatus(StrEnum):
    """The result of taking back an act."""

    UNDONE = "undone"
    """The message is as it was, except for flags that it got since; in a dry run it would be."""
    ELSEWHERE = "elsewhere"
    """Its user moved, copied or removed it since: it is left alone."""
    FAILED = "failed"
    """It could not be taken back now, and is as we left it."""


@dataclass(frozen=True, slots=True)
class UndoResult:
    """An act and the result of taking it back. `mailbox` is the folder that the message went back to."""

    act: Act
    status: UndoStatus
    mailbox: str = ""
    failure: str = ""
    path: str = ""
    """The file of the message now; "" if it is elsewhere or the undo failed."""


def undo_acts(
    journal: Journal,
    recovery: Recovery,
    *,
    since: float,
    dry: bool,
    clock: Callable[[], float],
    open_maildir: Callable[[str], OpenMaildir] = OpenMaildir.open,
    content: str | None = None,
) -> Iterator[UndoResult | UnreadableAct]:
    """Take back the acts done since then (seconds since 1970), the latest first; if `dry`, only report them.

    Yields a damaged act as it is; it is left alone. `open_maildir` opens the Maildir at a path; the acts in a Maildir
    that it refuses by a UserError fail, and no others. With `content`, only acts on the message of that content id are
    taken back.

    A message is taken back if it still has the folder and the base name that we gave it, with any flags.
    Its content stays known, so that it is not judged again. Safe to repeat; after a crash each message is as we left it
    or taken back.
    """
    found = journal.acts(since=since)
    yield from (act for act in found if isinstance(act, UnreadableAct))
    acts = [act for act in found if isinstance(act, Act) and content in (None, act.content)]
    for start in range(0, len(acts), BATCH):
        with OpenMaildirs(open_maildir) as maildirs:
            planned = [(act, _planned(act, maildirs)) for act in acts[start : start + BATCH]]
            plans = [(act, step) for act, step in planned if isinstance(step, Plan)]
            results = {} if dry else _carried_out(plans, journal, recovery, clock())
        for act, step in planned:
            yield step if isinstance(step, UndoResult) else results.get(act.id) or _undone(act, step, dry=True)


def _carried_out(
    plans: Sequence[tuple[Act, Plan]], journal: Journal, recovery: Recovery, now: float
) -> dict[int, UndoResult]:
    try:
        with journal.transaction(durable=True):
            journaled = [
                JournaledPlan(journal.add_intent(act.judgement, step.intent, now=now, undoes=act.id), act.maildir, step)
                for act, step in plans
            ]
    except sqlite3.Error as error:
        return {act.id: UndoResult(act, UndoStatus.FAILED, failure=sentence(error)) for act, _ in plans}
    results = {}
    for (act, step), attempt in zip(plans, perform(journaled, recovery), strict=True):
        if attempt.result is TransferResult.DONE:
            results[act.id] = _undone(act, step, dry=False)
        elif attempt.result is TransferResult.GONE:
            results[act.id] = UndoResult(act, UndoStatus.ELSEWHERE)
        else:
            why = sentence(attempt.error) if attempt.error else "it could not be settled"
            results[act.id] = UndoResult(act, UndoStatus.FAILED, failure=why)
    return results


def _undone(act: Act, plan: Plan, *, dry: bool) -> UndoResult:
    source, target = plan.transfer.source, plan.transfer.target
    return UndoResult(act, UndoStatus.UNDONE, target.folder.path, path=(source if dry else target).path)


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
        # This Maildir is refused, perhaps for what its user did there; the others are not.
        return UndoResult(act, UndoStatus.FAILED, failure=str(error))


def _plan(act: Act, mailbox: OpenMaildir, entry: Entry) -> Plan:
    """Plan to take an act back. Our headers are removed even from a message that was read since, in a fresh file."""
    raw, identity = read_message(entry, most=MOST_BYTES + MOST_ADDED)
    actions, inbox, folder = act.intent.actions, mailbox.folder(), entry.folder
    name, content = Name.parse(entry.name), raw
    for action in actions:
        match action:
            case Action.TAG:
                content = untag(raw)
            case Action.KEYWORD:
                name = _without_our_keyword(name, folder)
            case Action.FILE:
                pass  # the target is the inbox in any case
            case _:
                assert_never(action)
    if actions == (Action.KEYWORD,):
        return Plan(actions, Transfer(entry, identity, inbox.entry(entry.part, str(name))))
    base = names.unique()
    if content != raw:
        name = sized(name, content, base=base)
    if inbox is not folder:
        name = name.elsewhere(base=base, keywords=folders.keyword_mapping(folder, inbox))
    target = inbox.entry(entry.part, str(replace(name, base=base).fitting()))
    return Plan(actions, Transfer(entry, identity, target, content if content != raw else None))


def _without_our_keyword(name: Name, folder: OpenFolder) -> Name:
    ours = {word.casefold() for word in (*folders.SPAM_WORDS, *folders.HAM_WORDS)}
    for letter, word in folders.keyword_names(folder).items():
        name = without_keyword(name, letter) if word.casefold() in ours else name
    return name
