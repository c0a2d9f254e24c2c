# ruff: noqa: E501  # a table
"""The client of a hop: what the server that wrote a Received header says about the host that handed the message over.

| server | how it writes the client |
|---|---|
| Postfix, Sendmail, Courier | `from GREETING (REVERSE [IP])`; `unknown`, no name, or `(may be forged)` if the name is not confirmed |
| Exim | `from REVERSE ([IP]:PORT helo=GREETING)`, without a confirmed name `from [IP] (port=PORT helo=GREETING)` |
| qmail, James, IronPort, Yahoo | `from REVERSE (HELO GREETING) (IP)`; the name is not confirmed |
| OpenSMTPD, Haraka, Stalwart, Maddy, mox | `from GREETING (REVERSE [IP])`; the name is not confirmed |
| CommuniGate | `from [IP] (HELO GREETING)` |
| Microsoft, PowerMTA | `from GREETING (IP)` |

Exim writes the port if it is configured so, and the greeting if it differs from the name. The client chooses the
greeting, the answer of its ident server, its address of the sender, and a part of the recipient's. A greeting may be
empty or an address in brackets, and may have spaces and thousands of characters.
"""

import re
from dataclasses import dataclass, field

from spamlstm.message.headers import MAX_VALUE

UNKNOWN = "unknown"
"""The reverse name of a client of which the server says that it has no confirmed name."""

_IP = r"\[(?i:IPv6:)?([0-9A-Fa-f.:]{2,45})\]"
_FROM = re.compile(r"(?i:from)\s+([^()]*)(?:\(([^()]*(?:\([^()]*\)[^()]*)*)\))?(?:\s*\(([^()]*)\))?")
_BRACKETED = re.compile(_IP)
_PLAIN_IP = re.compile(r"(?:\S*@)?([0-9A-Fa-f]*[.:][0-9A-Fa-f.:]{2,45})")
_QMAIL = re.compile(r"(?:HE|EH|LH)LO(?!\S)\s*(\S*)", re.IGNORECASE)
_EXIM = re.compile(r"(?:port|helo|ident)=")
_EXIM_GREETING = re.compile(r"(?<!\S)helo=(\S+)")
# Addresses may contain such text, but Exim writes them behind its mark.
_BY_EXIM = re.compile(r"[^<\"]*\(Exim \d")
# Maddy writes the envelope sender in front of the protocol, and mox `via tcp`.
_UNCONFIRMED = re.compile(r"\((?:OpenSMTPD|Haraka|Stalwart|envelope-sender)\b|via tcp with\b")
_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class Client:
    """A client: its greeting (HELO or EHLO), its reverse DNS name and its IP address, each '' if it is not written.

    A name is `confirmed` if this server only writes names whose addresses include that of the client. `rest` is what
    the server writes after the client.
    """

    greeting: str
    reverse: str
    ip: str
    confirmed: bool = False
    rest: str = field(default="", compare=False, repr=False)


NOBODY = Client("", "", "")


def read_client(received: str) -> Client:
    """Return the client of a Received header, as far as its form is known."""
    match = _FROM.match(received[:MAX_VALUE])
    words = match[1].split() if match else ()
    if match is None or (not words and match[2] is None):
        return NOBODY
    first = words[0] if words else ""
    own = _BRACKETED.fullmatch(first)
    if "by" in words[1:] or match[2] is None:  # there is no comment after the client
        rest = received[match.start(1) + len(first) : MAX_VALUE]
        return Client(first, UNKNOWN if own else "", own[1].lower() if own else "", rest=rest)
    details, more, rest = match[2], match[3] or "", received[match.end(2) + 1 : MAX_VALUE]
    exim = _EXIM_GREETING.search(details)
    if own and _EXIM.match(details):
        return Client(exim[1] if exim else first, UNKNOWN, own[1].lower(), rest=rest)
    if greeting := _QMAIL.match(details):
        ip = _address(more) or _address(details[greeting.end() :]) or _address(first)
        return Client(greeting[1].strip("?"), _name(first), ip, rest=rest)
    if bracketed := _BRACKETED.search(details):
        return _beside_address(first, details, bracketed, exim, rest)
    if ip := _address(details):
        return Client(first, "", ip, rest=rest)
    if own:
        return Client(first, UNKNOWN, own[1].lower(), rest=rest)
    name = next((word for word in details.split() if "." in word), UNKNOWN if UNKNOWN in details else "")
    return Client(first, _name(name), "", rest=rest)


def _beside_address(first: str, details: str, address: re.Match[str], exim: re.Match[str] | None, rest: str) -> Client:
    """Return the client of a header with `[IP]` in the brackets after its first word."""
    ip, before, after = address[1].lower(), details[: address.start()].split(), details[address.end() :]
    if before:
        name = _name(before[-1])
        is_confirmed = name not in ("", UNKNOWN) and "forged" not in after and not _UNCONFIRMED.search(rest)
        return Client(first, name, ip, is_confirmed, rest)
    if exim or _BY_EXIM.match(rest):
        name = _name(first)
        return Client(exim[1] if exim else first, name, ip, name not in ("", UNKNOWN), rest)
    return Client(first, "", ip, rest=rest)


def _address(text: str) -> str:
    """Return the IP address that a comment consists of, with or without brackets."""
    match = _BRACKETED.search(text) or _PLAIN_IP.fullmatch(text.strip())
    return match[1].lower() if match else ""


def _name(word: str) -> str:
    """Return the DNS name in a word such as `ident@mx.example.com.`, or '' if it has none or an IP address."""
    name = word.rpartition("@")[2].strip("[].,<>").lower()
    is_name = "." in name and not name[-1].isdigit() and _NAME.fullmatch(name)
    return name if name == UNKNOWN or is_name else ""
