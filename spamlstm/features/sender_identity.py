"""The identity of a sender: the name that a message claims, and the proof that makes the name credible.

A From header proves nothing, because anybody can write it. An identity therefore always has a proof.

If the receiving server wrote Authentication-Results, only these results count. The name is proven if DMARC passed, or
without a DMARC result if an aligned DKIM signature or SPF passed. Otherwise the message has no identity. If the
receiving server wrote no results, the proof is the host that handed the message over: the organisation of its confirmed
reverse DNS name, otherwise its network.

The name is the organisation in From, or the whole address at a domain where anybody can have an address. If From is not
proven but the mailing list in List-Id is, the name is the list.

A sender can write any header except the topmost ones. A forged result in the name of a receiving server that writes no
results gives a proof that genuine mail at that server never has, and so another identity.
docs/decisions/0018-known-senders.md lists the attacks and the measurements.
"""

import hashlib
import itertools
import re
from typing import NamedTuple

from spamlstm.features.domains import FREEMAIL, MAIL_SERVICES, OPEN_HOSTING, SHARED_DOMAINS, organisational_domain
from spamlstm.message.message import Message

_SHARED = FREEMAIL | MAIL_SERVICES | OPEN_HOSTING | SHARED_DOMAINS
_LIST = "list:"
KEY_BYTES = 8
"""The size of a hash of a name or proof."""
_MOST_NAME = 320
# At most this many Received and Authentication-Results headers, and this many characters of each, are read.
_MOST_HEADERS, _MOST_VALUE, _MOST_CLIENT = 20, 4000, 500

# Mail from oneself: a network does not prove the own address, which spam often claims.
_RECIPIENTS = ("delivered-to", "x-original-to", "envelope-to", "to")
_QUOTED, _COMMENT = re.compile(r'"[^"]*"'), re.compile(r"\([^()]*\)")
_DOMAIN_OF_ADDRESS = re.compile(r"@([^\s<>,;:()\"]+)")
_BY = re.compile(r"(?:^|\s)by\s+([^\s;]+)", re.IGNORECASE)
# Protocols of local delivery, and of programs that fetch mail from another server.
_LOCAL = re.compile(r"\swith\s+(?:lmtp|pop3|imap|local)\b", re.IGNORECASE)
_IP = r"\[(?:IPv6:)?([0-9a-f.:]{2,45})\]"
# `(name [ip]` or `([ip]`: the name is reverse DNS. The name before the bracket is chosen by the sender.
_CLIENT = re.compile(rf"\((?!(?:HELO|EHLO)\s)(?:([^\s()\[\]]+)\s+)?{_IP}([^()]*(?:\(may be forged)?)", re.IGNORECASE)
# `from [ip]` (Exim), and `(ip)` (qmail and Microsoft).
_ADDRESS_ONLY = re.compile(
    rf"from\s+{_IP}|[^()]*(?:\([^()]*\)\s*)?\(([0-9a-f]*[.:][0-9a-f.:]{{2,45}})\)", re.IGNORECASE
)
_NUMBER = re.compile(r"(?<!\d)0*(\d+)(?!\d)")
_FIRST_WORD = re.compile(r"from\s+([^\s()\[\]]+)", re.IGNORECASE)
_PRIVATE = re.compile(
    r"(?:0|10|127|169\.254|192\.168|172\.(?:1[6-9]|2\d|3[01])|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\.|::1?$|f[cde]"
)

_RESULT = re.compile(r"[;\s](dmarc|dkim|spf)\s*=\s*([a-z]+)([^;]*)")
_DMARC_FAILED = re.compile(r"dmarc\s*=\s*(?!pass|none|bestguess)\w")
# There is no DMARC policy. Microsoft's servers write `bestguesspass`.
_NO_POLICY = ("none", "bestguesspass")
_PROVEN = {
    "dmarc": re.compile(r"\sheader\.from\s*=\s*<?([^\s;>]+)"),
    "dkim": re.compile(r"\sheader\.[di]\s*=\s*<?([^\s;>]+)"),
    "spf": re.compile(r"\ssmtp\.mailfrom\s*=\s*<?([^\s;>]+)"),
}


class _Result(NamedTuple):
    """A result in an Authentication-Results header, in lower case. `header` is the position of the header."""

    header: int
    method: str
    result: str
    properties: str

    def proves(self, owner: str) -> bool:
        """Return whether the result proves the domain `owner`."""
        domains = _PROVEN[self.method].findall(self.properties) if self.result == "pass" else ()
        return any(organisational_domain(domain) == owner for domain in domains)


