"""What the tests of tracking share."""

import pytest
from inbox import close_journals


@pytest.fixture(autouse=True)
def _closed():
    """Close every journal that a test opened."""
    yield
    close_journals()
