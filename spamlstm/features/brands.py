"""Brands that phishing mail imitates: which brands a text names, and whether a brand owns a domain.

The brands, their domains and the sources of the list are in data/brands.txt.
"""

import re
from collections.abc import Iterable
from functools import cache, lru_cache

from spamlstm.features.domains import data_lines

# Only the first characters of a text are searched.
_MAX_TEXT = 500
_WORD, _SIGNS = re.compile(r"[^\W_]+"), re.compile(r"[\W_]+")


@cache
def _brands() -> dict[str, frozenset[str]]:
    """Return the domains of each brand. The file is read on first use, in about 0.5 ms."""
    lines = (line.partition("=") for line in data_lines("brands"))
    return {name.strip(): frozenset(domains.split()) for name, _, domains in lines}


@cache
def _by_first_word() -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for brand in _brands():
        names.setdefault(_WORD.findall(brand)[0], []).append(brand)
    return names


@cache
def _by_domain() -> dict[str, frozenset[str]]:
    return _gathered((domain, brand) for brand, domains in _brands().items() for domain in domains)


@cache
def _by_label() -> dict[str, frozenset[str]]:
    return _gathered((_SIGNS.sub("", brand.lower()), brand) for brand in _brands())


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Return the brands of each name, from pairs of a name and a brand."""
    brands: dict[str, frozenset[str]] = {}
    for name, brand in pairs:
        brands[name] = brands.get(name, frozenset()) | {brand}
    return brands


def brands_in(text: str) -> tuple[str, ...]:
    """Return the distinct brands that the first 500 characters of `text` name in whole words, in order.

    A brand in capital letters, such as UPS, is found only in capital letters.
    """
    names = _by_first_word()
    text = text[:_MAX_TEXT]
    words = _WORD.findall(text)
    if names.keys().isdisjoint(map(str.lower, words)) and names.keys().isdisjoint(words):
        return ()
    found: dict[str, None] = {}
    for word in _WORD.finditer(text):
        start = word.start()
        for brand in (*names.get(word[0].lower(), ()), *(names.get(word[0], ()) if word[0].isupper() else ())):
            end = start + len(brand)
            same = text[start:end] if brand.isupper() else text[start:end].lower()
            if same == brand and not text[end : end + 1].isalnum():
                found[brand] = None
    return tuple(found)


def belongs(brand: str, organisation: str) -> bool:
    """Return whether `organisation`, a registrable domain, is a domain of `brand`.

    A brand also owns the domain that consists of its name and the zone of a country (`amazon.de`, `paypal.com.br`), and
    the top-level domain of its name (`mail.dhl`). A government owns all domains in its zone (`www.gov.uk`).
    """
    return brand in _brands_of(organisation)


def have_brand_in_common(organisation: str, other: str) -> bool:
    """Return whether two registrable domains belong to one brand, such as paypal.de and paypal.com."""
    brands = _brands_of(organisation)
    return bool(brands) and not brands.isdisjoint(_brands_of(other))


@lru_cache(maxsize=4096)
def _brands_of(organisation: str) -> frozenset[str]:
    """Return the brands to which a registrable domain belongs."""
    label, _, zone = organisation.partition(".")
    names = (zone, label if _is_national(zone) else "")
    by_name = [_by_label().get(name, ()) for name in names]
    return frozenset().union(*by_name, *(_by_domain().get(domain, ()) for domain in (organisation, zone)))


def _is_national(zone: str) -> bool:
    """Return whether a zone is that of a country, and not that of a service such as github.io or spdns.de."""
    kind, _, country = zone.rpartition(".")
    return len(country) == 2 and kind in ("", "co", "com", "gov")
