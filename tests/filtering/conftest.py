"""An inbox for each test that asks for one."""

import pytest
from inbox import Inbox, close_journals
from maildirs import make


@pytest.fixture(autouse=True)
def _closed():
    """No journal is left open."""
    yield
    close_journals()


@pytest.fixture
def inbox(tmp_path):
    """A watched Maildir, with the actions that are the default unless others are given."""

    def build(*, watched=True, **config):
        daemon = {key: config.pop(key) for key in ("catch_up", "dry_run") if key in config}
        one = Inbox(make(tmp_path / "Maildir"), tmp_path / "state", config, daemon)
        return one.watch() if watched else one

    return build
