"""The addresses of listeners: a path of a Unix socket, or a host and a port."""

import itertools
import os.path
import re
from dataclasses import dataclass

UNIX = "unix:"
# The kernel accepts at most 107 bytes for the path of a Unix socket.
MOST_PATH = 107


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path of a Unix socket."""

    path: str

    @property
    def is_local(self) -> bool:
        """Return True, because only programs of this machine can connect."""
        return True


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """An IP address and a port. `tcp_address` gives equal addresses the same form."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return the address as in the configuration: `127.0.0.1:783` or `[::1]:783`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Return whether only programs of this machine can connect."""
        from ipaddress import ip_address

        return ip_address(self.host).is_loopback


def tcp_address(host: str, port: int) -> TcpAddress:
    """Return an address with its host in the shortest form. An IPv4 address that is written as IPv6 becomes IPv4.

    Thus `::ffff:127.0.0.1` (RFC 4291, section 2.5.5.2) is 127.0.0.1. Raises ValueError if `host` is not an IP address.
    """
    from ipaddress import IPv6Address, ip_address  # takes 5 ms, and most configurations have no listener

    address = ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return TcpAddress(str(address if mapped is None else mapped), port)


def is_loopback(host: str) -> bool:
    """Return whether the name or IP address of a host means this machine."""
    try:
        return host == "localhost" or tcp_address(host, 0).is_local
    except ValueError:
        return False


Address = UnixAddress | TcpAddress


def parse_address(text: str) -> Address:
    """Return the address that `text` describes: `unix:/path`, `127.0.0.1:783` or `[::1]:783`.

    Raises ValueError if the text is not an address. Names of hosts are refused, because they depend on the network.
    """
    if text.startswith(UNIX):
        path = text.removeprefix(UNIX)
        if not path.startswith("/") or "\0" in path or path.endswith("/") or len(path.encode()) > MOST_PATH:
            raise ValueError("not the path of a socket")
        return UnixAddress(path)
    host, _, port = text.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host
    unbracketed = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if (":" in unbracketed) != host.startswith("["):
        raise ValueError("an IPv6 address must be in brackets, other addresses not")
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise ValueError("not a port")
    return tcp_address(unbracketed, int(port))


def doubled_addresses(listens: dict[str, str]) -> list[tuple[str, str]]:
    """Return the names of the listeners that cannot listen, each with the name of the one that has its address.

    `listens` has the address of each listener, as text.
    """
    parsed = [(name, parse_address(text)) for name, text in listens.items()]
    pairs = itertools.combinations(parsed, 2)
    return [(name, earlier) for (earlier, one), (name, other) in pairs if _excludes(one, other)]


def _excludes(one: Address, other: Address) -> bool:
    """Return whether two listeners on these addresses exclude each other.

    A listener on all addresses of the machine takes its port on each of them, and on those of IPv4 if it is `::`.
    """
    if isinstance(one, UnixAddress) or isinstance(other, UnixAddress):
        paths = [os.path.normpath(address.path) for address in (one, other) if isinstance(address, UnixAddress)]
        return len(paths) == 2 and paths[0] == paths[1]
    hosts = {one.host, other.host}
    every = "::" in hosts or ("0.0.0.0" in hosts and ":" not in one.host + other.host)  # noqa: S104  compared only
    return one.port == other.port and (len(hosts) == 1 or every)
