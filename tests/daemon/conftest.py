"""Running listeners with a small model, for the tests of each protocol. The test module has the fixture `config`."""

import pytest
from listening import listening


@pytest.fixture
def running(tmp_path, classifier, config):
    with listening(tmp_path / "state", classifier, config) as one:
        yield one
