"""Acts: journaled changes of one message. They are planned for a verdict, carried out, and settled after a crash.

An act is unsettled while its result is unknown. To settle an act is to find out its result on disk and to complete or
undo the act.

A new action needs a member of `Action`, and cases in `plan`, `filtering.undo` and `cli.config`. mypy reports an error
(`assert_never`) until these cases exist. An input that is not a Maildir (a pipe, a milter, IMAP) uses only
`wanted_actions`.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from spamlstm import __version__
from spamlstm.config import Action, ImapConfig, MaildirConfig
from spamlstm.errors import DataError, TemporaryError, UserError
from spamlstm.filtering.counters import Counters
from spamlstm.filtering.event_log import emit
from spamlstm.filtering.failures import FailureKind, kind_of, sentence
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.journal_rows import Act, Intent, UnreadableAct
from spamlstm.maildir import keywords, names
from spamlstm.maildir.entry import Entry
from spamlstm.maildir.file_systems import separator_in
from spamlstm.maildir.headers import tag
from spamlstm.maildir.message_file import Identity
from spamlstm.maildir.names import Name, Part
from spamlstm.maildir.opened import OpenFolder, OpenMaildir
from spamlstm.maildir.transfer import Attempt, Transfer, TransferResult, carry_out, settle
from spamlstm.model.policy import Reason
from spamlstm.verdict import Judgement, Verdict

_KEYWORDS = {Verdict.SPAM: keywords.SPAM_WORDS, Verdict.HAM: keywords.HAM_WORDS, Verdict.UNSURE: ()}


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions on one message, and the transfer that does all of them in one step."""

    actions: tuple[Action, ...]
    transfer: Transfer

    @property
    def intent(self) -> Intent:
        """The intent that the journal records before the transfer."""
        source, target = self.transfer.source, self.transfer.target
        return Intent(source.path, self.transfer.expected, target.folder.path, target.name, self.actions)


@dataclass(frozen=True, slots=True)
class JournaledPlan:
    """A plan whose intent has been written to the journal on disk."""

    act: int
    maildir: str
    plan: Plan

    @property
    def messages(self) -> list[tuple[str, str]]:
        """The old and the new name of the message, as pairs of Maildir and base name."""
        return [(self.maildir, base) for base in self.plan.intent.bases]


def wanted_actions(section: MaildirConfig | ImapConfig, judgement: Judgement) -> tuple[Action, ...]:
    """Return the actions configured for the verdict of `judgement`.

    No actions are returned for a message that could not be read or is not mail.
    """
    if judgement.reason in (Reason.UNREADABLE, Reason.NOT_MAIL):
        return ()
    return {Verdict.SPAM: section.spam, Verdict.UNSURE: section.unsure, Verdict.HAM: section.ham}[judgement.verdict]


def plan(
    actions: tuple[Action, ...],
    source: Entry,
    judgement: Judgement,
    *,
    raw: bytes | None,
    expected: Identity,
    junk: OpenFolder | None,
    spam_threshold: float,
) -> Plan | None:
    """Return the plan to carry out `actions` on a message, or None if no action is possible or needed.

    `raw` is the content of the file, or None if the file must not be rewritten. `junk` is the junk folder.
    `spam_threshold` is the lowest probability at which a message is classified as spam.

    - Only messages in new are tagged. A mail program that moved a message to cur may have cached its headers and size.
      Compressed messages are not tagged, because servers compress mail and remember its plain size. Messages that also
      have a name in another folder are not tagged, because after a crash the other name would look like a move.
    - Tagging and filing are a single replacement, directly into the junk folder.
    - A message from new is filed to new of the junk folder. A message with flags keeps its flags.
    - A keyword is set if the final folder of the message has a letter for the keyword. The message is then put in cur,
      because only names in cur have flags.
    """
    old = Name.parse(source.name)
    folder = junk if Action.FILE in actions and junk is not None else source.folder
    content: bytes | None = None
    letter: str | None = None
    planned = []
    for action in actions:
        match action:
            case Action.TAG:
                if source.part == "new" and raw is not None:
                    tagged = tag(raw, judgement, version=__version__, spam_threshold=spam_threshold)
                    content = tagged if tagged != raw else None
                possible = content is not None
            case Action.KEYWORD:
                letter = keywords.keyword_letter(folder, _KEYWORDS[judgement.verdict])
                if letter and folder is source.folder and letter in old.keywords:
                    letter = None
                possible = letter is not None
            case Action.FILE:
                possible = folder is not source.folder
            case _:
                assert_never(action)
        if possible:
            planned.append(action)
    if not planned:
        return None
    name = _name(old, source.folder, folder, content)
    part: Part = "cur" if letter or source.part != "new" else "new"
    if part == "cur" and name.info is None:
        name = name.within(part, separator=separator_in(folder))
    if letter:
        name = name.with_keyword(letter)
    target = folder.entry(part, str(name.fitting()))
    return Plan(tuple(planned), Transfer(source, expected, target, content))


