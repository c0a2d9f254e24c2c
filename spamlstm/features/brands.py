"""Brands that phishing mail imitates: which brands a text or a host names, and whether a brand owns a domain.

The brands, their domains and the sources of the list are in data/brands.txt.
"""

import re
from functools import cache, lru_cache

from spamlstm.features.domains import data_lines

# Only the first characters of a text are searched.
_MAX_TEXT = 500
_WORD, _SIGNS = re.compile(r"[^\W_]+"), re.compile(r"[\W_]+")
# Digits that imitate letters in hosts, as in paypa1 and micr0soft.
_DIGITS = str.maketrans("0135", "oles")
# A shorter name is found in a host only as a whole word between dots and hyphens.
_MIN_INSIDE = 6


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
def _by_host_word() -> tuple[dict[str, str], dict[str, str]]:
    """Return the brands by the words that name them in hosts (`bankofamerica`), and the brands with long words."""
    words = {_SIGNS.sub("", brand.lower().removesuffix(".com")): brand for brand in _brands()}
    return words, {word: brand for word, brand in words.items() if len(word) >= _MIN_INSIDE}


def brands_in(text: str) -> tuple[str, ...]:
    """Return the distinct brands that the first 500 characters of `text` name in whole words, in order.

    A brand in capital letters, such as UPS, is found only in capital letters.
    """
    names = _by_first_word()
    text = text[:_MAX_TEXT]
    if names.keys().isdisjoint(_WORD.findall(text.lower())) and names.keys().isdisjoint(_WORD.findall(text)):
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


@lru_cache(maxsize=4096)
def brands_in_host(host: str) -> tuple[str, ...]:
    """Return the distinct brands that a host names, also in other words and with digits (`paypa1-secure.example`)."""
    words, long = _by_host_word()
    host = host[-260:].lower()
    folded = host.translate(_DIGITS)
    parts = (*_WORD.findall(host), *_WORD.findall(folded))
    joined = folded.replace("-", "")
    inside = (brand for word, brand in long.items() if word in joined)
    return tuple(dict.fromkeys((*(words[part] for part in parts if part in words), *inside)))


def belongs(brand: str, organisation: str) -> bool:
    """Return whether `organisation`, a registrable domain, is a domain of `brand`.

    A brand also owns the domain that consists of its name and the zone of a country (`amazon.de`, `paypal.com.br`), and
    the top-level domain of its name (`mail.dhl`).
    """
    if organisation in _brands().get(brand, ()):
        return True
    label, _, zone = organisation.partition(".")
    name = _SIGNS.sub("", brand.lower())
    return zone == name or (label == name and len(zone.rpartition(".")[2]) == 2 and zone.count(".") < 2)
