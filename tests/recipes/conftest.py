"""One daemon for all tests of the recipes."""

import pytest
from serving import serving
from tiny_bundle import make


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return make(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def service(tiny):
    """Run a daemon that classifies mail for other programs."""
    with serving(tiny) as running:
        yield running
