"""The tiny bundle, made once; a test that changes it gets a copy."""

import shutil
from pathlib import Path

import pytest
from tiny_bundle import make

from spamlstm.model.classifier import Classifier


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def copy(tiny, tmp_path) -> Path:
    """A bundle that the test may break."""
    return shutil.copytree(tiny, tmp_path / "copy")


@pytest.fixture(scope="session")
def classifier(tiny) -> Classifier:
    return Classifier.open(tiny)
