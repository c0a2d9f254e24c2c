"""The database file of the mailbox state: its tables, its upgrades from earlier versions, and its former name."""

import contextlib
import logging
import sqlite3
from pathlib import Path

from spamlstm import database
from spamlstm.database import Layout, NewerVersionError
from spamlstm.errors import DataError
from spamlstm.filtering.event_log import emit

NAME = "mailbox_state.sqlite"
FORMER_NAME = "places.sqlite"
"""The name of the database file up to layout version 1."""
# The number of the last judgement that is recorded in the upgrade, until a visit records the true number.
NO_POSITION = 1 << 62
LOSS = "; learning from moves then starts from the current contents of the folders"

_MESSAGES = """(maildir INTEGER NOT NULL, content BLOB NOT NULL, role TEXT NOT NULL, act INTEGER NOT NULL, label TEXT,
    pending INTEGER NOT NULL, updated REAL NOT NULL, PRIMARY KEY (maildir, content)) WITHOUT ROWID;
CREATE INDEX messages_pending ON messages (maildir) WHERE pending;
"""
_DEPARTURES = """
CREATE TABLE departures (maildir INTEGER NOT NULL, content BLOB NOT NULL, role TEXT NOT NULL, since REAL NOT NULL,
    time REAL NOT NULL, visited INTEGER NOT NULL);
CREATE INDEX departures_content ON departures (maildir, content);
CREATE INDEX files_unsettled ON files (folder) WHERE status = 1 OR flags >= 16;
CREATE TABLE former_contents (content BLOB PRIMARY KEY) WITHOUT ROWID;
"""
_ALL_FORMER = """
INSERT OR IGNORE INTO former_contents SELECT content FROM files WHERE length(content) = 16;
INSERT OR IGNORE INTO former_contents SELECT content FROM messages WHERE pending AND length(content) = 16;
INSERT OR IGNORE INTO former_contents SELECT content FROM departures;
"""
_EVIDENCE = """
ALTER TABLE files ADD COLUMN evidence BLOB;
ALTER TABLE departures ADD COLUMN evidence BLOB;
"""
_LAYOUT = Layout(
    version=5,
    schema=f"""
CREATE TABLE maildirs (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, pruned REAL NOT NULL,
    judgement INTEGER NOT NULL DEFAULT 0, act INTEGER NOT NULL DEFAULT 0);
CREATE TABLE folders (id INTEGER PRIMARY KEY, maildir INTEGER NOT NULL, name BLOB NOT NULL, role TEXT NOT NULL,
    inode INTEGER NOT NULL, new_ns INTEGER NOT NULL, cur_ns INTEGER NOT NULL, UNIQUE (maildir, name));
CREATE TABLE files (folder INTEGER NOT NULL, base INTEGER NOT NULL, flags INTEGER NOT NULL, content BLOB,
    status INTEGER NOT NULL DEFAULT 0, since REAL NOT NULL DEFAULT 0, PRIMARY KEY (folder, base)) WITHOUT ROWID;
CREATE INDEX files_content ON files (content) WHERE content IS NOT NULL;
CREATE TABLE messages {_MESSAGES}{_DEPARTURES}{_EVIDENCE}""",
    pragmas=(),
    loss=LOSS,
    upgrades={
        1: """
DROP INDEX messages_owed;
ALTER TABLE maildirs RENAME COLUMN tidied TO pruned;
ALTER TABLE folders RENAME COLUMN kind TO role;
ALTER TABLE folders RENAME COLUMN which TO inode;
ALTER TABLE files RENAME COLUMN marks TO flags;
ALTER TABLE messages RENAME COLUMN place TO role;
ALTER TABLE messages RENAME COLUMN said TO label;
ALTER TABLE messages RENAME COLUMN owed TO pending;
ALTER TABLE messages RENAME COLUMN time TO updated;
CREATE INDEX messages_pending ON messages (maildir) WHERE pending;
""",
        # The status 3 is UNFILED, and 4 is MOVED. The next visit reads the messages again, to replace their former
        # content ids.
        2: f"""
ALTER TABLE maildirs ADD COLUMN judgement INTEGER NOT NULL DEFAULT 0;
ALTER TABLE maildirs ADD COLUMN act INTEGER NOT NULL DEFAULT 0;
ALTER TABLE files ADD COLUMN status INTEGER NOT NULL DEFAULT 0;
ALTER TABLE files ADD COLUMN since REAL NOT NULL DEFAULT 0;
DROP INDEX messages_pending;
ALTER TABLE messages RENAME TO former_messages;
CREATE TABLE messages {_MESSAGES}
INSERT INTO messages SELECT maildir, content, role, act, label, pending, updated FROM former_messages;
UPDATE maildirs SET judgement = {NO_POSITION};
UPDATE files SET status = 3 WHERE content IS NOT NULL AND EXISTS (SELECT 1 FROM former_messages AS message JOIN folders
    ON folders.maildir = message.maildir WHERE message.content = files.content AND message.role = 'inbox'
    AND folders.id = files.folder AND folders.role = 'filed');
UPDATE files SET status = 4 WHERE content IS NOT NULL AND EXISTS (SELECT 1 FROM former_messages AS message JOIN folders
    ON folders.maildir = message.maildir WHERE message.content = files.content AND message.moved
    AND folders.id = files.folder AND folders.role = 'inbox');
DROP TABLE former_messages;
{_DEPARTURES}{_ALL_FORMER}""",  # noqa: S608  constants
        3: _EVIDENCE,
        4: _ALL_FORMER,
    },
)


def opened_database(folder: Path) -> sqlite3.Connection:
    """Open the database in `folder`. A missing database is created, and a damaged database is replaced.

    Raises TemporaryError, ConfigError or NewerVersionError like `database.open_in`.
    """
    try:
        _rename_former(folder)
        connection = database.open_in(folder, NAME, _LAYOUT)
    except NewerVersionError:
        raise
    except DataError as error:
        emit(logging.WARNING, "mailbox-state-lost", error=database.replacement_message(error))
        remove_database(folder)
        connection = database.open_in(folder, NAME, _LAYOUT)
    return _tolerant(connection)


def database_path(folder: Path) -> Path | None:
    """Return the path of the database in `folder`, which may have its former name, or None if there is no database."""
    return next((folder / name for name in (NAME, FORMER_NAME) if (folder / name).exists()), None)


def copied_database(path: Path) -> sqlite3.Connection:
    """Return a temporary copy of a database, for a dry run. Raises the errors of `database.temporary_copy`."""
    return _tolerant(database.temporary_copy(path, _LAYOUT))


def _tolerant(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Let a text that is not UTF-8 damage only its cell. Otherwise the whole query would fail."""
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    return connection


def _rename_former(folder: Path) -> None:
    """Rename a database with the former name to the current name.

    SQLite finds the write-ahead log by the name of the database, so the log is merged into the database first.
    """
    former = folder / FORMER_NAME
    if (folder / NAME).exists() or not former.is_file():
        return
    with (
        database.Explained(str(former), LOSS),
        contextlib.closing(database.connect(former)) as connection,
    ):
        connection.execute("PRAGMA journal_mode = DELETE")
    former.rename(folder / NAME)


def remove_database(folder: Path) -> None:
    """Remove the files of the database."""
    for name in (NAME, FORMER_NAME):
        for suffix in ("", "-wal", "-shm"):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)
