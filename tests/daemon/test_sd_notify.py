"""What systemd hears, on a socket of our own."""

import os
import socket
import time

import pytest

from spamlstm.daemon.sd_notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A socket that hears what is sent, and the environment that names it; abstract ones begin with @."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@spamlstm-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(name.replace("@", "\0"))
        ear.settimeout(5)
        yield ear, {"NOTIFY_SOCKET": name}


def heard(ear):
    return ear.recv(4096).decode().split("\n")


def test_the_life_of_a_service(manager):
    """Each step arrives in the words of sd_notify(3)."""
    ear, environment = manager
    notifier = Notifier(environment)
    notifier.ready("watching 2 Maildirs")
    assert heard(ear) == ["READY=1", "STATUS=watching 2 Maildirs"]
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    first, second = heard(ear)
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    notifier.status("idle")
    assert heard(ear) == ["STATUS=idle"]
    notifier.stopping()
    assert heard(ear) == ["STOPPING=1"]


def test_the_heart_beats_at_half_the_interval(manager):
    """However often the loop turns, and never without a turn of it."""
    ear, environment = manager
    now = 100.0
    notifier = Notifier({**environment, "WATCHDOG_USEC": "20000000"}, clock=lambda: now)
    assert notifier.interval == 10.0
    for now in (100.0, 101.0, 109.9, 110.0, 119.0):  # noqa: B007  the clock reads it
        notifier.beat()
    ear.settimeout(0)
    assert [ear.recv(100), ear.recv(100)] == [b"WATCHDOG=1"] * 2
    with pytest.raises(BlockingIOError):
        ear.recv(100)


def test_the_watchdog_of_another_process_is_not_ours(manager):
    """A parent's environment is inherited; its watchdog is not."""
    _, environment = manager
    assert Notifier({**environment, "WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}).interval is None


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "2000000"}])
def test_without_a_manager_nothing_happens(environment):
    """Started by hand, or with a manager that went away."""
    notifier = Notifier(environment)
    notifier.ready("")
    notifier.beat()
    notifier.stopping()
