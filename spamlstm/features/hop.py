# ruff: noqa: E501  # a table
"""The client of a hop: what the server that wrote a Received header says about the host that handed the message over.

| server | how it writes the client |
|---|---|
| Postfix, Sendmail, Courier | `from GREETING (REVERSE [IP])`; `unknown`, no name, or `(may be forged)` if the name is not confirmed |
| Exim | `from REVERSE ([IP]:PORT helo=GREETING)`, without a confirmed name `from [IP] (port=PORT helo=GREETING)` |
| qmail | `from REVERSE (HELO GREETING) (IP)` |
| Microsoft | `from GREETING (IP)` |

Exim writes the port if it is configured so, and the greeting if it differs from the name.
"""

import re
from dataclasses import dataclass

UNKNOWN = "unknown"
"""The reverse name of a client of which the server says that it has no confirmed name."""

_MOST_CLIENT = 500
_IP = r"\[(?i:IPv6:)?([0-9A-Fa-f.:]{2,45})\]"
_FROM = re.compile(r"(?i:from)(?:\s+([^\s()]+))?(?:\s+\(([^()]*(?:\([^()]*\)[^()]*)*)\))?(?:\s+\(([^()]*)\))?")
_BRACKETED = re.compile(_IP)
_PLAIN_IP = re.compile(r"(?:\S*@)?([0-9A-Fa-f]*[.:][0-9A-Fa-f.:]{2,45})")
_QMAIL = re.compile(r"(?:HE|EH|LH)LO\s+(\S+)", re.IGNORECASE)
_EXIM_GREETING = re.compile(r"(?<!\S)helo=(\S+)")
_BY_EXIM = re.compile(r"\(Exim \d")


@dataclass(frozen=True, slots=True)
class Client:
    """A client: its greeting (HELO or EHLO), its reverse DNS name and its IP address, each '' if it is not written.

    A name is `confirmed` if this server only writes names whose addresses include that of the client.
    """

    greeting: str
    reverse: str
    ip: str
    confirmed: bool = False


NOBODY = Client("", "", "")


def read_client(received: str) -> Client:
    """Return the client of a Received header, as far as its form is known."""
    match = _FROM.match(received[:_MOST_CLIENT])
    if match is None:
        return NOBODY
    first, details, more = match.groups(default="")
    if greeting := _QMAIL.match(details):
        return Client(greeting[1].strip("?"), _name(first), _address(more) or _address(details[greeting.end() :]))
    exim = _EXIM_GREETING.search(details)
    if (own := _BRACKETED.fullmatch(first)) and (exim or "[" not in details):
        return Client(exim[1] if exim else first, UNKNOWN, own[1].lower())
    if bracketed := _BRACKETED.search(details):
        return _beside_address(first, details, bracketed, exim, received)
    if ip := _address(details):
        return Client(first, "", ip)
    name = next((word for word in details.split() if "." in word), UNKNOWN if UNKNOWN in details else "")
    return Client(first, _name(name), "")


def _beside_address(
    first: str, details: str, address: re.Match[str], exim: re.Match[str] | None, received: str
) -> Client:
    """Return the client of a header with `[IP]` in the brackets after its first word."""
    before, after = details[: address.start()].split(), details[address.end() :]
    if before:
        name = _name(before[-1])
        return Client(first, name, address[1].lower(), confirmed=name not in ("", UNKNOWN) and "forged" not in after)
    if exim or _BY_EXIM.search(received, 0, _MOST_CLIENT):
        return Client(exim[1] if exim else first, _name(first), address[1].lower(), confirmed=True)
    return Client(first, "", address[1].lower())


def _address(text: str) -> str:
    """Return the IP address that a comment consists of, with or without brackets."""
    match = _BRACKETED.search(text) or _PLAIN_IP.fullmatch(text.strip())
    return match[1].lower() if match else ""


def _name(word: str) -> str:
    """Return the DNS name in a word such as `ident@mx.example.com.`, or '' if it has none or an IP address."""
    name = word.rpartition("@")[2].strip("[].,").lower()
    return name if name == UNKNOWN or ("." in name and not name[-1].isdigit()) else ""
