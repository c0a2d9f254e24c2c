"""Each test has a Maildir of its own."""

import on_disk
import pytest
from maildirs import make

from spamlstm.maildir import junk_folder


@pytest.fixture
def root(tmp_path):
    return make(tmp_path / "Maildir")


@pytest.fixture
def junk(root):
    folder = junk_folder.junk_folder(on_disk.opened(root).mailbox)
    junk_folder.create_folder(folder)
    return folder.path
