"""The tiny bundle, for the commands."""

from pathlib import Path

import pytest
from tiny_bundle import make


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("models") / "tiny")
