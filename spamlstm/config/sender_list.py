"""The entries of the allow and deny lists, and the form in which addresses are compared."""

import re
import unicodedata
from enum import Enum

_WILD = "*."
"""The beginning of an entry for the subdomains of a domain."""
# The labels of a domain consist of ASCII letters, digits, hyphens and underscores, and of all other scripts.
_DOMAIN = re.compile(r"[^\s\x00-,./:-@\[-^`{-\x7f]{1,63}(?:\.[^\s\x00-,./:-@\[-^`{-\x7f]{1,63}){0,30}")
_LITERAL = re.compile(r"\[[0-9.]{7,15}\]")
_LOCAL = re.compile(r"[^\s<>\"(),:;@\\*?\[\]]{1,300}")
_BRACKETED = re.compile(r"<([^<>]*)>")
_DOTS = str.maketrans("。｡", "..")
# All IPv4 addresses, their first numbers, and networks.
_IP = re.compile(r"[0-9]+(?:\.[0-9]*)+(?:/[0-9]+)?")
_IPV6 = re.compile(r"[0-9a-f:.\[\]]*:[0-9a-f:.\[\]]*:[0-9a-f:.\[\]]*(?:/[0-9]+)?")
_MOST_LABEL = 63
_MOST_SHOWN = 80
_JOINERS = "\u200c\u200d"


class SenderKind(Enum):
    """The kinds of entries: an address, a domain or a mailing list."""

    ADDRESS = 1
    DOMAIN = 2
    LIST = 3


def parse_sender(entry: str) -> tuple[SenderKind, str]:
    """Return the kind of an entry and its address, domain or List-Id in comparable form.

    `friend@x.org` is one address. `@x.org`, `*@x.org` and `x.org` are all addresses of x.org and its subdomains.
    `*.x.org` is all addresses of the subdomains. `list:announce.x.org` and `list:announce@x.org` are the mailing list
    with that List-Id. Raises ValueError with advice if `entry` has none of these forms.
    """
    wanted = entry.strip().lower()
    known = None if _invisible(wanted) else _parsed(wanted)
    if known is None:
        shown = entry if len(entry) <= _MOST_SHOWN else entry[: _MOST_SHOWN - 1] + "…"
        raise ValueError(f"{shown!r} is not an allow or deny entry: {_advice(wanted)}")
    return known


def _invisible(wanted: str) -> str:
    """Return the first invisible character, such as a zero-width space that was copied from a page, or an empty text.

    The two joiners are left out, because domains in Arabic and Indic scripts have them.
    """
    return next((one for one in wanted if unicodedata.category(one) in ("Cf", "Cc") and one not in _JOINERS), "")


def _parsed(wanted: str) -> tuple[SenderKind, str] | None:
    if wanted.startswith("list:"):
        name = wanted[5:].strip().strip("<>")
        is_list = _LOCAL.fullmatch(name.replace("@", "", 1)) is not None
        return (SenderKind.LIST, comparable_list(name)) if is_list else None
    local, at, host = wanted.rpartition("@")
    below, host = _split_wildcard(host)
    if local.startswith("!") or _IP.fullmatch(host):
        return None
    if not (_is_domain(host) and (at or below or "." in host)) and not (local and _LITERAL.fullmatch(host)):
        return None
    if local in ("", "*"):
        return SenderKind.DOMAIN, below + comparable_domain(host)
    return (SenderKind.ADDRESS, comparable_address(wanted)) if not below and _LOCAL.fullmatch(local) else None


def comparable_address(address: str) -> str:
    """Return an address or domain in the form in which addresses are compared.

    The form has lower case, no dot at the end, a domain in ASCII (punycode) and an unencoded local part.
    """
    local, at, domain = address.strip(".'").rpartition("@")
    return unicodedata.normalize("NFC", local.lower()) + at + comparable_domain(domain)


def comparable_list(name: str) -> str:
    """Return a List-Id, or the address of a list, in the form in which lists are compared.

    The List-Id of a list is mostly its address with a dot for the @. Some old lists send the address.
    """
    return comparable_address(name.replace("@", "."))


def comparable_domain(domain: str) -> str:
    """Return a domain in lower case, without a dot at the end, and with punycode for labels that are not ASCII."""
    if not domain.isascii():
        domain = unicodedata.normalize("NFKC", domain).translate(_DOTS).lower()
        domain = unicodedata.normalize("NFKC", domain)
    return ".".join(map(_ascii_label, domain.lower().strip(".").split(".")))


def _ascii_label(label: str) -> str:
    # The limit bounds the time, because punycode takes quadratic time. The name system has no longer labels.
    if label.isascii() or len(label) > _MOST_LABEL:
        return label
    return "xn--" + label.encode("punycode").decode("ascii")


def _split_wildcard(host: str) -> tuple[str, str]:
    """Return `*.` and the domain of `*.x.org` or `.x.org`. Return an empty text and the host without a wildcard."""
    if host.startswith((_WILD, ".")):
        return _WILD, host.removeprefix("*").removeprefix(".")
    return "", host


def _is_domain(host: str) -> bool:
    host = host.translate(_DOTS).removesuffix(".")
    return _DOMAIN.fullmatch(host) is not None


def _advice(entry: str) -> str:
    if (one := _invisible(entry)) and not _invisible(visible := entry.replace(one, "")) and _parsed(visible):
        return f"it has the invisible character U+{ord(one):04X}; write '{visible}'"
    if entry.startswith("!") or "@!" in entry:
        return "an entry cannot be negated; the allow list wins over the deny list, so write the exception there"
    host = entry.rpartition("@")[2].strip("[]")
    if _IP.fullmatch(host) or _IPV6.fullmatch(host):
        return "IP addresses cannot be listed; write the address or the domain of the sender (friend@x.org, @x.org)"
    inside = _BRACKETED.search(entry)
    address = (inside[1] if inside else entry.removeprefix("mailto:")).strip()
    if (inside or address != entry) and "@" in address and _parsed(address):
        return f"write only the address, '{address}'"
    if any("@" in one and _parsed(one) for one in re.split(r"[,;\s]+", entry)[1:]):
        return "write each address as an entry of its own, without a name"
    if "*" in entry or "?" in entry:
        return "'*' may only stand for all names at a domain (*@x.org) or for its subdomains (*.x.org)"
    if entry.count("@") > 1:
        return "it contains more than one @"
    return (
        "write an address (friend@x.org), a domain (@x.org), its subdomains (*.x.org) or a mailing list"
        " (list:announce.x.org)"
    )
