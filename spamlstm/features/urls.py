r"""Hosts of URLs as browsers find them: URLs are repaired by the rules of https://url.spec.whatwg.org.

Only the rules that concern the host are implemented. A browser follows `http:/\evil。example` to evil.example.
"""

import re
import unicodedata
from urllib.parse import unquote

from spamlstm.features.domains import unicode_host

# The form of nearly all URLs. The last label begins with a letter, so the host is not an IP address.
_PLAIN = re.compile(r"https?://((?:[a-z0-9-]+\.)+[a-z][a-z0-9-]*)(?:[/?#]|\Z)", re.IGNORECASE)
_AROUND = "".join(map(chr, range(33)))
_BREAKS = str.maketrans("", "", "\t\n\r")
# Other schemes, such as mailto, have no host. Without a scheme, two slashes of either kind begin a host.
_AUTHORITY = re.compile(r"(?:(?:https?|ftp|wss?):([/\\]*)|([/\\]{2}[/\\]*))([^/\\?#]*)", re.IGNORECASE)
_SCRIPT = re.compile(r"(?:javascript|vbscript|data):", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(\[[^\]]*\]|[^:]*)(?::([0-9]*))?\Z")
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")
_IGNORED = re.compile("[\u00ad\u034f\u180b-\u180f\u200b-\u200d\u2060\u2064\ufe00-\ufe0f\ufeff]")
_FORBIDDEN = re.compile(r"[\0- #/:<>?@\[\\\]^|%\x7f]")
_HOST_NUMBER = re.compile(r"[0-9]+\Z|0[xX][0-9a-fA-F]*\Z")
# Longer URLs are truncated. A host name has at most 253 characters.
MAX_URL, _MAX_HOST = 2_000, 260


def read_url(url: str) -> tuple[str, bool]:
    """Return the host to which a browser follows `url`, or '' if there is no host, and whether the URL is odd.

    The host is in lower case and Unicode. IPv4 addresses are four numbers, IPv6 addresses are in brackets and in their
    short form. A URL is odd if it has a user name, a spelling that browsers repair, or a script or page in itself.
    """
    if match := _PLAIN.match(url):
        return unicode_host(match[1].lower()), False
    url = url[:MAX_URL].strip(_AROUND)
    repaired = without_breaks(url)
    match = _AUTHORITY.match(repaired)
    if match is None:
        return "", _SCRIPT.match(repaired) is not None
    user, _, host = match[3].rpartition("@")
    read = _host(host)
    respelled = "%" in host or (read.isascii() and not host.isascii())
    odd = bool(user) or respelled or (match[1] or match[2]) != "//" or not url.startswith(match[0])
    return read, bool(read) and odd


def without_breaks(url: str) -> str:
    """Return a URL without tabs and line ends, which browsers remove."""
    return url.translate(_BREAKS) if "\n" in url or "\t" in url or "\r" in url else url


def url_host(url: str) -> str:
    """Return the host to which a browser follows `url`, or '' if there is no host."""
    return read_url(url)[0]


def _host(text: str) -> str:
    match = _HOST_AND_PORT.match(text)
    if match is None or len(match[1]) > 3 * _MAX_HOST:
        return ""
    if match[1].startswith("["):
        return _ipv6(match[1][1:-1])
    host = unquote(match[1], errors="replace")
    if not host.isascii():
        host = unicodedata.normalize("NFKC", _IGNORED.sub("", host.translate(_DOTS)))
    host = host.lower()
    if _FORBIDDEN.search(host):
        return ""
    host = host.removesuffix(".")
    if _HOST_NUMBER.match(host.rpartition(".")[2]):
        return _ipv4(host)
    return unicode_host(host)[:_MAX_HOST]


def _ipv4(host: str) -> str:
    """Return the IPv4 address that `host` means: up to four numbers, each decimal, octal or hexadecimal."""
    parts = host.split(".")
    if len(parts) > 4 or not all(_HOST_NUMBER.match(part) and len(part) < 40 for part in parts):
        return ""
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        return ""
    *first, last = numbers
    # The last number fills the remaining bytes.
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return ""
    value = last + sum(number << 8 * (3 - index) for index, number in enumerate(first))
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def _number(part: str) -> int:
    if part[:2].lower() == "0x":
        return int(part[2:] or "0", 16)
    return int(part, 8 if part.startswith("0") else 10)


def _ipv6(address: str) -> str:
    from ipaddress import IPv6Address  # the import takes 3 ms, which other hosts avoid

    try:
        return f"[{IPv6Address(address).compressed}]" if "%" not in address else ""
    except ValueError:
        return ""
