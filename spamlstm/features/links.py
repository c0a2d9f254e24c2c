"""Facts of links: to whom the links and images of a message lead, and how the links look.

A fact is a name and a value, rendered as a ⟦name:value⟧ mark.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from spamlstm.features.domains import MAIL_SERVICES, OPEN_HOSTING, SHARED_DOMAINS, organisational_domain
from spamlstm.features.redirectors import path_of, redirect
from spamlstm.features.style import Fact, bucket
from spamlstm.features.urls import read_url, url_host
from spamlstm.message.message import Message

LINKS: dict[str, tuple[str, ...]] = {
    "links": ("none", "same", "mixed", "signer", "service", "shared", "other", "ip"),
    "linkhosts": ("0", "1", "few", "many"),
    "urls": ("0", "1", "few", "many"),
    "link": ("odd", "redirect", "service"),
    "openhost": ("yes",),
    "lying": ("yes",),
    "images": ("none", "same", "mixed", "signer", "inside", "shared", "other"),
    "form": ("yes",),
}
LinkOwners = Callable[[Iterable[str]], set[str]]
"""A function that returns the owners of the hosts of links, such as 'same' and 'other'."""

_IP_HOST = re.compile(r"[\d.]+|\[.*")
# Hosts are searched for in at most this many characters of plain text, until more than this many hosts are found.
_MAX_TEXT, _MAX_TEXT_HOSTS = 100_000, 50
_TEXT_URL = re.compile(r"://([^\s<>\"'/?#(),;]{1,300})([/?#][^\s<>\"']{0,300})?")
_SCHEME = re.compile(r"https?\Z", re.IGNORECASE)
# `re` finds a pattern that begins with letters in one case fast, so the character before is examined afterwards.
_WWW, _NO_BEFORE_WWW = re.compile(r"www\.[A-Za-z0-9.-]{3,250}"), re.compile(r"[\w./@-]")
_TEXT_END = ".:!*_}'’”»"
_BEFORE_HOST = re.compile(r"https?://|www\.", re.IGNORECASE)
_HOST, _HOST_RUN = re.compile(r"[a-z0-9.-]+\.[a-z]{2,}", re.IGNORECASE), re.compile(r"[a-z0-9.-]*", re.IGNORECASE)
# Redirectors inside redirectors are followed this many times.
_MAX_REDIRECTS = 3


@dataclass
class Targets:
    """The targets of the links of a message.

    `hosts` are the distinct hosts in order, behind known redirectors. `open_hosts` are those where anyone can publish
    the linked page. `urls` are the distinct URLs. `kinds` are values of the fact `link`. `lying` means that the text of
    a link shows a host of another organisation.
    """

    hosts: dict[str, None] = field(default_factory=dict)
    open_hosts: set[str] = field(default_factory=set)
    urls: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    lying: bool = False

    def add(self, url: str, text: str = "") -> None:
        """Add a link with its text."""
        self.urls.add(url)
        host, is_odd = read_url(url)
        if is_odd:
            self.kinds.add("odd")
        for _ in range(_MAX_REDIRECTS):
            if not host or (found := redirect(host, url)) is None:
                break
            if found.kind == "open":
                self.kinds.add("redirect")
            elif found.kind == "service":
                self.hosts[host] = None
                self.kinds.add("service")
            url = found.target
            host = url_host(url) or host
        if not host:
            return
        self.hosts[host] = None
        if (starts := OPEN_HOSTING.starts(host)) and ("" in starts or path_of(url).startswith(starts)):
            self.open_hosts.add(host)
        elif host in MAIL_SERVICES and host not in SHARED_DOMAINS:
            self.kinds.add("service")
        self.lying = self.lying or _is_lying(text, host, is_open=host in self.open_hosts)


def link_facts(message: Message, targets: Targets, link_owners: LinkOwners) -> Iterator[Fact]:
    """Yield the facts of links and images that apply, in a fixed order. `targets` is the result of `link_targets`."""
    hosts = targets.hosts
    yield "links", _link_owner(targets, link_owners)
    yield "linkhosts", bucket(len(hosts), (1, "0"), (2, "1"), (5, "few"), last="many")
    yield "urls", bucket(len(targets.urls), (1, "0"), (2, "1"), (10, "few"), last="many")
    for kind in sorted(targets.kinds):
        yield "link", kind
    if targets.open_hosts:
        yield "openhost", "yes"
    if targets.lying:
        yield "lying", "yes"
    yield "images", _image_owner(message.page.images, link_owners)
    if message.page.forms:
        yield "form", "yes"


def _link_owner(targets: Targets, link_owners: LinkOwners) -> str:
    if not targets.hosts:
        return "none"
    if any(map(_IP_HOST.fullmatch, targets.hosts)):
        return "ip"
    owners = link_owners(
        host for host in targets.hosts if host not in targets.open_hosts and host not in SHARED_DOMAINS
    )
    # A service does not vouch for the pages that anyone can publish there.
    owners |= {owner.replace("service", "other") for owner in link_owners(targets.open_hosts)}
    return _known_owner(owners) or ("service" if owners <= {"service", "own", "none"} else "other")


def _image_owner(sources: Sequence[str], link_owners: LinkOwners) -> str:
    if not sources:
        return "none"
    hosts = list(filter(None, map(url_host, sources)))
    if not hosts:
        return "inside"
    owners = link_owners(host for host in hosts if host not in SHARED_DOMAINS)
    return _known_owner(owners) or ("mixed" if "service" in owners else "other")


def _known_owner(owners: set[str]) -> str:
    """Return 'same', 'mixed' or 'signer' for the owners of some hosts, or 'shared' if `owners` is empty.

    Return '' if no host belongs to the sender or to a signer.
    """
    if not owners:
        return "shared"
    if "same" in owners:
        return "mixed" if "other" in owners else "same"
    return "signer" if "signer" in owners else ""


def link_targets(message: Message) -> Targets:
    """Return the targets of a message's links, and of the URLs in its text, of which mail programs make links.

    If the links of a page lead to one organisation, only URLs of others count, as in letters of a service that others
    use to send theirs, and not those that the text of a link shows. If the links lead to several, the text is not
    searched: the URLs in newsletters tell little beside their links.
    """
    targets = Targets()
    for link in message.page.links:
        targets.add(link.url, link.text)
    urls = _urls_of_text(message.text[:_MAX_TEXT])
    for url in _further(urls, message, targets) if targets.hosts else urls:
        targets.add(url)
        if len(targets.hosts) > _MAX_TEXT_HOSTS:
            break
    return targets


def _further(urls: Iterable[str], message: Message, targets: Targets) -> Iterator[str]:
    """Yield the first URL of each organisation that the text adds to the links of a page, if these lead to only one."""
    linked = {organisational_domain(host) or host for host in targets.hosts}
    if len(linked) > 1:
        return
    shown = " ".join([link.text for link in message.page.links]).lower()
    for url in urls:
        host = url_host(url)
        organisation = organisational_domain(host) or host
        if host and organisation not in linked and host not in shown:
            linked.add(organisation)
            yield url


def _urls_of_text(text: str) -> Iterator[str]:
    end = 0
    start = text.find("://")
    while start >= 0:
        match = _TEXT_URL.match(text, start)
        if match and _SCHEME.search(text, max(end, start - 5), start):
            end = match.end()
            yield f"http://{match[1].rstrip(_TEXT_END)}{match[2] or ''}"
        start = text.find("://", match.end() if match else start + 1)
    if "www." in text:
        for match in _WWW.finditer(text):
            if not _NO_BEFORE_WWW.match(text, match.start() - 1) or not match.start():
                yield f"http://{match[0].rstrip('.-')}"


def shown_host(text: str) -> str:
    """Return the first host in `text` that follows `http://`, `https://` or `www.` and has a dot, or ''."""
    if "." not in text:
        return ""
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


def _is_lying(text: str, host: str, *, is_open: bool) -> bool:
    """Return whether a text shows a host of one organisation and `host` belongs to another organisation.

    A mail service may replace links by its own, but not by pages that anyone can publish there.
    """
    if not text or not (claimed := shown_host(text)):
        return False
    domain = organisational_domain(host)
    may_replace = domain in MAIL_SERVICES and (not is_open or claimed in OPEN_HOSTING)
    return organisational_domain(claimed) != domain and not may_replace
