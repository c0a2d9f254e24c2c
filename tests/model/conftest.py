"""The tiny bundle, made once; a test that changes it gets a copy."""

import shutil
from pathlib import Path

import pytest

from spamlstm.model.classifier import Classifier


@pytest.fixture
def copy(tiny, tmp_path) -> Path:
    """A bundle that the test may break."""
    return shutil.copytree(tiny, tmp_path / "copy")


@pytest.fixture(scope="session")
def classifier(tiny) -> Classifier:
    return Classifier.open(tiny)
