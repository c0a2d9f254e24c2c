"""A copy of a journal whose folder or file the user may not write or read."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from spamlstm.errors import ConfigError, DataError, TemporaryError
from spamlstm.filtering.journal import NAME, Journal

NOBODY = 65534


@pytest.fixture
def journal():
    """A journal in a folder that a user other than root can reach."""
    folder = Path(tempfile.mkdtemp(prefix="journal-"))
    Journal.open(folder).close()
    yield folder / NAME
    folder.chmod(0o700)
    shutil.rmtree(folder)


@contextlib.contextmanager
def closed(path, mode=0o444):
    """Act as a user, not root, who has the folder and the files, but may not write to them."""
    is_root = os.geteuid() == 0
    for one in (path.parent, *path.parent.iterdir()):
        one.chmod(0o555 if one == path.parent else mode)
        if is_root:
            os.chown(one, NOBODY, NOBODY)
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_a_folder_without_the_right_to_write(journal):
    """The mode of the folder has the effect of a read-only file system: the journal is read alone."""
    with closed(journal), contextlib.closing(Journal.copy(journal.parent)) as copy:
        assert copy.bases_of_dry_run("/mail/ann") == set()


def test_a_file_without_the_right_to_read(journal):
    """The error names the file and the option."""
    with (
        closed(journal, 0),
        pytest.raises(ConfigError, match=f"{NAME} cannot be read by this user; name another state"),
    ):
        Journal.copy(journal.parent)


def test_changes_that_are_not_in_the_file(journal):
    """A journal without its latest changes would be wrong, so it is not read."""
    journal.with_name(f"{NAME}-wal").write_bytes(b"x" * 400)
    with closed(journal), pytest.raises(TemporaryError, match="has changes that are not yet in it"):
        Journal.copy(journal.parent)


@pytest.mark.parametrize("damage", [lambda raw: b"x" * len(raw), lambda raw: raw[:100] + b"\xff" * (len(raw) - 100)])
def test_a_damaged_file(journal, damage):
    """Damage is told from a lack of rights."""
    journal.write_bytes(damage(journal.read_bytes()))
    with closed(journal), pytest.raises(DataError, match="is damaged"):
        Journal.copy(journal.parent)
