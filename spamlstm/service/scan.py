"""What lies in an inbox and is not judged yet. Events are hints; this is the truth."""

# As maildir, this lists folders of any size with the calls of os:
# ruff: noqa: PTH116, PTH118

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from spamlstm.config import CatchUp
from spamlstm.mail.maildir import Name, Part
from spamlstm.service.journal import Journal
from spamlstm.service.outcome import Candidate

# A folder's time of change has steps (4 ms on ext4, 2 s on some others): a second change within one would not show.
# So it is only trusted where it was older than this when the folder was read.
_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class _Look:
    """One part of an inbox as it was last read: its time of change, None if not to be trusted, and what was new."""

    mtime_ns: int | None
    pending: tuple[Candidate, ...]


class Scanner:
    """Looks through inboxes. It keeps a few words for each Maildir, and nothing for each message that was judged."""

    def __init__(self, journal: Journal, *, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._clock = clock
        # By the path of the part.
        self._looks: dict[str, _Look] = {}

    def scan(self, maildir: str, *, parts: Sequence[Part], catch_up: CatchUp) -> list[Candidate]:
        """What is to be judged in these parts of the inbox; an OSError if one of them cannot be looked at.

        new comes before cur, so that what a reader takes there meanwhile is seen, and once. A name that changes within
        cur while that is read may be missed; that change shows in the time of the folder, so the next scan reads it.
        The first scan of a Maildir begins its watch: by `catch_up`, what lies there then may be none of our business.
        """
        if self._journal.seen.number(maildir) is None:
            self._begin(maildir, catch_up)
        ordered: tuple[Part, ...] = tuple(part for part in ("new", "cur") if part in parts)
        found = [candidate for part in ordered for candidate in self._unjudged(maildir, part)]
        self._tidy(maildir, ordered)
        return list({candidate.base: candidate for candidate in found}.values())

    def _unjudged(self, maildir: str, part: Part) -> list[Candidate]:
        path = f"{maildir}/{part}"
        changed = os.stat(path).st_mtime_ns
        look = self._looks.get(path)
        if look is not None and look.mtime_ns == changed:
            if not look.pending:
                return []
            pending = self._unseen(maildir, look.pending)
        else:
            settled = self._clock() * 1e9 - changed > _SETTLED_NS
            pending = self._unseen(maildir, listed(maildir, part))
            look = _Look(changed if settled else None, ())
        self._looks[path] = _Look(look.mtime_ns, tuple(pending))
        return pending

    def _unseen(self, maildir: str, candidates: Iterable[Candidate]) -> list[Candidate]:
        by_base = {candidate.base: candidate for candidate in candidates}
        inodes = {base: candidate.inode for base, candidate in by_base.items()}
        unseen = self._journal.seen.unseen(maildir, inodes, now=self._clock())
        return [candidate for base, candidate in by_base.items() if base in unseen]

    def _begin(self, maildir: str, catch_up: CatchUp) -> None:
        bases: set[str] = set()
        # Twice, as a listing may miss a name that changes meanwhile, and that must not pass for new mail later.
        for _ in range(2):
            for part in ("new", "cur"):
                bases |= {one.base for one in listed(maildir, part) if _is_old(one, catch_up)}
        now = self._clock()
        # Who asked for what lies there gets it with whatever date.
        since = now if catch_up is CatchUp.NEW else 0.0
        with self._journal.group(durable=True):
            self._journal.seen.begin(maildir, bases, since=since, now=now)

    def _tidy(self, maildir: str, parts: tuple[Part, ...]) -> None:
        if len(parts) == 2 and self._journal.seen.is_untidy(maildir, now=self._clock()):
            # Twice, for the same reason as when the watch began.
            here = {candidate.base for part in (*parts, *parts) for candidate in listed(maildir, part)}
            with self._journal.group(durable=False):
                self._journal.seen.tidy(maildir, here, now=self._clock())


def listed(maildir: str, part: Part) -> list[Candidate]:
    """The messages in one part of an inbox, in the order of their names: mostly that of their delivery."""
    with os.scandir(os.path.join(maildir, part)) as entries:
        found = [
            Candidate(maildir, part, entry.name, entry.inode())
            for entry in entries
            if not entry.name.startswith(".") and _is_plain(entry)
        ]
    return sorted(found, key=lambda candidate: candidate.name)


def _is_plain(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False


def _is_old(candidate: Candidate, catch_up: CatchUp) -> bool:
    """Whether a message that lies there when the watch begins is left alone."""
    if catch_up is CatchUp.NEW:
        return True
    return catch_up is CatchUp.UNSEEN and candidate.part == "cur" and "S" in Name.parse(candidate.name).flags
