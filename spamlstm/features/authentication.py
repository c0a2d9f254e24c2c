"""The results of SPF, DKIM and DMARC that the receiving organisation wrote into a message.

Results of others are claims and are ignored: results by other servers, and ARC-Authentication-Results, which a sender
can write. docs/decisions/0018-known-senders.md lists the attacks.
"""

import re
from typing import NamedTuple

from spamlstm.features.domains import organisational_domain
from spamlstm.features.header_value import server_name, with_plain_values, without_comments
from spamlstm.message.headers import MAX_VALUE
from spamlstm.message.message import Message

# At most this many headers are read.
_MOST_HEADERS = 20

_RESULT = re.compile(r"[;\s](dmarc|dkim|spf)\s*=\s*([a-z]+)([^;]*)")
_DMARC_FAILED = re.compile(r"dmarc\s*=\s*(?!pass|none|bestguess)\w")
_ENVELOPE = re.compile(r"\benvelope-from\s*=\s*[<\"]*([^\s;>\"]+)")
_PROVEN = {
    "dmarc": re.compile(r"\sheader\.from\s*=\s*<?([^\s;>]+)"),
    "dkim": re.compile(r"\sheader\.[di]\s*=\s*<?([^\s;>]+)"),
    "spf": re.compile(r"\ssmtp\.mailfrom\s*=\s*<?([^\s;>]+)"),
}


class AuthenticationResult(NamedTuple):
    """A result of one method, in lower case. `header` is the position of the header."""

    header: int
    method: str
    result: str
    properties: str

    def proves(self, owner: str) -> bool:
        """Return whether the result proves the domain `owner`."""
        domains = _PROVEN[self.method].findall(self.properties) if self.result == "pass" else ()
        return any(organisational_domain(domain) == owner for domain in domains)


def authentication_results(message: Message, *, start: int, own: str) -> list[AuthenticationResult]:
    """Return the results of the receiving organisation `own`, which wrote the headers above the position `start`.

    Too many or too long headers give a failure. Otherwise a sender could push the genuine results out of what is read.
    """
    if "authentication-results" not in message.first:
        return []
    headers = [(at, value) for at, (name, value) in enumerate(message.headers) if name == "authentication-results"]
    if len(headers) > _MOST_HEADERS or any(len(value) > MAX_VALUE for _, value in headers):
        return [AuthenticationResult(0, "dmarc", "fail", "")]
    found: list[AuthenticationResult] = []
    for at, value in headers:
        text = value.lower()
        server, _, rest = without_comments(with_plain_values(text)).partition(";")
        if "=" in server:
            server, rest = "outlook.com", f"{server};{rest}"  # Microsoft's servers write no name
        if at < start or (own and server_name(server.strip().partition(" ")[0]) == own):
            found += [AuthenticationResult(at, *parts) for parts in _RESULT.findall(f";{rest}")]
            # A sender must not hide a failure by quotes or parentheses in an address.
            found += [AuthenticationResult(at, "dmarc", "fail", "")] if _DMARC_FAILED.search(text) else []
    return found


def without_claims(message: Message, results: list[AuthenticationResult], *, start: int) -> list[AuthenticationResult]:
    """Return `results` without those of DKIM and SPF that the sender may have written for the receiving server.

    They are below the Received header of another server, and above it there are results of the same method. `start` is
    as in `authentication_results`.
    """
    if len(results) < 2 or len({result.header for result in results}) < 2:
        return results
    below = (at for at, (name, _) in enumerate(message.headers) if name == "received" and at > start)
    foreign = next(below, len(message.headers))
    above = {result.method for result in results if result.header < foreign} - {"dmarc"}
    return [result for result in results if result.header < foreign or result.method not in above]


def received_spf(message: Message, *, start: int) -> AuthenticationResult | None:
    """Return the result in the topmost Received-SPF header if that header is above the position `start`."""
    if "received-spf" not in message.first:
        return None
    at, value = next((at, value) for at, (name, value) in enumerate(message.headers) if name == "received-spf")
    if at >= start:
        return None
    text = value[:MAX_VALUE].lower()
    envelope = _ENVELOPE.search(without_comments(text))
    properties = f" smtp.mailfrom={envelope[1]}" if envelope else ""
    return AuthenticationResult(at, "spf", text.partition(" ")[0].strip(":;"), properties)