class SenderIdentity(NamedTuple):
    """The identity of a sender: a name and its proof.

    `shared` is true if the proof is weak, because others may have it: a network, the host of a service or of another
    organisation, or a mailing list, to which anybody may write.
    """

    name: str
    """An organisation (shop.example), an address (friend@gmail.com), or a mailing list (list:news.shop.example)."""
    proof: str
    shared: bool = False

    @property
    def key(self) -> bytes:
        """The hash of the name and the proof."""
        return _hash(f"{self.name}\n{self.proof}")

    @property
    def name_key(self) -> bytes:
        """The hash of the name."""
        return name_key(self.name)

    @property
    def proof_key(self) -> bytes:
        """The hash of the proof."""
        return _hash(f"\n{self.proof}")

    @property
    def is_list(self) -> bool:
        """Return whether the sender is a mailing list."""
        return self.name.startswith(_LIST)

    @property
    def is_by_host(self) -> bool:
        """Return whether the proof is a host or its network, and not a result of the receiving server."""
        return self.proof.startswith("host ")

    @property
    def packed(self) -> str:
        """The identity as text for `unpacked`."""
        return f"{self.proof}\n{self.shared:d}\n{self.name}"

    @classmethod
    def unpacked(cls, text: str) -> "SenderIdentity":
        """Return the identity with the text `packed`. Raises ValueError if `text` cannot be such a text."""
        proof, shared, name = text.split("\n", 2)
        if shared not in ("0", "1") or not proof or not name:
            raise ValueError("this is not an identity")
        return cls(name, proof, shared == "1")


def name_key(name: str) -> bytes:
    """Return the hash of the name in an identity."""
    return _hash(f"{name}\n")


def correspondent(address: str) -> str:
    """Return the name of an address in an identity: its organisation, or the address where anybody can have one."""
    organisation = organisational_domain(address)
    return address.lower()[:_MOST_NAME] if organisation in _SHARED else organisation


def sender_identity(message: Message) -> SenderIdentity | None:
    """Return the identity of the sender, or None if nothing proves it."""
    organisation, list_id = _organisation(message), message.list_id[:_MOST_NAME]
    list_organisation = organisational_domain(list_id)
    claims = [(organisation, correspondent(message.sender)), (list_organisation, _LIST + list_id)]
    claims = [claim for claim in claims if claim[0]]
    if not claims:
        return None
    route = _Route(message)
    if results := _results(message, route):
        for owner, name in claims:
            is_list = name.startswith(_LIST)
            if method := _passed(results, owner, of_list=is_list):
                return SenderIdentity(name, f"{method} {route.own}", shared=is_list)
        return None
    if not route.network:
        return None
    for owner, name in claims:
        if owner == route.host:
            return SenderIdentity(name, f"host {owner}", shared=owner in _SHARED or name.startswith(_LIST))
    if organisation and any(message.sender in message.first.get(name, "").lower() for name in _RECIPIENTS):
        return None
    return SenderIdentity(claims[0][1], f"host {route.host or route.network}", shared=True)


def _organisation(message: Message) -> str:
    """Return the organisation in From, or '' if there are several From headers or addresses that disagree."""
    values = message.all("from")
    if len(values) != 1:
        return ""
    organisation = organisational_domain(message.sender)
    value = values[0][:_MOST_VALUE]
    if value.count("@") < 2:
        return organisation
    others = _DOMAIN_OF_ADDRESS.findall(_QUOTED.sub("", value))
    return organisation if all(organisational_domain(other) == organisation for other in others) else ""


class _Route:
    """The way of a message into the receiving organisation, read from the topmost Received headers.

    `own` is the receiving organisation, or the name of its server. `host` is the organisation of the host that handed
    the message over, by its confirmed reverse DNS name, or ''. `network` is the /24 or /48 of this host, or '' if the
    host is not known. Headers above the position `start` were written by the receiving organisation.
    """

    def __init__(self, message: Message) -> None:
        self.own = self.host = self.network = ""
        self.start = 0
        hops = ((at, value) for at, (name, value) in enumerate(message.headers) if name == "received")
        for at, value in itertools.islice(hops, _MOST_HEADERS):
            host, ip = _client(value[:_MOST_CLIENT])
            is_local = not ip or _PRIVATE.match(ip) is not None
            if is_local and not self.own:
                continue
            plain = _plain(value[:_MOST_VALUE])
            by = _BY.search(plain)
            own = _server_name(by[1]) if by else ""
            if self.own and own != self.own:
                # A host of the receiving organisation handed the message over, and this header is not by that host.
                return
            if is_local or _LOCAL.search(plain):
                continue
            self.own, self.start = own, at
            if not host or host != own:
                self.host, self.network = host, _network(ip)
                return


