"""Running listeners with a small model, for the tests of each protocol. The test module has the fixture `config`."""

import pytest
from listening import listening
from tiny_bundle import make

from spamlstm.model.classifier import Classifier


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return Classifier.open(make(tmp_path_factory.mktemp("model") / "tiny"), personal_features=True)


@pytest.fixture
def running(tmp_path, classifier, config):
    with listening(tmp_path / "state", classifier, config) as one:
        yield one
