"""What lies in an inbox and is not judged yet. Events are hints; this is the truth."""

# Asked for with every scan of each of perhaps 10,000 Maildirs, os is faster than pathlib:
# ruff: noqa: PTH116

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from spamlstm.config import CatchUp
from spamlstm.filtering.inbox_index import DAY
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.outcome import Candidate
from spamlstm.maildir.names import Name, Part
from spamlstm.maildir.opened import OpenMaildir

# A folder's time of change has steps (4 ms on ext4, 2 s on some others): a second change within one would not show.
# So it is only trusted where it was older than this when the folder was read.
_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class _Look:
    """One part of an inbox as it was last read: its time of change, None if not to be trusted, and what was new."""

    mtime_ns: int | None
    pending: tuple[Candidate, ...]


class Scanner:
    """Looks through inboxes. It keeps a few words for each Maildir, and nothing for each message that was judged.

    `opened` gives the Maildir at a path, opened for this visit.
    """

    def __init__(self, journal: Journal, *, clock: Callable[[], float], opened: Callable[[str], OpenMaildir]) -> None:
        self._journal = journal
        self._clock = clock
        self._opened = opened
        # By the path of the part.
        self._looks: dict[str, _Look] = {}

    def scan(self, maildir: str, *, parts: Sequence[Part], catch_up: CatchUp) -> list[Candidate]:
        """What is to be judged in these parts of the inbox; an OSError if one of them cannot be looked at.

        new comes before cur, so that what a reader takes there meanwhile is seen, and once. A name that changes within
        cur while that is read may be missed; that change shows in the time of the folder, so the next scan reads it.
        The first scan of a Maildir begins its watch: by `catch_up`, what lies there then may be none of our business.
        """
        if self._journal.index.number(maildir) is None:
            self._begin(maildir, catch_up)
        ordered: tuple[Part, ...] = tuple(part for part in ("new", "cur") if part in parts)
        found = [candidate for part in ordered for candidate in self._unjudged(maildir, part)]
        self._tidy(maildir, ordered)
        # What a reader took from new to cur meanwhile was found twice. Two files may have one base name.
        return list({(candidate.key, candidate.inode): candidate for candidate in found}.values())

    def _unjudged(self, maildir: str, part: Part) -> list[Candidate]:
        path = f"{maildir}/{part}"
        # Only a hint that something changed: what is there is read by way of the opened Maildir.
        changed = os.stat(path, follow_symlinks=False).st_mtime_ns
        look = self._looks.get(path)
        if look is not None and look.mtime_ns == changed:
            if not look.pending:
                return []
            pending = self._unseen(maildir, look.pending)
        else:
            settled = is_settled(changed, now=self._clock())
            pending = self._unseen(maildir, list_candidates(self._opened(maildir), part))
            look = _Look(changed if settled else None, ())
        self._looks[path] = _Look(look.mtime_ns, tuple(pending))
        return pending

    def _unseen(self, maildir: str, candidates: Iterable[Candidate]) -> list[Candidate]:
        by_key = {candidate.key: candidate for candidate in candidates}
        inodes = {key: candidate.inode for key, candidate in by_key.items()}
        unseen = self._journal.index.unseen(maildir, inodes, now=self._clock())
        return [candidate for key, candidate in by_key.items() if key in unseen]

    def _begin(self, maildir: str, catch_up: CatchUp) -> None:
        bases: set[str] = set()
        # Twice, as a listing may miss a name that changes meanwhile, and that must not pass for new mail later.
        mailbox = self._opened(maildir)
        for _ in range(2):
            for part in ("new", "cur"):
                bases |= {one.key for one in list_candidates(mailbox, part) if _is_old(one, catch_up)}
        now = self._clock()
        # Who asked for what lies there gets it with whatever date.
        since = now if catch_up is CatchUp.NEW else 0.0
        with self._journal.group(durable=True):
            self._journal.index.begin(maildir, bases, since=since, now=now)

    def _tidy(self, maildir: str, parts: tuple[Part, ...]) -> None:
        if len(parts) == 2 and self._journal.index.is_untidy(maildir, now=self._clock()):
            # Twice, for the same reason as when the watch began.
            mailbox = self._opened(maildir)
            here = {candidate.key for part in (*parts, *parts) for candidate in list_candidates(mailbox, part)}
            with self._journal.group(durable=False):
                self._journal.index.tidy(maildir, here, now=self._clock())


def is_settled(changed_ns: int, *, now: float) -> bool:
    """Whether a folder's time of change is to be trusted: no further change gives it the same.

    It is in the past, or a day and more in the future: then the clock was wrong when the folder was changed, or is now,
    and a further change gives another time. A server's clock is not so far ahead of this machine's.
    """
    past = now * 1e9 - changed_ns
    return past > _SETTLED_NS or past < -DAY * 1e9


def list_candidates(mailbox: OpenMaildir, part: Part) -> list[Candidate]:
    """The messages in one part of an inbox, in the order of their names: mostly that of their delivery."""
    found = [Candidate(mailbox.path, part, entry.name, entry.inode()) for entry in mailbox.folder().listed(part)]
    bases = Counter(candidate.base for candidate in found)
    if len(bases) < len(found):
        # Names that differ in their comma fields only, of different files.
        found = [replace(one, shares_base=True) if bases[one.base] > 1 else one for one in found]
    return sorted(found, key=lambda candidate: candidate.name)


def _is_old(candidate: Candidate, catch_up: CatchUp) -> bool:
    """Whether a message that lies there when the watch begins is left alone."""
    if catch_up is CatchUp.NEW:
        return True
    return catch_up is CatchUp.UNSEEN and candidate.part == "cur" and "S" in Name.parse(candidate.name).flags
