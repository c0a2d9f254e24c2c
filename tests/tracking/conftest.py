"""What the tests of tracking share."""

import pytest
from inbox import OPENED


@pytest.fixture(autouse=True)
def _closed():
    """Close every journal that a test opened."""
    yield
    while OPENED:
        OPENED.pop().close()
