"""From a verdict to the actions on one message and its new place. This only decides; `batch` carries it out.

A new action needs a member of `Action`, a case in `plan` here and one in `undo`: mypy fails (`assert_never`) until both
are there. An input that is not a Maildir (a pipe, a milter, IMAP) needs of this module only `wanted_actions`.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from spamlstm import __version__
from spamlstm.config import Action, MaildirConfig
from spamlstm.filtering.acts import Intent
from spamlstm.maildir import keywords, names
from spamlstm.maildir.headers import tag
from spamlstm.maildir.message_file import Identity, sized
from spamlstm.maildir.names import Name, Part
from spamlstm.maildir.opened import Entry, OpenFolder
from spamlstm.maildir.transfer import Transfer
from spamlstm.model.policy import Reason
from spamlstm.verdict import Judgement, Verdict

_KEYWORDS = {Verdict.SPAM: keywords.SPAM_WORDS, Verdict.HAM: keywords.HAM_WORDS, Verdict.UNSURE: ()}


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions on one message, and the transfer that does them all at once."""

    actions: tuple[Action, ...]
    transfer: Transfer

    @property
    def intent(self) -> Intent:
        """What the journal records before the transfer."""
        source, target = self.transfer.source, self.transfer.target
        return Intent(source.path, self.transfer.expected, target.folder.path, target.name, self.actions)


@dataclass(frozen=True, slots=True)
class JournaledPlan:
    """A plan whose intent is in the journal, on disk."""

    act: int
    maildir: str
    plan: Plan


def wanted_actions(section: MaildirConfig, judgement: Judgement) -> tuple[Action, ...]:
    """Return the actions that are configured for a judgement; none for what could not be judged or is no mail."""
    if judgement.reason in (Reason.UNREADABLE, Reason.NOT_MAIL):
        return ()
    return {Verdict.SPAM: section.spam, Verdict.UNSURE: section.unsure, Verdict.HAM: section.ham}[judgement.verdict]


def plan(
    actions: tuple[Action, ...],
    source: Entry,
    judgement: Judgement,
    *,
    raw: bytes,
    expected: Identity,
    junk: OpenFolder | None,
    spam_threshold: float,
) -> Plan | None:
    """Plan how to carry out `actions` on a message; None if none of them is possible or needed.

    `junk` is the folder to file to, `spam_threshold` the probability from which on the message is spam.

    - Only a message in new is tagged: once a reader took it to cur, the reader may have cached its headers and size.
    - Tagging and filing are one replacement, straight into the junk folder.
    - A message that was new is new in the junk folder too; a message that has flags keeps them.
    - A keyword is set if the folder that the message ends up in has a letter for it. Only names in cur have flags.
    """
    old = Name.parse(source.name)
    folder = junk if Action.FILE in actions and junk is not None else source.folder
    content: bytes | None = None
    letter: str | None = None
    planned = []
    for action in actions:
        match action:
            case Action.TAG:
                if source.part == "new":
                    tagged = tag(raw, judgement, version=__version__, spam_threshold=spam_threshold)
                    content = tagged if tagged != raw else None
                possible = content is not None
            case Action.KEYWORD:
                letter = keywords.letter(folder, _KEYWORDS[judgement.verdict])
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
    if letter:
        name = with_keyword(name, letter)
    target = folder.entry(part, str(name.within(part).fitting()))
    return Plan(tuple(planned), Transfer(source, expected, target, content))


def with_keyword(name: Name, letter: str) -> Name:
    """Return the name with one more flag or keyword letter."""
    info = name.info if name.info is not None and name.info.startswith("2,") else "2,"
    letters, comma, more = info[2:].partition(",")
    return replace(name, info="2," + "".join(sorted({*letters, letter})) + comma + more)


def without_keyword(name: Name, letter: str) -> Name:
    """Return the name without that letter."""
    if name.info is None or not name.info.startswith("2,"):
        return name
    letters, comma, more = name.info[2:].partition(",")
    return replace(name, info="2," + letters.replace(letter, "") + comma + more)


def _name(old: Name, source: OpenFolder, folder: OpenFolder, content: bytes | None) -> Name:
    if folder is source and content is None:
        return old  # a message that only gets a keyword keeps its base name
    base = names.unique()
    name = old if content is None else sized(old, content, base=base)
    if folder is source:
        return name
    return name.elsewhere(base=base, keywords=keywords.mapping(source, folder) if name.keywords else None)
