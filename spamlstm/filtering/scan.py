"""What is in an inbox and not judged yet. Events are hints; a scan is the truth."""

# Every scan of perhaps 10,000 Maildirs asks for this; os is faster than pathlib:
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

# A folder's mtime has steps (4 ms on ext4, 2 s on some others), and a second change within one step does not show. So
# it is only trusted if it was older than this when the folder was read.
_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class _Look:
    """One part of an inbox as it was last read: its mtime, None if not to be trusted, and what is not judged yet."""

    mtime_ns: int | None
    pending: tuple[Candidate, ...]


class OpenMaildirs:
    """The Maildirs that are open for one visit: each is opened when it is first asked for. For one thread."""

    def __init__(self, open_maildir: Callable[[str], OpenMaildir] = OpenMaildir.open) -> None:
        self._open = open_maildir
        self._maildirs: dict[str, OpenMaildir] = {}

    def opened(self, maildir: str) -> OpenMaildir:
        """Return the Maildir at a path. An OSError if it cannot be opened."""
        if maildir not in self._maildirs:
            self._maildirs[maildir] = self._open(maildir)
        return self._maildirs[maildir]

    def close(self) -> None:
        """End the visit: close all of them. They may be asked for again."""
        while self._maildirs:
            self._maildirs.popitem()[1].close()


class Scanner:
    """Scans inboxes. It keeps a few words for each Maildir, and nothing for each message that was judged.

    `opened` returns the Maildir at a path, opened for this visit.
    """

    def __init__(self, journal: Journal, *, clock: Callable[[], float], opened: Callable[[str], OpenMaildir]) -> None:
        self._journal = journal
        self._clock = clock
        self._opened = opened
        # By the path of the part.
        self._looks: dict[str, _Look] = {}

    def scan(self, maildir: str, *, parts: Sequence[Part], catch_up: CatchUp) -> list[Candidate]:
        """Return what is to be judged in these parts of the inbox; an OSError if one of them cannot be looked at.

        new is read before cur, so that a message that a reader takes to cur meanwhile is found, and once. A name that
        changes within cur while that is read may be missed; the change shows in the folder's mtime, so the next scan
        reads it. The first scan of a Maildir begins its watch; `catch_up` says what of its mail is judged.
        """
        if self._journal.index.number(maildir) is None:
            self._begin(maildir, catch_up)
        ordered: tuple[Part, ...] = tuple(part for part in ("new", "cur") if part in parts)
        found = [candidate for part in ordered for candidate in self._unjudged(maildir, part)]
        self._prune(maildir, ordered)
        # What a reader took from new to cur meanwhile is found twice. Two files may have one base name.
        return list({(candidate.key, candidate.inode): candidate for candidate in found}.values())

    def _unjudged(self, maildir: str, part: Part) -> list[Candidate]:
        path = f"{maildir}/{part}"
        # Only a hint that something changed: the folder is read by way of the opened Maildir.
        changed = os.stat(path, follow_symlinks=False).st_mtime_ns
        look = self._looks.get(path)
        if look is not None and look.mtime_ns == changed:
            if not look.pending:
                return []
            pending = self._missing(maildir, look.pending)
        else:
            settled = is_settled(changed, now=self._clock())
            pending = self._missing(maildir, list_candidates(self._opened(maildir), part))
            look = _Look(changed if settled else None, ())
        self._looks[path] = _Look(look.mtime_ns, tuple(pending))
        return pending

    def _missing(self, maildir: str, candidates: Iterable[Candidate]) -> list[Candidate]:
        by_key = {candidate.key: candidate for candidate in candidates}
        inodes = {key: candidate.inode for key, candidate in by_key.items()}
        missing = self._journal.index.missing(maildir, inodes, now=self._clock())
        return [candidate for key, candidate in by_key.items() if key in missing]

    def _begin(self, maildir: str, catch_up: CatchUp) -> None:
        bases: set[str] = set()
        # Twice, as a listing may miss a name that changes meanwhile, and it must not look like new mail later.
        mailbox = self._opened(maildir)
        for _ in range(2):
            for part in ("new", "cur"):
                bases |= {one.key for one in list_candidates(mailbox, part) if _is_old(one, catch_up)}
        now = self._clock()
        # Mail that is there already is judged whatever its date, if the configuration asks for it.
        since = now if catch_up is CatchUp.NEW else 0.0
        with self._journal.transaction(durable=True):
            self._journal.index.begin(maildir, bases, since=since, now=now)

    def _prune(self, maildir: str, parts: tuple[Part, ...]) -> None:
        if len(parts) == 2 and self._journal.index.needs_pruning(maildir, now=self._clock()):
            # Twice, for the same reason as in `_begin`.
            mailbox = self._opened(maildir)
            here = {candidate.key for part in (*parts, *parts) for candidate in list_candidates(mailbox, part)}
            with self._journal.transaction(durable=False):
                self._journal.index.prune(maildir, here, now=self._clock())


def is_settled(changed_ns: int, *, now: float) -> bool:
    """Return whether a folder's mtime is to be trusted: no further change gives it the same one.

    That is so if it is in the past, or a day or more in the future: then the clock was wrong when the folder was
    changed, or is wrong now, and a further change gives another time. No server's clock is so far ahead of this one.
    """
    past = now * 1e9 - changed_ns
    return past > _SETTLED_NS or past < -DAY * 1e9


def list_candidates(mailbox: OpenMaildir, part: Part) -> list[Candidate]:
    """Return the messages in one part of an inbox, in the order of their names: mostly that of their delivery."""
    found = [Candidate(mailbox.path, part, entry.name, entry.inode()) for entry in mailbox.folder().listed(part)]
    bases = Counter(candidate.base for candidate in found)
    if len(bases) < len(found):
        # Different files whose names differ in their comma fields only.
        found = [replace(one, shares_base=True) if bases[one.base] > 1 else one for one in found]
    return sorted(found, key=lambda candidate: candidate.name)


def _is_old(candidate: Candidate, catch_up: CatchUp) -> bool:
    """Return whether a message that is there when the watch begins is left alone."""
    if catch_up is CatchUp.NEW:
        return True
    return catch_up is CatchUp.UNSEEN and candidate.part == "cur" and "S" in Name.parse(candidate.name).flags