def _name(old: Name, source: OpenFolder, folder: OpenFolder, content: bytes | None) -> Name:
    if folder is source and content is None:
        return old  # setting only a keyword keeps the base name
    base = names.unique()
    name = old if content is None else old.rewritten(content, base=base)
    if folder is source:
        return name
    return name.elsewhere(base=base, keywords=keywords.keyword_mapping(source, folder) if name.keywords else None)


class Recovery:
    """The unsettled acts of one journal. `settle` completes or undoes the acts.

    Used only in the thread that opened the journal.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        counters: Counters,
        clock: Callable[[], float],
        opened: Callable[[str], OpenMaildir] = OpenMaildir.open,
        beat: Callable[[], None] = lambda: None,
        is_dry: Callable[[str], bool] = lambda _maildir: False,
    ) -> None:
        """Create a recovery. `opened` opens the Maildir at a path for one visit.

        `beat` is called before each act is settled, for a watchdog, because a crash may leave many unsettled acts.
        `is_dry` returns whether the mail of a Maildir must not be changed. Acts in such a Maildir are only reported.
        """
        self.journal = journal
        self.clock = clock
        self.is_dry = is_dry
        self.unsettled: set[tuple[str, str]] = set()
        """The messages of unsettled acts, as pairs of Maildir and base name. Old and new base names are included."""
        self._counters = counters
        self._opened = opened
        self._beat = beat
        self._reported: set[int] = set()  # acts in dry runs

    def settle(self, *, all_open: bool = False) -> None:
        """Settle all unsettled acts in the journal.

        Without `all_open`, does nothing if this process has not left an act unsettled. `all_open` is for the start,
        when the journal may have unsettled acts of a process that crashed. An act whose folder cannot be read stays
        unsettled until the next call.
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
        except (DataError, TemporaryError) as error:
            emit(logging.ERROR, "journal", kind=kind_of(error), error=sentence(error))
            return
        self.unsettled = {(act.maildir, base) for act, result in results if result is None for base in act.intent.bases}
        for one in unreadable:
            self._counters.settled["unknown"] += 1
            why = f"the act is damaged; the act and its message are left unchanged ({one.why})"
            emit(logging.WARNING, "act-unreadable", maildir=one.maildir, act=one.id, error=why)
        for act, result in results:
            if result is not None:
                self._counters.settled[result] += 1
                emit(logging.INFO, "settled", maildir=act.maildir, id=act.content, outcome=result)

    def _settled(self, act: Act) -> TransferResult | None:
        self._beat()
        intent = act.intent
        if self.is_dry(act.maildir):
            self._report_dry(act)
            return None
        try:
            with self._opened(act.maildir) as mailbox:
                source, folder = mailbox.entry_at(intent.source), mailbox.folder_at(intent.folder)
                return settle(source, folder, Name.parse(intent.name), expected=intent.expected)
        except OSError as error:
            kind = kind_of(error)
        except UserError:
            kind = FailureKind.FOLDER  # only this Maildir is refused
        why = "an interrupted change of the message cannot be finished now; it is tried again later"
        emit(logging.WARNING, "unsettled", maildir=act.maildir, id=act.content, kind=kind, why=why)
        return None

    def _report_dry(self, act: Act) -> None:
        """Log once that an act in the Maildir of a dry run stays unsettled."""
        if act.id in self._reported:
            return
        self._reported.add(act.id)
        why = "an earlier run began to change the message and was killed; a run that is no dry run settles this"
        base, actions = act.intent.bases[0], ",".join(act.intent.actions)
        emit(logging.INFO, "would-settle", maildir=act.maildir, base=base, id=act.content, actions=actions, why=why)


def perform(journaled: Sequence[JournaledPlan], recovery: Recovery) -> list[Attempt]:
    """Carry out plans, record the results in the journal, and return the attempts.

    The intents of the plans must be on disk. Acts whose result is unknown or cannot be recorded become unsettled.
    """
    # All acts are unsettled until their results are recorded, also if a lack of memory or a bug ends this function.
    # Otherwise the message of an act that was half done could be filed twice.
    recovery.unsettled.update(message for one in journaled for message in one.messages)
    attempts = carry_out(one.plan.transfer for one in journaled)
    settled = [one for one, attempt in zip(journaled, attempts, strict=True) if attempt.result is not None]
    now = recovery.clock()
    try:
        # No fsync. If a power failure loses these results, `Recovery.settle` determines them from the files on disk.
        with recovery.journal.transaction(durable=False):
            for one, attempt in zip(journaled, attempts, strict=True):
                if attempt.result is not None:
                    recovery.journal.end(one.act, one.maildir, one.plan.intent, attempt.result, now=now)
    except (DataError, TemporaryError) as error:
        emit(logging.ERROR, "journal", kind=kind_of(error), error=sentence(error))
        return attempts
    recovery.unsettled.difference_update(message for one in settled for message in one.messages)
    return attempts
