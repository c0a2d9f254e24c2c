"""From a verdict to what is to be done with one message: decided here, done in `spamlstm.filtering.actions`."""

from dataclasses import dataclass, replace

from spamlstm import __version__
from spamlstm.config import Action, MaildirConfig
from spamlstm.filtering.journal import Intent
from spamlstm.maildir import keywords, names, transfer
from spamlstm.maildir.headers import tag
from spamlstm.maildir.names import Name, Part
from spamlstm.maildir.opened import Entry, OpenFolder
from spamlstm.maildir.transfer import Identity
from spamlstm.model.policy import Reason
from spamlstm.verdict import Judgement, Verdict

_WORDS = {Verdict.SPAM: keywords.SPAM_WORDS, Verdict.HAM: keywords.HAM_WORDS, Verdict.UNSURE: ()}


@dataclass(frozen=True, slots=True)
class Plan:
    """One message's way to its new place. With `content` as a fresh file, without as a rename of the file it is."""

    actions: tuple[Action, ...]
    source: Entry
    expected: Identity
    target: Entry
    content: bytes | None = None

    @property
    def intent(self) -> Intent:
        """What the journal notes of it."""
        return Intent(self.source.path, self.expected, self.target.folder.path, self.target.name, self.actions)


def wanted(section: MaildirConfig, judgement: Judgement) -> tuple[Action, ...]:
    """What the configuration asks for. Nothing, for what could not be judged or is no mail: that stays untouched."""
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
    """How to carry out `actions`; None if nothing of them is possible or needed.

    `junk` is the folder to file to, `bar` the probability from which on it is spam.

    - Only what lies in new is tagged: once a reader took a message to cur it may have cached its headers and sizes.
    - To tag and to file is one replacement, straight into the junk folder.
    - What was new is new in the junk folder too, what has flags keeps them.
    - A keyword is set where the folder that the message ends up in has a letter for it; only cur has flags.
    """
    old = Name.parse(source.name)
    filed = Action.FILE in actions and junk is not None
    folder = junk if filed and junk is not None else source.folder
    content = None
    if Action.TAG in actions and source.part == "new":
        tagged = tag(raw, judgement, version=__version__, spam_threshold=spam_threshold)
        content = tagged if tagged != raw else None
    letter = keywords.letter(folder, _WORDS[judgement.verdict]) if Action.KEYWORD in actions else None
    if letter and not filed and letter in old.keywords:
        letter = None
    done = {Action.FILE: filed, Action.TAG: content is not None, Action.KEYWORD: letter is not None}
    kept = tuple(action for action in Action if done[action])
    if not kept:
        return None
    name = _name(old, source.folder, folder, content)
    part: Part = "cur" if letter or source.part != "new" else "new"
    if letter:
        name = with_keyword(name, letter)
    return Plan(kept, source, expected, folder.entry(part, str(name.within(part).fitting())), content)


def with_keyword(name: Name, letter: str) -> Name:
    """The name with one flag or keyword letter more."""
    info = name.info if name.info is not None and name.info.startswith("2,") else "2,"
    letters, comma, more = info[2:].partition(",")
    return replace(name, info="2," + "".join(sorted({*letters, letter})) + comma + more)


def without_keyword(name: Name, letter: str) -> Name:
    """The name without that letter."""
    if name.info is None or not name.info.startswith("2,"):
        return name
    letters, comma, more = name.info[2:].partition(",")
    return replace(name, info="2," + letters.replace(letter, "") + comma + more)


def _name(old: Name, source: OpenFolder, folder: OpenFolder, content: bytes | None) -> Name:
    if folder is source and content is None:
        return old  # a message that only gets a keyword stays who it is
    base = names.unique()
    name = old if content is None else transfer.sized(old, content, base=base)
    if folder is source:
        return name
    return name.elsewhere(base=base, keywords=keywords.mapping(source, folder) if name.keywords else None)
