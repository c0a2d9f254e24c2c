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
import re
from typing import NamedTuple

from spamlstm.features.authentication import AuthenticationResult
from spamlstm.features.domains import (
    ALIAS_SERVICES,
    FREEMAIL,
    MAIL_SERVICES,
    MARKETPLACES,
    OPEN_HOSTING,
    SHARED_DOMAINS,
    organisational_domain,
)
from spamlstm.features.header_value import without_quotes
from spamlstm.features.route import Route
from spamlstm.message.headers import MAX_VALUE
from spamlstm.message.message import Message

_SHARED = (FREEMAIL, MAIL_SERVICES, OPEN_HOSTING, SHARED_DOMAINS)
_RELAYS = (ALIAS_SERVICES, MARKETPLACES)
_LIST = "list:"
KEY_BYTES = 8
"""The size of a hash of a name or proof."""
_MOST_NAME = 320

# Mail from oneself: a network does not prove the own address, which spam often claims.
_RECIPIENTS = ("delivered-to", "x-original-to", "envelope-to", "to")
_DOMAIN_OF_ADDRESS = re.compile(r"@([^\s<>,;:()\"]+)")

# There is no DMARC policy. Microsoft's servers write `bestguesspass`.
_NO_POLICY = ("none", "bestguesspass")


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
    organisation, address = organisational_domain(address), address.lower()
    return address[:_MOST_NAME] if _is_shared(organisation) or is_relay(address) else organisation


def is_relay(address: str) -> bool:
    """Return whether an address is at an alias service or marketplace, which passes on other people's mail.

    This may be a host of an organisation that is no relay itself, such as members.ebay.com.
    """
    host = address.rpartition("@")[2]
    return any(host in relays for relays in _RELAYS)


def sender_identity(message: Message, route: Route | None = None) -> SenderIdentity | None:
    """Return the identity of the sender, or None if nothing proves it.

    `route` is the route of the message, for a caller that also needs it.
    """
    organisation, list_id = _organisation(message), message.list_id[:_MOST_NAME]
    list_organisation = organisational_domain(list_id)
    claims = [(organisation, correspondent(message.sender)), (list_organisation, _LIST + list_id)]
    claims = [claim for claim in claims if claim[0]]
    if not claims:
        return None
    route = route or Route(message)
    if results := route.results:
        for owner, name in claims:
            is_list = name.startswith(_LIST)
            if method := _passed(results, owner, of_list=is_list):
                return SenderIdentity(name, f"{method} {route.own}", shared=is_list)
        return None
    if not route.network:
        return None
    for owner, name in claims:
        if owner == route.host:
            shared = _is_shared(owner) or "@" in name or name.startswith(_LIST)
            return SenderIdentity(name, f"host {owner}", shared=shared)
    if organisation and any(message.sender in message.first.get(name, "").lower() for name in _RECIPIENTS):
        return None
    return SenderIdentity(claims[0][1], f"host {route.host or route.network}", shared=True)


def _is_shared(domain: str) -> bool:
    return any(shared.lists(domain) for shared in _SHARED)


def _organisation(message: Message) -> str:
    """Return the organisation in From, or '' if there are several From headers or addresses that disagree."""
    values = message.all("from")
    if len(values) != 1:
        return ""
    organisation = organisational_domain(message.sender)
    value = values[0][:MAX_VALUE]
    if value.count("@") < 2:
        return organisation
    others = _DOMAIN_OF_ADDRESS.findall(without_quotes(value))
    return organisation if all(organisational_domain(other) == organisation for other in others) else ""


def _passed(results: list[AuthenticationResult], owner: str, *, of_list: bool) -> str:
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


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=KEY_BYTES).digest()
