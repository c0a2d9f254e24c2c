"""The way of a message into the receiving organisation, read from the Received headers.

Only the headers that the receiving organisation wrote are trusted. They are the topmost ones, and the sender may have
written all others. A hop is one Received header.
"""

import re
from functools import cached_property, lru_cache

from spamlstm.features.authentication import AuthenticationResult, authentication_results
from spamlstm.features.domains import organisational_domain
from spamlstm.features.header_value import server_name, without_comments, without_quotes
from spamlstm.features.hop import NOBODY, Client, read_client
from spamlstm.message.headers import MAX_VALUE
from spamlstm.message.message import Message

# At most this many Received headers are read.
_MOST_HEADERS = 20

# These patterns are for headers in lower case. They begin with a letter because that is faster.
_BY = re.compile(r"by(?<!\Sby)\s+([^\s;]+)")
_FOR = re.compile(r"for(?<!\Sfor)\s+<?([^\s<>;]+@[^\s<>;]+)")
# Protocols of local delivery, and of programs that fetch mail from another server.
_LOCAL = re.compile(r"with(?<!\Swith)\s+(?:lmtps?a?|pop3|imap|local)\b")
_AUTHENTICATED = re.compile(r"with\s+e?smtps?a\b")
_NUMBER = re.compile(r"(?<!\d)0*(\d+)(?!\d)")
_PRIVATE = re.compile(
    r"(?:0|10|127|169\.254|192\.168|172\.(?:1[6-9]|2\d|3[01])|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\.|::1?$|f[cde]"
)
# The hosts of Microsoft's receiving organisation write no reverse DNS names, but have addresses of this network. They
# have names in outlook.com and office365.com.
_MICROSOFT = ("outlook.com", "2603:10")


class Route:
    """The way of a message into the receiving organisation.

    `own` is the receiving organisation, or the name of its server. `entry` is the Received header of the hop where the
    message entered the organisation, or '' if no host outside is known, and `client` is the host that handed it over.
    `host` is the organisation of that host, by its confirmed reverse DNS name, or ''. `network` is its /24 or /48, or
    '' if the host is not known. Headers above the position `start` were written by the receiving organisation.

    Hops of local delivery and of fetching programs, and hops between hosts of the organisation, are skipped. So the
    route is the same before and after local delivery.
    """

    def __init__(self, message: Message) -> None:
        self.own = self.host = self.network = self.entry = self._plain_entry = ""
        self.client = NOBODY
        self.start = 0
        self._message = message
        hops = 0
        for at, (name, value) in enumerate(message.headers):
            if name != "received":
                continue
            hops += 1
            if hops > _MOST_HEADERS:
                return
            client = read_client(value)
            ip = client.ip.removeprefix("::ffff:")
            if not ip and len(value) > MAX_VALUE:
                self.entry = value  # by a client that hides itself behind a long greeting
                return
            if not ip or _PRIVATE.match(ip):
                continue
            plain = without_comments(client.rest).lower()
            if _LOCAL.search(plain):
                continue
            by = _BY.search(plain)
            own = server_name(by[1]) if by else ""
            if self.own and own != self.own:
                # A host of the receiving organisation handed the message over, and this header is not by that host.
                return
            self.own, self.start = own, at
            if own == _MICROSOFT[0] and ip.startswith(_MICROSOFT[1]):
                continue
            host = _organisation(client, ip)
            if not host or server_name(host) != own:
                self.host, self.network, self.entry, self._plain_entry = host, _network(ip), value, plain
                self.client = client
                return

    @cached_property
    def results(self) -> list[AuthenticationResult]:
        """The results in the Authentication-Results headers of the receiving organisation."""
        return authentication_results(self._message, start=self.start, own=self.own)

    @property
    def is_authenticated(self) -> bool:
        """Return whether a user of the receiving organisation, who may be anywhere, handed the message over."""
        return _AUTHENTICATED.search(self._plain_entry) is not None

    @property
    def has_tls(self) -> bool:
        """Return whether the message came over TLS, as far as the receiving server says so."""
        # Addresses may contain any text of the sender.
        words = (word for word in without_quotes(self.client.rest).lower().split() if "@" not in word)
        return any("tls" in word or "esmtps" in word or "cipher" in word for word in words)

    @property
    def recipient(self) -> str:
        """The address for which the receiving server took the message, in lower case, or '' if it wrote none."""
        found = _FOR.search(self._plain_entry)
        return found[1] if found else ""


def _organisation(client: Client, ip: str) -> str:
    """Return the organisation of the confirmed reverse DNS name of a client, or ''."""
    if not client.confirmed or _is_dial_up(client.reverse, ip):
        return ""
    return organisational_domain(client.reverse)


@lru_cache(maxsize=1024)
def _is_dial_up(name: str, ip: str) -> bool:
    """Return whether a reverse DNS name is made of the IPv4 address, as providers name the computers of customers.

    Such a name does not show that the organisation sent the message.
    """
    octets = ip.split(".")
    if len(octets) != 4 or not name:
        return False
    if len([octet for octet in octets if octet in name]) > 1:  # numbers in the name may also have zeros in front
        in_name = _NUMBER.findall(name)
        if sum(octet in in_name for octet in {*octets}) > 1:
            return True
    return all(map(str.isdecimal, octets)) and "{:02x}{:02x}{:02x}{:02x}".format(*map(int, octets)) in name.lower()


def _network(ip: str) -> str:
    """Return the /24 network of an IPv4 address or the /48 network of an IPv6 address."""
    if "." in ip:
        return ip.rpartition(".")[0]
    head, _, _ = ip.partition("::")
    return ":".join([*(group.lstrip("0") for group in head.split(":")), "", ""][:3])
