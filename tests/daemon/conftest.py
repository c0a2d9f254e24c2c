"""Running listeners with a small model, for the tests of each protocol. A test module may have its own `config`."""

import pytest
from listening import listening

from spamlstm.config import Config, SpamdConfig


@pytest.fixture
def config(tmp_path):
    return Config(spamd=SpamdConfig(listen=f"unix:{tmp_path}/spamd.sock", allow_tell=True))


@pytest.fixture
def running(tmp_path, classifier, config):
    with listening(tmp_path / "state", classifier, config) as one:
        yield one


@pytest.fixture
def spamd(tmp_path, running):
    return f"{tmp_path}/spamd.sock"


@pytest.fixture
def own(running):
    return str(running.state / "filter.sock")
