"""The table of messages in progress, in the journal's database, and of suspects, which were in progress at a crash.

`spamlstm.filtering.crash_guard` decides what happens to suspects.
"""

from collections.abc import Iterable
from typing import NamedTuple

from spamlstm.database import MOST_INTEGER
from spamlstm.filtering.inbox_index import REMEMBERED, InboxIndex, name_hash, signed
from spamlstm.filtering.journal_database import JournalDatabase

# `crashes` is NULL for a file that has not been in progress at a crash.
IN_PROGRESS_SCHEMA = """
CREATE TABLE IF NOT EXISTS in_progress (maildir INTEGER NOT NULL, name INTEGER NOT NULL, inode INTEGER NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, version TEXT NOT NULL, running INTEGER NOT NULL,
    since REAL NOT NULL, crashes INTEGER, time REAL NOT NULL, PRIMARY KEY (maildir, name)) WITHOUT ROWID;
"""


class Item(NamedTuple):
    """A file to be classified, or a message to be learned.

    `name` is the hash of the file's key in the inbox index, or of the message's content id. Inode, size and mtime
    distinguish a file from a later file with its name. They are 0 for a message to be learned.
    """

    maildir: str
    name: int
    inode: int = 0
    size: int = 0
    mtime_ns: int = 0


def labelling(maildir: str, content: str) -> Item:
    """Return the item for learning the message with a content id.

    The null byte keeps the hash distinct from hashes of file names.
    """
    return Item(maildir, name_hash(f"\0{content}"))


class InProgress:
    """The journal's table of files in progress and of suspects.

    Methods that change the table are called within a transaction of the journal.
    """

    def __init__(self, database: JournalDatabase, index: InboxIndex) -> None:
        self._database = database
        self._index = index
        # Maps Maildir and name to the file that was in progress at a crash, the version, and the number of crashes with
        # only this file in progress. The table has few rows and is looked up for every message. None until the rows are
        # read.
        self._suspects: dict[tuple[int | None, int], tuple[tuple[int, int, int], str, int]] | None = None

    def rolled_back(self) -> None:
        """Clear the cache, which may hold values of a transaction that was rolled back."""
        self._suspects = None

    def is_suspect(self, maildir: str, name: int) -> bool:
        """Return whether a file named `name` was in progress at a crash. Another file may have the name now."""
        suspects = self._read()
        return bool(suspects) and (self._index.number(maildir), name) in suspects

    def crashes(self, item: Item, *, version: str) -> int | None:
        """Return the number of crashes with only this file in progress, counted for the current `version`.

        Returns 0 if the crashes were counted for another version of the program or model. Returns None if the file was
        not in progress at any crash.
        """
        suspects = self._read()
        suspect = suspects.get((self._index.number(item.maildir), item.name)) if suspects else None
        if suspect is None or suspect[0] != _file(item):
            return None
        _, with_version, crashes = suspect
        return crashes if with_version == version else 0

    def start(self, items: Iterable[Item], *, version: str, since: float, now: float) -> None:
        """Record items that are about to be read as in progress.

        `now` is the current time in seconds since 1970, and `since` in seconds since the machine started
        (CLOCK_BOOTTIME). Items of Maildirs unknown to the journal are ignored.
        """
        rows = [
            (number, item.name, *_file(item), version, 1, since, self.crashes(item, version=version), now)
            for item in items
            if (number := self._index.number(item.maildir)) is not None
        ]
        self._database.run_many("INSERT OR REPLACE INTO in_progress VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def finish(self, items: Iterable[Item]) -> None:
        """Delete the records of files whose outcome is known, because these files did not crash the process."""
        keys = self._keys(items)
        self._database.run_many("DELETE FROM in_progress WHERE maildir = ? AND name = ?", keys)
        if self._suspects:
            for key in keys:
                self._suspects.pop(key, None)

    def stop(self, items: Iterable[Item]) -> None:
        """Record that files without an outcome are no longer in progress. The number of their crashes is kept."""
        keys = self._keys(items)
        self._database.run_many("UPDATE in_progress SET running = 0 WHERE maildir = ? AND name = ?", keys)
        self._database.run_many("DELETE FROM in_progress WHERE maildir = ? AND name = ? AND crashes IS NULL", keys)

    def recover(self, *, since: float) -> int:
        """Turn the files in progress into suspects when a process starts, and return their number.

        `since` is the current time in seconds since the machine started. If only one file was in progress, a crash is
        counted for the file. No crash is counted if several files were in progress. No crash is counted either if
        `since` is smaller than the recorded time, because the machine has then restarted and may have lost power.
        """
        ((running,),) = self._database.rows("SELECT count(*) FROM in_progress WHERE running")
        self._database.run(
            "UPDATE in_progress SET crashes = coalesce(crashes, 0) + (? AND since <= ?), running = 0 WHERE running",
            running == 1,
            since,
        )
        self._suspects = None
        return int(running)

    def has_crashed(self) -> bool:
        """Return whether files are in progress. When a process starts, this means that the previous process crashed."""
        return self._database.first("SELECT 1 FROM in_progress WHERE running LIMIT 1") is not None

    def prune(self, *, now: float) -> None:
        """Delete suspects that are older than REMEMBERED, the lifetime of judgements."""
        self._database.run("DELETE FROM in_progress WHERE NOT running AND time < ?", now - REMEMBERED)
        self._suspects = None

    def _keys(self, items: Iterable[Item]) -> list[tuple[int | None, int]]:
        return [(self._index.number(item.maildir), item.name) for item in items]

    def _read(self) -> dict[tuple[int | None, int], tuple[tuple[int, int, int], str, int]]:
        if self._suspects is None:
            rows = self._database.rows(
                "SELECT maildir, name, inode, size, mtime_ns, version, crashes FROM in_progress"
                " WHERE crashes IS NOT NULL"
            )
            self._suspects = {
                (maildir, name): ((inode, size, mtime_ns), version, crashes)
                for maildir, name, inode, size, mtime_ns, version, crashes in rows
                if isinstance(crashes, int)  # a damaged row is ignored
            }
        return self._suspects


def _file(item: Item) -> tuple[int, int, int]:
    # An mtime may exceed 63 bits (the year 2262).
    return signed(item.inode), item.size, item.mtime_ns & MOST_INTEGER
