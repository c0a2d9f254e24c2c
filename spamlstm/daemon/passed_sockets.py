"""The sockets that systemd opened for this process (sd_listen_fds(3)): addresses that the daemon itself may not use."""

import os
import socket
from collections.abc import Mapping

from spamlstm.config.addresses import Address, tcp_address
from spamlstm.errors import UnavailableError

# The descriptor of the first socket. The others follow it.
FIRST = 3


def passed_sockets(environment: Mapping[str, str]) -> dict[Address, socket.socket]:
    """Return the listening TCP sockets of the unit spamlstm.socket by their address. Must be called once.

    Raises UnavailableError if something else than such a socket was passed.
    """
    count = environment.get("LISTEN_FDS", "")
    # The variables are inherited by child processes, the sockets are not.
    if environment.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal():
        return {}
    sockets: dict[Address, socket.socket] = {}
    for number in range(FIRST, FIRST + int(count)):
        try:
            opened = socket.socket(fileno=number)
            listens = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError:
            listens = 0
        if not listens or opened.family not in (socket.AF_INET, socket.AF_INET6):
            raise UnavailableError(
                "systemd passed something else than a listening TCP socket; in spamlstm.socket, use ListenStream= with "
                "an IP address and a port, and Accept=no"
            )
        opened.set_inheritable(False)
        host, port = opened.getsockname()[:2]
        sockets[tcp_address(host, port)] = opened
    return sockets
