"""A small model for the daemon in tests with other programs."""

from pathlib import Path

import pytest
from tiny_bundle import make


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("models") / "tiny")
