"""What is recorded in the mailbox state is read back as it was."""

import contextlib
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.maildir.folder_walk import Folder
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.mailbox_state import MailboxState
from spamlstm.tracking.state import CopyStatus, FlagSet, KnownFolder, TrackedFile
from spamlstm.tracking.state_rows import copy_from, file_row


@pytest.mark.parametrize("inode", [1, (1 << 63) - 1, 1 << 63, (1 << 64) - 5])
def test_inodes_of_64_bits(tmp_path, inode):
    """Inodes that use all 64 bits are kept, though the integers of SQLite are signed."""
    with contextlib.closing(MailboxState.open(tmp_path)) as state:
        with state.change():
            state.track("/mail/ann", now=1.0)
            known = state.add_folder("/mail/ann", Folder(".Junk", inode, 5, 6), FolderRole.JUNK)
        (unread,) = state.folders("/mail/ann")
        assert unread == known
        assert unread.folder == Folder(".Junk", inode, -1, -1)
        with state.change():
            state.update_folder(known, Folder(".Spam", inode, 5, 6), FolderRole.JUNK)
        assert state.folders("/mail/ann") == [KnownFolder(known.id, Folder(".Spam", inode, 5, 6), FolderRole.JUNK)]


@given(
    base=st.integers(-(1 << 63), (1 << 63) - 1),
    flags=st.integers(0, 31).map(FlagSet),
    content=st.none() | st.binary(min_size=16, max_size=16).map(bytes.hex),
    status=st.sampled_from(CopyStatus),
    since=st.floats(0, 1e11),
)
def test_a_file_is_read_as_it_was_written(base, flags, content, status, since):
    """`copy_from` is the inverse of `file_row`."""
    file = TrackedFile(7, base, flags, content, status, since)
    folder = KnownFolder(7, Folder(".Junk", 42, 5, 6), FolderRole.JUNK)
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        row = connection.execute("SELECT ?, ?, ?, ?, ?, ?, ?", file_row(file)).fetchone()
    assert copy_from((7, b".Junk", 42, 5, 6, "junk", *row[1:])) == (folder, file)
