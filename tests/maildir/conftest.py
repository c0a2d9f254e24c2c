"""Each test has a Maildir of its own."""

import pytest
from maildirs import make


@pytest.fixture
def root(tmp_path):
    return make(tmp_path / "Maildir")
