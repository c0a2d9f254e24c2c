"""Undoing acts: each message returns to its former folder, without our headers and our keyword."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from spamlstm.config import Action
from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.errors import DataError, TemporaryError, UserError
from spamlstm.filtering.acts import JournaledPlan, Plan, Recovery, perform
from spamlstm.filtering.batch import BATCH
from spamlstm.filtering.failures import kind_of, sentence
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.journal_rows import Act, UnreadableAct
from spamlstm.filtering.open_maildirs import OpenMaildirs
from spamlstm.maildir import keywords, names
from spamlstm.maildir.entry import Entry
from spamlstm.maildir.headers import untag
from spamlstm.maildir.message_file import UnreadableMessageError, read_message
from spamlstm.maildir.names import GoneError, Name
from spamlstm.maildir.opened import OpenFolder, OpenMaildir
from spamlstm.maildir.transfer import Transfer, TransferResult

# The largest number of bytes that our headers may have added to a message.
MOST_ADDED = 16 << 10


class UndoStatus(StrEnum):
    """The result of undoing an act."""

    UNDONE = "undone"
    """The message is restored, except for flags that were set later. In a dry run, it would be restored."""

    ELSEWHERE = "elsewhere"
    """The user moved, copied or removed the message after the act. The message is left unchanged."""

    FAILED = "failed"
    """The act could not be undone now. The message is left unchanged."""


@dataclass(frozen=True, slots=True)
class UndoResult:
    """An act and the result of undoing it. `mailbox` is the path of the folder to which the message returned."""

    act: Act
    status: UndoStatus
    mailbox: str = ""
    failure: str = ""
    path: str = ""
    """The current path of the message. "" if the message is elsewhere or the undo failed."""


def undo_acts(
    journal: Journal,
    recovery: Recovery,
    *,
    since: float,
    dry: bool,
    clock: Callable[[], float],
    open_maildir: Callable[[str], OpenMaildir] = OpenMaildir.open,
    contents: Collection[str] | None = None,
) -> Iterator[UndoResult | UnreadableAct]:
    """Undo the acts done at or after `since` (seconds since 1970), the latest first. If `dry`, only report the acts.

    Yields a damaged act as an `UnreadableAct` and does not undo it.

    `open_maildir` opens the Maildir at a path. If it raises UserError for a Maildir, only the acts in this Maildir
    fail. With `contents`, only acts on messages with these content ids are undone.

    An act is undone if its message still has the folder and the base name that the act gave it, with any flags. The
    message stays recorded as classified, so that it is not classified again. The function is safe to repeat. After a
    crash, each act is either undone completely or not undone.
    """
    found = journal.acts(since=since)
    yield from (act for act in found if isinstance(act, UnreadableAct))
    acts = [act for act in found if isinstance(act, Act) and (contents is None or act.content in contents)]
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
    except (DataError, TemporaryError) as error:
        return {act.id: UndoResult(act, UndoStatus.FAILED, failure=sentence(error)) for act, _ in plans}
    results = {}
    for (act, step), attempt in zip(plans, perform(journaled, recovery), strict=True):
        if attempt.result is TransferResult.DONE:
            results[act.id] = _undone(act, step, dry=False)
        elif attempt.result is TransferResult.GONE:
            results[act.id] = UndoResult(act, UndoStatus.ELSEWHERE)
        else:
            why = sentence(attempt.error) if attempt.error else "the result could not be determined"
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
    except UnreadableMessageError as error:
        return UndoResult(act, UndoStatus.FAILED, failure=str(error))
    except OSError as error:
        return UndoResult(act, UndoStatus.FAILED, failure=f"{sentence(error)} ({kind_of(error)})")
    except UserError as error:
        # Only this Maildir is refused, perhaps because of a change by its user.
        return UndoResult(act, UndoStatus.FAILED, failure=str(error))


def _plan(act: Act, mailbox: OpenMaildir, entry: Entry) -> Plan:
    """Return the plan to undo an act.

    A tagged message is replaced by a file without our headers, even if its user has read the message since the act,
    because the user asks for the undo. A file that was compressed since the act is only moved.
    """
    raw, identity, is_compressed, _ = read_message(entry, most=MOST_BYTES + MOST_ADDED)
    actions, inbox, folder = act.intent.actions, mailbox.folder(), entry.folder
    name, content = Name.parse(entry.name), raw
    for action in actions:
        match action:
            case Action.TAG:
                content = raw if is_compressed else untag(raw)
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
        name = name.rewritten(content, base=base)
    if inbox is not folder:
        name = name.elsewhere(base=base, keywords=keywords.keyword_mapping(folder, inbox))
    target = inbox.entry(entry.part, str(replace(name, base=base).fitting()))
    return Plan(actions, Transfer(entry, identity, target, content if content != raw else None))


def _without_our_keyword(name: Name, folder: OpenFolder) -> Name:
    ours = {word.casefold() for word in (*keywords.SPAM_WORDS, *keywords.HAM_WORDS)}
    for letter, word in keywords.keyword_names(folder).items():
        name = name.without_keyword(letter) if word.casefold() in ours else name
    return name
