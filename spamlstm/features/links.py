"""Facts of links: to whom the links and images of a message lead, and how the links look.

A fact is a name and a value, rendered as a ⟦name:value⟧ mark.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from spamlstm.features.domains import MAIL_SERVICES, OPEN_HOSTING, organisational_domain
from spamlstm.features.style import Fact, bucket
from spamlstm.message.message import Message
from spamlstm.message.page import Link

LINKS: dict[str, tuple[str, ...]] = {
    "links": ("none", "same", "mixed", "signer", "service", "other", "ip"),
    "linkhosts": ("0", "1", "few", "many"),
    "openhost": ("yes",),
    "lying": ("yes",),
    "images": ("none", "same", "mixed", "signer", "inside", "other"),
    "form": ("yes",),
}
LinkOwners = Callable[[Iterable[str]], set[str]]
"""A function that returns the owners of the hosts of links, such as 'same' and 'other'."""

_IP_HOST = re.compile(r"[\d.]+|0x[0-9a-f]+")
# Hosts are searched for in at most this many characters of plain text, until more than this many hosts are found.
_MAX_TEXT, _MAX_TEXT_HOSTS = 100_000, 50
_URL_HOST = re.compile(r"^(?:https?:)?//(?:[^/@?#]*@)?([^/:?#\s]+)", re.IGNORECASE)
# Two patterns are used because `re` finds `://` five times as fast as letters in either case.
_TEXT_HOST, _SCHEME = re.compile(r"://([a-z0-9.-]+)", re.IGNORECASE), re.compile(r"https?\Z", re.IGNORECASE)
_BEFORE_HOST = re.compile(r"https?://|www\.", re.IGNORECASE)
_HOST, _HOST_RUN = re.compile(r"[a-z0-9.-]+\.[a-z]{2,}", re.IGNORECASE), re.compile(r"[a-z0-9.-]*", re.IGNORECASE)


def link_facts(message: Message, hosts: Sequence[str], link_owners: LinkOwners) -> Iterator[Fact]:
    """Yield the facts of links and images that apply, in a fixed order. `hosts` is the result of `link_hosts`."""
    yield "links", _link_owner(hosts, link_owners)
    yield "linkhosts", bucket(len(hosts), (1, "0"), (2, "1"), (5, "few"), last="many")
    # Some services in OPEN_HOSTING are public suffixes, so the last two labels of a host are looked up as well.
    if any({organisational_domain(host), ".".join(host.split(".")[-2:])} & OPEN_HOSTING for host in hosts):
        yield "openhost", "yes"
    if any(map(is_lying, message.page.links)):
        yield "lying", "yes"
    yield "images", _image_owner(message.page.images, link_owners)
    if message.page.forms:
        yield "form", "yes"


def _link_owner(hosts: Sequence[str], link_owners: LinkOwners) -> str:
    if not hosts:
        return "none"
    if any(map(_IP_HOST.fullmatch, hosts)):
        return "ip"
    owners = link_owners(hosts)
    return _known_owner(owners) or ("service" if owners <= {"service", "own", "none"} else "other")


def _image_owner(sources: Sequence[str], link_owners: LinkOwners) -> str:
    if not sources:
        return "none"
    hosts = list(filter(None, map(url_host, sources)))
    if not hosts:
        return "inside"
    owners = link_owners(hosts)
    return _known_owner(owners) or ("mixed" if "service" in owners else "other")


def _known_owner(owners: set[str]) -> str:
    """Return 'same', 'mixed' or 'signer' for the owners of some hosts.

    Return '' if no host belongs to the sender or to a signer, and 'same' if `owners` is empty.
    """
    if not owners or "same" in owners:
        return "mixed" if "other" in owners else "same"
    return "signer" if "signer" in owners else ""


def link_hosts(message: Message) -> list[str]:
    """Return the distinct hosts of the links, in order. Plain text is searched only if the page has no links."""
    hosts = dict.fromkeys(host for link in message.page.links if (host := url_host(link.url)))
    if not hosts:
        for host in _hosts_of_text(message.text[:_MAX_TEXT]):
            hosts[host] = None
            if len(hosts) > _MAX_TEXT_HOSTS:
                break
    return list(hosts)


def _hosts_of_text(text: str) -> Iterator[str]:
    end = 0
    for match in _TEXT_HOST.finditer(text):
        start = match.start()
        if _SCHEME.search(text, max(end, start - 5), start):
            end = match.end()
            yield match[1].lower()


def url_host(url: str) -> str:
    """Return the host of a URL in lower case, without a user name, or '' if the URL has no host."""
    match = _URL_HOST.match(url)
    return match[1].lower() if match else ""


def shown_host(text: str) -> str:
    """Return the first host in `text` that follows `http://`, `https://` or `www.` and has a dot, or ''."""
    end = 0
    for before in _BEFORE_HOST.finditer(text):
        # If a run of host characters does not contain a host, every later `www.` in the run is skipped.
        if before.end() < end:
            continue
        if host := _HOST.match(text, before.end()):
            return host[0]
        run = _HOST_RUN.match(text, before.end())
        end = run.end() if run else end
    return ""


def is_lying(link: Link) -> bool:
    """Return whether the text of a link shows a host of one organisation and the link leads to another organisation."""
    if not (claimed := shown_host(link.text)) or not (host := url_host(link.url)):
        return False
    domain = organisational_domain(host)
    return organisational_domain(claimed) != domain and domain not in MAIL_SERVICES
