"""What the tests of tracking share."""

import pytest
from inbox import close_journals
from maildirs import make
from tracked_maildir import TrackedMaildir


@pytest.fixture(autouse=True)
def _closed():
    """Close every journal that a test opened."""
    yield
    close_journals()


@pytest.fixture
def tracked(tmp_path):
    """Build an empty Maildir with an archive, already scanned and visited once."""
    opened = []

    def build(*, visited=True, junk=True, **section):
        one = TrackedMaildir(make(tmp_path / "Maildir"), tmp_path / "state", section)
        opened.append(one)
        one.archive = one.folder(".Archive")
        if junk:
            one.folder(".Junk")
        if visited:
            one.watch()
            one.look()
        return one

    yield build
    for one in opened:
        one.label_stores.close()
        one.mailbox_state.close()
