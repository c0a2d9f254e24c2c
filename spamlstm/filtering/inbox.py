"""The scan of an inbox for messages that are not in the index of the journal."""

# Every scan of perhaps 10,000 Maildirs uses these calls, and os is faster than pathlib:
# ruff: noqa: PTH116

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from spamlstm.config import CatchUp
from spamlstm.filtering.inbox_index import DAY
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.outcome import Candidate
from spamlstm.maildir.names import DELIVERED, Name, Part, base_of
from spamlstm.maildir.opened import OpenMaildir

# The mtime of a folder has a limited resolution (4 ms on ext4, 2 s on some others), and a second change within one step
# is invisible. So the mtime is trusted only if it was older than this when the folder was read.
_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class _Look:
    """The result of the last listing of new or cur of an inbox.

    `mtime_ns` is the mtime of the directory, None if it cannot be trusted. `pending` holds the unclassified messages.
    """

    mtime_ns: int | None
    pending: tuple[Candidate, ...]


class Scanner:
    """The scanner of inboxes. Uses little memory for each Maildir, and none for classified messages.

    `opened` returns the Maildir at a path, opened for the current visit.
    """

    def __init__(self, journal: Journal, *, clock: Callable[[], float], opened: Callable[[str], OpenMaildir]) -> None:
        self._journal = journal
        self._clock = clock
        self._opened = opened
        # Keyed by the path of new or cur.
        self._looks: dict[str, _Look] = {}

    def scan(
        self, maildir: str, *, parts: Sequence[Part], catch_up: CatchUp, with_dry_run: bool = False
    ) -> list[Candidate]:
        """Return the messages to classify in `parts` of the inbox.

        new is read before cur, so that a message that a mail program moves to cur meanwhile is found, and is returned
        only once. A name that changes within cur while cur is read may be missed. The change updates the mtime of cur,
        so the next scan reads cur again. The first scan of a Maildir starts the watch. `catch_up` then selects the
        existing mail that is classified. If `with_dry_run`, mail counts as unclassified if a dry run only reported the
        actions. Raises OSError if new or cur cannot be read.
        """
        if self._journal.index.number(maildir) is None:
            self._begin(maildir, catch_up)
        elif with_dry_run:
            self._forget_dry_run(maildir)
        ordered = tuple(part for part in DELIVERED if part in parts)
        found = [candidate for part in ordered for candidate in self._unjudged(maildir, part)]
        self._prune(maildir, ordered)
        # A message that a mail program moved from new to cur meanwhile is found twice. Two files may have one base
        # name.
        return list({(candidate.key, candidate.inode): candidate for candidate in found}.values())

    def _unjudged(self, maildir: str, part: Part) -> list[Candidate]:
        path = f"{maildir}/{part}"
        # This status only shows whether something changed. The folder is read through the opened Maildir.
        changed = os.stat(path, follow_symlinks=False).st_mtime_ns
        look = self._looks.get(path)
        if look is not None and look.mtime_ns == changed:
            if not look.pending:
                return []
            pending = self._missing(maildir, look.pending)
        else:
            settled = is_settled(changed, now=self._clock())
            # Candidates are created only for the missing files, because an inbox may have 200,000 files.
            files = _files(self._opened(maildir), part)
            inodes = {key: inode for key, (_, inode) in files.items()}
            missing = self._journal.index.missing(maildir, inodes, now=self._clock())
            pending = _candidates(maildir, part, {key: files[key] for key in missing})
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
        # List twice. A listing may miss a name that changes meanwhile, and a missed message would later be mistaken for
        # new mail.
        mailbox = self._opened(maildir)
        for _ in range(2):
            for part in DELIVERED:
                bases |= {key for key, (name, _) in _files(mailbox, part).items() if _is_old(name, catch_up)}
        now = self._clock()
        # If the configuration includes existing mail, the date of the mail is ignored.
        since = now if catch_up is CatchUp.NEW else 0.0
        with self._journal.transaction(durable=True):
            self._journal.index.begin(maildir, bases, since=since, now=now)

    def _forget_dry_run(self, maildir: str) -> None:
        bases = self._journal.bases_of_dry_run(maildir)
        if not bases:
            return
        files = {key: name for part in DELIVERED for key, (name, _) in _files(self._opened(maildir), part).items()}
        with self._journal.transaction(durable=False):
            self._journal.index.remove(maildir, [key for key, name in files.items() if base_of(name) in bases])
        for part in DELIVERED:
            self._looks.pop(f"{maildir}/{part}", None)

    def _prune(self, maildir: str, parts: tuple[Part, ...]) -> None:
        if len(parts) == 2 and self._journal.index.needs_pruning(maildir, now=self._clock()):
            # Listed twice for the same reason as in `_begin`.
            mailbox = self._opened(maildir)
            here = {key for part in (*parts, *parts) for key in _files(mailbox, part)}
            with self._journal.transaction(durable=False):
                self._journal.index.prune(maildir, here, now=self._clock())


def is_settled(changed_ns: int, *, now: float) -> bool:
    """Return whether the mtime `changed_ns` of a folder can be trusted: any later change sets another mtime.

    An mtime more than two seconds ago can be trusted. An mtime more than a day in the future can be trusted too. The
    clock was then wrong at the change, or is wrong now, and a further change sets another mtime. The clock of a file
    server is assumed to be less than a day ahead of this clock.
    """
    past = now * 1e9 - changed_ns
    return past > _SETTLED_NS or past < -DAY * 1e9


def _candidates(maildir: str, part: Part, files: Mapping[str, tuple[str, int]]) -> list[Candidate]:
    """Return the candidates for some of `_files`, sorted by name. This is mostly the order of delivery."""
    ordered = sorted(files.items(), key=lambda file: file[1][0])
    # No file name contains a slash, so a slash in the key precedes an inode.
    return [Candidate(maildir, part, name, inode, shares_base="/" in key) for key, (name, inode) in ordered]


def _files(mailbox: OpenMaildir, part: Part) -> dict[str, tuple[str, int]]:
    """Return the name and the inode of each message in new or cur of an inbox, by `Candidate.key`."""
    listed = [(base_of(entry.name), entry.name, entry.inode()) for entry in mailbox.folder().listed(part)]
    files = {base: (name, inode) for base, name, inode in listed}
    if len(files) == len(listed):
        return files
    # Different files may have names that differ only in their fields or flags.
    bases = Counter(base for base, _, _ in listed)
    return {f"{base}/{inode}" if bases[base] > 1 else base: (name, inode) for base, name, inode in listed}


def _is_old(name: str, catch_up: CatchUp) -> bool:
    """Return whether a message that exists at the first scan is not to be classified."""
    # OfflineIMAP writes flags in new, too.
    return catch_up is CatchUp.NEW or (catch_up is CatchUp.UNSEEN and "S" in Name.parse(name).flags)
