"""Running listeners with a small model, for the tests of each protocol, and a watcher of one Maildir.

A test module may have its own `config`.
"""

import pytest
from listening import listening
from maildirs import make

from spamlstm.config import Config, SpamdConfig
from spamlstm.daemon.hints import Hints, Wakeup
from spamlstm.daemon.watch import Watcher


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


@pytest.fixture
def box(tmp_path):
    return make(tmp_path / "Maildir")


@pytest.fixture
def wakeup():
    with Wakeup() as one:
        yield one


@pytest.fixture
def hints(wakeup):
    return Hints(wakeup.wake)


@pytest.fixture
def watcher(hints):
    with Watcher(hints) as one:
        yield one
