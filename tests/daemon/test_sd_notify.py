"""The messages to systemd, received on a socket of the test."""

import os
import socket
import time

import pytest

from spamlstm.daemon.sd_notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A socket that receives the messages, and the environment that names it; abstract names begin with @."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@spamlstm-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0"))
        receiver.settimeout(5)
        yield receiver, {"NOTIFY_SOCKET": name}


def received(receiver):
    return receiver.recv(4096).decode().split("\n")


def test_the_life_of_a_service(manager):
    """Each message has the form of sd_notify(3)."""
    receiver, environment = manager
    notifier = Notifier(environment)
    notifier.ready("watching 2 Maildirs")
    assert received(receiver) == ["READY=1", "STATUS=watching 2 Maildirs"]
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    first, second = received(receiver)
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    notifier.status("idle")
    assert received(receiver) == ["STATUS=idle"]
    notifier.stopping()
    assert received(receiver) == ["STOPPING=1"]


def test_the_heart_beats_at_half_the_interval(manager):
    """However often the loop calls `beat`, one message is sent per interval."""
    receiver, environment = manager
    now = 100.0
    notifier = Notifier({**environment, "WATCHDOG_USEC": "20000000"}, clock=lambda: now)
    assert notifier.interval == 10.0
    for now in (100.0, 101.0, 109.9, 110.0, 119.0):  # noqa: B007  the clock reads it
        notifier.beat()
    receiver.settimeout(0)
    assert [receiver.recv(100), receiver.recv(100)] == [b"WATCHDOG=1"] * 2
    with pytest.raises(BlockingIOError):
        receiver.recv(100)


def test_the_watchdog_of_another_process_is_not_ours(manager):
    """The environment is inherited from a parent; its watchdog is not."""
    _, environment = manager
    assert Notifier({**environment, "WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}).interval is None


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "2000000"}])
def test_without_a_manager_nothing_happens(environment):
    """Without a manager, or with one that is gone, calls do nothing."""
    notifier = Notifier(environment)
    notifier.ready("")
    notifier.beat()
    notifier.stopping()
