"""One daemon for all tests of the recipes."""

import pytest
from serving import serving


@pytest.fixture(scope="session")
def service(tiny):
    """Run a daemon that classifies mail for other programs."""
    with serving(tiny) as running:
        yield running
