"""Sockets that systemd opened, as for a port below 1024."""

import logging
import os
import socket
import subprocess
import sys

import pytest
from listening import exchange, listening
from tiny_bundle import SPAM

from spamlstm.config import Config, SpamdConfig
from spamlstm.config.addresses import parse_address
from spamlstm.daemon.passed_sockets import passed_sockets

# Takes the descriptors that the test passed, as numbers from 3 on.
TAKE = """
import os, sys
from spamlstm.daemon.passed_sockets import passed_sockets
from spamlstm.errors import UnavailableError
passed = [os.dup2(os.dup(int(number)), 200 + index) for index, number in enumerate(sys.argv[1:])]
for index, number in enumerate(passed):
    os.dup2(number, 3 + index)
environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(passed))}
try:
    sockets = passed_sockets(environment)
    print(*sorted(map(str, sockets)))
    print(*(os.get_inheritable(3 + index) for index in range(len(passed))))
except UnavailableError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def opened():
    """A socket that listens on a free port of this machine, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as ours:
        yield ours, f"127.0.0.1:{ours.getsockname()[1]}"


def take(*sockets):
    numbers = [one.fileno() for one in sockets]
    command = [sys.executable, "-c", TAKE, *map(str, numbers)]
    return subprocess.run(command, pass_fds=numbers, capture_output=True, text=True, check=False)


def test_the_sockets_have_their_addresses(opened):
    """All passed sockets are found, also those of IPv6, and child processes do not inherit them."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        done = take(opened[0], other)
        assert done.stdout.split("\n")[:2] == [f"{opened[1]} [::1]:{other.getsockname()[1]}", "False False"]


def test_an_ipv4_address_in_the_form_of_ipv6_is_the_ipv4_address():
    """A socket of systemd on ::ffff:127.0.0.1 belongs to the listener on 127.0.0.1, however either was written."""
    with socket.socket(socket.AF_INET6) as mapped:
        mapped.bind(("::ffff:127.0.0.1", 0))
        mapped.listen()
        port = mapped.getsockname()[1]
        assert take(mapped).stdout.split("\n")[0] == f"127.0.0.1:{port}"
    wanted = parse_address(f"127.0.0.1:{port}")
    assert parse_address(f"[::ffff:127.0.0.1]:{port}") == parse_address(f"[::FFFF:7f00:1]:{port}") == wanted


def test_only_listening_tcp_sockets_are_accepted(opened, tmp_path):
    """A connection, a Unix socket or a file in the place of a socket is an error that names the unit."""
    with (
        socket.create_connection(opened[0].getsockname()) as connection,
        socket.socket(socket.AF_UNIX) as unix,
        (tmp_path / "file").open("w") as file,
    ):
        unix.bind(str(tmp_path / "socket"))
        unix.listen()
        for wrong in (connection, unix, file):
            done = take(opened[0], wrong)
            assert done.returncode == 1
            assert "in spamlstm.socket, use ListenStream=" in done.stderr
            assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "environment", [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {"LISTEN_PID": str(os.getpid())}]
)
def test_sockets_of_another_process_are_not_ours(environment):
    """Without both variables, or with those of a parent process, nothing is taken."""
    assert passed_sockets(environment) == {}


def test_a_listener_uses_the_socket_with_its_address(tmp_path, classifier, opened, caplog):
    """The daemon answers on the passed socket, also after a reload that removed and added the listener."""
    ours, address = opened
    caplog.set_level(logging.WARNING)
    config = Config(spamd=SpamdConfig(listen=address))
    with listening(tmp_path / "state", classifier, config, passed={parse_address(address): ours}) as running:
        for _ in range(2):
            answer = exchange(
                ours.getsockname(), b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s" % (len(SPAM), SPAM)
            )
            assert b"Spam: True" in answer
            assert caplog.text == ""
            running.listeners.reconfigure(Config())
            assert f"socket-unused address={address}" in caplog.text
            caplog.clear()
            running.listeners.reconfigure(config)
