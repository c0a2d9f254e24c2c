"""Each test has a Maildir of its own."""

import pytest
from readers_and_kills import make


@pytest.fixture
def root(tmp_path):
    return make(tmp_path / "Maildir")
