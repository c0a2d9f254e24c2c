"""Registrable domains of host names, found with the public suffix list, and sets of well-known domains."""

import re
from collections.abc import Iterator
from functools import cache, cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path

_NUMBER = re.compile("[0-9]+")


class DomainList:
    """A list of host names in a data file. The file is read on first use.

    A name stands for itself and for all hosts below it. In a name, `*` stands for a number. A path may follow a name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._cached = lru_cache(maxsize=4096)(self._starts)

    @cached_property
    def _paths(self) -> dict[str, tuple[str, ...]]:
        lines = data_lines(self._name)
        paths: dict[str, tuple[str, ...]] = dict.fromkeys(lines, ("",))
        for line in (line for line in lines if "/" in line):
            host, _, path = line.partition("/")
            paths[host] = (*paths.get(host, ()), path)
        return paths

    def __contains__(self, host: str) -> bool:
        """Return whether all pages of `host` are in the list."""
        return "" in self._cached(host[-260:])

    def lists(self, domain: str) -> bool:
        """Return whether `domain` itself is in the list. A domain below a name of the list is not."""
        return "" in self._paths.get(domain, ())

    def starts(self, host: str) -> tuple[str, ...]:
        """Return the beginnings of the paths that the list has for `host`. The beginning '' stands for all paths."""
        return self._cached(host[-260:])

    def _starts(self, host: str) -> tuple[str, ...]:
        return tuple(start for name in suffixes(host) for start in self._paths.get(name, ()))


def suffixes(host: str) -> Iterator[str]:
    """Yield the names of at most 8 labels that `host` ends with, also with `*` in place of numbers."""
    labels = host.split(".")[-8:]
    for start in range(len(labels)):
        name = ".".join(labels[start:])
        yield name
        if (general := _NUMBER.sub("*", name)) != name:
            yield general


# Public mailbox providers. An address at one of these domains does not belong to an organisation.
FREEMAIL = DomainList("freemail")
# Services that send or track mail for their customers. Hosts of these services do not indicate a foreign sender.
MAIL_SERVICES = DomainList("mail_services")
# Services that pass on other people's mail from addresses of their own.
ALIAS_SERVICES = DomainList("alias_services")
MARKETPLACES = DomainList("marketplaces")
# Hosts where anyone can publish a page or shorten a URL.
OPEN_HOSTING = DomainList("open_hosting")
# Domains to which all kinds of mail link: social networks, app stores, maps, standards.
SHARED_DOMAINS = DomainList("shared_domains")


def data_lines(name: str) -> list[str]:
    """Return the lines of the file data/NAME.txt of this package, without comments and empty lines."""
    text = Path(__file__).with_name("data").joinpath(f"{name}.txt").read_text("utf-8")
    return [line for line in map(str.strip, text.split("\n")) if line and not line.startswith("#")]


@cache
def _rules() -> frozenset[str]:
    """Return the rules of the public suffix list in the package publicsuffixlist.

    The file is read directly in 3 ms, because the parser of the package takes 75 ms.
    """
    # importlib.resources gives the same result but imports a dozen modules.
    package = find_spec("publicsuffixlist")
    folder = package.submodule_search_locations if package else None
    text = Path(*(folder or ())[:1], "public_suffix_list.dat").read_text("utf-8")
    return frozenset(line for line in text.split("\n") if line and not line.startswith("//"))


def organisational_domain(host: str) -> str:
    """Return the registrable domain of a host or address (`a@mail.shop.co.uk` gives `shop.co.uk`).

    Return an IP address unchanged, and '' if there is no registrable domain. https://publicsuffix.org/list/ has the
    algorithm.
    """
    # A host name has at most 253 characters. The cut keeps longer names and local parts of addresses out of the cache.
    return _registrable(host[-260:].rpartition("@")[2])


@lru_cache(maxsize=16_384)
def _registrable(host: str) -> str:
    labels = [label for label in host.strip("[] ").lower().split(".") if label][-8:]
    if len(labels) < 2:
        return ""
    if labels[-1].isdigit():
        return ".".join(labels)
    labels = unicode_host(".".join(labels)).split(".")
    rules = _rules()
    for start in range(len(labels)):
        name = ".".join(labels[start:])
        if "!" + name in rules:
            return name
        if name in rules or "*." + ".".join(labels[start + 1 :]) in rules:
            return ".".join(labels[start - 1 :]) if start else ""
    return ".".join(labels[-2:])


def unicode_host(host: str) -> str:
    """Return a host in lower case with its Punycode labels (xn--) in Unicode."""
    return ".".join([_unicode(label) for label in host.split(".")]) if "xn--" in host else host


def _unicode(label: str) -> str:
    try:
        return label.encode("ascii").decode("idna") if len(label) < 64 else label
    except UnicodeError:
        return label