def _client(received: str) -> tuple[str, str]:
    """Return the organisation of the confirmed reverse DNS name and the IP address of a client, or '' for each."""
    if received[:5].lower() != "from ":
        return "", ""
    if match := _CLIENT.search(received):
        name, ip, more = match.groups(default="")
        if not name and "helo=" in more and (word := _FIRST_WORD.match(received)):
            name = word[1]  # Exim: `from name ([ip] helo=...)`
        if "forged" in more or name[-1:].isdigit() or _is_dial_up(name, ip):
            name = ""
        return organisational_domain(name), ip.lower().removeprefix("::ffff:")
    match = _ADDRESS_ONLY.match(received)
    return "", (match[1] or match[2]).lower().removeprefix("::ffff:") if match else ""


def _is_dial_up(name: str, ip: str) -> bool:
    """Return whether a reverse DNS name is made of the IPv4 address, as providers name the computers of customers.

    Such a name does not show that the organisation sent the message.
    """
    octets = ip.split(".")
    if len(octets) != 4:
        return False
    in_name = _NUMBER.findall(name)
    return sum(octet in in_name for octet in {*octets}) > 1 or _hexadecimal(octets) in name.lower()


def _hexadecimal(octets: list[str]) -> str:
    return "".join(f"{int(octet):02x}" for octet in octets) if all(map(str.isdecimal, octets)) else "?"


def _network(ip: str) -> str:
    """Return the /24 network of an IPv4 address or the /48 network of an IPv6 address."""
    if "." in ip:
        return ip.rpartition(".")[0]
    head, _, _ = ip.partition("::")
    return ":".join([*(group.lstrip("0") for group in head.split(":")), "", ""][:3])


def _results(message: Message, route: _Route) -> list[_Result]:
    """Return the results of the receiving organisation. Too many or too long headers give a failure.

    Otherwise a sender could push the genuine results out of what is read.
    """
    headers = [(at, value) for at, (name, value) in enumerate(message.headers) if name == "authentication-results"]
    if len(headers) > _MOST_HEADERS or any(len(value) > _MOST_VALUE for _, value in headers):
        return [_Result(0, "dmarc", "fail", "")]
    found: list[_Result] = []
    for at, value in headers:
        text = value.lower()
        server, _, rest = _plain(text).partition(";")
        if "=" in server:
            server, rest = "outlook.com", f"{server};{rest}"  # Microsoft's servers write no name
        if at < route.start or (route.own and _server_name(server.strip().partition(" ")[0]) == route.own):
            found += [_Result(at, *parts) for parts in _RESULT.findall(f";{rest}")]
            # A sender must not hide a failure by quotes or parentheses in an address.
            found += [_Result(at, "dmarc", "fail", "")] if _DMARC_FAILED.search(text) else []
    return found


def _passed(results: list[_Result], owner: str, *, of_list: bool) -> str:
    """Return the method that proves the domain `owner`, or ''. DMARC says nothing about the domain of a list.

    If several headers have results of one method, the sender may have written one of them. DMARC must then pass in all,
    and the other methods prove nothing.
    """
    dmarc = [one for one in results if one.method == "dmarc"]
    if not of_list and any(one.result not in _NO_POLICY for one in dmarc):
        return "dmarc" if all(one.proves(owner) for one in dmarc) else ""
    for method in ("dkim", "spf"):
        own = [one for one in results if one.method == method]
        if any(one.proves(owner) for one in own) and len({one.header for one in own}) == 1:
            return method
    return ""


def _plain(value: str) -> str:
    """Return the value of a header without quoted strings and comments, which contain text of the sender."""
    if '"' in value:
        value = _QUOTED.sub("", value)
    for _ in range(2):  # comments may be nested
        if "(" in value:
            value = _COMMENT.sub("", value)
    return value


def _server_name(host: str) -> str:
    """Return the organisation of a server, or its name if it has none."""
    host = host.strip("[]").lower()
    return "" if host[-1:].isdigit() or ":" in host else organisational_domain(host) or host


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=KEY_BYTES).digest()
