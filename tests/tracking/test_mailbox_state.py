"""A mailbox state of layout 1, in the file of the former name, is taken over with all that it holds."""

import contextlib
import sqlite3

import pytest

from spamlstm.database import NewerVersionError
from spamlstm.errors import TemporaryError
from spamlstm.learning.label import Label
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.mailbox_state import MailboxState
from spamlstm.tracking.state import FlagSet, Pending, TrackedMessage
from spamlstm.tracking.state_database import FORMER_NAME, NAME

LAYOUT_1 = """
CREATE TABLE maildirs (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, tidied REAL NOT NULL);
CREATE TABLE folders (id INTEGER PRIMARY KEY, maildir INTEGER NOT NULL, name BLOB NOT NULL, kind TEXT NOT NULL,
    which INTEGER NOT NULL, new_ns INTEGER NOT NULL, cur_ns INTEGER NOT NULL, UNIQUE (maildir, name));
CREATE TABLE files (folder INTEGER NOT NULL, base INTEGER NOT NULL, marks INTEGER NOT NULL, content BLOB,
    PRIMARY KEY (folder, base)) WITHOUT ROWID;
CREATE INDEX files_content ON files (content) WHERE content IS NOT NULL;
CREATE TABLE messages (maildir INTEGER NOT NULL, content BLOB NOT NULL, place TEXT NOT NULL, act INTEGER NOT NULL,
    moved INTEGER NOT NULL, said TEXT, owed INTEGER NOT NULL, time REAL NOT NULL,
    PRIMARY KEY (maildir, content)) WITHOUT ROWID;
CREATE INDEX messages_owed ON messages (maildir) WHERE owed;
INSERT INTO maildirs VALUES (1, CAST('/mail/ann' AS BLOB), 0.0);
INSERT INTO folders VALUES (7, 1, CAST('.Junk' AS BLOB), 'junk', 42, 5, 6);
INSERT INTO files VALUES (7, 11, 2, zeroblob(16));
INSERT INTO messages VALUES (1, zeroblob(16), 'junk', 3, 1, 'spam', 2, 9.0);
PRAGMA user_version = 1;
"""
CONTENT = "00" * 16
MESSAGE = TrackedMessage(CONTENT, FolderRole.JUNK, 3, label=Label.SPAM, pending=Pending.ALWAYS)


@pytest.fixture
def former(tmp_path):
    """A state folder with the former file, whose rows are in its write-ahead log only, as after a kill."""
    tmp_path.chmod(0o700)
    connection = sqlite3.connect(tmp_path / "made.sqlite", isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;" + LAYOUT_1)
    for suffix in ("", "-wal"):
        content = (tmp_path / f"made.sqlite{suffix}").read_bytes()
        (tmp_path / f"{FORMER_NAME}{suffix}").write_bytes(content)
    connection.close()
    (tmp_path / "made.sqlite").unlink()
    assert (tmp_path / f"{FORMER_NAME}-wal").stat().st_size > 4096
    return tmp_path


def shown(state):
    with contextlib.closing(MailboxState.find(state)) as one:
        (folder,) = one.folders("/mail/ann")
        flags = one.flags(7)
        return folder.folder.name, folder.folder.inode, folder.role, flags, one.pending("/mail/ann")


def test_a_former_file_is_taken_over(former):
    """The rows of the former file, also those in its log, are in the renamed file. A second start changes nothing."""
    for _ in range(2):
        assert shown(former) == (".Junk", 42, FolderRole.JUNK, {11: FlagSet.SEEN}, [MESSAGE])
        assert [path.name for path in former.iterdir()] == [NAME]


@pytest.mark.parametrize(
    ("call", "error"),
    [("pathlib.Path.rename", OSError(5, "no")), ("spamlstm.database._run", TemporaryError("no"))],
)
def test_a_failed_upgrade_is_finished_by_the_next_start(former, monkeypatch, call, error):
    """Whether it fails before the file is renamed or before its columns are."""

    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(call, fail)
        with pytest.raises((OSError, TemporaryError)):
            MailboxState.open(former)
    assert shown(former)[4] == [MESSAGE]


def test_a_damaged_former_file_is_replaced(former, caplog):
    """A warning says what is lost, and the state begins anew."""
    (former / f"{FORMER_NAME}-wal").unlink()
    (former / FORMER_NAME).write_bytes(b"no database at all" * 1000)
    with contextlib.closing(MailboxState.find(former)) as one:
        assert not one.is_tracked("/mail/ann")
    assert "mailbox-state-lost" in caplog.text
    assert "it is replaced by an empty one; learning from moves then starts" in caplog.text
    assert "move it away" not in caplog.text
    assert [path.name for path in former.iterdir()] == [NAME]


def test_the_state_of_a_newer_version_is_refused_and_kept(tmp_path):
    """After a downgrade, the error says what to do, and no byte of the file changes: the update finds it again."""
    MailboxState.open(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / NAME)) as newer:
        newer.executescript("CREATE TABLE added (x); PRAGMA user_version = 99;")
    before = (tmp_path / NAME).read_bytes()
    for opened in (MailboxState.open, MailboxState.find):
        with pytest.raises(NewerVersionError, match=f"{NAME} was written by a newer version of spamlstm; update"):
            opened(tmp_path)
    assert (tmp_path / NAME).read_bytes() == before


def test_without_a_file_nothing_is_found(tmp_path):
    """`find` creates nothing."""
    assert MailboxState.find(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
