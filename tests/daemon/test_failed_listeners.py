"""Listeners whose thread ends with an error while nobody calls `check`."""

import contextlib
import logging
import threading

import pytest

from spamlstm.config import Config
from spamlstm.daemon.listeners.judging import Judging
from spamlstm.daemon.listeners.server import Listeners

PATIENCE = 30.0


def fail():
    raise SystemExit


def test_the_error_is_logged_if_the_daemon_stops_then(tmp_path, caplog):
    """A daemon that is about to stop does not ask for the error, and its log names it nevertheless, once."""
    woken = threading.Event()
    requests = Judging(classifier=None, config=Config, label_stores=None)
    with caplog.at_level(logging.ERROR, "spamlstm"):
        with contextlib.closing(Listeners(requests, state=tmp_path, failed=woken.set)) as listeners:
            listeners.start(Config())
            listeners._thread.loop.call_soon_threadsafe(fail)
            assert woken.wait(PATIENCE)
            assert listeners._thread.join()
        with pytest.raises(SystemExit):
            listeners.check()
    assert [one.getMessage() for one in caplog.records] == [
        "bug: the thread of the listeners has ended, so the daemon ends too"
    ]
    assert not (tmp_path / "filter.sock").exists()
