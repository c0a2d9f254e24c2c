"""A reload of the configuration while the loop runs."""

import logging
from types import SimpleNamespace

import pytest
from maildirs import by_link, make

from spamlstm.config import Config, MaildirConfig
from spamlstm.errors import ConfigError


def test_a_reload_makes_the_state_check(running, wait):
    """A reload scans all Maildirs, so the state folder is checked before it, not a minute later."""
    checks = []
    running.daemon.check_state = lambda: checks.append(len(running.notifier.lines))
    running.next = lambda: (running.pipeline.config, SimpleNamespace(bundle=SimpleNamespace(label="tiny")))
    running.daemon.clock = lambda: 0.0
    running.start()
    wait(lambda: running.daemon.status.scans == 1)
    before = len(checks)
    running.daemon.reload()
    wait(lambda: "RELOADING=1" in running.notifier.lines)
    assert len(checks) == before + 1


def test_a_reload(running, tmp_path, box, wait):
    """Another model and other Maildirs are used from the next message on."""
    running.start()
    wait(lambda: running.daemon.status.scans == 1)
    other = make(tmp_path / "other" / "carl")
    by_link(other, "1")
    classifier = SimpleNamespace(bundle=SimpleNamespace(label="tiny 2"))
    running.next = lambda: (Config(maildirs=(MaildirConfig(f"{tmp_path}/other/*"),)), classifier)
    running.daemon.reload()
    wait(lambda: running.pipeline.done == [(other, "1")])
    by_link(box, "2")
    running.stop()
    assert running.pipeline.done == [(other, "1")]
    assert running.daemon.status.snapshot()["model"] == "tiny 2"
    lines = [line for line in running.notifier.lines if not line.startswith("STATUS=")]
    assert lines == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]


@pytest.mark.parametrize(
    "failure",
    [(ConfigError("c.toml:1: policy.alow: is not a setting"), "policy.alow"), (KeyError("a bug"), "KeyError")],
)
def test_a_wrong_configuration_is_not_used(running, box, wait, caplog, failure):
    """The log says why, systemd is told that the reload is over, and the daemon goes on as before."""
    error, words = failure

    def refuse():
        raise error

    running.start()
    wait(lambda: running.daemon.status.scans == 1)
    running.next = refuse
    with caplog.at_level(logging.ERROR, "spamlstm"):
        running.daemon.reload()
        wait(lambda: running.notifier.lines.count("READY=1") == 2)
    assert words in caplog.text
    by_link(box, "1")
    wait(lambda: running.pipeline.done == [(box, "1")])
    assert running.daemon.status.reloads == 0
