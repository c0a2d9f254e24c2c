"""The organisations of the sender and the recipient of a message, and what the receiving server says about them."""

import re
from collections.abc import Collection, Iterable

from spamlstm.features.authentication import received_spf, without_claims
from spamlstm.features.brands import have_brand_in_common
from spamlstm.features.domains import ALIAS_SERVICES, FREEMAIL, MAIL_SERVICES, OPEN_HOSTING, organisational_domain
from spamlstm.features.route import Route
from spamlstm.features.sender_identity import is_relay, sender_identity
from spamlstm.message.charset import decode_words
from spamlstm.message.headers import MAX_VALUE
from spamlstm.message.message import Message, address

# The owner of a host: the organisation of the sender (same) or of the recipient (own), the signer of the message, a
# service that sends for others, a mailbox provider (free), or another organisation.
OWNERS = ("none", "same", "own", "signer", "service", "free", "other")

_SIGNER = re.compile(r"(?:^|[;\s])d\s*=\s*([^\s;]+)")
_UNSUBSCRIBE_HOST = re.compile(r"https?://([^/:?#\s>]+)")
_RESULTS = {
    "pass": "pass",
    **dict.fromkeys(("fail", "hardfail", "reject"), "fail"),
    **dict.fromkeys(("softfail", "neutral"), "soft"),
    **dict.fromkeys(("none", "bestguesspass"), "none"),
}
# Domains of brands in which customers have servers or pages.
_OF_CUSTOMERS = frozenset(("ovh.net", "secureserver.net", "paypal.me"))
_BEST = ("pass", "soft", "none", "error", "fail")
_MOST_SIGNATURES = 8


class Organisations:
    """The organisations of the sender and the recipient, and the results of authentication.

    `signers` are the organisations in the DKIM signatures. `vouching` also contains the host of the unsubscribe link.
    """

    def __init__(self, message: Message, route: Route) -> None:
        self.sender = organisational_domain(message.sender)
        # Only the entry hop and To are the same before and after local delivery. Delivered-To and the like are not.
        self.to = address(message.first.get("to", ""))
        self.recipient = route.recipient or self.to
        self._message = message
        own = organisational_domain(self.recipient)
        self.own = "" if own in FREEMAIL or is_relay(self.recipient) else own
        self.route = route
        self.results = without_claims(message, route.results, start=route.start)
        if not any(result.method == "spf" for result in self.results):
            spf = received_spf(message, start=route.start)
            self.results = [*self.results, spf] if spf else self.results
        # Anybody can write List-Id.
        self.is_list_proven = message.list_id != "" and self.proves(organisational_domain(message.list_id))
        signed = message.all("dkim-signature") if "dkim-signature" in message.first else ()
        found = [name for value in signed[:_MOST_SIGNATURES] for name in _SIGNER.findall(value[:1000])]
        self.signers = {organisational_domain(name) for name in found} - {""}
        self.leave = message.first.get("list-unsubscribe", "")
        if "=?" in self.leave:
            self.leave = decode_words(self.leave)
        self.leave_hosts = _UNSUBSCRIBE_HOST.findall(self.leave[:MAX_VALUE])[:_MOST_SIGNATURES]
        self.vouching = self.signers | set(map(organisational_domain, self.leave_hosts))

    @property
    def is_proven(self) -> bool:
        """Return whether the receiving server proved the organisation in From, or the message never left it."""
        if self.results:
            dmarc = self.result("dmarc")
            return dmarc == "pass" or (dmarc in ("absent", "none") and self.proves(self.sender))
        return not self.route.entry or self.sender == self.route.host

    @property
    def is_relayed(self) -> bool:
        """Return whether a marketplace passed on the message of a member, or an alias service one to a user of its own.

        Anybody can have an address at an alias service and write from it, but only to its users as the service. The
        sender must be proven, and be the only one.
        """
        if not is_relay(self._message.sender):
            return False
        if self._message.sender.rpartition("@")[2] in ALIAS_SERVICES and not is_relay(self.to):
            return False
        identity = sender_identity(self._message, self.route)
        return (
            identity is not None
            and identity.name == self._message.sender
            and (not identity.is_by_host or self.route.host == self.sender)
        )

    def proves(self, owner: str) -> bool:
        """Return whether the receiving server proved that a message comes from `owner`."""
        if not self.results or not owner:
            return owner != "" and self.route.host == owner
        return any(one.method != "dmarc" and one.proves(owner) for one in self.results)

    def result(self, method: str) -> str:
        """Return the result of a method. For DMARC, it is the worst in all headers, otherwise the best.

        'aligned' is a signature of the organisation in From that passed.
        """
        found = [one for one in self.results if one.method == method]
        if not found:
            return "absent"
        if method == "dmarc":
            names = {_RESULTS.get(one.result) for one in found}
            return "fail" if names - {"pass", "none"} else "none" if "none" in names else "pass"
        if method == "dkim" and any(one.proves(self.sender) for one in found):
            return "aligned"
        return min((_RESULTS.get(one.result, "error") for one in found), key=_BEST.index)

    def owner(self, host: str, *, signers: bool = False) -> str:
        """Return the owner of a host or address, a value in OWNERS. 'signer' is returned only if `signers` is set."""
        return self._owner(host.rpartition("@")[2], self.signers if signers else ())

    def link_owners(self, hosts: Iterable[str]) -> set[str]:
        """Return the owners of the hosts of links or images."""
        return {self._owner(host, self.vouching) for host in set(hosts)}

    def _owner(self, host: str, signers: Collection[str]) -> str:
        domain = organisational_domain(host)
        if not domain:
            return "none"
        if domain == self.sender:
            return "same"
        if domain == self.own:
            return "own"
        if domain in FREEMAIL:
            return "free"
        if domain in MAIL_SERVICES:
            return "service"
        if self._is_sister(host, domain):
            return "same"
        return "signer" if domain in signers else "other"

    def _is_sister(self, host: str, domain: str) -> bool:
        """Return whether a brand owns `domain` and the domain in From, and neither these nor `host` are open to all."""
        return have_brand_in_common(self.sender, domain) and not any(
            one in FREEMAIL or one in MAIL_SERVICES or one in _OF_CUSTOMERS or OPEN_HOSTING.starts(one)
            for one in (self.sender, domain, host)
        )
